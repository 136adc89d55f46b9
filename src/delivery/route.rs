//! Which channel each credential goes by, and why.

use std::iter;

use super::limits::{Budget, ITEMS_SAFE, SERVICE_MAX_BYTES};
use super::means::Means;
use super::mount;
use super::unlock::Unlock;
use crate::manifest::{Channel, Credential, MOUNT_CREDENTIAL, Manifest, MountPoint};
use crate::monitors::MachineType;
use crate::report::{Exit, Failure, Position};

/// Where one credential goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// None where it is decided later, when the source has been read.
    pub channel: Option<Channel>,
    /// The reason for the choice, in lower case and without a full stop. It never holds a value.
    pub why: String,
}

/// How the guest learns where to mount the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What tells the guest.
    pub by: Teller,
    /// The value of `fstab.extra`.
    pub fstab: String,
}

/// What tells the guest how to open the disk and where to mount it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teller {
    /// A credential by this channel.
    Channel(Channel),
    /// A credential in the monitor's arguments, as it is no secret.
    Argument,
    /// The kernel's command line, which whoever starts the machine writes.
    KernelLine,
}

impl Teller {
    /// The name in tables for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Channel(channel) => channel.name(),
            Self::Argument => "argument",
            Self::KernelLine => "kernel",
        }
    }
}

impl Mount {
    /// The channel that has to hold the lines; none where they are an argument or on the kernel's
    /// command line.
    pub fn channel(&self) -> Option<Channel> {
        match self.by {
            Teller::Channel(channel) => Some(channel),
            Teller::Argument | Teller::KernelLine => None,
        }
    }

    /// The words for the kernel's command line; none where something else tells the guest.
    pub fn kernel_arguments(&self) -> Vec<String> {
        match self.by {
            Teller::Channel(_) | Teller::Argument => Vec::new(),
            Teller::KernelLine => mount::kernel_arguments(&self.fstab),
        }
    }
}

/// How the guest learns how to open the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// What brings the unit, and the key if there is one. It is never the kernel's command line. An
    /// argument brings no key.
    pub by: Teller,
    /// Whether there is a key.
    pub has_key: bool,
}

/// The plan of a build's credentials.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// One for each credential, in the manifest's order.
    pub routes: Vec<Route>,
    /// None where nothing tells the guest of the disk.
    pub mount: Option<Mount>,
    /// None where the guest need not open the disk, or where nothing can tell it how.
    pub opening: Option<Opening>,
    /// How much of the firmware's room the plan uses.
    pub budget: Budget,
    /// Warnings: what works, but perhaps not as it is meant.
    pub warnings: Vec<String>,
}

impl Routes {
    /// Whether a credential goes by this channel for certain.
    pub fn uses(&self, channel: Channel) -> bool {
        self.routes.iter().any(|route| route.channel == Some(channel))
    }

    /// Whether anything goes by the initrd for certain.
    fn need_initrd(&self) -> bool {
        let by_initrd = Teller::Channel(Channel::Initrd);
        self.uses(Channel::Initrd)
            || self.mount.as_ref().is_some_and(|mount| mount.by == by_initrd)
            || self.opening.is_some_and(|opening| opening.by == by_initrd)
    }

    /// The words that the guest's kernel needs on its command line.
    pub fn kernel_arguments(&self) -> Vec<String> {
        self.mount.as_ref().map_or_else(Vec::new, Mount::kernel_arguments)
    }
}

/// Chooses a channel for each credential of the manifest, and checks that its items of fw_cfg fit.
/// `lengths` are those of the values in bytes, credentials first; none is a length that is not
/// known before the source is read.
///
/// Credentials with `via` have their channel first, then those with `via: auto` in the manifest's
/// order. Such a one goes by an OEM string, or by fw_cfg if the machine has no SMBIOS tables. If it
/// does not fit there, it goes by the initrd, else onto the disk. The guest is told to mount the
/// disk if the manifest has `mount`, if credentials are on the disk, or if the guest has to open
/// it.
///
/// A credential that cannot go by its channel is an error of exit code 3 with its place. If it is
/// not known how the guest names the disk, that is an error of exit code 2.
pub fn plan_routes(
    manifest: &Manifest,
    lengths: &[Option<u64>],
    means: &Means,
) -> Result<Routes, Failure> {
    let goes_to_disk = |credential: &Credential| credential.via == Some(Channel::Disk);
    let has_store = manifest.credentials.iter().any(goes_to_disk);
    let mut planner = Planner::new(manifest, lengths, means);
    let routes = planner.run(has_store)?;
    if has_store || !routes.uses(Channel::Disk) {
        return Ok(routes);
    }
    // Only the first plan tells that credentials go to the disk. The lines that mount it take room
    // too, so everything is planned again.
    Planner::new(manifest, lengths, means).run(true)
}

