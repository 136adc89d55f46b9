//! The limits of what the firmware carries, each with its source, and how much of it is used.

use crate::manifest::Channel;
use crate::monitors::OEM_PREFIX;

/// All SMBIOS tables together: a 16-bit length in the 32-bit entry point
/// (SMBIOS 3.7, 5.2.1), beyond which QEMU refuses to start.
pub const TABLES_MAX_BYTES: u64 = 65_535;
/// What is reserved for QEMU's own tables: 309 bytes in a small machine, some 65 for each further
/// socket and 53 for each further 16 GiB, 6,102 with 64 sockets and 512 GiB (measured with 7.2;
/// 10.0 takes the 64-bit entry point where it must).
pub const TABLES_RESERVED_BYTES: u64 = 8192;
/// The longest structure of OEM strings, by this budget.
pub const STRUCTURE_MAX_BYTES: u64 = TABLES_MAX_BYTES - TABLES_RESERVED_BYTES;
/// A structure without strings: its formatted area of five bytes (SMBIOS 3.7,
/// 7.12) and the zero that ends the strings (6.1.3).
pub const STRUCTURE_EMPTY_BYTES: u64 = 6;
/// OEM strings: a structure counts them in one byte (SMBIOS 3.7, 7.12), which
/// QEMU lets overflow in silence.
pub const STRINGS_MAX: usize = 255;
/// Items of fw_cfg: QEMU has 32 slots, of which its own files take 12 to 22,
/// and aborts when they run out. 17 are free in a bare machine of type q35 (measured with 7.2).
pub const ITEMS_MAX: usize = 17;
/// More items than this may exhaust the slots of a machine with a `-kernel`, displays or boot
/// options of its own (measured with 7.2).
pub const ITEMS_SAFE: usize = 10;
/// Longest credential's name by fw_cfg: 55 characters less the prefix (QEMU,
/// `FW_CFG_MAX_FILE_PATH`).
pub const ITEM_NAME_MAX: usize = 28;
/// Longest value by fw_cfg. The guest's driver starts anew at every 4 KiB that
/// are read, so that its time grows with the square of the length.
pub const ITEM_MAX_BYTES: u64 = 64 << 10;
/// Longest item that is no credential. Reading it in large pieces takes some seconds.
pub const OTHER_ITEM_MAX_BYTES: u64 = 1 << 20;
/// Longest credential's name by the initrd: with `.cred` behind it, it is a file's name.
pub const INITRD_NAME_MAX: usize = 250;
/// All values beside the disk: systemd drops what goes beyond (`CREDENTIALS_TOTAL_SIZE_MAX`).
pub const SYSTEM_MAX_BYTES: u64 = 1 << 20;
/// One credential with its name, and all that one service takes: systemd does
/// not start a service with more.
pub const SERVICE_MAX_BYTES: u64 = 1 << 20;

/// How much of the firmware's room is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// OEM strings, at most [`STRINGS_MAX`].
    pub strings: usize,
    /// Bytes of these strings with their zeros.
    pub string_bytes: u64,
    /// Items of fw_cfg, at most [`ITEMS_MAX`].
    pub items: usize,
    /// The longest name of an item in characters, at most [`ITEM_NAME_MAX`].
    pub item_name: usize,
    /// Bytes of all values, at most [`SYSTEM_MAX_BYTES`].
    pub value_bytes: u64,
}

impl Budget {
    /// Takes room for a credential of this length by `channel`; the disk has
    /// room for all. An error is the reason why there is none, and takes nothing.
    pub fn take(&mut self, channel: Channel, name: &str, length_bytes: u64) -> Result<(), String> {
        let mut taken = self.clone();
        match channel {
            Channel::Disk => return Ok(()),
            Channel::Smbios => taken.add_string(name, length_bytes)?,
            Channel::FwCfg => taken.add_item(name, length_bytes)?,
            Channel::Initrd => require_file_name(name)?,
        }
        taken.value_bytes = taken.value_bytes.saturating_add(length_bytes);
        if taken.value_bytes > SYSTEM_MAX_BYTES {
            return Err(format!(
                "it is {length_bytes} bytes long, and of the {SYSTEM_MAX_BYTES} bytes that \
                 systemd takes from the firmware {} are left",
                SYSTEM_MAX_BYTES - self.value_bytes
            ));
        }
        *self = taken;
        Ok(())
    }

    /// Takes a slot for an item of fw_cfg that is no credential; errors as of [`take`](Self::take).
    pub fn take_other_item(&mut self, length_bytes: u64) -> Result<(), String> {
        self.take_slot(length_bytes, OTHER_ITEM_MAX_BYTES)
    }

    /// Takes a slot for an item of fw_cfg of at most `max_bytes`.
    fn take_slot(&mut self, length_bytes: u64, max_bytes: u64) -> Result<(), String> {
        self.require_slot()?;
        if length_bytes > max_bytes {
            return Err(format!(
                "it is {length_bytes} bytes long, and the guest takes too long to read more than \
                 {max_bytes} from fw_cfg"
            ));
        }
        self.items += 1;
        Ok(())
    }

    fn require_slot(&self) -> Result<(), String> {
        if self.items == ITEMS_MAX {
            return Err(format!("all {ITEMS_MAX} items of fw_cfg are taken"));
        }
        Ok(())
    }

    /// The length of the structure with all strings; zero without any.
    pub fn structure_bytes(&self) -> u64 {
        if self.strings == 0 { 0 } else { STRUCTURE_EMPTY_BYTES + self.string_bytes }
    }

