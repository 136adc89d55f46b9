//! The program that the machine starts: `init/`, for the guest's processor.

use std::borrow::Cow;
use std::env;
use std::path::{Path, PathBuf};

use crate::host::input;
use crate::host::open::open_named;
use crate::report::{Exit, Failure, reason, shown};

/// The program for the processor that credimg itself runs on; `build.rs` has compiled it.
const OWN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probe-init"));

/// The longest program that is taken: the own one is a few KiB.
const PROGRAM_MAX_BYTES: usize = 16 << 20;

/// The program in `file`. Without a file it is the one for `architecture`: compiled into credimg,
/// or installed in `lib/credimg` beside the `bin` directory that holds credimg.
pub(super) fn find(file: Option<&Path>, architecture: &str) -> Result<Cow<'static, [u8]>, Failure> {
    if let Some(file) = file {
        return read(file).map(Cow::Owned);
    }
    if architecture == env::consts::ARCH && !OWN.is_empty() {
        return Ok(Cow::Borrowed(OWN));
    }
    if let Some(path) = installed(architecture).filter(|path| path.is_file()) {
        return read(&path).map(Cow::Owned);
    }
    let message = format!("there is no program for guests of {architecture}");
    let hint = "--init names one: `scripts/probe-init ARCHITECTURE FILE` makes it";
    Err(Failure::new(Exit::Usage, message).hint(hint))
}

/// Where packages put the program for another processor.
fn installed(architecture: &str) -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let prefix = own.parent()?.parent()?;
    Some(prefix.join("lib/credimg").join(format!("probe-init-{architecture}")))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let (file, stat) = open_named(path)?;
    let size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
    let program = input::read_regular(&file, size_bytes, PROGRAM_MAX_BYTES).map_err(|error| {
        let message = format!("cannot read {}: {}", shown(path), reason(&error));
        Failure::new(Exit::Source, message)
    })?;
    if program.len() > PROGRAM_MAX_BYTES {
        let message = format!("{} is longer than {PROGRAM_MAX_BYTES} bytes", shown(path));
        return Err(Failure::new(Exit::Source, message));
    }
    Ok(program.to_vec())
}
