//! What a build takes from the command line, the manifest and the environment,
//! checked: format, label, UUID and time.

use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use credimg_formats::Timestamp;
use credimg_formats::erofs::format::is_mistaken_for_ext2;
use credimg_formats::squashfs::Compression;

use super::beside::{self, Beside};
use crate::commands::build::Build;
use crate::commands::options::{EncryptionChoice, Recipe, Sources};
use crate::delivery::guest::Guest;
use crate::delivery::sidecar;
use crate::host::guard;
use crate::host::output;
use crate::host::random;
use crate::host::streams::Stream;
use crate::manifest::{self, Format, KeySource, Manifest};
use crate::monitors::{MachineType, Monitor, Serial};
use crate::report::{self, Exit, Failure};
use crate::sources::assemble::OwnFiles;
use crate::sources::command::Limits;
use crate::sources::pseudo::Policy;

/// The image format: `--format`, else the manifest's, else the output's extension.
pub(crate) fn format(
    recipe: &Recipe,
    output: &Path,
    manifest: &Manifest,
) -> Result<Format, Failure> {
    if let Some(format) = recipe.format.name.or(manifest.format) {
        return Ok(format);
    }
    let extension = output.extension().and_then(|extension| extension.to_str());
    let has_it = |format: &&Format| extension.is_some_and(|it| format.extensions().contains(&it));
    Format::value_variants().iter().find(has_it).copied().ok_or_else(|| {
        let message = format!("cannot tell the format of {}", report::shown(output));
        let hint = "name the output IMAGE.erofs, IMAGE.squashfs or IMAGE.iso, or give --format";
        Failure::new(Exit::Usage, message).hint(hint)
    })
}

/// The compression of a SquashFS image: `--compression`, else the manifest's.
pub(crate) fn compression(
    option: Option<&str>,
    manifest: &Manifest,
    format: Format,
) -> Result<Compression, Failure> {
    let wish = option.map(manifest::compression_option).transpose()?;
    let compression = wish.or(manifest.compression).unwrap_or(Compression::NONE);
    if format == Format::Squashfs || compression.is_none() {
        return Ok(compression);
    }
    let message = format!("a compressed {} image is not supported", format.name());
    Err(Failure::new(Exit::Usage, message).hint("only `format: squashfs` is compressed"))
}

/// Whether an ISO 9660 image gets a Joliet tree: with `--joliet`, or where the manifest says so.
pub(crate) fn joliet(option: bool, manifest: &Manifest, format: Format) -> Result<bool, Failure> {
    let joliet = option || manifest.joliet;
    if format == Format::Iso9660 || !joliet {
        return Ok(joliet);
    }
    let message = format!("{} has no Joliet tree", format.name());
    Err(Failure::new(Exit::Usage, message).hint("only `format: iso9660` has one"))
}

/// The volume label: `--label`, else the manifest's.
pub(crate) fn label(
    option: Option<&str>,
    manifest: &Manifest,
    format: Format,
    joliet: bool,
) -> Result<Option<String>, Failure> {
    let Some(text) = option else {
        require_label_fits(manifest, format, joliet)?;
        return Ok(manifest.label.as_ref().map(|label| label.text.clone()));
    };
    let label = manifest::label_option(text)?;
    match label_fault(&label, format, joliet) {
        None => Ok(Some(label)),
        Some(fault) => Err(Failure::new(Exit::Usage, format!("--label: {fault}"))),
    }
}

/// The drive's serial: `--serial`, else the volume label in lower case, else what the name
/// of the image at `path` makes.
pub(crate) fn serial(
    option: Option<&str>,
    label: Option<&str>,
    path: &Path,
) -> Result<Serial, Failure> {
    match (option, label) {
        (Some(serial), _) => Serial::new(serial),
        (None, Some(label)) => Serial::from_label(label),
        (None, None) => Ok(Serial::from_path(path)),
    }
}

/// An error where the manifest's label is too long for `format`.
fn require_label_fits(manifest: &Manifest, format: Format, joliet: bool) -> Result<(), Failure> {
    let Some(label) = &manifest.label else { return Ok(()) };
    let Some(fault) = label_fault(&label.text, format, joliet) else { return Ok(()) };
    Err(Failure::new(Exit::Manifest, format!("{}: {fault}", label.position)))
}

