//! One directory record, with the system use fields that stand in it.

use super::sheet::Sheet;
use crate::iso9660::format::DirectoryRecord;
use crate::iso9660::read::record::{self, Record};

/// Flags that mean nothing (ECMA-119 9.1.6).
const FLAGS_RESERVED: u8 = 0x60;

/// Flags of what an extended attribute record says (ECMA-119 9.1.6, 9.5).
const FLAGS_OF_ATTRIBUTES: u8 = 0x18;

/// The fields before the identifier.
pub(super) fn header(sheet: &mut Sheet<'_>) {
    sheet.byte("length");
    let attribute_sectors = sheet.byte("extended attribute length");
    sheet.both32("extent");
    sheet.both32("data length");
    sheet.record_time("time");
    let at = sheet.at();
    let flags = sheet.flags("flags");
    if flags & FLAGS_RESERVED != 0 {
        sheet.problem(
            at,
            format!("flags: expected none of {FLAGS_RESERVED:#04x}, got {flags:#04x}"),
        );
    }
    if flags & FLAGS_OF_ATTRIBUTES != 0 && attribute_sectors == 0 {
        sheet.problem(
            at,
            format!("flags: {flags:#04x} tell of an extended attribute record: there is none"),
        );
    }
    for name in ["file unit size", "interleave gap size"] {
        let at = sheet.at();
        let value = sheet.byte(name);
        if value != 0 {
            sheet.problem(at, format!("{name}: expected 0 as nothing is interleaved, got {value}"));
        }
    }
    let at = sheet.at();
    let sequence = sheet.both16("volume sequence number");
    if sequence != 1 {
        sheet.problem(at, format!("volume sequence number: expected 1, got {sequence}"));
    }
    sheet.byte("identifier length");
}

/// The record up to its system use.
pub(super) fn start(sheet: &mut Sheet<'_>, record: &Record<'_>, shown: String, is_joliet: bool) {
    header(sheet);
    let identifier_bytes = record.identifier.len();
    if is_joliet && !record.is_dot() && !identifier_bytes.is_multiple_of(2) {
        let message =
            format!("identifier length: expected whole characters, got {identifier_bytes} bytes");
        sheet.problem(sheet.at() - 1, message);
    }
    sheet.shown("identifier", record.identifier.len(), shown);
    let taken = size_of::<DirectoryRecord>() + record.identifier.len();
    if !taken.is_multiple_of(2) && usize::from(record.header.record_bytes) > taken {
        sheet.zeros("padding", 1);
    }
    if !record.header.record_bytes.is_multiple_of(2) {
        let length = record.header.record_bytes;
        sheet
            .problem(record.offset_bytes, format!("length: expected an even number, got {length}"));
    }
}

/// An identifier for people.
pub(super) fn shown(identifier: &[u8], is_joliet: bool) -> String {
    match identifier {
        record::CURRENT => ".".to_owned(),
        record::PARENT => "..".to_owned(),
        _ if is_joliet => crate::iso9660::read::name::wide(identifier).escape_debug().to_string(),
        _ => identifier.escape_ascii().to_string(),
    }
}