struct Planner<'a> {
    manifest: &'a Manifest,
    lengths: &'a [Option<u64>],
    means: &'a Means,
    budget: Budget,
    warnings: Vec<String>,
}

impl<'a> Planner<'a> {
    fn new(manifest: &'a Manifest, lengths: &'a [Option<u64>], means: &'a Means) -> Self {
        Self { manifest, lengths, means, budget: Budget::default(), warnings: Vec::new() }
    }

    fn run(&mut self, has_store: bool) -> Result<Routes, Failure> {
        self.require_other_names()?;
        let opening = self.opening();
        let mount = self.mount(has_store, opening)?;
        self.items()?;
        let wishes: Vec<_> = self
            .manifest
            .credentials
            .iter()
            .zip(self.lengths.iter().copied().chain(iter::repeat(None)))
            .collect();
        let mut routes = Vec::new();
        for (credential, length) in &wishes {
            require_service(credential, *length)?;
            routes.push(match credential.via {
                Some(channel) => Some(self.asked(credential, channel, *length)?),
                None => None,
            });
        }
        let routes = routes
            .into_iter()
            .zip(wishes)
            .map(|(asked, (credential, length))| {
                asked.unwrap_or_else(|| self.automatic(credential, length))
            })
            .collect();
        self.warn();
        let budget = std::mem::take(&mut self.budget);
        let mut routes = Routes { routes, mount, opening, budget, warnings: Vec::new() };
        if routes.need_initrd() {
            let doubt = self.means.initrd.as_ref().and_then(|initrd| initrd.doubt.clone());
            self.warnings.extend(doubt);
        }
        routes.warnings = std::mem::take(&mut self.warnings);
        Ok(routes)
    }

    /// Plans the lines for fstab(5). They take their room before any credential.
    fn mount(
        &mut self,
        has_store: bool,
        opening: Option<Opening>,
    ) -> Result<Option<Mount>, Failure> {
        let is_opened = opening.is_some();
        let point = match &self.manifest.mount {
            _ if self.means.is_streamed => return Ok(None),
            // A guest that opens the disk by units of its own mounts it by them too.
            _ if self.means.unlock.is_some() && !is_opened => return Ok(None),
            Some(point) => point.clone(),
            None if has_store || is_opened => MountPoint::standard(),
            None => return Ok(None),
        };
        let target = self.means.target;
        if !target.sets_serial() && self.means.disk.is_by_serial() {
            self.warnings.push(format!(
                "nothing tells the guest to mount the disk, which has no label, as {} makes up \
                 its serial: use a format with a label",
                target.name()
            ));
            return Ok(None);
        }
        let by = self.public_teller();
        let is_written_down = match by {
            Teller::Channel(_) | Teller::Argument => false,
            Teller::KernelLine => true,
        };
        if is_written_down && self.means.disk.is_passing() {
            self.warnings.push(
                "nothing tells the guest to mount the disk, which has no label and is another one \
                 after each build: give it a label, for words on the guest's kernel command line"
                    .to_owned(),
            );
            return Ok(None);
        }
        let unlock = self.means.unlock.as_ref();
        let needs = opening.zip(unlock).map(|(it, unlock)| unlock.mount_options(it.by, &point));
        let fstab = self.means.disk.fstab(&point, has_store, needs.as_deref())?;
        let mount = Mount { by, fstab };
        if let Some(channel) = mount.channel() {
            // Only what opens the disk has taken room so far.
            let taken = self.budget.take(channel, MOUNT_CREDENTIAL, mount.fstab.len() as u64);
            taken.map_err(|reason| Failure::new(Exit::Manifest, format!("mount: {reason}")))?;
        }
        let words = mount.kernel_arguments();
        if !words.is_empty() && !target.prints_kernel_line(self.means.style) {
            self.warnings.push(format!(
                "no firmware of this machine tells the guest to mount the disk: put this on {}, or \
                 install what `credimg guest-unit` prints: {}",
                target.kernel_line(),
                words.join(" ")
            ));
        }
        Ok(Some(mount))
    }