fn label_fault(label: &str, format: Format, joliet: bool) -> Option<String> {
    let max_bytes = format.label_max_bytes(joliet);
    let of = if joliet { " with Joliet" } else { "" };
    (label.len() > max_bytes).then(|| {
        let (format, got) = (format.name(), label.len());
        format!("expected a label of at most {max_bytes} bytes for {format}{of}, got {got}")
    })
}

/// `--uuid`, else a random one of version 4 (RFC 9562 5.4).
pub(crate) fn uuid(option: Option<&str>, format: Format) -> Result<[u8; 16], Failure> {
    let Some(text) = option else {
        return random_uuid().map_err(|failure| failure.hint("give one with --uuid"));
    };
    let uuid = parse_uuid(text).ok_or_else(|| {
        Failure::new(Exit::Usage, "--uuid: expected 32 hexadecimal digits as 8-4-4-4-12")
    })?;
    if format == Format::Erofs && is_mistaken_for_ext2(&uuid) {
        let message = "--uuid: with 53ef as the fourth group guests would take the disk for ext2 \
                       and see no label";
        return Err(Failure::new(Exit::Usage, message).hint("choose another UUID"));
    }
    Ok(uuid)
}

/// `--mtime`, else `SOURCE_DATE_EPOCH`, else now, in whole seconds.
pub(crate) fn build_time(option: Option<i64>) -> Result<Timestamp, Failure> {
    if let Some(seconds) = option {
        return Ok(Timestamp::from_seconds(seconds));
    }
    let seconds = if let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") {
        text.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
            let message = "SOURCE_DATE_EPOCH is not a number of seconds since 1970";
            Failure::new(Exit::Usage, message)
        })?
    } else {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
    };
    Ok(Timestamp::from_seconds(seconds))
}

/// Whether the caller says which time the image has.
pub(crate) fn has_own_time(option: Option<i64>) -> bool {
    option.is_some() || std::env::var_os("SOURCE_DATE_EPOCH").is_some()
}

/// `--guest`.
pub(crate) fn guest(option: Option<&str>) -> Result<Guest, Failure> {
    option.map_or_else(|| Ok(Guest::default()), Guest::parse)
}

