//! `credimg args`: the arguments of an image that exists.

use credimg_formats::probe::{Probe, probe};

use super::{attach, print};
use crate::channels::sidecar;
use crate::cli::AttachImage;
use crate::report::{self, Exit, Failure, reason};
use crate::source;
use crate::vm::Machine;

pub(super) fn run(options: &AttachImage) -> anyhow::Result<()> {
    let label = label_of(options)?;
    let drive = attach::drive(&options.attach, label.as_deref(), &options.image)?;
    // The names of the private files beside the image say all about them.
    let suffixes = attach::suffixes(&options.image).map_err(|error| {
        let shown = report::shown(&options.image);
        let message = format!("cannot read the directory of {shown}: {}", reason(&error));
        Failure::new(Exit::Image, message)
    })?;
    let firmware = sidecar::firmware(&options.image, suffixes.iter().map(String::as_str));
    let text = attach::render(&options.attach, &Machine { drive: Some(drive), firmware })?;
    attach::warn(&options.attach, label.as_deref());
    print(&text)
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
        Probe::Erofs { label, .. } | Probe::Iso9660 { label, .. } if label.is_empty() => Ok(None),
        Probe::Erofs { label, .. } | Probe::Iso9660 { label, .. } => {
            String::from_utf8(label).map(Some).map_err(|_| {
                Failure::new(Exit::Image, format!("{shown}: the volume label is not UTF-8"))
                    .hint("give a serial with --serial")
                    .into()
            })
        }
        // SquashFS has no label.
        _ => Ok(None),
    }
}
