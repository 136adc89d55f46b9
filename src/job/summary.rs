//! What a build tells at its end: a line for people or a JSON object for programs.

use std::path::Path;

use credimg_formats::{Kind, Timestamp, Tree};
use serde::Serialize;

use super::Job;
use super::encryptor::Encryptor;
use super::image::{Image, Written};
use super::loss::Losses;
use super::verity;
use crate::delivery::device::Device;
use crate::delivery::route::{Route, Routes};
use crate::delivery::sidecar;
use crate::manifest::{Channel, Format, Manifest, time};
use crate::monitors::{Attachment, Drive};
use crate::report::{self, Failure, json};

/// The hint for a report that cannot go into a file.
pub(crate) const REPORT_HINT: &str = "`--json` without a file writes it to standard output";

/// The report about a build. The field names are stable: programs read them.
#[derive(Serialize)]
pub(crate) struct Summary {
    /// The image as messages show it.
    #[serde(skip)]
    pub(crate) shown: String,
    /// How the guest finds the disk, if the format has no label and the guest sees the serial.
    #[serde(skip)]
    stand_in: Option<String>,
    /// The image's path as it was given, `-` for standard output; escaped as in
    /// messages where it is not UTF-8.
    pub(crate) image: String,
    pub(crate) format: &'static str,
    pub(crate) label: Option<String>,
    pub(crate) uuid: Option<String>,
    pub(crate) encryption: Option<Encrypted>,
    /// The root hash, if the image has a hash tree.
    pub(crate) root_hash: Option<String>,
    /// Where the tree begins, in bytes of what the guest checks.
    pub(crate) hash_offset_bytes: Option<u64>,
    pub(crate) serial: String,
    pub(crate) drive_id: String,
    pub(crate) size_bytes: u64,
    pub(crate) files: usize,
    pub(crate) directories: usize,
    pub(crate) symlinks: usize,
    /// What `--lossy` has left out.
    pub(crate) losses: Losses,
    /// Whether there is a new image; only with `--if-changed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changed: Option<bool>,
    #[serde(flatten)]
    pub(crate) delivery: Delivery,
}

/// The report for programs.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    #[serde(flatten)]
    attachment: &'a Attachment,
    warnings: Vec<String>,
}

/// The encryption of an image.
#[derive(Serialize)]
pub(crate) struct Encrypted {
    pub(crate) luks: &'static str,
    pub(crate) uuid: String,
    /// None where the key is in the arguments alone.
    pub(crate) key_file: Option<String>,
    pub(crate) key_made: bool,
}

impl Encrypted {
    fn new(encryptor: &Encryptor) -> Self {
        Self {
            luks: encryptor.luks().name(),
            uuid: credimg_formats::uuid_text(encryptor.uuid),
            key_file: encryptor.key_file.as_deref().map(json::path),
            // A key without a file was made in this run.
            key_made: encryptor.is_new || encryptor.key_file.is_none(),
        }
    }
}

/// How the credentials reach the guest.
#[derive(Serialize)]
pub(crate) struct Delivery {
    pub(crate) credentials: Vec<Credential>,
    /// The paths of the private files beside the image.
    pub(crate) sidecars: Vec<String>,
    /// The words that the guest's kernel needs on its command line to mount the disk.
    pub(crate) kernel_arguments: Vec<String>,
    /// How many of the credentials go by the firmware.
    #[serde(skip)]
    by_firmware: usize,
    /// How many go by the initrd.
    #[serde(skip)]
    by_initrd: usize,
    /// How many items of fw_cfg go that are no credentials.
    #[serde(skip)]
    items: usize,
}

/// One credential: its name and the channel it goes by.
#[derive(Serialize)]
pub(crate) struct Credential {
    pub(crate) name: String,
    pub(crate) via: &'static str,
}

impl Delivery {
    pub(crate) fn new<'a>(
        image: &Path,
        manifest: &Manifest,
        routes: &Routes,
        suffixes: impl Iterator<Item = &'a str>,
    ) -> Self {
        let planned = manifest.credentials.iter().zip(&routes.routes);
        let channel = |route: &Route| route.channel.unwrap_or(Channel::Disk);
        let credential = |(credential, route): (&crate::manifest::Credential, &Route)| Credential {
            name: credential.name.clone(),
            via: channel(route).name(),
        };
        let sidecars = suffixes.map(|suffix| json::path(&sidecar::path(image, suffix)));
        Self {
            credentials: planned.map(credential).collect(),
            sidecars: sidecars.collect(),
            kernel_arguments: routes.kernel_arguments(),
            by_firmware: routes.routes.iter().filter(|route| channel(route).is_firmware()).count(),
            by_initrd: routes.routes.iter().filter(|it| channel(it) == Channel::Initrd).count(),
            items: manifest.fw_cfg.len(),
        }
    }
}

