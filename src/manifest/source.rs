//! Sources: the keys of an entry that are one, and what they mean.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use credimg_formats::Secret;
use credimg_formats::xattrs::Holder;

use super::error::Fault;
use super::mapping::{At, Keys};
use super::node::Text;
use super::resolve::checked;
use super::{schema, values};
use crate::report::{Problem, Problems};

/// Where an entry's content comes from. Host paths are absolute or relative to
/// the working directory: the manifest's own directory is joined on already.
#[derive(Clone)]
pub enum Source {
    /// A regular file of the host; a symbolic link to one is followed.
    File(PathBuf),
    /// A whole tree of the host; symbolic links in it are stored, never followed.
    Dir(PathBuf),
    /// A whole tree of the host, with what symbolic links lead to in their place.
    FollowedDir(PathBuf),
    /// A tar archive, plain or packed with gzip, xz or zstd.
    Tar(PathBuf),
    /// Content written in the manifest (`text:` or `base64:`).
    Inline(Secret),
    /// Output of a program, run in `directory` without a shell. A `shell:` entry is `/bin/sh -c`.
    Command {
        /// The program and its arguments; at least the program.
        argv: Vec<OsString>,
        /// The manifest's directory.
        directory: PathBuf,
        /// Whether it was written as `shell:`.
        is_shell: bool,
        /// Drop one trailing newline of the output.
        trim: bool,
    },
    /// Value of an environment variable.
    Env {
        /// The variable's name.
        name: OsString,
        /// Drop one trailing newline of the value.
        trim: bool,
    },
    /// A symbolic link with this target.
    Symlink(Vec<u8>),
}

impl Source {
    /// The manifest's key for this kind, for tables and messages; `inline` for
    /// `text` and `base64`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Dir(_) | Self::FollowedDir(_) => "dir",
            Self::Tar(_) => "tar",
            Self::Inline(_) => "inline",
            Self::Command { is_shell: false, .. } => "command",
            Self::Command { is_shell: true, .. } => "shell",
            Self::Env { .. } => "env",
            Self::Symlink(_) => "symlink",
        }
    }
}

/// What a source makes at its entry's path, as far as the manifest tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes<'a> {
    /// A regular file.
    File,
    /// A symbolic link with this target.
    Symlink(&'a [u8]),
    /// A directory with what that of the host holds, symbolic links as they are.
    HostTree(&'a Path),
    /// A directory with what that of the host holds, and what symbolic links there lead to.
    FollowedTree(&'a Path),
    /// A directory, of which only reading the source tells what it holds.
    UnknownTree,
}

impl Makes<'_> {
    /// Whether it is a directory, perhaps with something below it.
    pub fn is_tree(self) -> bool {
        match self {
            Self::HostTree(_) | Self::FollowedTree(_) | Self::UnknownTree => true,
            Self::File | Self::Symlink(_) => false,
        }
    }
}

/// What everybody asks of a source, so that a new kind of source answers it here.
impl Source {
    /// What it makes at its entry's path.
    pub fn makes(&self) -> Makes<'_> {
        match self {
            Self::File(_) | Self::Inline(_) | Self::Command { .. } | Self::Env { .. } => {
                Makes::File
            }
            Self::Symlink(target) => Makes::Symlink(target),
            Self::Dir(path) => Makes::HostTree(path),
            Self::FollowedDir(path) => Makes::FollowedTree(path),
            Self::Tar(_) => Makes::UnknownTree,
        }
    }

    /// The file or directory of the host that it reads.
    pub fn host_path(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Dir(path) | Self::FollowedDir(path) | Self::Tar(path) => {
                Some(path)
            }
            Self::Inline(_) | Self::Command { .. } | Self::Env { .. } | Self::Symlink(_) => None,
        }
    }

    /// The variable of the environment that it reads.
    pub fn variable(&self) -> Option<&OsString> {
        match self {
            Self::Env { name, .. } => Some(name),
            Self::File(_)
            | Self::Dir(_)
            | Self::FollowedDir(_)
            | Self::Tar(_)
            | Self::Inline(_)
            | Self::Command { .. }
            | Self::Symlink(_) => None,
        }
    }

    /// Its content, where that stands in the manifest.
    pub fn known_content(&self) -> Option<&Secret> {
        match self {
            Self::Inline(content) => Some(content),
            Self::File(_)
            | Self::Dir(_)
            | Self::FollowedDir(_)
            | Self::Tar(_)
            | Self::Command { .. }
            | Self::Env { .. }
            | Self::Symlink(_) => None,
        }
    }

    /// Whether it runs a program.
    pub fn runs_command(&self) -> bool {
        match self {
            Self::Command { .. } => true,
            Self::File(_)
            | Self::Dir(_)
            | Self::FollowedDir(_)
            | Self::Tar(_)
            | Self::Inline(_)
            | Self::Env { .. }
            | Self::Symlink(_) => false,
        }
    }
}

