//! `--depfile`: the dependency file of a build, for Make: the image depends on every file and
//! directory that was read. Each rule about its syntax was measured with GNU Make 4.3.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::reports;
use crate::host::output::OutputFile;
use crate::report::{Exit, Failure, shown};

/// The inputs of a build, if they are wanted.
pub(crate) struct Dependencies {
    depfile: Option<PathBuf>,
    inputs: Vec<PathBuf>,
    text: Vec<u8>,
}

impl Dependencies {
    /// Begins to note inputs. A dependency file that could not be written is an error now.
    pub(crate) fn new(depfile: Option<&Path>, manifest: &Path) -> Result<Self, Failure> {
        let mut inputs = Vec::new();
        if let Some(path) = depfile {
            reports::check(path, "a dependency file is a regular file")?;
            let is_file = manifest != Path::new("-");
            inputs.extend(is_file.then(|| manifest.to_owned()));
        }
        Ok(Self { depfile: depfile.map(Path::to_owned), inputs, text: Vec::new() })
    }

    /// Whether the inputs are wanted.
    pub(crate) fn are_wanted(&self) -> bool {
        self.depfile.is_some()
    }

    /// Adds inputs.
    pub(crate) fn extend(&mut self, inputs: impl IntoIterator<Item = PathBuf>) {
        if self.are_wanted() {
            self.inputs.extend(inputs);
        }
    }

    /// Makes the text, once all inputs are noted and before anything is written.
    pub(crate) fn render(&mut self, image: &Path) -> Result<(), Failure> {
        if self.are_wanted() {
            self.text = render(image, &self.inputs)?;
        }
        Ok(())
    }

    /// The dependency file, complete and not yet in place; none where it is not wanted.
    pub(crate) fn write(&self) -> Result<Option<OutputFile>, Failure> {
        self.depfile.as_deref().map(|path| reports::write(path, &self.text)).transpose()
    }

    /// Writes the dependency file, once the image is in place.
    pub(crate) fn commit(&self) -> Result<(), Failure> {
        self.depfile.as_deref().map_or(Ok(()), |path| reports::replace(path, &self.text))
    }
}

/// The rule that makes `image` depend on `inputs`, then an empty rule for each
/// of them: one that is gone leads to a new build instead of to Make's
/// "No rule to make target". An input that comes twice is named once.
///
/// A path that Make cannot read is an error of [`Exit::Usage`]: nothing may
/// depend on less than it was made of.
pub fn render(image: &Path, inputs: &[PathBuf]) -> Result<Vec<u8>, Failure> {
    let mut seen = HashSet::new();
    let inputs: Vec<&Path> =
        inputs.iter().map(PathBuf::as_path).filter(|path| seen.insert(*path)).collect();
    let mut text = escaped(image, Side::Target)?;
    text.push(b':');
    for input in &inputs {
        text.extend(b" \\\n  ");
        text.extend(escaped(input, Side::Prerequisite)?);
    }
    text.push(b'\n');
    for input in inputs {
        text.extend(escaped(input, Side::Target)?);
        text.extend(b":\n");
    }
    Ok(text)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Before the colon, where a percent sign makes a pattern.
    Target,
    /// Behind the colon, where a percent sign stands for itself.
    Prerequisite,
}

/// The path with a backslash before every byte that has a meaning to Make.
fn escaped(path: &Path, side: Side) -> Result<Vec<u8>, Failure> {
    let bytes = path.as_os_str().as_bytes();
    // These end a rule, begin a recipe, set a variable, split a list or begin the
    // members of an archive, whether there is a backslash before them or not; and
    // of a path's own backslashes only those before such bytes would be halved.
    let is_impossible = |byte: &u8| byte.is_ascii_control() || b"\\;=|(".contains(byte);
    let is_odd_end = bytes.ends_with(b" ") || bytes.ends_with(b"&");
    if bytes.is_empty() || bytes.iter().any(is_impossible) {
        return Err(refusal(path, "is empty or holds one of \\ ; = | ( or a control character"));
    }
    if is_special(bytes) {
        return Err(refusal(path, "is like a target with a meaning of its own, such as .PHONY"));
    }
    let has = |byte: u8| bytes.contains(&byte);
    if has(b'%') && b"*?[".iter().any(|wildcard| has(*wildcard)) {
        // In a target Make leaves one of the two backslashes standing.
        return Err(refusal(path, "holds both % and a wildcard"));
    }
    if is_odd_end || bytes.starts_with(b"~") {
        return Err(refusal(path, "begins with ~ or ends in a space or in &"));
    }
    let mut text = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'$' => text.push(b'$'),
            b' ' | b'#' | b':' | b'*' | b'?' | b'[' => text.push(b'\\'),
            b'%' if side == Side::Target => text.push(b'\\'),
            _ => {}
        }
        text.push(*byte);
    }
    Ok(text)
}

/// Whether it may be one of Make's special targets. An empty rule for `.IGNORE`, for example, makes
/// it go on after every error. Make drops `./` before a name.
fn is_special(mut bytes: &[u8]) -> bool {
    while let Some(rest) = bytes.strip_prefix(b"./") {
        bytes = rest;
        while let Some(rest) = bytes.strip_prefix(b"/") {
            bytes = rest;
        }
    }
    let is_letter = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    bytes.strip_prefix(b".").is_some_and(|name| !name.is_empty() && name.iter().all(is_letter))
}

fn refusal(path: &Path, fault: &str) -> Failure {
    let message = format!("--depfile: Make cannot read the path {}: it {fault}", shown(path));
    Failure::new(Exit::Usage, message).hint("rename it, or leave --depfile out")
}