/// How many files, directories and symbolic links there are; hard links count once.
fn count(tree: &Tree) -> (usize, usize, usize) {
    let (mut files, mut directories, mut symlinks) = (0, 0, 0);
    for (_, inode) in tree.inodes() {
        match inode.kind() {
            Kind::File(_) => files += 1,
            Kind::Directory(_) => directories += 1,
            Kind::Symlink(_) => symlinks += 1,
            Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo | Kind::Socket => {}
        }
    }
    (files, directories, symlinks)
}

impl Summary {
    pub(crate) fn new(
        job: &Job,
        made: &Image,
        tree: &Tree,
        written: &Written,
        delivery: Delivery,
    ) -> Self {
        let Written { size_bytes, sealed } = written;
        let hash_tree = sealed.as_ref().map(verity::told);
        let (files, directories, symlinks) = count(tree);
        let path = job.destination.path();
        let is_streamed = job.destination.is_stream();
        let shown = if is_streamed { "standard output".to_owned() } else { report::shown(path) };
        // An image of a format without labels has none to report.
        let has_label = made.format.profile().has_label();
        let uuid = match made.format {
            Format::Erofs => Some(credimg_formats::uuid_text(made.uuid)),
            Format::Squashfs => None,
            Format::Iso9660 => Some(iso9660_uuid(made.build_time)),
        };
        Self {
            image: json::path(path),
            shown,
            stand_in: (!has_label && job.target.sets_serial()).then(|| device(&job.drive)),
            format: made.format.name(),
            label: made.label.clone().filter(|_| has_label),
            uuid,
            encryption: made.encryptor.as_deref().map(Encrypted::new),
            hash_offset_bytes: hash_tree.as_ref().map(|tree| tree.offset_bytes),
            root_hash: hash_tree.map(|tree| tree.root_hash),
            serial: job.drive.serial.as_str().to_owned(),
            drive_id: job.drive.id.as_str().to_owned(),
            size_bytes: *size_bytes,
            files,
            directories,
            symlinks,
            losses: Losses::default(),
            changed: job.destination.is_kept_if_same().then_some(true),
            delivery,
        }
    }

    /// The summary of an image that was left as it is.
    pub(crate) fn unchanged(self) -> Self {
        Self { changed: Some(false), ..self }
    }

    /// The line for people.
    pub(crate) fn line(&self) -> String {
        if self.changed == Some(false) {
            return format!("kept {}: it is up to date", self.shown);
        }
        let label = match (&self.label, &self.stand_in) {
            (Some(label), _) => format!(" label {label},"),
            (None, Some(device)) => format!(" {device},"),
            (None, None) => String::new(),
        };
        let plural = |count| if count == 1 { "" } else { "s" };
        let around =
            self.encryption.as_ref().map_or_else(String::new, |it| format!(" in {}", it.luks));
        let tree = if self.root_hash.is_some() { " with a hash tree" } else { "" };
        let firmware = match self.delivery.by_firmware {
            0 => String::new(),
            count => format!(", {count} credential{} by the firmware", plural(count)),
        };
        let initrd = match self.delivery.by_initrd {
            0 => String::new(),
            count => format!(", {count} credential{} by the initrd", plural(count)),
        };
        let items = match self.delivery.items {
            0 => String::new(),
            count => format!(", {count} item{} of fw_cfg", plural(count)),
        };
        format!(
            "wrote {}: {}{around}{tree},{label} {} file{}, {}{firmware}{initrd}{items}",
            self.shown,
            self.format,
            self.files,
            plural(self.files),
            report::human_size(self.size_bytes)
        )
    }

    /// The report, with the warnings so far, and with the arguments that attach the image if they
    /// are not printed besides.
    pub(crate) fn report(&self, attachment: &Attachment) -> Result<Vec<u8>, Failure> {
        json::line(&Report { summary: self, attachment, warnings: report::warnings() })
    }
}

/// The drive as the guest sees it: its path where that is known, else its serial.
fn device(drive: &Drive) -> String {
    let of_serial = Device::of_serial(&drive.serial, drive.bus);
    of_serial.map_or_else(|| format!("serial {}", drive.serial.as_str()), |device| device.path())
}

/// What blkid and `/dev/disk/by-uuid` take for the UUID of an ISO 9660 image: its time, to the
/// hundredth of a second.
fn iso9660_uuid(build_time: Timestamp) -> String {
    let time = time::show(build_time.seconds());
    format!("{}-00", time.trim_end_matches('Z').replace(['T', ':'], "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stands_for_the_uuid_of_iso_9660() {
        let build_time = Timestamp::from_seconds(1_709_207_999);
        assert_eq!(iso9660_uuid(build_time), "2024-02-29-11-59-59-00");
    }
}