    /// An error where a credential has the name of one that opens the disk. The guest would take
    /// the first of the two, and their files beside the image would replace each other.
    fn require_other_names(&self) -> Result<(), Failure> {
        let Some(unlock) = &self.means.unlock else { return Ok(()) };
        let own = [unlock.key_name(), unlock.unit_credential(self.public_teller())];
        match self.manifest.credentials.iter().find(|credential| own.contains(&credential.name)) {
            None => Ok(()),
            Some(credential) => {
                let message = "the name is that of the credential which opens the disk";
                let hint = "give it another name, or the drive another serial";
                Err(refused(&credential.entry.position, message).hint(hint))
            }
        }
    }

    /// Plans what opens the disk. It takes its room first of all.
    fn opening(&mut self) -> Option<Opening> {
        let unlock = self.means.unlock.as_ref()?;
        let by = self.public_teller();
        let is_told = match by {
            Teller::Channel(_) => true,
            // Beside an image on standard output there are no arguments.
            Teller::Argument => !unlock.has_key() && !self.means.is_streamed,
            Teller::KernelLine => false,
        };
        if !is_told {
            self.warnings.push(self.untold(unlock));
            return None;
        }
        if let Teller::Channel(channel) = by {
            let unit = (unlock.unit_credential(by), unlock.unit().len() as u64);
            let key = unlock.key_bytes().map(|key_bytes| (unlock.key_name(), key_bytes));
            for (name, length_bytes) in iter::once(unit).chain(key) {
                let taken = self.budget.take(channel, &name, length_bytes);
                debug_assert_eq!(taken, Ok(()), "nothing else has taken room yet");
            }
        }
        Some(Opening { by, has_key: unlock.has_key() })
    }

    /// The warning that the guest does not open the disk by itself, with the reason.
    fn untold(&self, unlock: &Unlock) -> String {
        let reason = self.means.closed(Channel::FwCfg).unwrap_or_default();
        let advice = if unlock.has_key() {
            format!(
                "the key does not reach the guest by itself ({reason}): give the guest what \
                 `credimg guest-unit` prints, and there the path of a file of its own in place of \
                 /run/credentials/@system/{}",
                unlock.key_name()
            )
        } else {
            format!(
                "nothing tells the guest to check and mount the disk ({reason}): install what \
                 `credimg guest-unit --image` prints for this image"
            )
        };
        // The signature is in the unit alone, which the guest does not get here.
        let signature = if unlock.is_signed() {
            "; the signature of the root hash is not in it: sign that with openssl, and add \
             root-hash-signature= to the line of veritytab(5)"
        } else {
            ""
        };
        advice + signature
    }

    /// What tells the guest things that are no secret. They go by the same channel as secrets, so
    /// that a file of OEM strings holds all of the guest's. If no secret can go, they are an
    /// argument; if the firmware carries nothing at all, words on the kernel's command line.
    fn public_teller(&self) -> Teller {
        match self.first_open() {
            Some(channel) => Teller::Channel(channel),
            None if self.means.target.carries_public(self.means.machine_type) => Teller::Argument,
            None => Teller::KernelLine,
        }
    }

    /// Plans the items of `fw_cfg`, which have no other channel.
    fn items(&mut self) -> Result<(), Failure> {
        let lengths = self.lengths.iter().copied().skip(self.manifest.credentials.len());
        for (item, length) in self.manifest.fw_cfg.iter().zip(lengths.chain(iter::repeat(None))) {
            let target = self.means.target;
            let of_target = target.no_items().map(|reason| format!("{}: {reason}", target.name()));
            let taken = match of_target.or_else(|| self.means.refusal(Channel::FwCfg)) {
                Some(reason) => Err(reason),
                None => self.budget.take_other_item(length.unwrap_or(0)),
            };
            taken.map_err(|reason| {
                refused(&item.entry.position, &format!("cannot go by fw_cfg: {reason}"))
            })?;
        }
        Ok(())
    }

    /// The first open channel, the disk excepted.
    fn first_open(&self) -> Option<Channel> {
        let channels = [Channel::Smbios, Channel::FwCfg, Channel::Initrd];
        channels.into_iter().find(|channel| self.means.closed(*channel).is_none())
    }

