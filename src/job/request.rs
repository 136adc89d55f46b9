//! What building a file and building in memory have in common: everything that
//! is checked before a source is read, then the tree.

use std::path::Path;
use std::rc::Rc;

use credimg_formats::Timestamp;
use credimg_formats::erofs::format::is_mistaken_for_ext2;

use super::attach;
use super::blocks;
use super::encryption::Encryption;
use super::image::Image;
use super::links;
use super::loss;
use super::loss::Losses;
use super::seed;
use super::settings;
use super::trusted;
use super::xattrs;
use crate::commands::options::{Attach, Recipe};
use crate::delivery::guest::Guest;
use crate::delivery::route::{self, Means, Route};
use crate::delivery::sidecar::{self, Sidecar};
use crate::host::memory::without_traces;
use crate::job::progress::Progress;
use crate::manifest::{Channel, Format, Manifest};
use crate::monitors::Drive;
use crate::report::{self, Failure};
use crate::sources::assemble::{self, Assembly, Exchangeable, OwnFiles, assemble};
use crate::sources::command::Limits;
use crate::sources::pseudo::Policy;

/// What all sources deliver, without what the image cannot hold.
pub(crate) struct Collected {
    pub(crate) assembly: Assembly,
    left_out: Losses,
}

impl Collected {
    /// All that `image`, if it is one of the tree as it is now, does not hold.
    pub(crate) fn losses(&self, image: &Image) -> Losses {
        let mut losses = self.left_out.clone();
        image.add_losses(&self.assembly.tree, &mut losses);
        losses
    }
}

/// A build that nothing stands in the way of yet.
pub(crate) struct Request {
    pub(crate) manifest: Manifest,
    pub(crate) image: Image,
    pub(crate) drive: Drive,
    /// Where the image will lie.
    pub(crate) place: OwnFiles,
    means: Means,
    guest: Guest,
    commands: Limits,
    policy: Policy,
    exchangeable: Exchangeable,
}

impl Request {
    /// Checks the options against the manifest. The image will be at `path`, which
    /// is `-` for standard output, and `place` says where that is. `kept_uuid` is that
    /// of an image that may stay: guests find a disk without a label by its UUID, and
    /// are told so.
    pub(crate) fn new(
        recipe: &Recipe,
        attach: &Attach,
        manifest: Manifest,
        (path, place): (&Path, OwnFiles),
        encryption: Option<Encryption>,
        kept_uuid: Option<[u8; 16]>,
    ) -> Result<Self, Failure> {
        let format = settings::format(recipe, path, &manifest)?;
        let joliet = settings::joliet(recipe.format.joliet, &manifest, format)?;
        let label = settings::label(recipe.label.as_deref(), &manifest, format, joliet)?;
        let drive_key = encryption.as_ref().map(Encryption::drive_key).transpose()?.flatten();
        let guest = settings::guest(recipe.guest.as_deref())?;
        let machine_type = settings::machine(attach.machine, &guest, attach.target)?;
        let block = blocks::of_build(format, encryption.as_ref());
        let drive = attach::drive(attach, machine_type, label.as_deref(), path, block, drive_key)?;
        if !settings::is_streamed(path) {
            // Whether the style carries the path, before anything is read.
            attach.target.render(&drive.clone().into(), attach.style)?;
        }
        let compression = recipe.format.compression.as_deref();
        let uuid = settings::uuid(recipe.uuid.as_deref(), format)?;
        let keeps = |uuid: &[u8; 16]| {
            label.is_none() && recipe.uuid.is_none() && !is_mistaken_for_ext2(uuid)
        };
        let kept_uuid = kept_uuid.filter(keeps);
        let image = Image {
            format,
            label,
            uuid: kept_uuid.unwrap_or(uuid),
            build_time: settings::build_time(recipe.mtime)?,
            compression: settings::compression(compression, &manifest, format)?,
            joliet,
            encryption: encryption.map(Rc::new),
            lossy: recipe.format.lossy,
            warns: true,
            max_size_bytes: recipe.max_size,
        };
        let means = attach::means(recipe, attach, &image, &drive);
        let commands = settings::commands(recipe.command_timeout, recipe.command_stderr);
        let policy = settings::policy(&recipe.sources);
        let exchangeable = trusted::exchangeable(recipe.sources.trust, recipe.strict);
        Ok(Self { manifest, image, drive, place, means, guest, commands, policy, exchangeable })
    }

