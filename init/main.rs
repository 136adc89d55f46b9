//! The program that `credimg probe` starts in a machine, in place of what is on its disks: it looks
//! at all that the machine was given, and tells what it has found on the console.
//!
//! It is the first process of a Linux that has nothing but this file, so it uses no library. What it
//! finds it tells as keyed hashes, never as it is: the key is another one in each run, and only
//! credimg and this process know it. `src/probe/` is the other side; ARCHITECTURE.md says how the
//! two talk.

#![no_std]
#![no_main]
// Else the compiler would make the functions at the end of `system.rs` call themselves.
#![no_builtins]

mod console;
mod looks;
mod mark;
mod system;
mod tables;

use console::Console;
use mark::Key;
use system::{ErrorNumber, File};

/// Where everything of credimg's lies in the initrd.
macro_rules! own {
    ($name:literal) => {
        concat!("/.credimg-probe/", $name, "\0").as_bytes()
    };
}

/// Holds a table of SMBIOS, an item of `fw_cfg`, a module's parameters or the beginning of a disk.
pub(crate) const BUFFER_BYTES: usize = 1 << 20;
/// Time between two looks: some drivers find their disks long after they are loaded.
const PAUSE_MILLISECONDS: i64 = 200;

/// What the first process does. The kernel has no other one to go on with.
#[expect(clippy::large_stack_arrays, reason = "the stack may have 8 MiB, and there is no heap")]
pub(crate) extern "C" fn begin() -> ! {
    for (file_system, place) in [
        (b"proc\0".as_slice(), b"/proc\0".as_slice()),
        (b"sysfs\0", b"/sys\0"),
        (b"devtmpfs\0", b"/dev\0"),
    ] {
        system::mount(file_system, place);
    }
    let console = Console::open();
    // From now on the kernel says nothing that could stand in the middle of a line.
    if let Ok(file) = File::open_to_write(b"/proc/sys/kernel/printk\0") {
        file.write(b"1");
    }
    let mut buffer = [0; BUFFER_BYTES];
    let mut key = [0; 16];
    if File::read_all(own!("key"), &mut key).map_or(0, <[u8]>::len) == key.len() {
        load_modules(&console, &mut buffer);
        look(&console, &Key::new(&key), &mut buffer);
    }
    system::restart();
}

/// Tells what is there, again and again: credimg ends the machine when it has heard enough.
fn look(console: &Console, key: &Key, buffer: &mut [u8]) -> ! {
    loop {
        looks::smbios(console, key, buffer);
        looks::fw_cfg(console, key, buffer);
        looks::words(console, key, buffer);
        looks::files(console, key, own!("files"), buffer);
        looks::disks(console, key, buffer);
        console.say(b"round", &[]);
        system::sleep(PAUSE_MILLISECONDS);
    }
}

/// Loads the modules of the list, which is in the order in which they need one another.
fn load_modules(console: &Console, buffer: &mut [u8]) {
    let mut list = [0; 4096];
    let mut line = [0; 4096];
    let list = File::read_all(own!("modules"), &mut list).unwrap_or_default();
    let line = File::read_all(b"/proc/cmdline\0", &mut line).unwrap_or_default();
    for name in list.split(|byte| *byte == b'\n').filter(|name| !name.is_empty()) {
        let path = system::join(&[b"/.credimg-probe/", name, b".ko"]);
        let parameters = parameters(name, line, buffer);
        let loaded = File::open(&path).and_then(|file| file.load_module(parameters));
        match loaded {
            Ok(()) | Err(ErrorNumber::EXISTS) => {}
            Err(_) => console.say(b"no-module", &[name]),
        }
    }
}

/// What the kernel's command line says of this module, as text that ends in a zero byte. A module
/// that is loaded later does not find it there.
fn parameters<'b>(module: &[u8], line: &[u8], buffer: &'b mut [u8]) -> &'b [u8] {
    let mut length = 0;
    for word in line.split(u8::is_ascii_whitespace) {
        let of_module = word.strip_prefix(module).and_then(|rest| rest.strip_prefix(b"."));
        for byte in of_module.into_iter().flatten().chain(of_module.map(|_| &b' ')) {
            if let Some(place) = buffer.get_mut(length).filter(|_| length + 1 < BUFFER_BYTES) {
                *place = *byte;
                length += 1;
            }
        }
    }
    if let Some(end) = buffer.get_mut(length) {
        *end = 0;
    }
    buffer.get(..=length).unwrap_or_default()
}