    fn asked(
        &mut self,
        credential: &Credential,
        channel: Channel,
        length: Option<u64>,
    ) -> Result<Route, Failure> {
        let taken = match self.means.refusal(channel) {
            Some(reason) => Err(reason),
            None => self.budget.take(channel, &credential.name, length.unwrap_or(0)),
        };
        taken.map_err(|reason| {
            let message = format!("cannot go by {}: {reason}", channel.name());
            let hint = if channel == Channel::Initrd && self.means.initrd.is_none() {
                "name the guest's own initrd with --initrd"
            } else {
                "`via: auto` puts onto the disk what cannot go beside it"
            };
            refused(&credential.entry.position, &message).hint(hint)
        })?;
        let why = "the manifest says so".to_owned();
        Ok(Route { channel: Some(channel), why })
    }

    fn automatic(&mut self, credential: &Credential, length: Option<u64>) -> Route {
        let to_disk = |why: String| Route { channel: Some(Channel::Disk), why };
        let channels = match self.means.automatic() {
            Ok(channels) => channels,
            Err(reason) => return to_disk(reason),
        };
        let Some(length) = length else {
            let carriers: Vec<_> = channels.iter().map(|channel| carrier(*channel).1).collect();
            let carriers = carriers.join(" or ");
            let why =
                format!("by {carriers} if it fits, else on the disk: its length is not known yet");
            return Route { channel: None, why };
        };
        let mut refused = None;
        for channel in channels {
            match self.budget.take(channel, &credential.name, length) {
                Ok(()) => {
                    let (article, carrier) = carrier(channel);
                    let why = format!("it fits {article} {carrier}");
                    return Route { channel: Some(channel), why };
                }
                // The first channel is the usual one, so its reason is told.
                Err(reason) => drop(refused.get_or_insert(reason)),
            }
        }
        to_disk(refused.unwrap_or_default())
    }

    fn warn(&mut self) {
        let is_asked = |channel| self.manifest.credentials.iter().any(|it| it.via == Some(channel));
        let has_items = !self.manifest.fw_cfg.is_empty();
        if let Some(condition) = self.means.condition(Channel::FwCfg)
            && (is_asked(Channel::FwCfg) || has_items)
        {
            self.warnings.push(format!("what goes by fw_cfg may be lost: {condition}"));
        }
        let warnings = &mut self.warnings;
        let names = self.manifest.credentials.iter().map(|credential| credential.name.len() as u64);
        let values = self.lengths.iter().take(self.manifest.credentials.len()).copied().flatten();
        let all_bytes: u64 = names.chain(values).sum();
        if all_bytes > SERVICE_MAX_BYTES {
            warnings.push(format!(
                "the credentials have {all_bytes} bytes with their names: a service that imports \
                 all of them does not start, as systemd gives it {SERVICE_MAX_BYTES} at most"
            ));
        }
        if self.means.is_streamed && self.manifest.mount.is_some() {
            let reason = "an image on standard output comes without arguments";
            warnings.push(format!("{reason}: nothing tells the guest where to mount it"));
        }
        let has_many = self.means.machine_type.is_some_and(MachineType::has_many_slots);
        if self.budget.items > ITEMS_SAFE && !has_many {
            warnings.push(format!(
                "{} items of fw_cfg: a machine with a -kernel or displays may have fewer slots \
                 and abort at its start; `-global fw_cfg_io.x-file-slots=128` gives it more",
                self.budget.items
            ));
        }
    }
}

/// What carries a value by this channel, with its article.
fn carrier(channel: Channel) -> (&'static str, &'static str) {
    match channel {
        Channel::Disk => ("a", "file"),
        Channel::Smbios => ("an", "OEM string"),
        Channel::FwCfg => ("a", "fw_cfg item"),
        Channel::Initrd => ("a", "file of the initrd"),
    }
}

/// An error where a credential is too long for any service: systemd counts its name as well.
fn require_service(credential: &Credential, length: Option<u64>) -> Result<(), Failure> {
    let total_bytes = credential.name.len() as u64 + length.unwrap_or(0);
    if total_bytes <= SERVICE_MAX_BYTES {
        return Ok(());
    }
    let message = format!(
        "the credential has {total_bytes} bytes with its name, and systemd takes \
         {SERVICE_MAX_BYTES}"
    );
    let failure = refused(&credential.entry.position, &message);
    Err(failure.hint("a large file goes to `files`, and the service reads it there"))
}

/// The failure of what is at `position` in the manifest.
fn refused(position: &Position, message: &str) -> Failure {
    Failure::new(Exit::Manifest, format!("{position}: {message}"))
}