    /// Says what people should know of the image that they ask for.
    pub(crate) fn advise(&self, recipe: &Recipe, attach: &Attach, is_quiet: bool) {
        for warning in xattrs::warnings(&self.manifest) {
            report::warn(&warning);
        }
        let image = &self.image;
        let is_squashfs = image.format == Format::Squashfs;
        attach::warn(attach, image.label.as_deref().filter(|_| !is_squashfs));
        if image.joliet {
            report::warn(
                "a Joliet tree has no owners and modes: where it is mounted, every user may read \
                 every file",
            );
        }
        match image.format {
            Format::Squashfs if recipe.uuid.is_some() => {
                report::warn("a SquashFS image has no UUID: --uuid has no effect");
            }
            Format::Iso9660 if recipe.uuid.is_some() => {
                report::warn("the UUID of an ISO 9660 image is its time: --uuid has no effect");
            }
            _ => {}
        }
        if let Some(warning) =
            self.means.unlock.as_ref().and_then(|_| seed::is_hidden(image.label.as_deref()))
        {
            report::warn(&warning);
        }
        // An encrypted one is found by its header.
        let has_serial = attach.target.sets_serial() && self.means.unlock.is_none();
        if is_squashfs && image.label.is_some() && has_serial && !is_quiet {
            report::note("a SquashFS image has no label: the drive's serial stands for it");
        }
    }

    /// Whether the guest is to open the disk and gets no key for it. Errors as where
    /// credentials are planned.
    pub(crate) fn is_closed(&self) -> Result<bool, Failure> {
        let routes = route::plan_routes(&self.manifest, &[], &self.means)?;
        Ok(self.means.unlock.is_some() && routes.opening.is_none())
    }

    /// Whether anything will go, or may go, by the firmware, as far as the
    /// manifest alone tells. Errors as where credentials are planned.
    pub(crate) fn may_need_firmware(&self) -> Result<bool, Failure> {
        let routes = route::plan_routes(&self.manifest, &[], &self.means)?;
        let is_off_disk = |route: &Route| route.channel != Some(Channel::Disk);
        let is_told = routes.mount.is_some() || routes.opening.is_some();
        Ok(is_told || !self.manifest.fw_cfg.is_empty() || routes.routes.iter().any(is_off_disk))
    }

    /// Reads every source. What has no time of its own gets `build_time`; with `notes_inputs`
    /// the assembly has the files and directories that were read.
    pub(crate) fn collect(
        &self,
        build_time: Timestamp,
        notes_inputs: bool,
        progress: &mut Progress,
    ) -> Result<Collected, Failure> {
        let settings = assemble::Settings {
            build_time,
            commands: self.commands,
            policy: self.policy,
            output: self.place.clone(),
            means: self.means.clone(),
            exchangeable: self.exchangeable,
            max_size_bytes: self.image.max_size_bytes,
            notes_inputs,
        };
        let mut assembly = assemble(&self.manifest, &settings, &mut |step| {
            progress.show_step(step);
        })?;
        if let Some(warning) = &assembly.warning {
            report::warn(warning);
        }
        seed::check(&self.image, &assembly.tree)?;
        let Image { format, lossy, .. } = self.image;
        let left_out = loss::leave_out_xattrs(&mut assembly.tree, format, lossy)?;
        let point = links::point(&self.manifest);
        for warning in links::warnings(&assembly.tree, Some(&point), Some(format)) {
            report::warn(&warning);
        }
        let routes = &assembly.routes;
        for warning in routes.warnings.iter().chain(&self.guest.warnings(self.image.format, routes))
        {
            report::warn(warning);
        }
        Ok(Collected { assembly, left_out })
    }

    /// The private files of what goes by the firmware.
    pub(crate) fn sidecars(&self, assembly: &Assembly) -> Result<Vec<Sidecar>, Failure> {
        let Assembly { routes, values, .. } = assembly;
        let mut values = values.clone();
        if let Some(encryption) = &self.image.encryption {
            let unlock = self.means.unlock.as_ref();
            values.extend(sidecar::opening(routes.opening, unlock, encryption.key.secret()));
        }
        let pack = || sidecar::pack(&values, routes.mount.as_ref(), &self.means);
        let Some(unlock) = &self.means.unlock else { return pack() };
        // One of them holds the key, in base64, which goes by the stack.
        let sidecars = without_traces(pack)?;
        sidecar::hold_key(&sidecars, &unlock.key_name());
        Ok(sidecars)
    }
}
