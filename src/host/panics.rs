//! A panic is a bug of this program, and an error like others: it leaves the old image,
//! removes the temporaries while the stack unwinds, and has a documented exit code. What
//! it says may quote a secret and is never printed; its place is.

use std::panic::{self, Location, UnwindSafe};
use std::path::Path;

use crate::report::{self, Exit, Failure};

/// Runs `all`. A panic in it is told by its place and becomes an exit code.
pub fn catch<T>(all: impl FnOnce() -> T + UnwindSafe) -> Result<T, Exit> {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), shown);
        report::print_error(&Failure::bug(&format!(" at {place}")));
    }));
    // The payload is dropped: it may hold anything.
    panic::catch_unwind(all).map_err(|_| Exit::Output)
}

/// A place in the source, without the directories of whoever built the program.
fn shown(location: &Location) -> String {
    format!("{}:{}", short(Path::new(location.file())).display(), location.line())
}

/// The path from its package's directory on, for those of other packages.
fn short(path: &Path) -> &Path {
    if path.is_relative() {
        return path;
    }
    // Two above the file's `src`, where that stands lowest.
    let mut above = path.ancestors().skip_while(|part| !part.ends_with("src")).skip(2);
    let short = above.next().and_then(|above| path.strip_prefix(above).ok());
    short.unwrap_or(Path::new("elsewhere"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_tells_nothing_of_the_builders_machine() {
        for (path, expected) in [
            ("src/output.rs", "src/output.rs"),
            ("formats/src/tree.rs", "formats/src/tree.rs"),
            (
                "/home/a/.cargo/registry/src/index-1/tar-0.4.44/src/header.rs",
                "tar-0.4.44/src/header.rs",
            ),
            ("/rustc/0a1b/library/core/src/option.rs", "core/src/option.rs"),
            ("/home/a/x.rs", "elsewhere"),
        ] {
            assert_eq!(short(Path::new(path)), Path::new(expected));
        }
    }
}