    /// Each limit: what it is, how much is used, how much there is.
    pub fn rows(&self) -> [(&'static str, u64, u64); 5] {
        [
            ("SMBIOS structure, bytes", self.structure_bytes(), STRUCTURE_MAX_BYTES),
            ("OEM strings", self.strings as u64, STRINGS_MAX as u64),
            ("fw_cfg items", self.items as u64, ITEMS_MAX as u64),
            ("longest fw_cfg name, characters", self.item_name as u64, ITEM_NAME_MAX as u64),
            ("values by firmware, bytes", self.value_bytes, SYSTEM_MAX_BYTES),
        ]
    }

    fn add_string(&mut self, name: &str, length_bytes: u64) -> Result<(), String> {
        if name.contains('=') {
            return Err("its name holds `=`, where the name in an OEM string ends".to_owned());
        }
        if self.strings == STRINGS_MAX {
            return Err(format!("all {STRINGS_MAX} OEM strings are taken"));
        }
        let string_bytes = oem_string_bytes(name, length_bytes);
        let left = STRUCTURE_MAX_BYTES - STRUCTURE_EMPTY_BYTES - self.string_bytes;
        if string_bytes > left {
            return Err(format!(
                "its OEM string is {string_bytes} bytes long, and of the {STRUCTURE_MAX_BYTES} \
                 bytes of the SMBIOS structure {left} are left"
            ));
        }
        self.strings += 1;
        self.string_bytes += string_bytes;
        Ok(())
    }

    fn add_item(&mut self, name: &str, length_bytes: u64) -> Result<(), String> {
        if name.len() > ITEM_NAME_MAX {
            return Err(format!(
                "its name has {} characters, and a fw_cfg item has room for {ITEM_NAME_MAX}",
                name.len()
            ));
        }
        self.take_slot(length_bytes, ITEM_MAX_BYTES)?;
        self.item_name = self.item_name.max(name.len());
        Ok(())
    }
}

fn require_file_name(name: &str) -> Result<(), String> {
    if name.len() > INITRD_NAME_MAX {
        return Err(format!(
            "its name has {} characters, and a file of the initrd has room for {INITRD_NAME_MAX}",
            name.len()
        ));
    }
    Ok(())
}

/// The length of a credential's OEM string with its zero: the prefix, the name,
/// an equals sign and four characters for every three bytes begun.
pub fn oem_string_bytes(name: &str, length_bytes: u64) -> u64 {
    let head = OEM_PREFIX.len() + name.len() + 2;
    (head as u64).saturating_add(length_bytes.div_ceil(3).saturating_mul(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_at_255() {
        let mut budget = Budget::default();
        for _ in 0..STRINGS_MAX {
            assert_eq!(budget.take(Channel::Smbios, "a", 0), Ok(()));
        }
        let full = budget.clone();
        let refusal = budget.take(Channel::Smbios, "a", 0).err();
        assert_eq!(refusal.as_deref(), Some("all 255 OEM strings are taken"));
        assert_eq!(budget, full);
        assert_eq!(budget.structure_bytes(), 6 + 255 * 32);
    }

    #[test]
    fn the_structure_is_filled_to_the_last_byte() {
        let mut budget = Budget::default();
        // 29 + 2 + 2 + 57304 = 57337, and six more for the structure itself.
        assert_eq!(budget.take(Channel::Smbios, "ab", 42_978), Ok(()));
        assert_eq!(budget.structure_bytes(), STRUCTURE_MAX_BYTES);
        let mut budget = Budget::default();
        let refusal = budget.take(Channel::Smbios, "abc", 42_978).err();
        let expected = "its OEM string is 57338 bytes long, and of the 57343 bytes of the SMBIOS \
                        structure 57337 are left";
        assert_eq!(refusal.as_deref(), Some(expected));
        let expected = "its name holds `=`, where the name in an OEM string ends";
        assert_eq!(budget.take(Channel::Smbios, "a=b", 1).err().as_deref(), Some(expected));
    }

    #[test]
    fn items_end_at_17_and_names_at_28() {
        let mut budget = Budget::default();
        let longest = "n".repeat(ITEM_NAME_MAX);
        for _ in 0..ITEMS_MAX {
            assert_eq!(budget.take(Channel::FwCfg, &longest, 1), Ok(()));
        }
        let refusal = budget.take(Channel::FwCfg, "a", 1).err();
        assert_eq!(refusal.as_deref(), Some("all 17 items of fw_cfg are taken"));
        let refusal = Budget::default().take(Channel::FwCfg, &"n".repeat(29), 1).err();
        let expected = "its name has 29 characters, and a fw_cfg item has room for 28";
        assert_eq!(refusal.as_deref(), Some(expected));
        let refusal = Budget::default().take(Channel::FwCfg, "a", ITEM_MAX_BYTES + 1).err();
        let expected = "it is 65537 bytes long, and the guest takes too long to read more than \
                        65536 from fw_cfg";
        assert_eq!(refusal.as_deref(), Some(expected));
    }

    #[test]
    fn values_end_at_one_mebibyte() {
        let mut budget = Budget::default();
        for _ in 0..16 {
            assert_eq!(budget.take(Channel::FwCfg, "a", ITEM_MAX_BYTES), Ok(()));
        }
        assert_eq!(budget.value_bytes, SYSTEM_MAX_BYTES);
        let expected = "it is 1 bytes long, and of the 1048576 bytes that systemd takes from the \
                        firmware 0 are left";
        for channel in [Channel::Smbios, Channel::FwCfg] {
            assert_eq!(budget.take(channel, "a", 1).err().as_deref(), Some(expected));
        }
        assert_eq!(budget.take(Channel::Disk, "a", 1), Ok(()));
        assert_eq!(budget.take(Channel::FwCfg, "a", 0), Ok(()));
    }
}
