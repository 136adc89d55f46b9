//! What an image that exists holds: the commands that look inside, against what the kernel
//! shows of the same image.

mod cat;
mod diff;
mod dump;
mod extract;
mod hostile;
mod images;
mod inspect;
mod ls;
mod verify;

use std::path::Path;
use std::process::{Command, Output};

use images::{ALL, Images, facts};

/// Every image shows what the kernel shows of it, or the tree where the kernel does not know it.
#[test]
fn images_of_all_formats_and_tools_are_what_the_kernel_shows() {
    let images = Images::new(&ALL.each_ref().map(|image| image.name));
    for image in &ALL {
        let look =
            |root: &Path| (ls::of_coreutils(root), facts(root, image.xattrs), inspect::count(root));
        let (listing, facts, counts) = images.judged(image, look);
        ls::check(&images, image, &listing);
        cat::check(&images, image);
        extract::check(&images, image, &facts);
        inspect::check(&images, image, counts);
        verify::check(&images, image);
        dump::check(&images, image);
    }
}

/// Runs the program in a directory.
pub(crate) fn credimg(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
    command.current_dir(directory).env_remove("SOURCE_DATE_EPOCH").args(arguments);
    command.output().unwrap()
}

/// Runs the program, which has to succeed; what it prints.
pub(crate) fn done(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = credimg(directory, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    output.stdout
}

/// Runs the program, which has to fail so; what it says.
pub(crate) fn refused(directory: &Path, code: i32, arguments: &[&str]) -> String {
    let output = credimg(directory, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    stderr(&output)
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs another program, which has to succeed; what it prints.
pub(crate) fn tool(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?} cannot start ({error}); `make setup` installs the tools")
    });
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    output.stdout
}
