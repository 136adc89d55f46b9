//! `credimg guest-unit`: what mounts the disk in guests that ignore `fstab.extra`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use serde::Serialize;

use super::options::{Trust, Volume};
use super::print;
use crate::delivery::units::{self, GuestFile};
use crate::delivery::unlock;
use crate::fleet::one;
use crate::job::Job;
use crate::job::destination::Destination;
use crate::job::encryption::{self, is_opened_by_guest};
use crate::manifest::{Format, no_fleet};
use crate::report::{Exit, Failure, json};

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  credimg guest-unit secrets.yaml")]
pub struct GuestUnit {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// The machine whose disk it is, where the manifest is of many
    #[arg(long, value_name = "NAME")]
    pub machine: Option<String>,
    /// What the build is told of the volume.
    #[command(flatten)]
    pub volume: Volume,
    /// Whom the manifest is taken from.
    #[command(flatten)]
    pub trust: Trust,
    /// Print a JSON report of the files instead
    #[arg(long)]
    pub json: bool,
}

/// What the guest needs. The field names are stable: programs read them.
#[derive(Serialize)]
struct Report {
    files: Vec<GuestFile>,
}

pub(super) fn run(options: &GuestUnit) -> Result<(), Failure> {
    let mut manifest =
        one::load(&options.manifest, options.machine.as_deref(), options.trust.trust, &[], None)?;
    if options.machine.is_some() && manifest.machine.is_none() {
        return Err(no_fleet(&manifest));
    }
    // There is no name whose extension would tell it.
    manifest.format.get_or_insert(Format::Erofs);
    let job = Job::new(manifest, &options.volume.wishes(), Destination::Nothing)?;
    let (image, label) = (&job.image, job.image.label.as_deref());
    let is_opened = job.encryption.as_ref().is_some_and(|it| is_opened_by_guest(it.luks));
    // Without a label the guest finds the disk by its UUID, which each build makes up.
    let profile = image.format.profile();
    if profile.has_uuid && label.is_none() && !is_opened {
        let title = profile.title;
        let message = format!("an {title} disk without a label is another one after each build");
        let hint = "give it one: `label:` in the manifest, or --label here and with the build";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    if options.volume.serial.is_none() && label.is_none() {
        let message = "the serial of a disk without a label comes from its image's file name";
        let hint = "give --serial here and with the build, or give the disk a label";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let crypttab = is_opened.then(|| {
        unlock::crypttab(&job.drive.serial, label.map(encryption::header_label).as_deref())
    });
    let disk = &job.settings.means.disk;
    let files = units::files(&job.manifest, disk, crypttab.as_deref())?;
    if options.json {
        print(&json::line(&Report { files })?)
    } else {
        print(units::text(&files).as_bytes())
    }
}
