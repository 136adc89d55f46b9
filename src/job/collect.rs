//! Makes the tree of a job and the files that go with it. Every source is read here.

use credimg_formats::verity::Sealed;

use super::Job;
use super::image::{Image, content_bytes};
use super::links;
use super::loss;
use super::loss::Losses;
use super::progress;
use super::seed;
use super::verity;
use crate::delivery::route::{self, Route, Routes, Teller};
use crate::delivery::sidecar::{self, Sidecar};
use crate::delivery::unlock::Unlock;
use crate::host::memory::without_traces;
use crate::manifest::{Channel, Entry};
use crate::report::verbose::{self, Step};
use crate::report::{self, Failure};
use crate::sources::assemble::{Assembly, assemble};

/// The content of all sources, without what the image cannot hold.
pub(crate) struct Collected {
    pub(crate) assembly: Assembly,
    left_out: Losses,
}

impl Collected {
    /// Everything that `image` would lose of the tree as it is now.
    pub(crate) fn losses(&self, image: &Image) -> Losses {
        let mut losses = self.left_out.clone();
        image.add_losses(&self.assembly.tree, &mut losses);
        losses
    }
}

impl Job {
    /// The routes of the credentials, as far as they are known before a source is read.
    pub(crate) fn foreseen_routes(&self) -> Result<Routes, Failure> {
        let lengths: Vec<_> = self.manifest.values().map(known_length).collect();
        route::plan_routes(&self.manifest, &lengths, &self.settings.means)
    }

    /// Whether the guest has to open the disk and gets no key for it. Errors are those of
    /// [`route::plan_routes`].
    pub(crate) fn is_closed(&self) -> Result<bool, Failure> {
        let routes = route::plan_routes(&self.manifest, &[], &self.settings.means)?;
        Ok(self.settings.means.unlock.is_some() && routes.opening.is_none())
    }

    /// Whether the monitor may be given more than the disk, as far as the manifest alone tells:
    /// anything by the firmware, or an initrd unless `places_initrd` says that the caller passes
    /// that on. Errors are those of [`route::plan_routes`].
    pub(crate) fn may_need_arguments(&self, places_initrd: bool) -> Result<bool, Failure> {
        let means = &self.settings.means;
        let routes = route::plan_routes(&self.manifest, &[], means)?;
        let may_be_any = !places_initrd || means.has_firmware();
        let needs = |channel: Channel| match channel {
            Channel::Smbios | Channel::FwCfg => true,
            Channel::Initrd => !places_initrd,
            Channel::Disk => false,
        };
        let is_placed = |by: Teller| places_initrd && by == Teller::Channel(Channel::Initrd);
        let mut told = routes.mount.iter().map(|mount| mount.by);
        let opens = routes.opening.is_some_and(|opening| !is_placed(opening.by));
        let is_told = opens || told.any(|by| !is_placed(by));
        let may_go = |route: &Route| route.channel.map_or(may_be_any, needs);
        Ok(is_told || !self.manifest.fw_cfg.is_empty() || routes.routes.iter().any(may_go))
    }

    /// The words for the guest's kernel command line that the arguments hold; none where whoever
    /// starts the machine adds them.
    pub(crate) fn kernel_line(&self, routes: &Routes) -> Vec<String> {
        let is_printed = self.target.prints_kernel_line(self.style);
        if is_printed { routes.kernel_arguments() } else { Vec::new() }
    }

    /// Reads every source.
    pub(crate) fn collect(&self) -> Result<Collected, Failure> {
        let step = Step::begin();
        let mut assembly = assemble(&self.manifest, &self.settings, &mut progress::show_step)?;
        step.end(|| {
            let (inodes, size_bytes) = (assembly.tree.len(), content_bytes(&assembly.tree));
            format!("read all sources: {inodes} inodes, {size_bytes} bytes of content")
        });
        self.tell_routes(&assembly.routes);
        if let Some(warning) = &assembly.warning {
            report::warn(warning);
        }
        let Image { format, lossy, .. } = self.image;
        seed::check(&self.image, &assembly.tree)?;
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

    /// With `--verbose`, tells the route of each credential and the reason.
    fn tell_routes(&self, routes: &Routes) {
        for (credential, Route { channel, why }) in
            self.manifest.credentials.iter().zip(&routes.routes)
        {
            let channel = channel.map_or("a channel that is not known", Channel::name);
            verbose::tell(|| {
                format!("the credential {} goes by {channel}: {why}", credential.name)
            });
        }
    }

    /// How the guest opens the disk, which has the hash tree `sealed`.
    pub(crate) fn unlock(&self, sealed: Option<&Sealed>) -> Result<Option<Unlock>, Failure> {
        let unlock = self.settings.means.unlock.clone();
        let (Some(verity), Some(sealed)) = (&self.image.verity, sealed) else { return Ok(unlock) };
        let tree = verity.signed(verity::told(sealed))?;
        Ok(unlock.map(|unlock| unlock.with_tree(tree)))
    }

    /// The private files beside the image: for values, and for what opens and mounts the disk.
    pub(crate) fn sidecars(
        &self,
        assembly: &Assembly,
        unlock: Option<&Unlock>,
    ) -> Result<Vec<Sidecar>, Failure> {
        let Assembly { routes, values, .. } = assembly;
        let mut values = values.clone();
        let key = self.image.encryptor.as_ref().map(|encryptor| encryptor.key.secret());
        values.extend(sidecar::opening(routes.opening, unlock, key));
        let (means, head) = (&self.settings.means, self.settings.initrd.as_ref());
        let pack = || sidecar::pack(&values, routes.mount.as_ref(), means, head);
        let Some(unlock) = unlock.filter(|unlock| unlock.has_key()) else { return pack() };
        // One of them may hold the key in base64, which leaves traces on the stack.
        let sidecars = without_traces(pack)?;
        sidecar::hold_key(&sidecars, &unlock.key_name());
        Ok(sidecars)
    }
}

/// The length of a value that the manifest itself holds; none of any other source.
pub(crate) fn known_length(entry: &Entry) -> Option<u64> {
    entry.source.known_content().map(|content| content.len() as u64)
}
