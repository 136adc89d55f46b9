//! Where the disk stands among the machine's own: behind them all, and where a BIOS does
//! not try it. Otherwise QEMU would put it before every disk of `-drive if=virtio`, which
//! it makes after all of `-device`, and SeaBIOS starts nothing but the first disk.

use std::str::FromStr;

/// Which place behind the machine's own disks an image takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// That of the machine's only image (1), of its second (2) and so on: each further
    /// one stands before the one before it.
    Nth(u8),
    /// Wherever the monitor puts it.
    Auto,
}

impl Place {
    /// How many images of one machine have a place.
    pub const MAX: u8 = 16;
    /// What options take.
    pub const VALUES: &str = "1 to 16, or auto";
    /// The PCI slot of the first place. The machine's own devices take slots from 1 on;
    /// from 0x1a on stand those of the chipset of q35, where they are asked for. `-machine
    /// pc`, `q35` and `virt` of Arm have nothing here (measured with QEMU 7.2).
    const FIRST_SLOT: u8 = 0x19;

    /// All places, in the order in which they are taken.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=Self::MAX).map(Self::Nth)
    }

    /// The slot of the machine's first PCI bus; none where QEMU chooses one.
    pub fn pci_slot(self) -> Option<u8> {
        match self {
            Self::Nth(nth) => Some(Self::FIRST_SLOT.saturating_sub(nth.saturating_sub(1))),
            Self::Auto => None,
        }
    }

    /// The letter of a disk's name, counted down from z, for monitors that order by it.
    pub fn last_letter(self) -> char {
        let before = match self {
            Self::Nth(nth) => nth.saturating_sub(1),
            Self::Auto => 0,
        };
        char::from(b'z'.saturating_sub(before))
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::Nth(1)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let nth = text.parse().ok().filter(|nth| (1..=Self::MAX).contains(nth));
        nth.map(Self::Nth).ok_or_else(|| format!("expected {}", Self::VALUES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_down_from_a_slot_below_the_chipset() {
        let slots: Vec<_> = Place::all().filter_map(Place::pci_slot).collect();
        assert_eq!(slots, (0x0a..=0x19).rev().collect::<Vec<_>>());
        assert_eq!(Place::default().pci_slot(), Some(0x19));
        assert_eq!(Place::Auto.pci_slot(), None);
        let letters: String = Place::all().map(Place::last_letter).collect();
        assert_eq!(letters, "zyxwvutsrqponmlk");
        assert_eq!(Place::Auto.last_letter(), 'z');
    }

    #[test]
    fn places_are_read_from_options() {
        assert_eq!("1".parse(), Ok(Place::default()));
        assert_eq!("16".parse(), Ok(Place::Nth(16)));
        assert_eq!("auto".parse(), Ok(Place::Auto));
        for bad in ["", "0", "17", "-1", "256", "0x19", "first"] {
            assert_eq!(bad.parse::<Place>(), Err("expected 1 to 16, or auto".to_owned()), "{bad}");
        }
    }
}
