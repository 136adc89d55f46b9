//! Finds out what a guest's initrd holds, by the names in it. An initrd is one or more archives of
//! cpio, plain or packed, as Linux unpacks them
//! (Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! Data is unpacked only to skip it, and at most up to a limit. What lies behind that is not looked
//! into.

mod names;
mod unpack;

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::sync::{Mutex, PoisonError};

use self::names::Names;
use crate::delivery;
use crate::delivery::initrd::{Closed, Contents, Maker};
use crate::host::identity::Identity;
use crate::host::steady::Steady;
use crate::report::Failure;

/// How much of an initrd is looked into, in unpacked bytes: far more than any has.
const UNPACKED_MAX_BYTES: u64 = 1 << 30;
const BUFFER_BYTES: usize = 64 << 10;
/// How much of an initrd's end is searched for credentials. It holds a name that tells them: the
/// name stands before the last value, or before the lines for all of them.
const BEHIND_MAX_BYTES: u64 = (1 << 20) + (64 << 10);
/// The length of the longest magic number of packed data.
const MARK_BYTES: usize = 6;

/// Why an initrd could not be looked into.
const TOO_LARGE: &str = "it is larger than 1 GiB unpacked";
const TOO_COSTLY: &str = "it is packed in a way that this program does not unpack";

/// What was found in the last initrds. The machines of a fleet often share one.
static SEEN: Mutex<Vec<(Identity, Contents)>> = Mutex::new(Vec::new());
const SEEN_MAX: usize = 16;

/// Looks into the guest's initrd. Errors are of exit code 4 if it cannot be read, and signals.
pub(crate) fn look(initrd: &Steady) -> Result<Contents, Failure> {
    let identity = initrd.identity();
    let seen = || SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, contents)) = seen().iter().find(|(known, _)| *known == identity) {
        return Ok(contents.clone());
    }
    let mut contents = read(initrd.rewound()?)?;
    let end = end(initrd)?;
    if delivery::initrd::is_ours(&end) {
        contents.maker = Maker::Build;
    }
    if delivery::initrd::has_boot_config(&end) {
        contents.closed = Some(Closed::BootConfig);
    }
    let mut seen = seen();
    if seen.len() == SEEN_MAX {
        seen.remove(0);
    }
    seen.push((identity, contents.clone()));
    Ok(contents)
}

/// Its end: there lies all that a build puts there, and a boot configuration; the rest may be packed.
fn end(initrd: &Steady) -> Result<Vec<u8>, Failure> {
    let mut file = initrd.rewound()?;
    let mut end = Vec::new();
    let start_bytes = initrd.size_bytes().saturating_sub(BEHIND_MAX_BYTES);
    let read = file
        .seek(SeekFrom::Start(start_bytes))
        .and_then(|_| file.take(BEHIND_MAX_BYTES).read_to_end(&mut end));
    // A failing read is an error later, when the initrd is copied.
    Ok(if read.is_ok() { end } else { Vec::new() })
}

/// Looks into the file, from its position on. The only error is a signal.
pub(crate) fn read(file: &File) -> Result<Contents, Failure> {
    let mut contents = Contents::default();
    let mut left_bytes = UNPACKED_MAX_BYTES;
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    loop {
        let read = member(&mut reader, &mut left_bytes, &mut contents);
        match read {
            Ok(true) if !contents.is_settled() => {}
            Ok(_) => return Ok(contents),
            Err(error) => {
                if let Some(failure) = Failure::inside(&error) {
                    return Err(failure.clone());
                }
                note_error(error.kind(), &mut contents);
                return Ok(contents);
            }
        }
    }
}

/// Takes what an error tells: of what was read, or of this program, which unpacks less than Linux.
fn note_error(kind: io::ErrorKind, contents: &mut Contents) {
    let is_damage = matches!(
        kind,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
    );
    if is_damage {
        contents.closed = Some(Closed::Damaged);
    } else {
        let is_large = kind == io::ErrorKind::QuotaExceeded;
        contents.unread = Some(if is_large { TOO_LARGE } else { TOO_COSTLY });
    }
}

