//! What `check` tells: the plan of a build, for its tables and for its report. Never content,
//! host paths, arguments or link targets. The field names are stable: programs read them.

use credimg_formats::Mode;
use serde::Serialize;

use crate::delivery::mount::MOUNT_WORD;
use crate::delivery::route::{Opening, Route, Routes, Teller};
use crate::job::Job;
use crate::job::collect::known_length;
use crate::look::differences::hex;
use crate::manifest::{
    Attributes, Channel, Entry, FwCfg, Keep, MOUNT_CREDENTIAL, Makes, Manifest, label_max_bytes,
    time,
};
use crate::monitors::Serial;
use crate::report;
use crate::sources::builder::InodeAttributes;
use crate::sources::pseudo::{Action, Definition, Definitions, New};

/// What stands for an attribute that is the source's own.
const KEEP: &str = "keep";
/// What stands for the time of the build itself.
pub(super) const BUILD: &str = "build";

/// An entry of the manifest, or a pseudo definition. What it says nothing about is none.
#[derive(Serialize)]
pub(super) struct Planned {
    path: String,
    /// All of its bytes, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    /// The path as people see it.
    #[serde(skip)]
    pub(super) shown: String,
    /// What it makes; none where it changes what another one makes.
    kind: Option<&'static str>,
    /// The kind of source.
    pub(super) source: String,
    /// In octal digits.
    pub(super) mode: Option<String>,
    /// That of directories, where it makes files and directories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dir_mode: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) mtime: Option<String>,
}

/// A credential, or what goes like one.
#[derive(Serialize)]
pub(super) struct Value {
    pub(super) name: String,
    pub(super) source: &'static str,
    /// None where only a build knows it.
    pub(super) size_bytes: Option<u64>,
    pub(super) channel: Option<&'static str>,
    pub(super) why: String,
}

/// How much of a limit is used.
#[derive(Serialize)]
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) used: u64,
    pub(super) most: u64,
}

/// The entries in the manifest's order, then the pseudo definitions.
pub(super) fn entries(manifest: &Manifest, definitions: &Definitions) -> Vec<Planned> {
    manifest.entries.iter().map(entry).chain(definitions.iter().map(definition)).collect()
}

fn entry(entry: &Entry) -> Planned {
    let Attributes { mode, dir_mode, owner, mtime, .. } = &entry.attributes;
    let (kind, mode, dir_mode) = match entry.source.makes() {
        Makes::HostTree(_) | Makes::FollowedTree(_) | Makes::UnknownTree => {
            ("tree", octal(*mode), Some(octal(*dir_mode)))
        }
        Makes::Symlink(_) => ("symlink", octal(Keep::Set(Mode::SYMLINK)), None),
        Makes::File => ("file", octal(*mode), None),
    };
    let owner = match owner {
        Keep::Keep => KEEP.to_owned(),
        Keep::Set((uid, gid)) => format!("{uid}:{gid}"),
    };
    let mtime = match mtime {
        Keep::Keep => KEEP.to_owned(),
        Keep::Set(None) => BUILD.to_owned(),
        Keep::Set(Some(mtime)) => time::show(mtime.seconds()),
    };
    let path = entry.path.bytes();
    Planned {
        path: String::from_utf8_lossy(&path).into_owned(),
        path_hex: hex(&path),
        shown: report::shown_bytes(&path),
        kind: Some(kind),
        source: entry.source.kind().to_owned(),
        mode: Some(mode),
        dir_mode,
        owner: Some(owner),
        mtime: Some(mtime),
    }
}

