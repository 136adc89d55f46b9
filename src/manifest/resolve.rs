//! What the manifest means: defaults applied, values checked, conflicts found.

use std::ffi::OsString;
use std::path::Path;

use credimg_formats::xattrs::Holder;
use credimg_formats::{Mode, Secret, Timestamp, Xattrs};

use super::error::Fault;
use super::mapping::At;
use super::node::Text;
use super::resolved::{
    Attributes, Entry, Keep, Label, Manifest, Pseudo, PseudoFile, PseudoText, Source,
};
use super::schema::{self, Source as Typed};
use super::xattrs::Resolved;
use super::{conflicts, credentials, encrypt, fw_cfg, mount, pass_env, time, values, xattrs};
use crate::report::{Problem, Problems};

const DEFAULT_OWNER: (u32, u32) = (0, 0);
const DEFAULT_MODE: Mode = Mode::of::<0o400>();
const DEFAULT_DIR_MODE: Mode = Mode::of::<0o500>();

/// What `typed` means; none where a problem, always noted, stands in its way.
pub(super) fn resolve(
    typed: schema::Typed,
    path: &Path,
    problems: &mut Problems,
) -> Option<Manifest> {
    let label = optional(typed.label.as_ref(), values::label, problems);
    let label = label.zip(typed.label).map(|(text, label)| Label { text, position: label.at });
    let format = optional(typed.format.as_ref(), values::format, problems);
    let compression = optional(typed.compression.as_ref(), values::compression, problems);
    let joliet = typed.joliet.is_some_and(|joliet| joliet.value);
    let directory = path.parent().unwrap_or(Path::new(""));
    let encrypt =
        typed.encrypt.as_ref().and_then(|typed| encrypt::resolve(typed, directory, problems));
    let built_in = Attributes {
        mode: Keep::Set(DEFAULT_MODE),
        dir_mode: Keep::Set(DEFAULT_DIR_MODE),
        owner: Keep::Set(DEFAULT_OWNER),
        mtime: Keep::Set(None),
        xattrs: Xattrs::new(),
        xattrs_recursive: None,
        archive_xattrs: true,
    };
    let refusal = "`keep` is for entries only: parent directories have nothing to keep";
    let parents = attributes(&typed.defaults, &built_in, Some(refusal), problems);
    let at = typed.default_xattrs.as_ref().map(|typed| typed.at.clone());
    let xattrs = xattrs::resolve(typed.default_xattrs, Holder::Directory, false, problems).xattrs;
    xattrs::require_short(&xattrs, at.as_ref(), problems);
    let parents = parents.map(|parents| Attributes { xattrs, ..parents });
    // With faulty defaults the entries are still checked, against the built-in ones.
    let defaults = parents.as_ref().unwrap_or(&built_in);
    let entries: Vec<_> = typed
        .files
        .into_iter()
        .filter_map(|typed| entry(typed, directory, defaults, problems))
        .collect();
    let mount = typed.mount.and_then(|typed| mount::resolve(&typed, problems));
    let credentials =
        credentials::resolve(typed.credentials, mount.as_ref(), directory, defaults, problems);
    conflicts::note(&entries, &credentials, problems);
    let fw_cfg = fw_cfg::resolve(typed.fw_cfg, directory, &built_in, problems);
    let values = credentials.iter().map(|it| &it.entry).chain(fw_cfg.iter().map(|it| &it.entry));
    let sources = entries.iter().chain(values);
    let pass_env = pass_env::resolve(&typed.pass_env, &sources, problems);
    let pseudo = pseudo(&typed.pseudo, &typed.pseudo_files, directory, problems);
    let path = path.into();
    let parents = parents?;
    Some(Manifest {
        path,
        label,
        format,
        compression,
        joliet,
        encrypt,
        parents,
        entries,
        credentials,
        fw_cfg,
        mount,
        pass_env,
        pseudo,
    })
}

/// The pseudo definitions as they stand, and where those in files are found.
fn pseudo(
    texts: &[At<Text>],
    files: &[At<Text>],
    directory: &Path,
    problems: &mut Problems,
) -> Pseudo {
    let definition = |typed: &At<Text>| PseudoText {
        text: Secret::from(typed.value.as_bytes()),
        position: typed.at.clone(),
    };
    let mut file = |typed: &At<Text>| {
        let path = checked(typed, |text| values::host_path(text, directory));
        Some(PseudoFile { path: problems.keep(path)?, position: Some(typed.at.clone()) })
    };
    Pseudo {
        definitions: texts.iter().map(definition).collect(),
        files: files.iter().filter_map(&mut file).collect(),
    }
}

