//! Sources: the keys of an entry that are one, and what they mean.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use credimg_formats::Secret;
use credimg_formats::xattrs::Holder;

use super::error::Fault;
use super::mapping::{At, Keys};
use super::node::{Node, Text};
use super::resolve::checked;
use super::{schema, values};
use crate::report::{Position, Problem, Problems};

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

/// The keys that say where content comes from; each has its rows in [`super::keys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKey {
    /// `file`
    File,
    /// `dir`
    Dir,
    /// `tar`
    Tar,
    /// `text`
    Text,
    /// `base64`
    Base64,
    /// `command`
    Command,
    /// `shell`
    Shell,
    /// `env`
    Env,
    /// `symlink`
    Symlink,
}

impl SourceKey {
    fn read(self, node: Node, at: &Position) -> Result<TypedSource, Problem> {
        match self {
            Self::File => schema::text(node, at).map(TypedSource::File),
            Self::Dir => schema::text(node, at).map(TypedSource::Dir),
            Self::Tar => schema::text(node, at).map(TypedSource::Tar),
            Self::Text => schema::text(node, at).map(TypedSource::Text),
            Self::Base64 => schema::text(node, at).map(TypedSource::Base64),
            Self::Command => schema::command(node, at).map(TypedSource::Command),
            Self::Shell => schema::text(node, at).map(TypedSource::Shell),
            Self::Env => schema::text(node, at).map(TypedSource::Env),
            Self::Symlink => schema::text(node, at).map(TypedSource::Symlink),
        }
    }
}

/// A source as typed.
#[derive(Clone)]
pub(super) enum TypedSource {
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

/// The one source of an entry, a credential or an item of `fw_cfg`.
pub(super) fn read(keys: &mut Keys, problems: &mut Problems) -> Option<At<TypedSource>> {
    let mut given = keys.given_sources().into_iter();
    let Some((source, name, first)) = given.next() else {
        if !keys.is_flawed {
            let hint = format!("give one of {}", keys.known_sources().join(", "));
            problems.note(Fault::new("no source").hint(hint).at(&keys.at));
        }
        return None;
    };
    for (_, _, second) in given {
        let message = format!("a second source: `{name}` is given at line {}", first.line);
        problems.note(Fault::new(message).at(&second));
    }
    let (node, at) = keys.take(name)?;
    let value = problems.keep(source.read(node, &at))?;
    Some(At { value, at })
}

/// What a source makes, as far as attributes are concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Product {
    /// A tree with files and directories of its own.
    Tree,
    /// A file of the host, which has attributes to keep.
    File,
    /// A symbolic link.
    Symlink,
    /// A file made of nothing but content.
    Content,
}

impl Product {
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

impl TypedSource {
    pub(super) fn product(&self) -> Product {
        match self {
            Self::Dir(_) | Self::Tar(_) => Product::Tree,
            Self::File(_) => Product::File,
            Self::Symlink(_) => Product::Symlink,
            Self::Text(_) | Self::Base64(_) | Self::Command(_) | Self::Shell(_) | Self::Env(_) => {
                Product::Content
            }
        }
    }

    /// Whether it is a symbolic link.
    pub(super) fn is_symlink(&self) -> bool {
        self.product() == Product::Symlink
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
    typed: &At<TypedSource>,
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

fn checked_source(
    typed: &At<TypedSource>,
    directory: &Path,
    trim: bool,
) -> Result<Source, Problem> {
    let at = |fault: Fault| fault.at(&typed.at);
    let host = |text: &str| values::host_path(text, directory).map_err(at);
    let command = |argv: Vec<OsString>, is_shell: bool| {
        // A process cannot be started in the empty path.
        let here = directory.as_os_str().is_empty();
        let directory = if here { Path::new(".") } else { directory };
        Source::Command { argv, directory: directory.into(), is_shell, trim }
    };
    Ok(match &typed.value {
        TypedSource::File(text) => Source::File(host(text)?),
        TypedSource::Dir(text) => Source::Dir(host(text)?),
        TypedSource::Tar(text) => Source::Tar(host(text)?),
        TypedSource::Text(text) => Source::Inline(Secret::from(text.as_bytes())),
        TypedSource::Base64(text) => Source::Inline(values::base64(text).map_err(at)?),
        TypedSource::Command(words) => {
            let argv: Result<Vec<_>, _> = words.iter().map(|w| checked(w, values::word)).collect();
            let argv = argv?;
            if argv.first().is_none_or(|program| program.is_empty()) {
                return Err(at(Fault::new("expected a program and its arguments")));
            }
            command(argv, false)
        }
        TypedSource::Shell(text) => {
            let script = values::word(text).map_err(at)?;
            if script.is_empty() {
                return Err(at(Fault::new("expected a command line")));
            }
            command(vec!["/bin/sh".into(), "-c".into(), script], true)
        }
        TypedSource::Env(text) => Source::Env { name: values::variable(text).map_err(at)?, trim },
        TypedSource::Symlink(text) => Source::Symlink(values::target(text).map_err(at)?),
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
    use super::super::keys;
    use super::*;

    /// As many as the last one's number tells.
    const ALL: [SourceKey; SourceKey::Symlink as usize + 1] = [
        SourceKey::File,
        SourceKey::Dir,
        SourceKey::Tar,
        SourceKey::Text,
        SourceKey::Base64,
        SourceKey::Command,
        SourceKey::Shell,
        SourceKey::Env,
        SourceKey::Symlink,
    ];

    #[test]
    fn every_source_is_a_key() {
        for source in ALL {
            assert!(keys::ENTRY.iter().any(|key| key.source() == Some(source)), "{source:?}");
        }
    }
}
