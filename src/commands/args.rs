//! `credimg args`: the arguments of an image that exists.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use credimg_formats::probe::{Probe, probe};

use super::{attach, print};
use crate::channels::sidecar;
use crate::cli::AttachImage;
use crate::report::{self, Exit, Failure, reason};
use crate::source;
use crate::vm::{Firmware, Machine};

pub(super) fn run(options: &AttachImage) -> anyhow::Result<()> {
    let label = label_of(options)?;
    let drive = attach::drive(&options.attach, label.as_deref(), &options.image)?;
    let firmware = firmware_of(&options.image)?;
    if let Some(warning) = options.attach.bus.warning() {
        report::warn(warning);
    }
    print(&attach::render(&options.attach, &Machine { drive: Some(drive), firmware })?)
}

/// What the private files beside the image give to the machine: their names say it all.
fn firmware_of(image: &Path) -> Result<Firmware, Failure> {
    let directory = image.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let failure = |error: &std::io::Error| {
        let message =
            format!("cannot read the directory {}: {}", report::shown(directory), reason(error));
        Failure::new(Exit::Image, message)
    };
    let mut start = image.file_name().unwrap_or_default().to_owned();
    start.push(".");
    let mut suffixes = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| failure(&error))? {
        let name = entry.map_err(|error| failure(&error))?.file_name();
        let suffix = name.as_bytes().strip_prefix(start.as_bytes()).map(str::from_utf8);
        suffixes.extend(suffix.and_then(Result::ok).map(str::to_owned));
    }
    Ok(sidecar::firmware(image, suffixes.iter().map(String::as_str)))
}

/// The image's volume label, none where it has none.
fn label_of(options: &AttachImage) -> anyhow::Result<Option<String>> {
    let shown = report::shown(&options.image);
    let (mut file, _) = source::open_file(&options.image)
        // Its hints speak of manifests.
        .map_err(|failure| Failure::new(Exit::Image, failure.message))?;
    let found = probe(&mut file).map_err(|error| {
        let cause = error.io_error().map_or(String::new(), |cause| format!(": {}", reason(cause)));
        Failure::new(Exit::Image, format!("{shown}: {error}{cause}"))
    })?;
    match found {
        Probe::Erofs { label, .. } if label.is_empty() => Ok(None),
        Probe::Erofs { label, .. } => String::from_utf8(label).map(Some).map_err(|_| {
            Failure::new(Exit::Image, format!("{shown}: the volume label is not UTF-8"))
                .hint("give a serial with --serial")
                .into()
        }),
        // SquashFS has no label.
        _ => Ok(None),
    }
}