/// `--machine`, or what `--guest` says of it; with them the machine that is planned for.
pub(crate) fn machine(
    option: Option<MachineType>,
    guest: &Guest,
    target: Monitor,
) -> Result<Option<MachineType>, Failure> {
    if let (Some(option), Some(other)) = (option, guest.machine_type)
        && option != other
    {
        let message = "--machine and --guest name two machines";
        return Err(Failure::new(Exit::Usage, message).hint("leave one of them out"));
    }
    let machine = option.or(guest.machine_type);
    if let Some(machine) = machine.filter(|machine| !target.has_machine(*machine)) {
        let message = format!("{} has no machine type {}", target.name(), machine.name());
        let hint = "leave the machine out, or name one that is there";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    Ok(machine)
}

/// What each command of the manifest is granted.
pub(crate) fn commands(timeout_seconds: u32, show_stderr: bool) -> Limits {
    Limits {
        timeout: Duration::from_secs(u64::from(timeout_seconds)),
        show_stderr,
        ..Limits::new(Path::new(guard::OWN_PROGRAM))
    }
}

/// What `--no-commands` and `--allow-devices` leave allowed.
pub(crate) fn policy(sources: &Sources) -> Policy {
    Policy { allow_commands: !sources.no_commands, allow_devices: sources.allow_devices }
}

/// Whether the image goes to standard output.
pub(crate) fn is_streamed(output: &Path) -> bool {
    output.as_os_str() == "-"
}

/// An error where the image, the dependency file or the report is one file with another
/// of them, with the manifest or with a key: one would destroy the other.
pub(crate) fn require_apart(options: &Build, manifest: &Manifest) -> Result<(), Failure> {
    let mut earlier: Vec<(&str, &Path)> = keys(options, manifest).collect();
    for (name, path) in files(options) {
        if let Some((other, _)) = earlier.iter().find(|(_, other)| is_same(path, other)) {
            let clash = match name {
                // Which replaces nothing.
                "manifest" => format!("the {other} is the manifest itself"),
                _ => format!("the {name} would replace the {other}"),
            };
            return Err(Failure::new(Exit::Usage, clash).hint("give each a name of its own"));
        }
        earlier.push((name, path));
    }
    Ok(())
}

/// An error where a file that the build reads or writes is, or would be, one of
/// those that it replaces or removes with its image, which lies at `place`: a
/// build with other credentials would destroy it.
pub(crate) fn require_not_beside(
    options: &Build,
    manifest: &Manifest,
    place: &OwnFiles,
) -> Result<(), Failure> {
    let image = options.output.as_path();
    if is_streamed(image) {
        return Ok(());
    }
    let is_beside = |name: &str, path: &Path| {
        let has_such_name =
            sidecar_suffix(path, image).is_some_and(sidecar::is_suffix) || is_leftover(path, image);
        let is_there = || {
            let found = id(std::fs::metadata(path));
            found.is_some_and(|found| place.sidecars.contains(&found))
        };
        // As a rule there are none, and nothing has to be asked of the file. The image has another
        // name, and another build may have given it the number of a sidecar that is gone.
        has_such_name && is_together(path, image)
            || name != "image" && !place.sidecars.is_empty() && is_there()
    };
    let pseudo = manifest.pseudo.files.iter().map(|file| ("pseudo file", file.path.as_path()));
    let read = keys(options, manifest).chain(pseudo);
    let Some((name, path)) = files(options).chain(read).find(|(name, path)| is_beside(name, path))
    else {
        return Ok(());
    };
    let message = format!(
        "the {name} {} has the name of a file that comes and goes with the image",
        report::shown(path)
    );
    Err(Failure::new(Exit::Usage, message).hint("give it another name"))
}

/// An error where what is printed goes into a file that the build replaces or removes, and
/// would be gone with it. The image lies at `place`.
pub(crate) fn require_streams_apart(options: &Build, place: &OwnFiles) -> Result<(), Failure> {
    for stream in [Stream::Output, Stream::Error] {
        let Some(file) = stream.file_id() else { continue };
        let replaced = files(options).filter(|(name, _)| *name != "manifest");
        let mut replaced = replaced.map(|(name, path)| (name, id(std::fs::symlink_metadata(path))));
        let found =
            replaced.find_map(|(name, found)| (found == Some(file)).then(|| format!("the {name}")));
        let beside = place.sidecars.contains(&file).then(|| "a file of the old image".to_owned());
        if let Some(name) = beside.or(found) {
            let message = format!(
                "{} goes into {name}, which is replaced: what is printed would be lost",
                stream.name()
            );
            return Err(Failure::new(Exit::Usage, message).hint("send it into another file"));
        }
    }
    Ok(())
}

/// The files that the command line names, and what messages call them.
fn files(options: &Build) -> impl Iterator<Item = (&'static str, &Path)> {
    let report = options.json.as_ref().and_then(Option::as_deref);
    let files = [
        ("manifest", Some(options.manifest.as_path())),
        ("image", Some(options.output.as_path())),
        ("dependency file", options.depfile.as_deref()),
        ("report", report),
    ];
    files.into_iter().filter_map(|(name, path)| Some((name, path?)))
}

/// The files of keys, those of the command line and that of the manifest.
fn keys<'a>(
    options: &'a Build,
    manifest: &'a Manifest,
) -> impl Iterator<Item = (&'static str, &'a Path)> {
    let EncryptionChoice { key_file, key_out, master_key, .. } = &options.recipe.encryption;
    let planned = manifest.encrypt.as_ref().and_then(|encrypt| match &encrypt.key {
        Some(KeySource::File(path)) => Some(path),
        _ => None,
    });
    let keys = [key_file.as_ref(), key_out.as_ref(), planned].into_iter().flatten();
    let master = master_key.iter().map(|path| ("master key", path.as_path()));
    keys.map(|path| ("key file", path.as_path())).chain(master)
}

/// Whether the next build would take the file for what a killed one has left.
fn is_leftover(path: &Path, image: &Path) -> bool {
    let names = path.file_name().zip(image.file_name());
    names.is_some_and(|(name, image)| output::is_leftover_name(name, image))
}

