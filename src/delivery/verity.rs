//! How the guest's systemd checks a disk by its hash tree (dm-verity), without a change to the
//! guest: commands for a unit, and a line for veritytab(5).

use std::fmt::Write;

use credimg_formats::hex_text;

use super::device::Device;
use super::unlock;
use crate::monitors::Serial;

/// Where systemd has the program that opens such a disk; it is in no search path.
const PROGRAM: &str = "/usr/lib/systemd/systemd-veritysetup";
/// How many seconds the unit waits for a disk: as many as systemd waits for any device, since a
/// slow guest takes its time.
const WAIT_SECONDS: u32 = 90;
/// The wait for a disk that is found by its content, which may have been changed so that it never
/// appears.
const WAIT_FOR_CONTENT_SECONDS: u32 = 20;
/// Longest root hash in hexadecimal digits, that of SHA-512.
const ROOT_HASH_MAX: usize = 128;

/// The hash tree behind what a disk holds. It is public: whoever knows it can check the disk,
/// and not change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashTree {
    /// The root hash in hexadecimal digits: it stands for everything on the disk.
    pub root_hash: String,
    /// Where the tree's superblock is, behind what the disk holds.
    pub offset_bytes: u64,
    /// The signature of the root hash in base64, where there is one.
    pub signature: Option<String>,
}

impl HashTree {
    /// The tree that begins at `offset_bytes`, without a signature.
    pub(crate) fn new(root_hash: &[u8], offset_bytes: u64) -> Self {
        Self { root_hash: hex_text(root_hash), offset_bytes, signature: None }
    }

    /// Stands for a tree that is not written yet. Each of its texts is as long as it can get, so
    /// that a plan has room for the real one.
    pub fn foreseen() -> Self {
        let root_hash = "0".repeat(ROOT_HASH_MAX);
        Self { root_hash, offset_bytes: u64::MAX, signature: None }
    }

    /// The options of systemd-veritysetup(8).
    fn options(&self) -> String {
        let signed = |signature| format!(",root-hash-signature=base64:{signature}");
        let signature = self.signature.as_ref().map(signed).unwrap_or_default();
        format!("hash-offset={}{signature}", self.offset_bytes)
    }
}

/// The commands of a unit that open `device` as `mapping`. The last one reads the whole disk:
/// dm-verity checks a block only when it is read, and a changed disk must not be mounted at all.
pub(super) fn commands(tree: &HashTree, device: &Device, mapping: &str) -> String {
    let seconds = match device {
        Device::Serial(_) | Device::Mapping(_) => WAIT_SECONDS,
        Device::Label(_) | Device::Uuid(_) => WAIT_FOR_CONTENT_SECONDS,
    };
    let (root_hash, options, device) = (&tree.root_hash, tree.options(), device.path());
    let mut text = String::new();
    // A String takes everything.
    let _ = write!(
        text,
        "ExecStart=udevadm wait --timeout={seconds} {device}\n\
         ExecStart={PROGRAM} attach {mapping} {device} {device} {root_hash} \
         {options}\n\
         ExecStart=cat /dev/mapper/{mapping}\n"
    );
    text
}

/// The command of a unit that closes `mapping` again.
pub(super) fn end(mapping: &str) -> String {
    format!("ExecStopPost={PROGRAM} detach {mapping}\n")
}

/// The line of veritytab(5) that opens `device` as `mapping`.
pub(super) fn veritytab(tree: &HashTree, device: &Device, mapping: &str) -> String {
    let (root_hash, options, device) = (&tree.root_hash, tree.options(), device.in_table());
    format!("{mapping} {device} {device} {root_hash} {options}\n")
}

/// The name in `/dev/mapper` of a checked disk if it is encrypted as well.
pub(super) fn inner(serial: &Serial) -> String {
    format!("{}-verity", unlock::mapping(serial))
}
