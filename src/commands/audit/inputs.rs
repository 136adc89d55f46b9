//! What `credimg audit` looks at: files, the files of directories, and the arguments of
//! processes.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use super::Audit;
use crate::audit::{self, FILE_MAX_BYTES};
use crate::host::identity::Identity;
use crate::host::input;
use crate::host::listing;
use crate::host::open::open_file;
use crate::report::{Exit, Failure, line, reason, shown};

/// How a file begins that is no text is seen in so many bytes.
const BEGIN_BYTES: usize = 64 << 10;

/// How often a file is read until it stays the same meanwhile.
const READINGS: usize = 5;

/// Programs that run machines, by how their names begin; `kvm` is a name as it is.
const MONITORS: [&[u8]; 6] =
    [b"qemu-", b"cloud-hypervisor", b"crosvm", b"firecracker", b"systemd-vmspawn", b"kvmtool"];

/// One of the things that are looked at.
pub(super) enum Input {
    Text {
        name: String,
        text: Vec<u8>,
    },
    /// A file of a directory that is an image, a program or the like.
    NoText,
}

/// Calls `each` for everything that the options name, in their order, directories by
/// the names of what is in them.
pub(super) fn read(options: &Audit, each: &mut dyn FnMut(Result<Input, Failure>)) {
    for path in &options.files {
        if path == Path::new("-") {
            let name = "standard input";
            let stdin = input::stdin().map_err(|error| {
                Failure::inside(&error).cloned().unwrap_or_else(|| cannot_read(name, &error))
            });
            let text = stdin.and_then(|stdin| bounded(stdin, name));
            each(text.map(|text| Input::Text { name: name.to_owned(), text }));
        } else if path.is_dir() {
            directory(path, each);
        } else {
            each(named(path));
        }
    }
    for pid in &options.pids {
        each(process(*pid));
    }
    if options.running {
        running(each);
    }
}

/// A file that was named on the command line.
fn named(path: &Path) -> Result<Input, Failure> {
    // Its hints speak of manifests.
    let (file, _): (File, _) =
        open_file(path).map_err(|failure| Failure::new(Exit::Source, failure.message))?;
    let name = shown(path);
    let text = steady(&file, &name, || bounded(&file, &name))?;
    Ok(Input::Text { name, text })
}

/// What `read` delivers of the whole `file`, once more where it has changed meanwhile: it may
/// be a log, and half a line says nothing.
fn steady<T>(
    file: &File,
    name: &str,
    mut read: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let failure = |error: std::io::Error| cannot_read(name, &error);
    let identity = || fstat(file).map(|stat| Identity::of(&stat)).map_err(|e| failure(e.into()));
    for _ in 0..READINGS {
        let before = identity()?;
        let text = read()?;
        if identity()? == before {
            return Ok(text);
        }
        { file }.rewind().map_err(failure)?;
    }
    Err(Failure::new(Exit::Source, format!("{name} changed each time while it was read")))
}

/// The files of a directory and of those in it, in the order of their names. Links are
/// not followed, and what is no regular file is passed over.
fn directory(top: &Path, each: &mut dyn FnMut(Result<Input, Failure>)) {
    // A list, not recursion: the depth of the tree is not ours to choose.
    let mut waiting = vec![top.to_owned()];
    while let Some(path) = waiting.pop() {
        line::show(|| format!("looking at {}", shown(&path)));
        // Only the first may be a link.
        let kind = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata.file_type(),
            Err(error) => {
                each(Err(cannot_read(&shown(&path), &error)));
                continue;
            }
        };
        if kind.is_dir() || path == top {
            match children(&path) {
                Ok(mut children) => waiting.append(&mut children),
                Err(error) => each(Err(cannot_read(&shown(&path), &error))),
            }
        } else if kind.is_file()
            && let Some(input) = met(&path).transpose()
        {
            each(input);
        }
    }
}

/// What is in a directory, the last name first.
fn children(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let names = listing::names(path)?;
    let mut children: Vec<_> = names.into_iter().map(|name| path.join(name)).collect();
    children.sort_unstable_by(|one, other| other.cmp(one));
    Ok(children)
}

/// A file that was met in a directory; none where it is no regular file any more.
fn met(path: &Path) -> Result<Option<Input>, Failure> {
    let name = shown(path);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let failure = |errno: rustix::io::Errno| cannot_read(&name, &errno.into());
    let file = openat(CWD, path, flags, Mode::empty()).map_err(failure)?;
    let stat = fstat(&file).map_err(failure)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let file = File::from(file);
    steady(&file, &name, || {
        let mut text = Vec::new();
        let begin = (&file).take(BEGIN_BYTES as u64).read_to_end(&mut text);
        begin.map_err(|error| cannot_read(&name, &error))?;
        if !audit::is_text(&text) {
            return Ok(Some(Input::NoText));
        }
        let text = bounded(text.as_slice().chain(&file), &name)?;
        Ok(Some(if audit::is_text(&text) {
            Input::Text { name: name.clone(), text }
        } else {
            Input::NoText
        }))
    })
}

/// The arguments of a process.
fn process(pid: u32) -> Result<Input, Failure> {
    let path = PathBuf::from(format!("/proc/{pid}/cmdline"));
    if !is_process(pid) {
        return Err(Failure::new(Exit::Source, format!("no process has the id {pid}")));
    }
    named(&path)
}

/// The arguments of every monitor, in the order of the ids, and of what started it by
/// naming it, such as sudo. One that ends meanwhile is passed over.
fn running(each: &mut dyn FnMut(Result<Input, Failure>)) {
    let names = match listing::names(Path::new("/proc")) {
        Ok(names) => names,
        Err(error) => return each(Err(cannot_read("/proc", &error))),
    };
    let pid = |name: std::ffi::OsString| name.to_str()?.parse::<u32>().ok();
    let mut pids: Vec<u32> = names.into_iter().filter_map(pid).collect();
    pids.retain(|pid| *pid != std::process::id());
    pids.sort_unstable();
    // The first process is always there.
    let mut is_hidden = !is_process(1);
    for pid in pids {
        let Ok(Input::Text { name, text }) = process(pid) else {
            is_hidden |= is_process(pid);
            continue;
        };
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let mut words = text.split(|byte| *byte == 0 || byte.is_ascii_whitespace());
        if words.any(is_monitor) || is_monitor(program.as_os_str().as_encoded_bytes()) {
            each(Ok(Input::Text { name, text }));
        }
    }
    if is_hidden {
        let message = "cannot read the arguments of other users' processes: /proc hides them";
        each(Err(Failure::new(Exit::Source, message)
            .hint("run it as root, or in the group that /proc is mounted for by `gid=`")));
    }
}

fn is_process(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// Whether a program of this path runs machines.
fn is_monitor(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name == b"kvm" || MONITORS.iter().any(|monitor| name.starts_with(monitor))
}

/// All of a file, up to the limit.
fn bounded(file: impl Read, name: &str) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    file.take(FILE_MAX_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(|error| cannot_read(name, &error))?;
    if text.len() as u64 > FILE_MAX_BYTES {
        let message = format!("{name} is too large: more than {FILE_MAX_BYTES} bytes");
        return Err(Failure::new(Exit::Source, message));
    }
    Ok(text)
}

fn cannot_read(name: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Source, format!("cannot read {name}: {}", reason(error)))
}
