//! What the manifest means: defaults applied, values checked, conflicts found.

use std::path::Path;

use credimg_formats::xattrs::Holder;
use credimg_formats::{Mode, Secret, Timestamp, Xattrs};

use super::error::Fault;
use super::mapping::At;
use super::node::Text;
use super::resolved::{Attributes, Entry, Keep, Label, Manifest, Pseudo, PseudoFile, PseudoText};
use super::source::Product;
use super::xattrs::Resolved;
use super::{
    conflicts, credentials, encrypt, format_options, fw_cfg, mount, pass_env, schema, source, time,
    values, verity, xattrs,
};
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
    let is_made = typed.label_is_made;
    let label = label.zip(typed.label);
    let label = label.map(|(text, label)| Label { text, is_made, position: label.at });
    let format = optional(typed.format.as_ref(), values::format, problems);
    let format_options = format_options::resolve(&typed.format_options, problems);
    let directory = path.parent().unwrap_or(Path::new(""));
    let encrypt =
        typed.encrypt.as_ref().and_then(|typed| encrypt::resolve(typed, directory, problems));
    let verity = typed.verity.as_ref().and_then(|typed| verity::resolve(typed, problems));
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
        format_options,
        encrypt,
        verity,
        parents,
        entries,
        credentials,
        fw_cfg,
        mount,
        pass_env,
        pseudo,
        machine: None,
    })
}

/// The pseudo definitions as they stand, and where those in files are found.
fn pseudo(
    texts: &[schema::PseudoItem],
    files: &[schema::PseudoItem],
    directory: &Path,
    problems: &mut Problems,
) -> Pseudo {
    let definition = |typed: &schema::PseudoItem| PseudoText {
        text: Secret::from(typed.text.value.as_bytes()),
        position: typed.text.at.clone(),
        granted: typed.grant.granted,
    };
    let mut file = |typed: &schema::PseudoItem| {
        let path = checked(&typed.text, |text| values::host_path(text, directory));
        let (position, granted) = (Some(typed.text.at.clone()), typed.grant.granted);
        Some(PseudoFile { path: problems.keep(path)?, position, granted })
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
    let product = typed.source.value.product();
    drop_misplaced(&mut typed, product, problems);
    let path = problems.keep(checked(&typed.path, |text| match values::tree_path(text)? {
        path if path.0.is_empty() && product != Product::Tree => {
            Err(Fault::new("`/` is the root directory: only `dir` and `tar` can fill it"))
        }
        path => Ok(path),
    }));
    let refusal = "`keep` needs a source of the host: `file`, `dir` or `tar`";
    let refusal = (!product.can_keep()).then_some(refusal);
    let attributes = attributes(&typed.attributes, defaults, refusal, problems);
    let is_archive = typed.source.value.is_archive();
    let is_given = typed.xattrs.as_ref().is_some_and(|xattrs| xattrs.value.are_given());
    let Resolved { xattrs, keeps_archive } =
        xattrs::resolve(typed.xattrs, product.holder(), is_archive, problems);
    if let Some(recursive) = typed.xattrs_recursive.as_ref().filter(|_| product != Product::Tree) {
        problems.note(Fault::new("only for `dir` and `tar` sources").at(&recursive.at));
    } else if let Some(recursive) = typed.xattrs_recursive.as_ref().filter(|_| !is_given) {
        problems
            .note(Fault::new("there are no `xattrs` to give to what is below").at(&recursive.at));
    }
    let is_recursive = typed.xattrs_recursive.as_ref().filter(|recursive| recursive.value);
    xattrs::require_short(&xattrs, is_recursive.map(|recursive| &recursive.at), problems);
    let xattrs_recursive = typed.xattrs_recursive.map(|recursive| recursive.value);
    let source = source::resolve(&typed.source, typed.trim, directory, problems);
    let source = source::with_links(typed.links.as_ref(), source, problems);
    let attributes =
        Attributes { xattrs, xattrs_recursive, archive_xattrs: keeps_archive, ..attributes? };
    let (position, granted) = (typed.at, typed.grant.granted);
    Some(Entry { path: path?, source: source?, attributes, position, granted })
}

/// Notes and takes away what makes no sense beside the entry's source.
fn drop_misplaced(typed: &mut schema::Entry, product: Product, problems: &mut Problems) {
    let attributes = &mut typed.attributes;
    if let Some(dir_mode) = attributes.dir_mode.take_if(|_| product != Product::Tree) {
        problems.note(Fault::new("only for `dir` and `tar` sources").at(&dir_mode.at));
    }
    if let Some(mode) = attributes.mode.take_if(|_| product == Product::Symlink) {
        problems.note(Fault::new("a symbolic link has no mode of its own").at(&mode.at));
    }
}

/// The attributes given, over `defaults`; `refusal` says why `keep` cannot be given here.
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
