//! `credimg guest-unit`: what mounts the disk in guests that ignore `fstab.extra`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use serde::Serialize;

use super::options::{Trust, Volume};
use super::print;
use crate::delivery::means::Means;
use crate::delivery::units::{self, GuestFile};
use crate::delivery::verity::HashTree;
use crate::fleet::one;
use crate::job::Job;
use crate::job::destination::Destination;
use crate::job::encryption::is_opened_by_guest;
use crate::look::opened::Opened;
use crate::manifest::{Format, no_fleet};
use crate::report::{Exit, Failure, json, shown};

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  credimg guest-unit secrets.yaml")]
pub struct GuestUnit {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// The machine whose disk it is, where the manifest is of many
    #[arg(long, value_name = "NAME")]
    pub machine: Option<String>,
    /// The image that the guest is to check by its hash tree: what is printed is for this one alone
    #[arg(long, value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub image: Option<PathBuf>,
    /// File with the key of that image, where LUKS1 is around the tree
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "image")]
    pub key_file: Option<PathBuf>,
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

impl GuestUnit {
    /// What the guest is to be told of the hash tree of `image`.
    fn tree(&self, image: &Path) -> Result<HashTree, Failure> {
        let opened = Opened::new(image)?;
        let tree = match (opened.tree()?, self.key_file.as_deref()) {
            (Some(tree), _) => Some(tree),
            (None, Some(file)) => opened.into_parts(Some(file), false)?.tree,
            (None, None) => None,
        };
        let Some(tree) = tree else {
            let message = format!("{} has no hash tree", shown(image));
            let hint = "build it with --verity; where LUKS1 is around it, name the key with \
                        --key-file";
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        };
        tree.told()
    }
}

pub(super) fn run(options: &GuestUnit) -> Result<(), Failure> {
    let mut manifest =
        one::load(&options.manifest, options.machine.as_deref(), options.trust.trust, &[], None)?;
    if options.machine.is_some() && manifest.machine.is_none() {
        return Err(no_fleet(&manifest));
    }
    // There is no name whose extension would tell it.
    manifest.format.get_or_insert(Format::Erofs);
    let tree = options.image.as_deref().map(|image| options.tree(image)).transpose()?;
    let mut wishes = options.volume.wishes();
    wishes.verity |= tree.is_some();
    let job = Job::new(manifest, &wishes, Destination::Nothing)?;
    let (image, label) = (&job.image, job.image.label.as_deref());
    let is_encrypted = job.encryption.as_ref().is_some_and(|it| is_opened_by_guest(it.luks));
    if image.verity.is_some() && tree.is_none() {
        let message = "the hash tree of the disk is another one after each build";
        let hint = "name the image with --image, and print the files again for each";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let is_opened = is_encrypted || tree.is_some();
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
    let Means { disk, unlock, .. } = &job.settings.means;
    let tables = unlock.as_ref().map(|unlock| unlock.tables(tree.as_ref()));
    let files = units::files(&job.manifest, disk, tables.unwrap_or_default())?;
    if options.json {
        print(&json::line(&Report { files })?)
    } else {
        print(units::text(&files).as_bytes())
    }
}
