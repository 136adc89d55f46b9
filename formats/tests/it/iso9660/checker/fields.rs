//! System use fields of a directory record: SUSP 1.12 and RRIP 1.12.

use super::bytes::{Image, View};
use super::claims::Claims;
use super::{Attributes, Result, SECTOR_BYTES};

/// Which record the fields belong to: it decides which ones are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// `.` of the root directory.
    Root,
    /// `.` or `..` of any other directory, `..` of the root.
    Dot,
    Entry,
}

/// What the fields of one record say.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    pub(crate) attributes: Attributes,
    /// Empty but for entries.
    pub(crate) name: Vec<u8>,
    pub(crate) target: Option<Vec<u8>>,
    pub(crate) device: Option<(u32, u32)>,
}

const S_IFMT: u32 = 0o170_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFBLK: u32 = 0o060_000;

/// Reads the fields in `area`, the end of the record that `record` names, and in the
/// areas that continue it.
pub(crate) fn read(
    image: &dyn Image,
    claims: &mut Claims,
    area: View,
    record: &str,
    owner: Owner,
) -> Result<Fields> {
    let start = area.start;
    let mut found = Found::default();
    let mut areas = vec![start];
    let mut next = Some(area);
    while let Some(area) = next {
        let continuation = found.area(&area, record, areas.len() == 1, claims)?;
        next = match continuation {
            None => None,
            Some(field) => {
                let area = continued(image, &field, record, areas.len())?;
                if areas.contains(&area.start) {
                    return field.fault(5, "leads back to an area before");
                }
                areas.push(area.start);
                claims.record(&area);
                Some(area)
            }
        };
    }
    found.settle(start, record, owner)
}

/// The area that a `CE` field (SUSP 5.1) leads to.
fn continued(image: &dyn Image, field: &View, record: &str, number: usize) -> Result<View> {
    let sector = field.both32(5, "block")?;
    let offset = field.both32(13, "offset")?;
    let length = field.both32(21, "length")?;
    if u64::from(offset) + u64::from(length) > SECTOR_BYTES {
        return field.fault(13, "the area crosses the end of its sector");
    }
    let start = u64::from(sector) * SECTOR_BYTES + u64::from(offset);
    if length == 0 || start + u64::from(length) > image.length() {
        return field.fault(5, "the area is empty or outside of the image");
    }
    View::read(image, start, u64::from(length), format!("continuation {number} of {record}"))
}

#[derive(Default)]
struct Found {
    sharing: bool,
    extension: bool,
    mode: Option<[u32; 5]>,
    mtime: Option<i64>,
    name: Chain,
    target: Target,
    device: Option<(u32, u32)>,
}

/// A value in several fields.
#[derive(Default)]
struct Chain {
    bytes: Vec<u8>,
    seen: bool,
    continues: bool,
}

#[derive(Default)]
struct Target {
    chain: Chain,
    /// A component continues in the next one.
    component_continues: bool,
    /// A slash stands before the next component.
    separator: bool,
}

impl Found {
    /// Reads the fields of one area; returns its `CE` field.
    fn area(
        &mut self,
        area: &View,
        record: &str,
        is_first: bool,
        claims: &mut Claims,
    ) -> Result<Option<View>> {
        let mut continuation = None;
        let mut position = 1;
        while area.len() + 1 - position >= 4 {
            let length = usize::from(area.byte(position + 2));
            let signature = area.bytes(position, 2).escape_ascii().to_string();
            if length < 4 || length > area.len() + 1 - position {
                return area.fault(position + 2, format!("length {length} of field {signature}"));
            }
            let field = area.part(position, length, format!("{signature} of {record}"));
            claims.place(&field.name, field.start);
            field.is(4, &[1], "version")?;
            if signature == "CE" {
                sized(&field, 28)?;
                if continuation.replace(field).is_some() {
                    return area.fault(position, "a second CE");
                }
            } else {
                let is_start = is_first && position == 1;
                self.field(&field, &signature, is_start)?;
            }
            position += length;
        }
        let rest = area.len() + 1 - position;
        if rest > usize::from(is_first) {
            return area.fault(position, format!("{rest} bytes behind the last field"));
        }
        area.filled(position, rest, 0, "padding")?;
        Ok(continuation)
    }

