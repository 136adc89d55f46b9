//! How the guest's systemd checks a disk by its hash tree (dm-verity), without a change to
//! the guest: what a unit says of the tree, and the line of veritytab(5).

use std::fmt::Write;

use credimg_formats::hex_text;

use super::device::Device;
use super::unlock;
use crate::monitors::Serial;

/// Where systemd has the program that opens such a disk; it is in no search path.
const PROGRAM: &str = "/usr/lib/systemd/systemd-veritysetup";
/// How long the guest waits for a disk once it looks for disks at all: as long as systemd does for
/// any, since a slow guest takes its time.
const WAIT_SECONDS: u32 = 90;
/// How long for one that is found by what is on it, which may have been changed.
const WAIT_FOR_CONTENT_SECONDS: u32 = 20;
/// Longest root hash in hexadecimal digits, that of SHA-512.
const ROOT_HASH_MAX: usize = 128;

/// The hash tree behind what a disk holds. It is public: whoever knows it can check the disk,
/// and not change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashTree {
    /// The hash that everything on the disk is checked by, in hexadecimal digits.
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

    /// Stands for the tree of an image that is not written yet: as long in every text as one
    /// can be.
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

/// The commands of a unit that make `mapping` of the disk `device`. The last one reads all of
/// it: dm-verity checks a block when it is read, and a disk that was changed is not to be
/// mounted at all.
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

/// The line of veritytab(5) that makes `mapping` of the disk `device`.
pub(super) fn veritytab(tree: &HashTree, device: &Device, mapping: &str) -> String {
    let (root_hash, options, device) = (&tree.root_hash, tree.options(), device.in_table());
    format!("{mapping} {device} {device} {root_hash} {options}\n")
}

/// What a checked disk is called in `/dev/mapper` that is encrypted as well.
pub(super) fn inner(serial: &Serial) -> String {
    format!("{}-verity", unlock::mapping(serial))
}