/// What follows the image's name and a dot in the name of another file.
fn sidecar_suffix<'a>(path: &'a Path, image: &Path) -> Option<&'a [u8]> {
    let name = path.file_name()?.as_bytes();
    name.strip_prefix(image.file_name()?.as_bytes())?.strip_prefix(b".")
}

/// An error where an option asks for a file that standard output is not.
pub(crate) fn require_file(options: &Build) -> Result<(), Failure> {
    let option = match options {
        _ if !is_streamed(&options.output) => return Ok(()),
        Build { if_changed: true, .. } => "--if-changed",
        Build { depfile: Some(_), .. } => "--depfile",
        _ => return Ok(()),
    };
    let message = format!("{option} has no meaning for an image on standard output");
    Err(Failure::new(Exit::Usage, message).hint("name a file with -o"))
}

/// Whether two paths lead to one file, or would once both are written.
pub(crate) fn is_same(left: &Path, right: &Path) -> bool {
    let id = |path: &Path| id(std::fs::metadata(path));
    // Names differ as a rule, and then nothing has to be asked of the directories.
    (left.file_name() == right.file_name() && is_together(left, right))
        || id(left).is_some_and(|left| id(right) == Some(left))
}

/// What has the name of a file of the image at `path`.
pub(crate) fn beside(path: &Path) -> Result<Vec<Beside>, Failure> {
    if is_streamed(path) {
        return Ok(Vec::new());
    }
    match beside::look(path) {
        Ok(all) => Ok(all),
        // The output itself says more of these.
        Err(error) if is_no_directory(&error) => Ok(Vec::new()),
        Err(error) => {
            let (shown, reason) = (report::shown(path), report::reason(&error));
            let message = format!("cannot read the directory of {shown}: {reason}");
            Err(Failure::new(Exit::Output, message))
        }
    }
}

/// Where a file lies, or will lie, that has these beside it.
pub(crate) fn place(path: &Path, beside: &[Beside]) -> OwnFiles {
    if is_streamed(path) {
        return OwnFiles::default();
    }
    let sidecars = beside.iter().map(|Beside { found, .. }| found);
    let sidecars = sidecars.filter(|found| found.is_file());
    OwnFiles {
        sidecars: sidecars.map(|found| (found.dev(), found.ino())).collect(),
        keys: Vec::new(),
        directory: directory_of(path),
        file: id(std::fs::symlink_metadata(path)),
    }
}

fn is_no_directory(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// Whether two files lie, or will lie, in one directory.
fn is_together(left: &Path, right: &Path) -> bool {
    let directory = directory_of(left);
    directory.is_some() && directory == directory_of(right)
}

/// The directory that a file lies in, or will lie in.
fn directory_of(path: &Path) -> Option<(u64, u64)> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    id(std::fs::metadata(parent.unwrap_or(Path::new("."))))
}

/// Which file was found.
pub(crate) fn id(found: io::Result<Metadata>) -> Option<(u64, u64)> {
    found.ok().map(|found| (found.dev(), found.ino()))
}

/// The bytes of a UUID in text form, none where it is not one.
pub(crate) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    if !groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) {
        return None;
    }
    let digits = groups.concat();
    let mut uuid = [0; 16];
    for (byte, pair) in uuid.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        // `from_str_radix` alone would take a sign.
        *byte = u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))?;
    }
    Some(uuid)
}

pub(crate) fn random_uuid() -> Result<[u8; 16], Failure> {
    let mut uuid = [0; 16];
    random::fill(&mut uuid)?;
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut uuid;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    Ok(uuid)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use credimg_formats::uuid_text;

    use super::*;

    #[test]
    fn uuids_are_read_and_shown() {
        let text = "6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81";
        assert_eq!(uuid_text(parse_uuid(text).unwrap()), text);
        for bad in ["", "6f1c2ad00b5e4c779a341d2f00fe9b81", "+f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81"]
        {
            assert_eq!(parse_uuid(bad), None, "{bad}");
        }
    }

    #[test]
    fn random_uuids_have_version_4() {
        let shown = uuid_text(random_uuid().unwrap());
        assert_eq!(shown.as_bytes().get(14), Some(&b'4'), "{shown}");
        assert!(matches!(shown.as_bytes().get(19), Some(b'8' | b'9' | b'a' | b'b')), "{shown}");
    }
}