    fn field(&mut self, field: &View, signature: &str, is_start: bool) -> Result<()> {
        match signature {
            // SUSP 5.3
            "SP" => {
                sized(field, 7)?;
                field.is(5, &[0xbe, 0xef, 0], "check bytes and skipped length")?;
                if !is_start || std::mem::replace(&mut self.sharing, true) {
                    return field.fault(1, "is not the first field");
                }
            }
            "ER" => {
                if std::mem::replace(&mut self.extension, true) {
                    return field.fault(1, "is there twice");
                }
                extension(field)?;
            }
            "PX" => {
                sized(field, 44)?;
                let parts = [
                    (5, "mode"),
                    (13, "links"),
                    (21, "user"),
                    (29, "group"),
                    (37, "serial number"),
                ];
                let mut values = [0; 5];
                for (value, (position, what)) in values.iter_mut().zip(parts) {
                    *value = field.both32(position, what)?;
                }
                if self.mode.replace(values).is_some() {
                    return field.fault(1, "is there twice");
                }
            }
            "PN" => {
                sized(field, 20)?;
                let numbers = (field.both32(5, "high")?, field.both32(13, "low")?);
                if self.device.replace(device(numbers)).is_some() {
                    return field.fault(1, "is there twice");
                }
            }
            "TF" => {
                if self.mtime.replace(modification(field)?).is_some() {
                    return field.fault(1, "is there twice");
                }
            }
            "NM" => self.name(field)?,
            "SL" => self.target.field(field)?,
            _ => return field.fault(1, "is not expected"),
        }
        Ok(())
    }

    /// RRIP 4.1.4.
    fn name(&mut self, field: &View) -> Result<()> {
        if field.len() < 6 {
            return field.fault(3, "has no character");
        }
        self.name.next(field)?;
        let part = field.bytes(6, field.len() - 5);
        if part.iter().any(|byte| matches!(byte, 0 | b'/')) {
            return field.fault(6, "has a slash or a NUL");
        }
        self.name.bytes.extend(part);
        Ok(())
    }

    fn settle(self, start: u64, record: &str, owner: Owner) -> Result<Fields> {
        let fault = |what: &str| super::fault(start, format!("{record}: {what}"));
        let Some([mode, links, uid, gid, serial]) = self.mode else { return fault("no PX") };
        let Some(mtime) = self.mtime else { return fault("no TF") };
        if self.sharing != (owner == Owner::Root) {
            return fault(if self.sharing { "SP is not expected" } else { "no SP" });
        }
        if self.extension != (owner == Owner::Root) {
            return fault(if self.extension { "ER is not expected" } else { "no ER" });
        }
        if self.name.seen != (owner == Owner::Entry) {
            return fault(if self.name.seen { "NM is not expected" } else { "no NM" });
        }
        if self.name.continues || self.name.bytes.len() > 255 {
            return fault("NM continues, or is longer than 255 bytes");
        }
        if matches!(self.name.bytes.as_slice(), b"." | b"..") {
            return fault("NM is that of a directory's own record");
        }
        if self.target.chain.seen != (mode & S_IFMT == S_IFLNK) {
            return fault("either SL or the mode of a symbolic link");
        }
        if self.target.chain.continues || self.target.component_continues {
            return fault("the last SL continues");
        }
        if self.device.is_some() != matches!(mode & S_IFMT, S_IFCHR | S_IFBLK) {
            return fault("either PN or the mode of a device");
        }
        let target = self.target.chain.seen.then_some(self.target.chain.bytes);
        if target.as_ref().is_some_and(|target| target.is_empty() || target.len() > 4095) {
            return fault("the link's target does not have 1 to 4095 bytes");
        }
        let attributes = Attributes { mode, links, uid, gid, serial, mtime };
        Ok(Fields { attributes, name: self.name.bytes, target, device: self.device })
    }
}

