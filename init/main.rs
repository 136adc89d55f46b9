//! The program that `credimg probe` starts in a machine, in place of what is on its disks. It looks
//! at everything that the machine was given, and tells on the console what it has found.
//!
//! It is the first process of a Linux that has nothing but this file, so it uses no library. It
//! tells keyed hashes, never the content itself. Each run has a new key, which only credimg and
//! this process know. `src/probe/` is the other side, and ARCHITECTURE.md describes the lines
//! between them.

#![no_std]
#![no_main]
// Without this the compiler would make the functions at the end of `system.rs` call themselves.
#![no_builtins]

mod channels;
mod console;
mod keyed_hash;
mod smbios;
mod system;

use console::Console;
use keyed_hash::Key;
use system::{ErrorNumber, File};

/// The path of a file of credimg's in the initrd, with its zero byte.
macro_rules! own {
    ($name:literal) => {
        concat!("/.credimg-probe/", $name, "\0").as_bytes()
    };
}

/// The size of the buffer for SMBIOS tables, an item of `fw_cfg`, a module's parameters or the
/// first bytes of a disk.
pub(crate) const BUFFER_BYTES: usize = 1 << 20;
/// The time between two looks. Some drivers find their disks long after they are loaded.
const PAUSE_MILLISECONDS: i64 = 200;

/// The first process. It never returns: the kernel has nothing else to run.
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
    // From now on no message of the kernel interrupts a line of ours.
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

/// Tells what is there, again and again, until credimg ends the machine.
fn look(console: &Console, key: &Key, buffer: &mut [u8]) -> ! {
    loop {
        channels::smbios(console, key, buffer);
        channels::fw_cfg(console, key, buffer);
        channels::words(console, key, buffer);
        channels::files(console, key, own!("files"), buffer);
        channels::disks(console, key, buffer);
        console.say(b"round", &[]);
        system::sleep(PAUSE_MILLISECONDS);
    }
}

/// Loads the modules that the file `modules` lists. Each stands behind those that it needs.
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

/// The parameters of a module from the kernel's command line, with a zero byte at the end. Linux
/// itself applies them only to modules that are built in.
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
