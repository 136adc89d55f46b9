//! Looks at each place where something that was sent can arrive, and tells what is there.

use crate::BUFFER_BYTES;
use crate::console::Console;
use crate::keyed_hash::{Key, KeyedHash};
use crate::smbios;
use crate::system::{self, Directory, File};

/// The file with the SMBIOS tables that the firmware has made.
const TABLES: &[u8] = b"/sys/firmware/dmi/tables/DMI\0";
/// The directory with one directory for each item of `fw_cfg`, named by the item's number.
const ITEMS: &[u8] = b"/sys/firmware/qemu_fw_cfg/by_key\0";
/// The prefix of the items that users, not the firmware, give a machine.
const OWN_ITEMS: &[u8] = b"opt/";

/// Tells each OEM string.
pub(crate) fn smbios(console: &Console, key: &Key, buffer: &mut [u8]) {
    match File::read_all(TABLES, buffer) {
        Ok(tables) => {
            smbios::oem_strings(tables, |string| tell(console, key.hash(b"smbios"), &[string]));
        }
        Err(_) => console.say(b"no-smbios", &[]),
    }
}

/// Tells each item of `fw_cfg` that is a user's.
pub(crate) fn fw_cfg(console: &Console, key: &Key, buffer: &mut [u8]) {
    let Ok(directory) = Directory::open(ITEMS) else { return console.say(b"no-fw_cfg", &[]) };
    directory.each(|item| {
        let own = |name: &[u8]| system::join(&[without_zero(ITEMS), b"/", item, b"/", name]);
        let mut name = [0; 128];
        let Ok(name) = File::read_all(&own(b"name"), &mut name) else { return };
        let name = name.trim_ascii_end();
        // Reading takes a call to the device for each byte, and the firmware's own items are long.
        if name.starts_with(OWN_ITEMS)
            && let Ok(content) = File::read_all(&own(b"raw"), buffer)
        {
            tell(console, key.hash(b"fw_cfg"), &[name, &[0], content]);
        }
    });
}

/// Tells each word of the kernel's command line.
pub(crate) fn words(console: &Console, key: &Key, buffer: &mut [u8]) {
    let line = File::read_all(b"/proc/cmdline\0", buffer).unwrap_or_default();
    for word in line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        tell(console, key.hash(b"word"), &[word]);
    }
}

/// Tells each file that was unpacked from the initrd. `list` is a file that holds their paths, one
/// on each line. A thousand credentials with long names make a long list.
#[expect(clippy::large_stack_arrays, reason = "the stack may have 8 MiB, and there is no heap")]
pub(crate) fn files(console: &Console, key: &Key, list: &[u8], buffer: &mut [u8]) {
    let mut names = [0; BUFFER_BYTES];
    let names = File::read_all(list, &mut names).unwrap_or_default();
    for name in names.split(|byte| *byte == b'\n').filter(|name| !name.is_empty()) {
        if let Ok(content) = File::read_all(&system::join(&[b"/", name]), buffer) {
            tell(console, key.hash(b"file"), &[name, &[0], content]);
        }
    }
}

/// Tells each disk: the hash of its size and first bytes, and the hash of its serial or a dash.
pub(crate) fn disks(console: &Console, key: &Key, buffer: &mut [u8]) {
    let Ok(directory) = Directory::open(b"/sys/block\0") else { return };
    directory.each(|name| {
        // Disks in memory and floppy drives never hold what was sent.
        if [&b"loop"[..], b"ram", b"fd", b"zram"].iter().any(|kind| name.starts_with(kind)) {
            return;
        }
        let Ok(file) = File::open(&system::join(&[b"/dev/", name])) else { return };
        let Ok(content) = file.read_start(buffer) else { return };
        let size = file.disk_bytes().to_le_bytes();
        let mut disk = key.hash(b"disk");
        disk.add(&size);
        disk.add(content);
        let mut serial = [0; 256];
        let serial = serial_of(name, &file, &mut serial).map(|serial| {
            let mut hash = key.hash(b"serial");
            hash.add(serial);
            hash.digits()
        });
        let serial = serial.as_ref().map_or(b"-".as_slice(), |digits| digits);
        console.say(b"disk", &[&disk.digits(), serial]);
    });
}

/// The serial of a disk: from a file of virtio or `NVMe`, else by asking the SCSI disk or the ATA
/// drive.
fn serial_of<'b>(disk: &[u8], drive: &File, buffer: &'b mut [u8; 256]) -> Option<&'b [u8]> {
    for name in [b"/serial".as_slice(), b"/device/serial"] {
        let path = system::join(&[b"/sys/block/", disk, name]);
        if let Ok(length) = File::read_all(&path, buffer).map(<[u8]>::len) {
            return buffer.get(..length).map(<[u8]>::trim_ascii);
        }
    }
    let length = drive.scsi_serial(buffer).or_else(|_| drive.ata_serial(buffer)).ok()?;
    buffer.get(..length).map(<[u8]>::trim_ascii)
}

/// Completes the hash with `parts`, and tells it.
fn tell(console: &Console, mut hash: KeyedHash, parts: &[&[u8]]) {
    for part in parts {
        hash.add(part);
    }
    console.say(b"has", &[&hash.digits()]);
}

fn without_zero(path: &[u8]) -> &[u8] {
    path.strip_suffix(&[0]).unwrap_or(path)
}