fn definition(definition: &Definition) -> Planned {
    let Definition { path, action, .. } = definition;
    let given = |InodeAttributes { mode, owner: (uid, gid), mtime }: &InodeAttributes| {
        let mtime = mtime.map(|mtime| time::show(mtime.seconds()));
        (Some(octal(Keep::Set(*mode))), Some(format!("{uid}:{gid}")), mtime)
    };
    let (kind, (mode, owner, mtime)) = match action {
        Action::Make(attributes, new) => {
            let (mode, owner, mtime) = given(attributes);
            (Some(made(new)), (mode, owner, mtime.or_else(|| Some(BUILD.to_owned()))))
        }
        Action::Modify(attributes) => (None, given(attributes)),
        Action::HostFile(_) => {
            let keep = || Some(KEEP.to_owned());
            (Some("file"), (keep(), keep(), keep()))
        }
        Action::Xattr { .. } => (None, (None, None, None)),
        Action::Link(_) => (Some("link"), (None, None, None)),
    };
    let source = format!("pseudo {}", action.letter());
    let path = path.bytes();
    Planned {
        path: String::from_utf8_lossy(&path).into_owned(),
        path_hex: hex(&path),
        shown: report::shown_bytes(&path),
        kind,
        source,
        mode,
        dir_mode: None,
        owner,
        mtime,
    }
}

fn made(new: &New) -> &'static str {
    match new {
        New::Directory => "directory",
        New::Command(_) | New::Data(_) => "file",
        New::Symlink(_) => "symlink",
        New::BlockDevice(_) => "block-device",
        New::CharDevice(_) => "char-device",
        New::Fifo => "fifo",
        New::Socket => "socket",
    }
}

/// The credentials, items of fw_cfg, and what tells the guest of the disk.
pub(super) fn values(job: &Job, routes: &Routes) -> Vec<Value> {
    let Job { manifest, .. } = job;
    let mut values = Vec::new();
    for (credential, Route { channel, why }) in manifest.credentials.iter().zip(&routes.routes) {
        values.push(Value {
            name: credential.name.clone(),
            source: credential.entry.source.kind(),
            size_bytes: known_length(&credential.entry),
            channel: channel.map(Channel::name),
            why: why.clone(),
        });
    }
    for FwCfg { name, entry } in &manifest.fw_cfg {
        values.push(Value {
            name: name.clone(),
            source: entry.source.kind(),
            size_bytes: known_length(entry),
            channel: Some(Channel::FwCfg.name()),
            why: "an item of this whole name".to_owned(),
        });
    }
    if let (Some(Opening { by, has_key }), Some(unlock)) =
        (routes.opening, &job.settings.means.unlock)
    {
        let value = |name: String, why: &str| {
            let source = if has_key { "encrypt" } else { "verity" };
            let (channel, why) = (Some(by.name()), why.to_owned());
            Value { name, source, size_bytes: None, channel, why }
        };
        values.extend(has_key.then(|| value(unlock.key_name(), "it opens the disk")));
        let why = "it tells the guest to open the disk, and is no secret";
        values.push(value(unlock.unit_credential(by), why));
    }
    if let Some(mount) = &routes.mount {
        let words = mount.kernel_arguments();
        let (name, value) = match mount.by {
            Teller::KernelLine => (MOUNT_WORD, words.join(" ")),
            Teller::Channel(_) | Teller::Argument => (MOUNT_CREDENTIAL, mount.fstab.clone()),
        };
        values.push(Value {
            name: name.to_owned(),
            source: "mount",
            size_bytes: Some(value.len() as u64),
            channel: Some(mount.by.name()),
            why: "it tells the guest where to mount the disk, and is no secret".to_owned(),
        });
    }
    values
}

/// The limits of the firmware, and of what the disk is called.
pub(super) fn limits(job: &Job, routes: &Routes) -> Vec<Limit> {
    let Job { image, drive, .. } = job;
    let label = image.label.as_deref().map_or(0, str::len);
    let label_max = label_max_bytes(image.format, image.options.joliet);
    let firmware = routes.budget.rows().into_iter();
    let names = [
        ("label, bytes", label as u64, label_max as u64),
        ("serial, bytes", drive.serial.as_str().len() as u64, Serial::MAX_BYTES as u64),
    ];
    let limit = |(name, used, most)| Limit { name, used, most };
    firmware.chain(names).map(limit).collect()
}

fn octal(mode: Keep<Mode>) -> String {
    match mode {
        Keep::Keep => KEEP.to_owned(),
        Keep::Set(mode) => format!("{mode:04o}"),
    }
}
