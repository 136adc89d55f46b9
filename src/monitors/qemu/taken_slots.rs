//! Which PCI slots a QEMU's own arguments take, for an image that is added to them.

use crate::monitors::Place;

/// The first place whose slot none of `words`, arguments of QEMU in any style, names.
/// Those that QEMU chooses itself are the lowest free ones, and far away.
pub fn free_place<'w>(words: impl Iterator<Item = &'w [u8]>) -> Place {
    let used: Vec<u8> = words.flat_map(slots).collect();
    let is_free = |place: &Place| place.pci_slot().is_none_or(|slot| !used.contains(&slot));
    Place::all().find(is_free).unwrap_or(Place::Auto)
}

/// The slots in `addr=SLOT[.FUNCTION]` and `"addr": "SLOT"`, of whatever bus: QEMU reads
/// them as hexadecimal numbers. A number of JSON is eight times the slot, plus the function.
fn slots(word: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(word);
    let is_end = |letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter));
    let mut slots = Vec::new();
    for (at, key) in text.match_indices("addr") {
        let (before, after) = (text.get(..at), text.get(at + key.len()..));
        let (Some(before), Some(after)) = (before, after) else { continue };
        let value = after.trim_start_matches(['"', '=', ':', ' ']);
        if !before.is_empty() && !before.ends_with(is_end) || value.len() == after.len() {
            continue;
        }
        let digits = value.split(is_end).next().unwrap_or_default();
        let separator = after.strip_suffix(value).unwrap_or_default();
        if separator.trim_end().ends_with(':') {
            slots.extend(digits.parse().map(|number: u8| number >> 3));
            continue;
        }
        let digits = digits.trim_start_matches("0x").trim_start_matches("0X");
        slots.extend(u8::from_str_radix(digits, 16));
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(words: &[&str]) -> Place {
        free_place(words.iter().map(|word| word.as_bytes()))
    }

    #[test]
    fn the_first_place_is_that_of_a_machine_without_addresses() {
        assert_eq!(place(&["qemu", "-device", "virtio-blk,drive=r", "-m", "19"]), Place::Nth(1));
        // Of another property, or of nothing.
        for other in ["x,macaddr=19", "x,addr", "x,addr=", "x,addr=zz", "x,iobase=0x19,addr2=19"] {
            assert_eq!(place(&[other]), Place::Nth(1), "{other}");
        }
    }

    #[test]
    fn addresses_are_read_as_qemu_reads_them() {
        for word in [
            "virtio-blk,drive=r,addr=0x19",
            "virtio-blk,addr=19.0,drive=r",
            "addr=0X19",
            r#"{"driver":"virtio-blk","addr":"0x19"}"#,
            r#"{"driver": "virtio-blk", "addr": "19.1"}"#,
            r#"{"driver": "virtio-blk", "addr": 200}"#,
            r#"{"addr":201,"driver":"virtio-blk"}"#,
        ] {
            assert_eq!(place(&[word]), Place::Nth(2), "{word}");
        }
        assert_eq!(place(&["a,addr=0x19", "b,addr=0x17", "c,addr=18"]), Place::Nth(4));
    }

    #[test]
    fn a_full_machine_is_left_to_qemu() {
        let words: Vec<_> = (0..=0x1f).map(|slot| format!("x,addr={slot:x}")).collect();
        assert_eq!(free_place(words.iter().map(String::as_bytes)), Place::Auto);
    }
}
