//! `credimg check`: what a build would make, without running a command or
//! opening a file of a source.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use credimg_formats::Mode;
use credimg_formats::luks::Version;
use unicode_width::UnicodeWidthStr;

use super::options::{Sources, Volume, size};
use super::print;
use crate::delivery::limits;
use crate::delivery::mount::MOUNT_WORD;
use crate::delivery::route::{Opening, Route, Routes, Teller};
use crate::delivery::unlock;
use crate::job::Job;
use crate::job::collect::known_length;
use crate::job::destination::Destination;
use crate::job::encryption::{self, is_opened_by_guest};
use crate::job::links;
use crate::job::loss;
use crate::job::reach;
use crate::job::seed;
use crate::job::trusted;
use crate::job::wishes::{AttachWishes, SourceWishes, Wishes};
use crate::job::xattrs;
use crate::manifest::{
    Attributes, Channel, Entry, FwCfg, Keep, MOUNT_CREDENTIAL, Makes, Manifest, label_max_bytes,
    time,
};
use crate::monitors::{MachineType, Monitor, Serial};
use crate::report::{self, Exit, Failure};
use crate::sources::builder::InodeAttributes;
use crate::sources::pseudo::{self, Action, Definition, Definitions};
use crate::sources::rehearsal::rehearse;

/// `credimg check`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  credimg check secrets.yaml
  credimg check secrets.yaml --target libvirt --guest systemd=252,kernel=5.14,cvm=no --strict")]
pub struct Check {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// What the build will be told of the volume.
    #[command(flatten)]
    pub volume: Volume,
    /// What the image is made of.
    #[command(flatten)]
    pub sources: Sources,
    /// Virtual machine monitor that credentials go through
    #[arg(long, value_enum, default_value_t = Monitor::Qemu)]
    pub target: Monitor,
    /// Machine type of QEMU: pc, q35, microvm, virt (without UEFI), virt-uefi, s390-ccw-virtio or
    /// pseries, with version and properties as in microvm,pcie=on [default: one that has SMBIOS
    /// tables]
    #[arg(long, value_name = "TYPE")]
    pub machine: Option<MachineType>,
    /// Warn of what this guest drops, as in systemd=252,kernel=5.14,cvm=no,os=rhel-9,machine=q35
    #[arg(long, value_name = "FACTS")]
    pub guest: Option<String>,
    /// Most bytes of the image that will be built, with a suffix as in 512M, 64G or 1T
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = size)]
    pub max_size: u64,
    /// Exit with 5 where there is a warning
    #[arg(long)]
    pub strict: bool,
}

/// Stands for the serial where none is told.
const NO_SERIAL: &str = "none";
/// The time of the build itself.
const BUILD: &str = "build";
/// What a definition says nothing about.
const NONE: &str = "-";

pub(super) fn run(options: &Check) -> Result<(), Failure> {
    let Sources { trust, pseudo_file, .. } = &options.sources;
    let manifest = trusted::load(&options.manifest, trust.trust, pseudo_file)?;
    let luks = encryption::version(options.volume.encrypt, &manifest);
    let has_values = manifest.values().next().is_some();
    let is_told = has_values || manifest.mount.is_some() || luks.is_some_and(is_opened_by_guest);
    let mut wishes = options.wishes();
    if !is_told && options.guest.is_none() {
        // Then nothing depends on the serial, and the build may be given one.
        wishes.attach.serial = Some(NO_SERIAL.to_owned());
    }
    let job = Job::new(manifest, &wishes, Destination::Nothing)?;
    let definitions = pseudo::load(&job.manifest)?;
    pseudo::require_allowed(job.settings.policy, &job.manifest, &definitions)?;
    let mut warnings = foresee(&job, &definitions, trust.trust)?;
    let mut text = table(&job.manifest, &definitions);
    if let Some(luks) = luks {
        text.push_str(opener(luks));
    }
    if is_told || options.guest.is_some() {
        let routes = job.foreseen_routes()?;
        if is_told {
            text.push('\n');
            text.push_str(&channels(&job, &routes));
        }
        warnings.extend(routes.warnings.iter().cloned());
        warnings.extend(job.guest.warnings(job.image.format, &routes));
    }
    print(text.as_bytes())?;
    for warning in &warnings {
        report::warn(warning);
    }
    if options.strict && !warnings.is_empty() {
        let message = "--strict: a warning counts as an error";
        return Err(Failure::new(Exit::Policy, message));
    }
    Ok(())
}

