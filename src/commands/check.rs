//! `credimg check`: what a build would make, without running a command or
//! opening a file of a source.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use credimg_formats::Mode;
use unicode_width::UnicodeWidthStr;

use super::options::{Sources, Volume, size};
use super::print;
use crate::delivery::limits;
use crate::delivery::mount::{Disk, MOUNT_WORD};
use crate::delivery::route::{Means, Opening, Route, Routes, Teller, plan_routes};
use crate::delivery::unlock::{self, Unlock};
use crate::job::encryption;
use crate::job::links;
use crate::job::loss;
use crate::job::reach;
use crate::job::seed;
use crate::job::settings;
use crate::job::trusted;
use crate::job::xattrs;
use crate::keys;
use crate::manifest::{
    self, Attributes, Channel, Entry, Format, FwCfg, Keep, KeySource, Luks, MOUNT_CREDENTIAL,
    Makes, Manifest, time,
};
use crate::monitors::{Bus, MachineType, Monitor, Serial};
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

/// Length of a generated key. That of a key file may be any up to the longest.
const KEY_BYTES: u64 = 64;
/// The time of the build itself.
const BUILD: &str = "build";
/// What a definition says nothing about.
const NONE: &str = "-";

pub(super) fn run(options: &Check) -> Result<(), Failure> {
    let Sources { trust, pseudo_file, .. } = &options.sources;
    let manifest = trusted::load(&options.manifest, *trust, pseudo_file)?;
    let label = label(&options.volume, &manifest)?;
    let label = label.as_deref();
    let definitions = pseudo::load(&manifest)?;
    pseudo::require_allowed(settings::policy(&options.sources), &manifest, &definitions)?;
    let guest = settings::guest(options.guest.as_deref())?;
    let machine = settings::machine(options.machine, &guest, options.target)?;
    let format = options.volume.format.or(manifest.format).unwrap_or(Format::Erofs);
    let rehearsal = rehearse(&manifest, &definitions, options.max_size)?;
    let mut text = table(&manifest, &definitions);
    let mut warnings = reach::foresee(&rehearsal);
    if let Some(format) = options.volume.format.or(manifest.format) {
        warnings.extend(seed::foresee(format, label, &manifest, &definitions)?);
        let joliet = settings::joliet(false, &manifest, format)?;
        warnings.extend(loss::foresee(&rehearsal.tree, format, joliet));
    }
    warnings.extend(links::foresee(
        &manifest,
        &definitions,
        options.volume.format.or(manifest.format),
    ));
    warnings.extend(xattrs::warnings(&manifest));
    warnings.extend(trusted::foresee(*trust, &manifest, &definitions));
    let luks = encryption::version(options.volume.encrypt, &manifest);
    if let Some(luks) = luks {
        encryption::sector_bytes(luks, &manifest, format)?;
        encryption::require_opener(luks, options.target)?;
        text.push_str(opener(luks));
    }
    let has_values = manifest.values().next().is_some();
    let is_told = has_values || manifest.mount.is_some() || luks == Some(Luks::Luks2);
    if is_told || options.guest.is_some() {
        // Only the build knows the image's name, which makes the serial where there is no label.
        let option = options.volume.serial.as_deref();
        let serial = settings::serial(option, label, Path::new("IMAGE"))?;
        let monitor = (options.target, machine);
        let routes = routes(&manifest, (format, luks), label, &serial, monitor)?;
        if is_told {
            text.push('\n');
            text.push_str(&channels(&manifest, format, label, &routes, &serial));
        }
        warnings.extend(routes.warnings.iter().cloned());
        warnings.extend(guest.warnings(format, &routes));
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

/// The volume label, and an error where the format that the build will have is
/// known and does not go with it or the manifest. Else the output's extension
/// decides, and only the build sees that.
fn label(volume: &Volume, manifest: &Manifest) -> Result<Option<String>, Failure> {
    let option = volume.label.as_deref();
    if let Some(format) = volume.format.or(manifest.format) {
        settings::compression(None, manifest, format)?;
        let joliet = settings::joliet(false, manifest, format)?;
        return settings::label(option, manifest, format, joliet);
    }
    let own = manifest.label.as_ref().map(|label| label.text.clone());
    Ok(option.map(manifest::label_option).transpose()?.or(own))
}

/// The plan of the credentials, as far as it goes without reading a source: by
/// the default bus.
fn routes(
    manifest: &Manifest,
    (format, luks): (Format, Option<Luks>),
    label: Option<&str>,
    serial: &Serial,
    (target, machine_type): (Monitor, Option<MachineType>),
) -> Result<Routes, Failure> {
    // Only its length matters here.
    let uuid = credimg_formats::uuid_text([0; 16]);
    let unlock = (luks == Some(Luks::Luks2)).then(|| {
        let header_label = label.map(encryption::header_label);
        let planned = manifest.encrypt.as_ref().and_then(|encrypt| encrypt.key.as_ref());
        let is_file = matches!(planned, Some(KeySource::File(_)));
        let key_bytes = if is_file { keys::MAX_BYTES as u64 } else { KEY_BYTES };
        Unlock::new(serial, Bus::Virtio, header_label.as_deref(), &uuid, key_bytes)
    });
    let disk = match unlock {
        Some(_) => Disk::encrypted(format, serial),
        None => Disk::new(format, label, &uuid, serial, Bus::Virtio).with_random_uuid(),
    };
    let lengths: Vec<_> = manifest.values().map(known_length).collect();
    plan_routes(
        manifest,
        &lengths,
        &Means { target, machine_type, disk, unlock, ..Means::default() },
    )
}

/// Who opens the image.
fn opener(luks: Luks) -> &'static str {
    match luks {
        Luks::Luks1 => "\nencrypted by LUKS1: QEMU opens it, the guest sees the plain disk\n",
        Luks::Luks2 => "\nencrypted by LUKS2: the guest opens it\n",
    }
}

/// The length of a value that stands in the manifest.
fn known_length(entry: &Entry) -> Option<u64> {
    entry.source.known_content().map(|content| content.len() as u64)
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
pub fn channels(
    manifest: &Manifest,
    format: Format,
    label: Option<&str>,
    routes: &Routes,
    serial: &Serial,
) -> String {
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
        ("label, bytes", label.map_or(0, str::len), format.label_max_bytes(manifest.joliet)),
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