impl Chain {
    /// Takes the flags of the next field; a continued value has no other one.
    fn next(&mut self, field: &View) -> Result<()> {
        let flags = field.byte(5);
        if flags > 1 {
            return field.fault(5, format!("flags {flags:#04x}"));
        }
        if self.seen && !self.continues {
            return field.fault(1, "follows one that does not continue");
        }
        (self.seen, self.continues) = (true, flags == 1);
        Ok(())
    }
}

impl Target {
    /// RRIP 4.1.3.
    fn field(&mut self, field: &View) -> Result<()> {
        if field.len() < 7 {
            return field.fault(3, "has no component");
        }
        self.chain.next(field)?;
        let mut position = 6;
        while position <= field.len() {
            if field.len() - position < 1 {
                return field.fault(position, "a component is cut off");
            }
            let (flags, length) = (field.byte(position), usize::from(field.byte(position + 1)));
            if length > field.len() - position - 1 {
                return field.fault(position + 1, "a component is cut off");
            }
            let text = field.bytes(position + 2, length);
            if !self.component(flags, text) {
                return field.fault(position, format!("component flags {flags:#04x}"));
            }
            position += 2 + length;
        }
        Ok(())
    }

    /// RRIP 4.1.3.1; false for flags that have no meaning here.
    fn component(&mut self, flags: u8, text: &[u8]) -> bool {
        let target = &mut self.chain.bytes;
        if self.separator {
            target.push(b'/');
        }
        let is_start = target.is_empty() && !self.component_continues;
        let is_plain =
            !(is_start && text.is_empty() || text.iter().any(|it| matches!(it, 0 | b'/')));
        let is_special = text.is_empty() && !self.component_continues;
        match flags {
            0 | 1 if is_plain => target.extend(text),
            2 if is_special => target.push(b'.'),
            4 if is_special => target.extend(b".."),
            8 if is_special && is_start => target.push(b'/'),
            _ => return false,
        }
        (self.component_continues, self.separator) = (flags == 1, !matches!(flags, 1 | 8));
        true
    }
}

fn sized(field: &View, length: usize) -> Result<()> {
    match field.len() {
        got if got == length => Ok(()),
        got => field.fault(3, format!("length: expected {length}, got {got}")),
    }
}

/// SUSP 5.5 and RRIP 4.3.
fn extension(field: &View) -> Result<()> {
    if field.len() < 8 {
        return field.fault(3, "is cut off");
    }
    let lengths = [5, 6, 7].map(|position| usize::from(field.byte(position)));
    sized(field, 8 + lengths.iter().sum::<usize>())?;
    field.is(8, &[1], "extension version")?;
    let identifiers: [&[u8]; 3] = [b"RRIP_1991A", b"IEEE_P1282", b"IEEE_1282"];
    if identifiers.contains(&field.bytes(9, lengths[0])) {
        return Ok(());
    }
    field.fault(9, "is not that of Rock Ridge")
}

/// RRIP 4.1.6: the modification time, in a field of exactly the times it flags.
fn modification(field: &View) -> Result<i64> {
    if field.len() < 5 {
        return field.fault(3, "is cut off");
    }
    let flags = field.byte(5);
    if flags & 0x02 == 0 {
        return field.fault(5, "has no modification time");
    }
    let is_long = flags & 0x80 != 0;
    let length = if is_long { 17 } else { 7 };
    let times = (flags & 0x7f).count_ones() as usize;
    sized(field, 5 + times * length)?;
    let mut modification = 0;
    for (index, kind) in (0..7).filter(|bit| flags & (1 << bit) != 0).enumerate() {
        let position = 6 + index * length;
        let time = if is_long {
            field.long_date(position, "time")?.unwrap_or_default()
        } else {
            field.short_date(position, "time")?
        };
        if kind == 1 {
            modification = time;
        }
    }
    Ok(modification)
}

/// RRIP 4.1.2 as Linux reads it: both numbers are in the low half where the high one
/// is zero and the low one has more than 8 bits.
fn device((high, low): (u32, u32)) -> (u32, u32) {
    if high == 0 && low > 0xff { (low >> 8, low & 0xff) } else { (high, low) }
}
