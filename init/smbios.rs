//! Reads OEM strings from SMBIOS tables. This file is part of credimg too, which reads tables that
//! QEMU is given as a file.

/// Type of the structure of OEM strings (SMBIOS 3.7, 7.12), and of the one at the end (7.45).
const OEM_STRINGS: u8 = 11;
const END_OF_TABLE: u8 = 127;

/// The length of a structure's header, which holds the length of its formatted area.
const HEAD_BYTES: u8 = 4;

/// Calls `each` with every OEM string of these structures. A structure is its type, the length of
/// its formatted area, that area, then strings of which an empty one is the last (6.1).
pub(crate) fn oem_strings(mut tables: &[u8], mut each: impl FnMut(&[u8])) {
    while let [kind, length, ..] = *tables {
        if kind == END_OF_TABLE || length < HEAD_BYTES {
            return;
        }
        let strings = tables.get(usize::from(length)..).unwrap_or_default();
        let end = strings.windows(2).position(|pair| pair == [0, 0]).unwrap_or(strings.len());
        if kind == OEM_STRINGS {
            let strings = strings.get(..end).unwrap_or_default();
            strings
                .split(|byte| *byte == 0)
                .filter(|string| !string.is_empty())
                .for_each(&mut each);
        }
        tables = strings.get(end + 2..).unwrap_or_default();
    }
}
