//! Where content comes from: one file a kind of source. Each reads its entry
//! of the manifest and hands files, directories and links to the `builder`.
//!
//! Sources never run ahead of the manifest's order, never block on what they
//! open, and say what is wrong as a [`crate::report::Failure`] without the
//! entry's position: `assemble` adds that.

pub(crate) mod archive;
pub mod assemble;
pub(crate) mod builder;
pub mod command;
mod dir;
pub(crate) mod environment;
mod file;
mod files;
mod inline;
pub mod pseudo;
pub(crate) mod rehearsal;

use credimg_formats::{Content, Secret};

use crate::manifest::{Entry, Source};
use crate::report::{Exit, Failure};

use builder::{Own, TreeBuilder};
use dir::Links;

/// Collects one entry of the manifest.
pub(crate) fn collect(
    entry: &Entry,
    limits: &command::Limits,
    to: &mut TreeBuilder,
) -> Result<(), Failure> {
    match &entry.source {
        Source::Dir(path) => dir::collect(path, Links::Keep, to),
        Source::FollowedDir(path) => dir::collect(path, Links::Follow, to),
        Source::Tar(path) => archive::collect(path, to),
        Source::Symlink(target) => to.top_symlink(target),
        source => {
            let (own, content) = content(source, limits, to)?;
            to.top_file(own, content)
        }
    }
}

/// What the source of one file delivers, and what the file has at its source
/// where that is a file of the host.
pub(crate) fn content(
    source: &Source,
    limits: &command::Limits,
    to: &mut TreeBuilder,
) -> Result<(Option<Own>, Content), Failure> {
    let secret = match source {
        Source::File(path) => {
            let (own, content) = file::content(path, to)?;
            return Ok((Some(own), content));
        }
        Source::Inline(secret) => secret.clone(),
        Source::Env { name, trim } => inline::variable(name, *trim)?,
        Source::Command { argv, directory, is_shell, trim } => {
            let program = command::Program { argv, directory, is_shell: *is_shell };
            output(&program, *trim, limits, to)?
        }
        Source::Dir(_) | Source::FollowedDir(_) | Source::Tar(_) | Source::Symlink(_) => {
            let message = format!("a `{}` source is not one file's content", source.kind());
            return Err(Failure::new(Exit::Manifest, message));
        }
    };
    to.count_in_memory(secret.len())?;
    Ok((None, Content::Memory(secret)))
}

/// What a program prints, which is never nothing; `trim` drops one trailing newline.
fn output(
    program: &command::Program,
    trim: bool,
    limits: &command::Limits,
    to: &mut TreeBuilder,
) -> Result<Secret, Failure> {
    let hidden = environment::hidden(to.manifest);
    // What the command says itself is not to be mixed with progress.
    let mut waiting = || {
        if !limits.show_stderr {
            to.report();
        }
    };
    let mut output = command::run(program, &hidden, limits, &mut waiting)?;
    if trim {
        inline::trim(&mut output);
    }
    if output.is_empty() {
        return Err(program.failure("printed nothing"));
    }
    Ok(Secret::new(std::mem::take(&mut *output)))
}