impl fmt::Debug for Source {
    /// The kind alone: arguments, link targets and host paths may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.kind()).finish()
    }
}

/// A key that is a source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    File,
    Dir,
    Tar,
    Text,
    Base64,
    Command,
    Shell,
    Env,
    /// The last one: [`Key::ALL`] is as long as its number tells.
    Symlink,
}

impl Key {
    /// In the order in which messages list them.
    const ALL: [Self; Self::Symlink as usize + 1] = [
        Self::File,
        Self::Dir,
        Self::Tar,
        Self::Text,
        Self::Base64,
        Self::Command,
        Self::Shell,
        Self::Env,
        Self::Symlink,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Dir => "dir",
            Self::Tar => "tar",
            Self::Text => "text",
            Self::Base64 => "base64",
            Self::Command => "command",
            Self::Shell => "shell",
            Self::Env => "env",
            Self::Symlink => "symlink",
        }
    }

    /// Whether it delivers the content of one file, as a credential needs it.
    fn is_content(self) -> bool {
        match self {
            Self::File | Self::Text | Self::Base64 | Self::Command | Self::Shell | Self::Env => {
                true
            }
            Self::Dir | Self::Tar | Self::Symlink => false,
        }
    }

    /// Takes its value out of `keys`.
    fn read(self, keys: &mut Keys, problems: &mut Problems) -> Option<At<Typed>> {
        let typed: fn(Text) -> Typed = match self {
            Self::File => Typed::File,
            Self::Dir => Typed::Dir,
            Self::Tar => Typed::Tar,
            Self::Text => Typed::Text,
            Self::Base64 => Typed::Base64,
            Self::Shell => Typed::Shell,
            Self::Env => Typed::Env,
            Self::Symlink => Typed::Symlink,
            Self::Command => {
                let At { value, at } = keys.read(self.name(), schema::command, problems)?;
                return Some(At { value: Typed::Command(value), at });
            }
        };
        let At { value, at } = keys.read(self.name(), schema::text, problems)?;
        Some(At { value: typed(value), at })
    }
}

/// A source as typed.
pub(super) enum Typed {
    File(Text),
    Dir(Text),
    Tar(Text),
    Text(Text),
    Base64(Text),
    Command(Vec<At<Text>>),
    Shell(Text),
    Env(Text),
    Symlink(Text),
}

/// The one source of an entry, which may be any.
pub(super) fn read(keys: &mut Keys, problems: &mut Problems) -> Option<At<Typed>> {
    read_one(&Key::ALL, keys, problems)
}

/// The one source of a value, which delivers the content of one file.
pub(super) fn read_content(keys: &mut Keys, problems: &mut Problems) -> Option<At<Typed>> {
    let known: Vec<Key> = Key::ALL.into_iter().filter(|key| key.is_content()).collect();
    read_one(&known, keys, problems)
}

fn read_one(known: &[Key], keys: &mut Keys, problems: &mut Problems) -> Option<At<Typed>> {
    let names: Vec<&str> = known.iter().map(|key| key.name()).collect();
    let mut given = keys.given(&names).into_iter();
    let Some((name, first)) = given.next() else {
        if !keys.is_flawed {
            let fault = Fault::new("no source").hint(format!("give one of {}", names.join(", ")));
            problems.note(fault.at(&keys.at));
        }
        return None;
    };
    for (_, second) in given {
        let message = format!("a second source: `{name}` is given at line {}", first.line);
        problems.note(Fault::new(message).at(&second));
    }
    known.iter().find(|key| key.name() == name)?.read(keys, problems)
}

/// What a source makes, as far as attributes are concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A tree with files and directories of its own.
    Tree,
    /// A file of the host, which has attributes to keep.
    File,
    /// A symbolic link.
    Symlink,
    /// A file made of nothing but content.
    Content,
}

impl Kind {
    /// What the entry itself is, as far as extended attributes are concerned.
    pub(super) fn holder(self) -> Holder {
        match self {
            Self::Tree => Holder::Directory,
            Self::File | Self::Content => Holder::File,
            Self::Symlink => Holder::Symlink,
        }
    }

    /// Whether it has attributes of its own at its source.
    pub(super) fn can_keep(self) -> bool {
        match self {
            Self::Tree | Self::File => true,
            Self::Symlink | Self::Content => false,
        }
    }
}