fn entry(
    mut typed: schema::Entry,
    directory: &Path,
    defaults: &Attributes,
    problems: &mut Problems,
) -> Option<Entry> {
    let kind = Kind::of(&typed.source.value);
    drop_misplaced(&mut typed, kind, problems);
    let path = problems.keep(checked(&typed.path, |text| match values::tree_path(text)? {
        path if path.0.is_empty() && kind != Kind::Tree => {
            Err(Fault::new("`/` is the root directory: only `dir` and `tar` can fill it"))
        }
        path => Ok(path),
    }));
    let refusal = "`keep` needs a source of the host: `file`, `dir` or `tar`";
    let refusal = matches!(kind, Kind::Symlink | Kind::Content).then_some(refusal);
    let attributes = attributes(&typed.attributes, defaults, refusal, problems);
    let is_archive = matches!(typed.source.value, Typed::Tar(_));
    let is_given = matches!(&typed.xattrs, Some(At { value: schema::Xattrs::Given(_), .. }));
    let Resolved { xattrs, keeps_archive } =
        xattrs::resolve(typed.xattrs, kind.holder(), is_archive, problems);
    if let Some(recursive) = typed.xattrs_recursive.as_ref().filter(|_| kind != Kind::Tree) {
        problems.note(Fault::new("only for `dir` and `tar` sources").at(&recursive.at));
    } else if let Some(recursive) = typed.xattrs_recursive.as_ref().filter(|_| !is_given) {
        problems
            .note(Fault::new("there are no `xattrs` to give to what is below").at(&recursive.at));
    }
    let is_recursive = typed.xattrs_recursive.as_ref().filter(|recursive| recursive.value);
    xattrs::require_short(&xattrs, is_recursive.map(|recursive| &recursive.at), problems);
    let xattrs_recursive = typed.xattrs_recursive.map(|recursive| recursive.value);
    let source = source(&typed.source, typed.trim, directory, problems);
    let source = links(typed.links.as_ref(), source, problems);
    let attributes =
        Attributes { xattrs, xattrs_recursive, archive_xattrs: keeps_archive, ..attributes? };
    Some(Entry { path: path?, source: source?, attributes, position: typed.at })
}

/// The source with what is to become of symbolic links in it.
fn links(
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

/// What a source makes, as far as attributes are concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
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
    fn of(source: &Typed) -> Self {
        match source {
            Typed::Dir(_) | Typed::Tar(_) => Self::Tree,
            Typed::File(_) => Self::File,
            Typed::Symlink(_) => Self::Symlink,
            _ => Self::Content,
        }
    }

    /// What the entry itself is, as far as extended attributes are concerned.
    fn holder(self) -> Holder {
        match self {
            Self::Tree => Holder::Directory,
            Self::File | Self::Content => Holder::File,
            Self::Symlink => Holder::Symlink,
        }
    }
}

/// Notes and takes away what makes no sense beside the entry's source.
fn drop_misplaced(typed: &mut schema::Entry, kind: Kind, problems: &mut Problems) {
    let attributes = &mut typed.attributes;
    if let Some(dir_mode) = attributes.dir_mode.take_if(|_| kind != Kind::Tree) {
        problems.note(Fault::new("only for `dir` and `tar` sources").at(&dir_mode.at));
    }
    if let Some(mode) = attributes.mode.take_if(|_| kind == Kind::Symlink) {
        problems.note(Fault::new("a symbolic link has no mode of its own").at(&mode.at));
    }
}

/// The attributes given, over `defaults`; `refusal` says why `keep` is none of them.
fn attributes(
    typed: &schema::Attributes,
    defaults: &Attributes,
    refusal: Option<&'static str>,
    problems: &mut Problems,
) -> Option<Attributes> {
    let at_second = |seconds| Some(Timestamp::from_seconds(seconds));
    let mtime = |text: &str| time::seconds(text).map(at_second);
    let owner = keepable(typed.owner.as_ref(), defaults.owner, refusal, values::owner);
    let mode = keepable(typed.mode.as_ref(), defaults.mode, refusal, values::mode);
    let dir_mode = keepable(typed.dir_mode.as_ref(), defaults.dir_mode, refusal, values::mode);
    let mtime = keepable(typed.mtime.as_ref(), defaults.mtime, refusal, mtime);
    let (owner, mode) = (problems.keep(owner), problems.keep(mode));
    let (dir_mode, mtime) = (problems.keep(dir_mode), problems.keep(mtime));
    let (owner, mode, dir_mode, mtime) = (owner?, mode?, dir_mode?, mtime?);
    let (xattrs, xattrs_recursive) = (Xattrs::new(), None);
    Some(Attributes {
        mode,
        dir_mode,
        owner,
        mtime,
        xattrs,
        xattrs_recursive,
        archive_xattrs: true,
    })
}

fn keepable<T>(
    typed: Option<&At<Text>>,
    default: Keep<T>,
    refusal: Option<&'static str>,
    parse: impl Fn(&str) -> Result<T, Fault>,
) -> Result<Keep<T>, Problem> {
    let Some(typed) = typed else { return Ok(default) };
    match (typed.value.as_str(), refusal) {
        ("keep", None) => Ok(Keep::Keep),
        ("keep", Some(refusal)) => Err(Fault::new(refusal).at(&typed.at)),
        _ => checked(typed, parse).map(Keep::Set),
    }
}

/// The source of an entry or a credential, with what `trim` does to it.
pub(super) fn source(
    typed: &At<Typed>,
    trim: Option<At<bool>>,
    directory: &Path,
    problems: &mut Problems,
) -> Option<Source> {
    let has_output = matches!(typed.value, Typed::Command(_) | Typed::Shell(_) | Typed::Env(_));
    if let Some(trim) = trim.as_ref().filter(|_| !has_output) {
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

pub(super) fn optional<T>(
    typed: Option<&At<Text>>,
    parse: impl Fn(&str) -> Result<T, Fault>,
    problems: &mut Problems,
) -> Option<T> {
    problems.keep(checked(typed?, parse))
}

/// What `parse` makes of a text, its fault with the text's place.
pub(super) fn checked<T>(
    typed: &At<Text>,
    parse: impl FnOnce(&str) -> Result<T, Fault>,
) -> Result<T, Problem> {
    parse(&typed.value).map_err(|fault| fault.at(&typed.at))
}
