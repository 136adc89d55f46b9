//! What the fields of Rock Ridge say of an inode (RRIP 1.09 to 1.12), as Linux understands
//! them (`fs/isofs/rock.c`).

use zerocopy::FromBytes;

use super::system_use::Field;
use super::time;
use crate::error::{Error, ErrorKind, Result};
use crate::iso9660::format::{
    BothU32, COMPONENT_CURRENT, COMPONENT_PARENT, COMPONENT_ROOT, CONTINUES, Compressed,
    DeviceNumber, PX_SHORT_BYTES, TF_CREATION, TF_LONG, TF_MODIFY,
};
use crate::read::NodeKind;
use crate::tree::{Device, Mode, NAME_MAX_BYTES, SYMLINK_MAX_BYTES, Timestamp};

/// Bits of `st_mode` that say what an inode is.
const TYPE_BITS: u32 = 0o170_000;

/// The fields of one record that say what is where.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) posix: Option<Posix>,
    pub(super) device: Option<Device>,
    pub(super) mtime: Option<Timestamp>,
    /// `CL`: the block at which a directory is that was moved elsewhere (RRIP 4.1.5.1).
    pub(super) moved_to: Option<u32>,
    /// `PL`: the block of the directory that one was moved from (RRIP 4.1.5.2).
    pub(super) moved_from: Option<u32>,
    /// `RE`: a directory that was moved here, and is not shown (RRIP 4.1.5.3).
    pub(super) is_relocated: bool,
    /// `ZF`: the content is compressed, and this long.
    pub(super) plain_bytes: Option<u32>,
    pub(super) name: Name,
    pub(super) target: Option<Target>,
}

/// `PX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Posix {
    pub(super) mode: u32,
    pub(super) links: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Since RRIP 1.12.
    pub(super) serial: Option<u32>,
}

impl Posix {
    /// What it is; the device's number stands elsewhere.
    pub(super) fn kind(&self, device: Option<Device>) -> Option<NodeKind> {
        let device = device.map_or_else(|| Device::new(0, 0).ok(), Some)?;
        Some(match self.mode & TYPE_BITS {
            0o040_000 => NodeKind::Directory,
            0o100_000 => NodeKind::File,
            0o120_000 => NodeKind::Symlink,
            0o020_000 => NodeKind::CharDevice(device),
            0o060_000 => NodeKind::BlockDevice(device),
            0o010_000 => NodeKind::Fifo,
            0o140_000 => NodeKind::Socket,
            _ => return None,
        })
    }

    pub(super) fn permissions(&self) -> Mode {
        Mode::of_st_mode(self.mode)
    }
}

impl Attributes {
    /// Takes one field. What Rock Ridge does not know is passed over.
    pub(super) fn take(&mut self, field: &Field<'_>) -> Result<()> {
        match &field.signature {
            b"PX" => self.posix = Some(posix(field)?),
            b"PN" => self.device = Some(device(field)?),
            b"TF" => self.mtime = modification(field)?.or(self.mtime),
            b"CL" => {
                let ([block], _) = numbers::<1>(field)?;
                self.moved_to = Some(block);
            }
            b"PL" => {
                let ([block], _) = numbers::<1>(field)?;
                self.moved_from = Some(block);
            }
            b"RE" => self.is_relocated = true,
            b"ZF" => {
                let (record, _) =
                    Compressed::ref_from_prefix(field.payload).map_err(|_| too_short(field))?;
                self.plain_bytes = Some(record.plain_bytes.get());
            }
            b"NM" => self.name.take(field)?,
            b"SL" => self.target.get_or_insert_default().take(field)?,
            _ => {}
        }
        Ok(())
    }
}

fn too_short(field: &Field<'_>) -> Error {
    let got = field.payload.len();
    field.corrupt(format!("expected more than {got} bytes behind its header"))
}

/// The numbers that a field begins with, and what is behind them.
fn numbers<'f, const N: usize>(field: &Field<'f>) -> Result<([u32; N], &'f [u8])> {
    let (numbers, rest) =
        <[BothU32; N]>::read_from_prefix(field.payload).map_err(|_| too_short(field))?;
    Ok((numbers.map(BothU32::get), rest))
}