/// Skips zeros, and reads the next archive; false at the end of the initrd.
fn member(
    reader: &mut BufReader<&File>,
    left_bytes: &mut u64,
    contents: &mut Contents,
) -> io::Result<bool> {
    names::pass_zeros(reader, left_bytes)?;
    let mut mark = Vec::new();
    reader.by_ref().take(MARK_BYTES as u64).read_to_end(&mut mark)?;
    if mark.is_empty() {
        return Ok(false);
    }
    let mut whole = Cursor::new(&mark).chain(&mut *reader);
    if names::is_archive(&mark) {
        Names::new(&mut whole, left_bytes, contents).one()?;
        return Ok(true);
    }
    match unpack::unpacker(&mark, whole) {
        Ok(mut unpacked) => {
            Names::new(&mut BufReader::new(&mut unpacked), left_bytes, contents).all()?;
            Ok(true)
        }
        Err(reason) => {
            match reason {
                Some(reason) => contents.unread = Some(reason),
                None => contents.closed = Some(Closed::Unknown),
            }
            Ok(false)
        }
    }
}

/// Notes what a path in the initrd tells.
fn note(path: &[u8], contents: &mut Contents) {
    let path = path.strip_prefix(b"./").or_else(|| path.strip_prefix(b"/")).unwrap_or(path);
    let path = path.strip_prefix(b"usr/").unwrap_or(path);
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    match path {
        b"bin/systemd-tmpfiles" => contents.has_tmpfiles = true,
        b"lib/systemd/systemd" => contents.has_systemd = true,
        // Every initrd of initramfs-tools has these files.
        b"conf/initramfs.conf" | b"scripts/init-top/ORDER" => {
            contents.maker = Maker::InitramfsTools;
        }
        // Debian's name for this library ends with systemd's version. In Fedora and Arch the rest
        // of the package's version follows.
        _ => {
            if let Some(version) = name.strip_prefix(b"libsystemd-shared-") {
                let digits = version.split(|byte| !byte.is_ascii_digit()).next();
                let number = digits.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
                contents.systemd = number.or(contents.systemd);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a panic is how a test fails"
    )]

    use std::io::{Seek, Write};

    use super::*;
    use crate::delivery::initrd::{Form, behind};

    fn looked(bytes: &[u8]) -> Contents {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        read(&file).unwrap()
    }

    /// One byte of it is another one, or all behind a place is gone: whatever is read of it
    /// then, nothing panics, and what was seen before is not lost.
    #[test]
    fn a_damaged_initrd_is_read_as_far_as_it_goes() {
        let plain = behind(4, Form::Tmpfiles, &[("a", &[7; 90])]).expose().to_vec();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&plain).unwrap();
        let image = [&plain[..], &packed.finish().unwrap()].concat();
        assert_eq!(looked(&image), Contents::default());
        let mut faults = 0;
        for at in 0..image.len() {
            let mut damaged = image.clone();
            damaged[at] ^= 0xff;
            faults += usize::from(looked(&damaged).closed.is_some());
            faults += usize::from(looked(&image[..at]).closed.is_some());
        }
        // Most do no harm to a name, or end behind an archive.
        assert!(faults > image.len(), "{faults} of {}", image.len());
    }

    #[test]
    fn names_tell_what_there_is() {
        let seen = |paths: &[&str]| {
            let mut contents = Contents::default();
            for path in paths {
                note(path.as_bytes(), &mut contents);
            }
            contents
        };
        let dracut = seen(&[
            "usr/bin/systemd-tmpfiles",
            "./usr/lib/systemd/systemd",
            "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so",
        ]);
        assert!(dracut.is_settled() && dracut.systemd == Some(257));
        let arch = seen(&["/usr/lib/systemd/libsystemd-shared-258.1-2.so", "bin/systemd-tmpfiles"]);
        assert_eq!((arch.systemd, arch.has_tmpfiles), (Some(258), true));
        assert!(seen(&["scripts/init-top/ORDER"]).maker == Maker::InitramfsTools);
        let other = seen(&["usr/share/systemd-tmpfiles", "libsystemd-shared-x", "conf/x", ""]);
        assert_eq!(other, Contents::default());
    }
}
