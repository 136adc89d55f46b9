//! What a build tells at its end: a line for people or a JSON object for programs.

use std::io::Write;
use std::path::Path;

use credimg_formats::{Kind, Tree};
use serde::Serialize;

use super::image::Image;
use super::settings;
use crate::cli::Build;
use crate::manifest::Format;
use crate::report::{self, Exit, Failure};
use crate::vm::{Bus, Drive};

/// What was built. The field names are stable: programs read them.
#[derive(Serialize)]
pub(super) struct Summary {
    /// The image as messages show it.
    #[serde(skip)]
    pub(super) shown: String,
    #[serde(skip)]
    bus: Bus,
    /// The image's path as it was given, `-` for standard output; escaped as in
    /// messages where it is not UTF-8.
    pub(super) image: String,
    pub(super) format: &'static str,
    pub(super) label: Option<String>,
    pub(super) uuid: Option<String>,
    pub(super) serial: String,
    pub(super) drive_id: String,
    pub(super) size_bytes: u64,
    pub(super) files: usize,
    pub(super) directories: usize,
    pub(super) symlinks: usize,
    /// Whether there is a new image; with `--if-changed` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) changed: Option<bool>,
}

impl Summary {
    pub(super) fn new(
        options: &Build,
        made: &Image,
        drive: &Drive,
        tree: &Tree,
        size_bytes: u64,
    ) -> Self {
        // Hard links count once.
        let count =
            |is: fn(&Kind) -> bool| tree.inodes().filter(|(_, inode)| is(inode.kind())).count();
        let path = &options.output;
        let is_streamed = settings::is_streamed(path);
        let shown = if is_streamed { "standard output".to_owned() } else { report::shown(path) };
        // What a SquashFS image lacks is not reported as if it were there.
        let has_label = made.format == Format::Erofs;
        Self {
            image: path.to_str().map_or_else(|| report::shown(path), str::to_owned),
            shown,
            bus: drive.bus,
            format: made.format.name(),
            label: made.label.clone().filter(|_| has_label),
            uuid: has_label.then(|| settings::show_uuid(made.uuid)),
            serial: drive.serial.as_str().to_owned(),
            drive_id: drive.id.as_str().to_owned(),
            size_bytes,
            files: count(|kind| matches!(kind, Kind::File(_))),
            directories: count(|kind| matches!(kind, Kind::Directory(_))),
            symlinks: count(|kind| matches!(kind, Kind::Symlink(_))),
            changed: options.if_changed.then_some(true),
        }
    }

    /// The same of an image that was left as it is.
    pub(super) fn unchanged(self) -> Self {
        Self { changed: Some(false), ..self }
    }

    /// The line for people.
    pub(super) fn line(&self) -> String {
        if self.changed == Some(false) {
            return format!("kept {}: it is up to date", self.shown);
        }
        let label = match &self.label {
            Some(label) => format!(" label {label},"),
            None if self.format == Format::Erofs.name() => String::new(),
            None if self.bus == Bus::Virtio => format!(" /dev/disk/by-id/virtio-{},", self.serial),
            None => format!(" serial {},", self.serial),
        };
        let plural = if self.files == 1 { "" } else { "s" };
        format!(
            "wrote {}: {},{label} {} file{plural}, {}",
            self.shown,
            self.format,
            self.files,
            report::human_size(self.size_bytes)
        )
    }

    /// Writes the JSON object and a newline to `file`, or to standard error.
    pub(super) fn write_json(&self, file: Option<&Path>) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        let written = match file {
            None => std::io::stderr().write_all(&text),
            Some(path) => std::fs::write(path, &text),
        };
        written.map_err(|error| {
            let place = file.map_or_else(|| "standard error".to_owned(), report::shown);
            let message = format!("cannot write the report to {place}: {}", report::reason(&error));
            Failure::new(Exit::Output, message).hint("the image itself is written").into()
        })
    }
}
