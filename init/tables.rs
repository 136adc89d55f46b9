//! The tables of SMBIOS. credimg is compiled with this file as well, as it reads tables that it was
//! given.

/// Type of the structure of OEM strings (SMBIOS 3.7, 7.12), and of the one at the end (7.45).
const OEM_STRINGS: u8 = 11;
const END_OF_TABLE: u8 = 127;

/// What each structure begins with, its own length among it.
const HEAD_BYTES: u8 = 4;

/// Names each OEM string of these structures, one behind the other: type, length of what is
/// formatted, then that, then strings up to an empty one (6.1).
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