impl Check {
    fn wishes(&self) -> Wishes {
        let wishes = self.volume.wishes();
        let Self { target, machine, .. } = *self;
        let max_size_bytes = self.max_size;
        Wishes {
            sources: SourceWishes { max_size_bytes, ..self.sources.wishes() },
            attach: AttachWishes { target, machine, ..wishes.attach },
            guest: self.guest.clone(),
            ..wishes
        }
    }
}

/// What a build will warn of, as far as that goes without reading a source; an error where it
/// is certain to fail.
fn foresee(job: &Job, definitions: &Definitions, trust: bool) -> Result<Vec<String>, Failure> {
    let Job { manifest, image, .. } = job;
    let rehearsal = rehearse(manifest, definitions, job.settings.max_size_bytes)?;
    let mut warnings = reach::foresee(&rehearsal);
    let known_format = job.is_format_known.then_some(image.format);
    if let Some(format) = known_format {
        warnings.extend(seed::foresee(format, image.label.as_deref(), manifest, definitions)?);
        warnings.extend(loss::foresee(&rehearsal.tree, format, image.options.joliet));
    }
    warnings.extend(links::foresee(manifest, definitions, rehearsal, known_format));
    warnings.extend(xattrs::warnings(manifest));
    warnings.extend(trusted::foresee(trust, manifest, definitions));
    Ok(warnings)
}

/// Who opens the image.
fn opener(luks: Version) -> &'static str {
    match luks {
        Version::Luks1 => "\nencrypted by LUKS1: QEMU opens it, the guest sees the plain disk\n",
        Version::Luks2 => "\nencrypted by LUKS2: the guest opens it\n",
    }
}

/// The plan of the files as aligned columns, one line an entry in the manifest's
/// order, then one line a pseudo definition: path, kind of source, mode, owner
/// and, where any entry sets one, time. The mode of `dir` and `tar` entries is
/// that of files, a slash, that of directories. Never content, host paths,
/// arguments or link targets.
pub fn table(manifest: &Manifest, definitions: &Definitions) -> String {
    let mut rows = vec![["PATH", "SOURCE", "MODE", "OWNER", "MTIME"].map(str::to_owned)];
    rows.extend(manifest.entries.iter().map(row));
    rows.extend(definitions.iter().map(pseudo_row));
    let has_mtime = rows.iter().skip(1).any(|[.., mtime]| mtime != BUILD && mtime != NONE);
    aligned(&rows, if has_mtime { 5 } else { 4 })
}

