//! Where content comes from: one file a kind of source. Each reads its entry
//! of the manifest and hands files, directories and links to the `builder`.
//!
//! Sources never run ahead of the manifest's order, never block on what they
//! open, and say what is wrong as a [`crate::report::Failure`] without the
//! entry's position: `assemble` adds that.

mod archive;
pub(crate) mod builder;
pub mod command;
mod dir;
mod file;
mod host;
mod inline;
pub mod pseudo;

use credimg_formats::Secret;

use crate::manifest::{Entry, Source};
use crate::report::Failure;

use builder::TreeBuilder;
pub(crate) use host::open_file;

/// Collects one entry of the manifest.
pub(crate) fn collect(
    entry: &Entry,
    limits: &command::Limits,
    to: &mut TreeBuilder,
) -> Result<(), Failure> {
    match &entry.source {
        Source::File(path) => file::collect(path, to),
        Source::Dir(path) => dir::collect(path, to),
        Source::Tar(path) => archive::collect(path, to),
        Source::Inline(secret) => inline::collect_bytes(secret.clone(), to),
        Source::Env { name, trim } => inline::collect_variable(name, *trim, to),
        Source::Symlink(target) => inline::collect_symlink(target, to),
        Source::Command { argv, directory, is_shell, trim } => {
            let program = command::Program { argv, directory, is_shell: *is_shell };
            inline::collect_bytes(output(&program, *trim, limits, to)?, to)
        }
    }
}

/// Collects the pseudo definitions, after every entry of the manifest.
pub(crate) fn collect_pseudo(
    definitions: &pseudo::Definitions,
    limits: &command::Limits,
    to: &mut TreeBuilder,
) -> Result<(), Failure> {
    pseudo::collect(definitions, limits, to)
}

/// What a program prints, which is never nothing; `trim` drops one trailing newline.
fn output(
    program: &command::Program,
    trim: bool,
    limits: &command::Limits,
    to: &mut TreeBuilder,
) -> Result<Secret, Failure> {
    // What the command says itself is not to be mixed with progress.
    let mut waiting = || {
        if !limits.show_stderr {
            to.report();
        }
    };
    let mut output = command::run(program, limits, &mut waiting)?;
    if trim {
        inline::trim(&mut output);
    }
    if output.is_empty() {
        return Err(program.failure("printed nothing"));
    }
    Ok(Secret::new(std::mem::take(&mut *output)))
}