impl Typed {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Dir(_) | Self::Tar(_) => Kind::Tree,
            Self::File(_) => Kind::File,
            Self::Symlink(_) => Kind::Symlink,
            Self::Text(_) | Self::Base64(_) | Self::Command(_) | Self::Shell(_) | Self::Env(_) => {
                Kind::Content
            }
        }
    }

    /// Whether its members may have extended attributes of their own.
    pub(super) fn is_archive(&self) -> bool {
        match self {
            Self::Tar(_) => true,
            Self::File(_)
            | Self::Dir(_)
            | Self::Text(_)
            | Self::Base64(_)
            | Self::Command(_)
            | Self::Shell(_)
            | Self::Env(_)
            | Self::Symlink(_) => false,
        }
    }

    /// Whether others wrote the content, so that `trim` may be wanted.
    fn has_output(&self) -> bool {
        match self {
            Self::Command(_) | Self::Shell(_) | Self::Env(_) => true,
            Self::File(_)
            | Self::Dir(_)
            | Self::Tar(_)
            | Self::Text(_)
            | Self::Base64(_)
            | Self::Symlink(_) => false,
        }
    }
}

/// The source of an entry or a value, with what `trim` does to it.
pub(super) fn resolve(
    typed: &At<Typed>,
    trim: Option<At<bool>>,
    directory: &Path,
    problems: &mut Problems,
) -> Option<Source> {
    if let Some(trim) = trim.as_ref().filter(|_| !typed.value.has_output()) {
        let fault = Fault::new("only for `command`, `shell` and `env` sources");
        problems.note(fault.at(&trim.at));
    }
    let trim = trim.is_some_and(|trim| trim.value);
    problems.keep(checked_source(typed, directory, trim))
}

fn checked_source(typed: &At<Typed>, directory: &Path, trim: bool) -> Result<Source, Problem> {
    let at = |fault: Fault| fault.at(&typed.at);
    let host = |text: &str| values::host_path(text, directory).map_err(at);
    let command = |argv: Vec<OsString>, is_shell: bool| {
        // A process cannot be started in the empty path.
        let here = directory.as_os_str().is_empty();
        let directory = if here { Path::new(".") } else { directory };
        Source::Command { argv, directory: directory.into(), is_shell, trim }
    };
    Ok(match &typed.value {
        Typed::File(text) => Source::File(host(text)?),
        Typed::Dir(text) => Source::Dir(host(text)?),
        Typed::Tar(text) => Source::Tar(host(text)?),
        Typed::Text(text) => Source::Inline(Secret::from(text.as_bytes())),
        Typed::Base64(text) => Source::Inline(values::base64(text).map_err(at)?),
        Typed::Command(words) => {
            let argv: Result<Vec<_>, _> = words.iter().map(|w| checked(w, values::word)).collect();
            let argv = argv?;
            if argv.first().is_none_or(|program| program.is_empty()) {
                return Err(at(Fault::new("expected a program and its arguments")));
            }
            command(argv, false)
        }
        Typed::Shell(text) => {
            let script = values::word(text).map_err(at)?;
            if script.is_empty() {
                return Err(at(Fault::new("expected a command line")));
            }
            command(vec!["/bin/sh".into(), "-c".into(), script], true)
        }
        Typed::Env(text) => Source::Env { name: values::variable(text).map_err(at)?, trim },
        Typed::Symlink(text) => Source::Symlink(values::target(text).map_err(at)?),
    })
}

/// The source with what is to become of symbolic links in it.
pub(super) fn with_links(
    typed: Option<&At<Text>>,
    source: Option<Source>,
    problems: &mut Problems,
) -> Option<Source> {
    let Some(typed) = typed else { return source };
    let follows = problems.keep(checked(typed, values::links));
    match source? {
        Source::Dir(path) => {
            Some(if follows? { Source::FollowedDir(path) } else { Source::Dir(path) })
        }
        Source::File(_)
        | Source::FollowedDir(_)
        | Source::Tar(_)
        | Source::Inline(_)
        | Source::Command { .. }
        | Source::Env { .. }
        | Source::Symlink(_) => {
            problems.note(Fault::new("only for `dir` sources").at(&typed.at));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_is_a_key() {
        for key in Key::ALL {
            assert!(schema::ENTRY_KEYS.contains(&key.name()), "{}", key.name());
            for keys in [schema::CREDENTIAL_KEYS, schema::FW_CFG_KEYS] {
                assert_eq!(keys.contains(&key.name()), key.is_content(), "{}", key.name());
            }
        }
    }
}
