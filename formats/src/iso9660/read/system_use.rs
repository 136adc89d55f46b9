//! The system use fields of a record, and the areas in which they go on (SUSP 1.12).

use std::ops::ControlFlow;

use zerocopy::FromBytes;

use super::metadata::Image;
use super::record::Record;
use crate::error::{Error, Result, corrupt};
use crate::iso9660::format::{Continuation, FieldHeader, SP, SP_CHECK, XA_BYTES};

/// Most areas in which the fields of one record go on: twice what Linux follows
/// (`RR_MAX_CE_ENTRIES`).
const AREAS_MAX: usize = 64;
/// Most bytes of all fields of one record. The longest target, in components of one byte each,
/// takes a fifth of it.
const FIELDS_MAX_BYTES: u64 = 64 << 10;

/// One field.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    /// The byte of the image at which it stands.
    pub(super) offset_bytes: u64,
    pub(super) signature: [u8; 2],
    /// Behind the header.
    pub(super) payload: &'a [u8],
}

impl Field<'_> {
    /// The signature of a field that there is. Of anything else, which may be content, nothing
    /// is told.
    pub(super) fn shown(&self) -> &'static str {
        match &self.signature {
            b"AL" => "AL",
            b"CE" => "CE",
            b"CL" => "CL",
            b"ER" => "ER",
            b"ES" => "ES",
            b"NM" => "NM",
            b"PD" => "PD",
            b"PL" => "PL",
            b"PN" => "PN",
            b"PX" => "PX",
            b"RE" => "RE",
            b"RR" => "RR",
            b"SF" => "SF",
            b"SL" => "SL",
            b"SP" => "SP",
            b"ST" => "ST",
            b"TF" => "TF",
            b"ZF" => "ZF",
            _ => "of an unknown signature",
        }
    }

    pub(super) fn corrupt(&self, what: impl std::fmt::Display) -> Error {
        let message = format!("field {} at byte {}: {what}", self.shown(), self.offset_bytes);
        corrupt(message)
    }
}

/// A place in which fields stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) offset_bytes: u64,
    pub(super) length_bytes: u64,
}

/// What the fields of an area end with.
pub(super) enum End {
    /// Nothing more of them is wanted.
    Broken,
    /// The area, and where the fields go on.
    Area { next: Option<Area> },
}

/// Where the fields of an image are, and how long its blocks.
#[derive(Clone, Copy)]
pub(super) struct Sharing {
    /// How much of each record's system use comes before the fields (SUSP 5.3).
    pub(super) skipped_bytes: usize,
    pub(super) block_bytes: u32,
}

/// Counts the areas in which the fields of one record go on: there is an end to them, also
/// where they lead in a circle.
pub(super) struct Areas<'r> {
    record: &'r Record<'r>,
    count: usize,
    total_bytes: u64,
}

impl<'r> Areas<'r> {
    pub(super) fn of(record: &'r Record<'r>) -> Self {
        Self { record, count: 0, total_bytes: 0 }
    }

    pub(super) fn read(&mut self, image: &Image, area: Area) -> Result<Vec<u8>> {
        self.count += 1;
        self.total_bytes += area.length_bytes;
        if self.count > AREAS_MAX {
            let what = format!("its fields go on in more than {AREAS_MAX} areas");
            return Err(self.record.corrupt(what));
        }
        if self.total_bytes > FIELDS_MAX_BYTES {
            let what = format!("its fields take more than {FIELDS_MAX_BYTES} bytes");
            return Err(self.record.corrupt(what));
        }
        let mut bytes = vec![0; usize::try_from(area.length_bytes).unwrap_or_default()];
        image.read(area.offset_bytes, &mut bytes)?;
        Ok(bytes)
    }
}

/// What each field is given to.
pub(super) type Each<'e> = dyn FnMut(Field<'_>) -> Result<ControlFlow<()>> + 'e;

impl Sharing {
    /// Gives the fields of a record to `each`, wherever they stand, until it breaks.
    pub(super) fn fields(
        self,
        image: &Image,
        record: &Record<'_>,
        each: &mut Each<'_>,
    ) -> Result<()> {
        let mut next = match self.own_fields(record, each)? {
            End::Broken => return Ok(()),
            End::Area { next } => next,
        };
        let mut areas = Areas::of(record);
        while let Some(area) = next {
            let bytes = areas.read(image, area)?;
            next = match self.area(area.offset_bytes, &bytes, each)? {
                End::Broken => return Ok(()),
                End::Area { next } => next,
            };
        }
        Ok(())
    }

    /// The fields that stand in the record itself.
    pub(super) fn own_fields(self, record: &Record<'_>, each: &mut Each<'_>) -> Result<End> {
        let area = record.system_use.get(self.skipped_bytes..).unwrap_or_default();
        let end_bytes = record.offset_bytes + record.length_bytes();
        self.area(end_bytes.saturating_sub(area.len() as u64), area, each)
    }

    /// The fields of one area. They end where no further one can begin, as for Linux
    /// (`get_rock_ridge_filename`): one byte, or zeros, may fill it up.
    pub(super) fn area(self, start_bytes: u64, area: &[u8], each: &mut Each<'_>) -> Result<End> {
        let (mut rest, mut next) = (area, None);
        let used = |rest: &[u8]| area.len() - rest.len();
        while let Ok((header, _)) = FieldHeader::ref_from_prefix(rest) {
            let field_bytes = usize::from(header.field_bytes);
            if field_bytes < size_of::<FieldHeader>() {
                break;
            }
            let offset_bytes = start_bytes + used(rest) as u64;
            let payload = rest.get(size_of::<FieldHeader>()..field_bytes);
            let mut field = Field { offset_bytes, signature: header.signature, payload: &[] };
            field.payload = payload.ok_or_else(|| {
                let left = rest.len();
                field.corrupt(format!("expected at most {left} bytes, got {field_bytes}"))
            })?;
            let behind = rest.get(field_bytes..).unwrap_or_default();
            if field.signature == *b"CE" && next.replace(self.continuation(&field)?).is_some() {
                return Err(field.corrupt("is there twice in one area"));
            }
            if each(field)?.is_break() {
                return Ok(End::Broken);
            }
            rest = behind;
            if field.signature == *b"ST" {
                break;
            }
        }
        Ok(End::Area { next })
    }

    /// The area that a `CE` leads to (SUSP 5.1).
    fn continuation(self, field: &Field<'_>) -> Result<Area> {
        let expected = Continuation::BYTES - size_of::<FieldHeader>();
        let record = Continuation::parts(field.payload).ok_or_else(|| {
            let got = field.payload.len();
            field.corrupt(format!("expected {expected} bytes behind its header, got {got}"))
        })?;
        let [block, offset_bytes, length_bytes] = record.map(|number| u64::from(number.get()));
        Ok(Area { offset_bytes: block * u64::from(self.block_bytes) + offset_bytes, length_bytes })
    }
}

/// What the `SP` of the root's own record says: where it stands, which is at the start, or
/// with CD-ROM XA behind 14 bytes, and how much of all other records is skipped. None where
/// the image has no system use sharing.
pub(super) fn sharing_of(root: &Record<'_>) -> Option<[usize; 2]> {
    [0, XA_BYTES].iter().find_map(|start| {
        let field = root.system_use.get(*start..)?.get(..SP.len())?;
        let [b'S', b'P', length, _, check @ .., skipped] = field else { return None };
        let is_sp = usize::from(*length) == SP.len() && *check == SP_CHECK;
        is_sp.then_some([*start, usize::from(*skipped)])
    })
}