/// The plan of the credentials, one line each and one for the lines that tell
/// the guest of the disk: name, kind of source, length, channel, why. Then what
/// is used of each limit. `?` is what only a build knows.
fn channels(job: &Job, routes: &Routes) -> String {
    let Job { manifest, image, .. } = job;
    let (label, serial) = (image.label.as_deref(), &job.drive.serial);
    let unknown = || "?".to_owned();
    let header = ["CREDENTIAL", "SOURCE", "BYTES", "CHANNEL", "WHY"].map(str::to_owned);
    let mut rows = vec![header];
    for (credential, Route { channel, why }) in manifest.credentials.iter().zip(&routes.routes) {
        rows.push([
            credential.name.clone(),
            credential.entry.source.kind().to_owned(),
            known_length(&credential.entry).map_or_else(unknown, |length| length.to_string()),
            channel.map_or_else(unknown, |channel| channel.name().to_owned()),
            why.clone(),
        ]);
    }
    for FwCfg { name, entry } in &manifest.fw_cfg {
        rows.push([
            name.clone(),
            entry.source.kind().to_owned(),
            known_length(entry).map_or_else(unknown, |length| length.to_string()),
            Channel::FwCfg.name().to_owned(),
            "an item of this whole name".to_owned(),
        ]);
    }
    if let Some(Opening { key, unit }) = routes.opening {
        let row = |name: String, bytes: String, channel: Channel, why: &str| {
            [name, "encrypt".to_owned(), bytes, channel.name().to_owned(), why.to_owned()]
        };
        let why = "it opens the disk";
        rows.push(row(unlock::key_name(serial), unknown(), key, why));
        let why = "it tells the guest to open the disk, and is no secret";
        let name = unlock::unit_credential(serial);
        rows.extend(unit.map(|channel| row(name, unknown(), channel, why)));
    }
    if let Some(mount) = &routes.mount {
        let words = mount.kernel_arguments();
        let (name, value) = match mount.by {
            Teller::KernelLine => (MOUNT_WORD, words.join(" ")),
            Teller::Channel(_) | Teller::Argument => (MOUNT_CREDENTIAL, mount.fstab.clone()),
        };
        rows.push([
            name.to_owned(),
            "mount".to_owned(),
            value.len().to_string(),
            mount.by.name().to_owned(),
            "it tells the guest where to mount the disk, and is no secret".to_owned(),
        ]);
    }
    let lengths = [
        (
            "label, bytes",
            label.map_or(0, str::len),
            label_max_bytes(image.format, image.options.joliet),
        ),
        ("serial, bytes", serial.as_str().len(), Serial::MAX_BYTES),
    ];
    let mut text = format!("{}\n{}", aligned(&rows, 5), routes.budget.table());
    for (name, used, limit) in lengths {
        text.push_str(&limits::row(name, used as u64, limit as u64));
    }
    text
}

/// The first `columns` cells of each row, all cells of a column as wide as its widest.
fn aligned(rows: &[[String; 5]], columns: usize) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut table = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            // The formatter would count characters, of which some are two columns wide.
            format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
        });
        table.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        table.push('\n');
    }
    table
}

fn row(entry: &Entry) -> [String; 5] {
    let Attributes { mode, dir_mode, owner, mtime, .. } = &entry.attributes;
    let mode = match entry.source.makes() {
        Makes::HostTree(_) | Makes::FollowedTree(_) | Makes::UnknownTree => {
            format!("{}/{}", octal(*mode), octal(*dir_mode))
        }
        Makes::Symlink(_) => octal(Keep::Set(Mode::SYMLINK)),
        Makes::File => octal(*mode),
    };
    let owner = match owner {
        Keep::Keep => "keep".to_owned(),
        Keep::Set((uid, gid)) => format!("{uid}:{gid}"),
    };
    let mtime = match mtime {
        Keep::Keep => "keep".to_owned(),
        Keep::Set(None) => BUILD.to_owned(),
        Keep::Set(Some(mtime)) => time::show(mtime.seconds()),
    };
    [entry.path.to_string(), entry.source.kind().to_owned(), mode, owner, mtime]
}

fn pseudo_row(definition: &Definition) -> [String; 5] {
    let Definition { path, action, .. } = definition;
    let source = format!("pseudo {}", action.letter());
    let given = |InodeAttributes { mode, owner: (uid, gid), mtime }: &InodeAttributes, without| {
        let mtime =
            mtime.map_or_else(|| String::from(without), |mtime| time::show(mtime.seconds()));
        [octal(Keep::Set(*mode)), format!("{uid}:{gid}"), mtime]
    };
    let [mode, owner, mtime] = match action {
        Action::Make(attributes, _) => given(attributes, BUILD),
        Action::Modify(attributes) => given(attributes, NONE),
        Action::HostFile(_) => ["keep"; 3].map(str::to_owned),
        Action::Xattr { .. } | Action::Link(_) => [NONE; 3].map(str::to_owned),
    };
    [path.to_string(), source, mode, owner, mtime]
}

fn octal(mode: Keep<Mode>) -> String {
    match mode {
        Keep::Keep => "keep".to_owned(),
        Keep::Set(mode) => format!("{mode:04o}"),
    }
}
