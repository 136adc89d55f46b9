//! The resolved manifest: every default applied, every value checked, nothing
//! read or run yet.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use credimg_formats::luks::Version;
use credimg_formats::{Format, Mode, Name, Secret, Timestamp, Xattrs};

use super::channel::Channel;
use super::fleet::Granted;
use super::format_options::FormatOptions;
use super::mapping::At;
use super::mount;
use super::source::Source;
use super::verity::Verity;
use crate::report::{Position, shown_bytes};

/// Where the key of an encrypted image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file of the host that holds it.
    File(PathBuf),
    /// A random one, made by the build where there is none yet.
    Generate,
}

/// How the image is encrypted.
#[derive(Clone, Debug)]
pub struct Encrypt {
    /// By which version of LUKS.
    pub luks: Version,
    /// With which key, where given.
    pub key: Option<KeySource>,
    /// Bytes that are encrypted at once, 512 or 4096, where given.
    pub sector_bytes: Option<(usize, Position)>,
    /// Where it stands in the manifest.
    pub position: Position,
}

/// A volume label; how long it may be is the format's matter.
#[derive(Clone, Debug)]
pub struct Label {
    /// 1 to 32 letters, digits and `#+-.:@_`.
    pub text: String,
    /// Whether it was made of a machine's name or variables, so that it is cut to what the
    /// format holds.
    pub is_made: bool,
    /// Where it stands in the manifest.
    pub position: Position,
}

/// An absolute path in the image: checked components, none for the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreePath(pub Vec<Name>);

impl TreePath {
    /// The path with a leading slash.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut path: Vec<u8> =
            self.0.iter().flat_map(|name| [b"/", name.as_bytes()].concat()).collect();
        if path.is_empty() {
            path.push(b'/');
        }
        path
    }
}

impl fmt::Display for TreePath {
    /// The path with a leading slash, shown as host paths are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown_bytes(&self.bytes()))
    }
}

/// A value given by the manifest, or the source's own kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep<T> {
    /// The source's own.
    Keep,
    /// This value.
    Set(T),
}

/// The attributes of what an entry makes.
#[derive(Clone, Debug)]
pub struct Attributes {
    /// Mode of files; symbolic links are 0777 whatever it says.
    pub mode: Keep<Mode>,
    /// Mode of directories that the entry makes.
    pub dir_mode: Keep<Mode>,
    /// User and group id.
    pub owner: Keep<(u32, u32)>,
    /// Modification time; `Set(None)` is the build's own time.
    pub mtime: Keep<Option<Timestamp>>,
    /// Extended attributes: of an entry those of itself; of the manifest's defaults those of
    /// everything on the disk that can have them.
    pub xattrs: Xattrs,
    /// Whether those of an entry go to everything below it as well, where the manifest says it.
    pub xattrs_recursive: Option<bool>,
    /// Whether the extended attributes and access lists of an archive's members count;
    /// else they are left out.
    pub archive_xattrs: bool,
}

/// One entry of `files:`.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place in the image.
    pub path: TreePath,
    /// Where the content comes from.
    pub source: Source,
    /// What it gets besides content.
    pub attributes: Attributes,
    /// Where the entry stands in the manifest.
    pub position: Position,
    /// How it came here, where the manifest is one machine's of a fleet.
    pub granted: Option<Granted>,
}

impl Entry {
    /// Whether several machines of a fleet may have its source.
    pub(crate) fn is_shared(&self) -> bool {
        self.granted.is_some_and(|granted| granted.is_shared)
    }
}

/// One credential for the guest's systemd.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its name by systemd's rules: 1 to 255 printable ASCII characters without
    /// `/` and `:`.
    pub name: String,
    /// The channel that was asked for; none leaves it to the planner.
    pub via: Option<Channel>,
    /// Its source, and what it becomes where it goes onto the disk.
    pub entry: Entry,
}

/// One item of QEMU's firmware configuration device that is no credential of systemd's.
#[derive(Clone, Debug)]
pub struct FwCfg {
    /// Its whole name, which begins with `opt/`: at most 55 characters.
    pub name: String,
    /// Its source. The path is the name, for messages; attributes say nothing.
    pub entry: Entry,
}

/// Where and how the guest mounts the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// An absolute path of one component or more, each of ASCII letters, digits and `._+@-`,
    /// so that no escaping is needed in fstab(5) and in units.
    pub(super) path: String,
    /// Options besides [`mount::FLAGS`], of printable ASCII without spaces and backslashes,
    /// commas in double quotes alone.
    pub(super) options: Vec<String>,
}

impl MountPoint {
    /// Where systemd looks for credentials of services besides the system's own
    /// (systemd.exec(5), `ImportCredential=`).
    pub const CREDSTORE: &str = "/run/credstore";

    /// The mount point of a manifest that names none.
    pub fn standard() -> Self {
        Self { path: "/run/secrets".to_owned(), options: Vec::new() }
    }

