//! `credimg guest-unit`: what mounts the disk in guests that ignore `fstab.extra`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::options::{Trust, Volume};
use super::print;
use crate::delivery::mount::Disk;
use crate::delivery::{units, unlock};
use crate::job::encryption;
use crate::job::settings;
use crate::job::trusted;
use crate::manifest::{Format, Luks};
use crate::monitors::{Bus, Serial};
use crate::report::{Exit, Failure};

/// `credimg guest-unit`
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  credimg guest-unit secrets.yaml")]
pub struct GuestUnit {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// What the build is told of the volume.
    #[command(flatten)]
    pub volume: Volume,
    /// Whom the manifest is taken from.
    #[command(flatten)]
    pub trust: Trust,
}

pub(super) fn run(options: &GuestUnit) -> Result<(), Failure> {
    let manifest = trusted::load(&options.manifest, options.trust, &[])?;
    let Volume { encrypt, format, label, serial } = &options.volume;
    let format = format.or(manifest.format).unwrap_or(Format::Erofs);
    let label = settings::label(label.as_deref(), &manifest, format, manifest.joliet)?;
    let is_opened = encryption::version(*encrypt, &manifest) == Some(Luks::Luks2);
    if format == Format::Erofs && label.is_none() && !is_opened {
        let message = "an EROFS disk without a label is another one after each build";
        let hint = "give it one: `label:` in the manifest, or --label here and with the build";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let serial = match (serial, &label) {
        (Some(serial), _) => Serial::new(serial)?,
        (None, Some(label)) => Serial::from_label(label)?,
        (None, None) => {
            let message = "the serial of a disk without a label comes from its image's file name";
            let hint = "give --serial here and with the build, or give the disk a label";
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        }
    };
    if is_opened {
        let header_label = label.as_deref().map(encryption::header_label);
        let crypttab = unlock::crypttab(&serial, header_label.as_deref());
        let disk = Disk::encrypted(format, &serial);
        return print(units::text(&manifest, &disk, Some(&crypttab))?.as_bytes());
    }
    let disk = Disk::new(format, label.as_deref(), "", &serial, Bus::Virtio);
    print(units::text(&manifest, &disk, None)?.as_bytes())
}