fn posix(field: &Field<'_>) -> Result<Posix> {
    let ([mode, links, uid, gid], rest) = numbers::<4>(field)?;
    debug_assert_eq!(field.payload.len() - rest.len(), PX_SHORT_BYTES, "four numbers");
    let serial = BothU32::read_from_prefix(rest).ok().map(|(serial, _)| serial.get());
    Ok(Posix { mode, links, uid, gid, serial })
}

/// The whole number stands in the low half, or the major number in the high one. What has
/// more bits than a device's number loses them, as it does for Linux.
fn device(field: &Field<'_>) -> Result<Device> {
    let (record, _) = DeviceNumber::ref_from_prefix(field.payload).map_err(|_| too_short(field))?;
    let (high, low) = (record.high.get(), record.low.get());
    let (major, minor) =
        if high == 0 && low > 0xff { (low >> 8, low & 0xff) } else { (high | low >> 20, low) };
    Device::new(major & Device::MAJOR_MAX, minor & Device::MINOR_MAX)
}

/// The modification time of `TF`, which comes behind the creation time.
fn modification(field: &Field<'_>) -> Result<Option<Timestamp>> {
    let (flags, times) = field.payload.split_first().ok_or_else(|| too_short(field))?;
    if flags & TF_MODIFY == 0 {
        return Ok(None);
    }
    let is_long = flags & TF_LONG != 0;
    let length = if is_long { 17 } else { 7 };
    let start = if flags & TF_CREATION == 0 { 0 } else { length };
    let time = times.get(start..start + length).ok_or_else(|| too_short(field))?;
    Ok(time::of_field(time, is_long))
}

/// The text of the `NM` fields (RRIP 4.1.4).
#[derive(Default)]
pub(super) struct Name {
    pub(super) bytes: Vec<u8>,
}

impl Name {
    fn take(&mut self, field: &Field<'_>) -> Result<()> {
        let (flags, text) = field.payload.split_first().ok_or_else(|| too_short(field))?;
        if flags & !CONTINUES != 0 {
            // Of a directory's own records, or the host's name: Linux passes over it anywhere.
            return Ok(());
        }
        if self.bytes.len() + text.len() > NAME_MAX_BYTES {
            return Err(field.corrupt(format!("expected a name of at most {NAME_MAX_BYTES} bytes")));
        }
        self.bytes.extend(text);
        Ok(())
    }
}

/// The target that the `SL` fields make (RRIP 4.1.3), with the slashes of Linux
/// (`get_symlink_chunk`).
#[derive(Default)]
pub(super) struct Target {
    pub(super) bytes: Vec<u8>,
    /// Whether a slash comes before the next component.
    is_ended: bool,
}

impl Target {
    fn take(&mut self, field: &Field<'_>) -> Result<()> {
        let (_, mut rest) = field.payload.split_first().ok_or_else(|| too_short(field))?;
        while let [flags, length, behind @ ..] = rest {
            let text = behind.get(..usize::from(*length)).ok_or_else(|| {
                let left = behind.len();
                field.corrupt(format!("expected a component of at most {left} bytes, got {length}"))
            })?;
            rest = behind.get(usize::from(*length)..).unwrap_or_default();
            let text = match flags & !CONTINUES {
                0 => text,
                COMPONENT_CURRENT => b".",
                COMPONENT_PARENT => b"..",
                COMPONENT_ROOT => b"/",
                other => {
                    let message = format!(
                        "field SL at byte {}: component flags {other:#04x} are not read",
                        field.offset_bytes
                    );
                    return Err(Error::new(ErrorKind::Unsupported, message));
                }
            };
            if self.is_ended {
                self.push(field, b"/")?;
            }
            self.push(field, text)?;
            self.is_ended = flags & (CONTINUES | COMPONENT_ROOT) == 0;
        }
        Ok(())
    }

    fn push(&mut self, field: &Field<'_>, text: &[u8]) -> Result<()> {
        if self.bytes.len() + text.len() > SYMLINK_MAX_BYTES {
            let what = format!("expected a target of at most {SYMLINK_MAX_BYTES} bytes");
            return Err(field.corrupt(what));
        }
        self.bytes.extend(text);
        Ok(())
    }
}