    /// The path itself.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// The options of mount(8), parted by commas.
    pub fn options(&self) -> String {
        let others = self.options.iter().map(String::as_str);
        [mount::FLAGS].into_iter().chain(others).collect::<Vec<_>>().join(",")
    }

    /// The options that say whether and when a boot waits for a mount. What needs the
    /// disk has them as well.
    pub fn boot_options(&self) -> impl Iterator<Item = &str> {
        let options = self.options.iter().map(String::as_str);
        options.filter(|option| matches!(*option, "nofail" | "noauto"))
    }

    /// Whether the disk itself is the store of credentials.
    pub fn is_credstore(&self) -> bool {
        self.path == Self::CREDSTORE
    }
}

/// Pseudo definitions, in the order in which they take effect: the manifest's
/// own, then file by file. [`crate::sources::pseudo`] understands them.
#[derive(Clone, Debug, Default)]
pub struct Pseudo {
    /// The items of `pseudo`.
    pub definitions: Vec<PseudoText>,
    /// The items of `pseudo_files`, then those of `--pseudo-file`.
    pub files: Vec<PseudoFile>,
}

/// One item of `pseudo`.
#[derive(Clone, Debug)]
pub struct PseudoText {
    /// The definition as written.
    pub text: Secret,
    /// Where it stands in the manifest.
    pub position: Position,
    /// How it came here, where the manifest is one machine's of a fleet.
    pub granted: Option<Granted>,
}

/// A file of pseudo definitions.
#[derive(Clone, Debug)]
pub struct PseudoFile {
    /// Absolute, or relative to the working directory.
    pub path: PathBuf,
    /// Where the manifest names it; none where the command line does.
    pub position: Option<Position>,
    /// How it came here, where the manifest is one machine's of a fleet.
    pub granted: Option<Granted>,
}

/// The machine of a fleet that a manifest is of.
#[derive(Clone, Debug)]
pub struct MachineContext {
    /// Its name.
    pub name: String,
    /// Its variables by name, which is of lower case.
    pub variables: Vec<(String, Secret)>,
    /// The variables of the environment that are sources of any machine of the fleet: no command
    /// sees them.
    pub sources: Arc<HashSet<OsString>>,
    /// The user of this host that its image belongs to, where given.
    pub owner: Option<At<String>>,
    /// The user of this host that may read its image, where given.
    pub reader: Option<At<String>>,
    /// The monitor that its arguments are for, where given.
    pub target: Option<At<String>>,
}

impl MachineContext {
    /// The variable of the environment that tells commands the machine's name.
    pub const NAME_VARIABLE: &str = "CREDIMG_MACHINE";
    /// How the variables of the environment begin that tell commands the machine's own ones.
    pub const VARIABLE_PREFIX: &str = "CREDIMG_VAR_";

    /// The variable of the environment that holds the machine's variable of this name.
    pub fn variable(name: &str) -> String {
        format!("{}{}", Self::VARIABLE_PREFIX, name.to_ascii_uppercase())
    }
}

/// The whole resolved manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The manifest's path, for messages.
    pub path: PathBuf,
    /// Volume label, where given.
    pub label: Option<Label>,
    /// Image format, where given; else the output's extension decides.
    pub format: Option<Format>,
    /// What is particular to the format.
    pub format_options: FormatOptions,
    /// How the image is encrypted, where it is.
    pub encrypt: Option<Encrypt>,
    /// The hash tree that it gets, where it gets one.
    pub verity: Option<Verity>,
    /// Mode, owner and time of the root and of parents made on the way.
    pub parents: Attributes,
    /// The entries, in the manifest's order.
    pub entries: Vec<Entry>,
    /// What the guest's systemd gets as credentials, in the manifest's order.
    pub credentials: Vec<Credential>,
    /// Items of QEMU's firmware configuration device, in the manifest's order.
    pub fw_cfg: Vec<FwCfg>,
    /// Where the guest is to mount the disk, where given.
    pub mount: Option<MountPoint>,
    /// Which variables of the environment commands see besides those that each does; none
    /// of them is a source.
    pub pass_env: Vec<OsString>,
    /// Pseudo definitions, which come after the entries and the credentials.
    pub pseudo: Pseudo,
    /// The machine of a fleet that it is of, if it is of one.
    pub machine: Option<MachineContext>,
}

impl Manifest {
    /// What becomes a value of its own, rather than a part of the tree: the credentials,
    /// then the items of `fw_cfg`.
    pub fn values(&self) -> impl Iterator<Item = &Entry> {
        let credentials = self.credentials.iter().map(|credential| &credential.entry);
        credentials.chain(self.fw_cfg.iter().map(|item| &item.entry))
    }

    /// Everything that has a source: the entries, then the values.
    pub fn sources(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().chain(self.values())
    }
}
