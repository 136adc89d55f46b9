//! System use fields as people read them (SUSP 1.12, RRIP 1.12).

use super::sheet::Sheet;
use crate::iso9660::format::{
    COMPONENT_CURRENT, COMPONENT_PARENT, COMPONENT_ROOT, CONTINUES, TF_LONG,
};
use crate::iso9660::read::system_use::Field;

/// The times of `TF` in their order (RRIP 4.1.6).
const TIMES: [&str; 7] = [
    "TF creation time",
    "TF modification time",
    "TF access time",
    "TF attribute change time",
    "TF backup time",
    "TF expiration time",
    "TF effective time",
];

/// What goes on from one field to the next.
#[derive(Default)]
pub(super) struct Chains {
    name: Chain,
    target: Chain,
    /// A component of `SL` goes on in the next one.
    component_continues: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Chain {
    #[default]
    None,
    Continues,
    Ended,
}

impl Chain {
    /// Takes the flags of the next field, and says what is wrong with them.
    fn next(&mut self, flags: u8) -> Option<&'static str> {
        let fault = (*self == Self::Ended).then_some("expected no further field, got one");
        *self = if flags & CONTINUES == 0 { Self::Ended } else { Self::Continues };
        fault
    }
}

impl Chains {
    /// What is missing at the end.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.name == Chain::Continues {
            Some("NM: expected a further field, got none")
        } else if self.target == Chain::Continues || self.component_continues {
            Some("SL: expected a further field, got none")
        } else {
            None
        }
    }

    pub(super) fn tell(&mut self, sheet: &mut Sheet<'_>, field: &Field<'_>) {
        let [signature_name, length_name, version_name] = names(field.signature);
        if signature_name == "signature" {
            sheet.hidden(signature_name, 2);
        } else {
            sheet.shown(signature_name, 2, field.shown().to_owned());
        }
        sheet.byte(length_name);
        let at = sheet.at();
        let version = sheet.byte(version_name);
        if version != 1 {
            sheet.problem(at, format!("version of a field: expected 1, got {version}"));
        }
        let start = sheet.left();
        let length = field.payload.len();
        match &field.signature {
            b"PX" => posix(sheet, length),
            b"PN" => {
                sheet.both32("PN high");
                sheet.both32("PN low");
            }
            b"CE" => {
                sheet.both32("CE block");
                sheet.both32("CE offset");
                sheet.both32("CE area length");
            }
            b"CL" => drop(sheet.both32("CL block")),
            b"PL" => drop(sheet.both32("PL block")),
            b"NM" => self.name(sheet, length),
            b"SL" => self.target(sheet, length),
            b"TF" => times(sheet, length),
            b"SP" => {
                sheet.hidden("SP check bytes", 2);
                sheet.byte("SP skipped bytes");
            }
            b"ER" => extension(sheet, field.payload),
            b"ES" => drop(sheet.byte("ES extension")),
            b"RR" => drop(sheet.flags("RR flags")),
            b"ZF" => {
                sheet.text("ZF algorithm", 2);
                sheet.byte("ZF header words");
                sheet.byte("ZF block bits");
                sheet.both32("ZF plain length");
            }
            b"PD" => drop(sheet.hidden("PD padding", length)),
            b"SF" => drop(sheet.hidden("SF sizes", length)),
            _ => {}
        }
        // What nobody here knows may hold anything, `AL` of libisofs extended attributes.
        let told = start - sheet.left();
        sheet.hidden("field content", length.saturating_sub(told));
    }

    fn name(&mut self, sheet: &mut Sheet<'_>, length: usize) {
        let at = sheet.at();
        let flags = sheet.flags("NM flags");
        if flags & !(CONTINUES | COMPONENT_CURRENT | COMPONENT_PARENT) != 0 {
            sheet.problem(at, format!("NM flags: expected 0 to 7, got {flags:#04x}"));
        }
        if let Some(fault) = self.name.next(flags) {
            sheet.problem(at, format!("NM: {fault}"));
        }
        sheet.text("NM name", length.saturating_sub(1));
    }

    fn target(&mut self, sheet: &mut Sheet<'_>, length: usize) {
        let at = sheet.at();
        let flags = sheet.flags("SL flags");
        if flags & !CONTINUES != 0 {
            sheet.problem(at, format!("SL flags: expected 0 or 1, got {flags:#04x}"));
        }
        if let Some(fault) = self.target.next(flags) {
            sheet.problem(at, format!("SL: {fault}"));
        }
        let mut left = length.saturating_sub(1);
        while left >= 2 {
            let at = sheet.at();
            let flags = sheet.flags("SL component flags");
            let length = sheet.byte("SL component length");
            let special = flags & (COMPONENT_CURRENT | COMPONENT_PARENT | COMPONENT_ROOT);
            if flags & !(CONTINUES | special) != 0 || special.count_ones() > 1 {
                let message =
                    format!("SL component flags: expected 0, 1, 2, 4 or 8, got {flags:#04x}");
                sheet.problem(at, message);
            } else if special != 0 && length != 0 {
                let message =
                    format!("SL component length: expected 0 with these flags, got {length}");
                sheet.problem(at + 1, message);
            }
            self.component_continues = flags & CONTINUES != 0;
            let length = usize::from(length).min(left - 2);
            sheet.text("SL component", length);
            left -= 2 + length;
        }
    }
}

/// What the parts of a field's header are called.
fn names(signature: [u8; 2]) -> [&'static str; 3] {
    match &signature {
        b"PX" => ["PX signature", "PX length", "PX version"],
        b"PN" => ["PN signature", "PN length", "PN version"],
        b"SL" => ["SL signature", "SL length", "SL version"],
        b"NM" => ["NM signature", "NM length", "NM version"],
        b"TF" => ["TF signature", "TF length", "TF version"],
        b"CE" => ["CE signature", "CE length", "CE version"],
        b"CL" => ["CL signature", "CL length", "CL version"],
        b"PL" => ["PL signature", "PL length", "PL version"],
        b"RE" => ["RE signature", "RE length", "RE version"],
        b"SP" => ["SP signature", "SP length", "SP version"],
        b"ER" => ["ER signature", "ER length", "ER version"],
        b"ES" => ["ES signature", "ES length", "ES version"],
        b"RR" => ["RR signature", "RR length", "RR version"],
        b"ZF" => ["ZF signature", "ZF length", "ZF version"],
        b"AL" => ["AL signature", "AL length", "AL version"],
        b"ST" => ["ST signature", "ST length", "ST version"],
        b"PD" => ["PD signature", "PD length", "PD version"],
        b"SF" => ["SF signature", "SF length", "SF version"],
        _ => ["signature", "field length", "field version"],
    }
}

fn posix(sheet: &mut Sheet<'_>, length: usize) {
    sheet.both32_as("PX mode", |mode| format!("{mode:#o}"));
    for (name, end) in [("PX links", 16), ("PX user", 24), ("PX group", 32), ("PX serial", 40)] {
        if length >= end {
            sheet.both32(name);
        }
    }
}

fn times(sheet: &mut Sheet<'_>, length: usize) {
    let at = sheet.at();
    let flags = sheet.flags("TF flags");
    let is_long = flags & TF_LONG != 0;
    let mut left = length.saturating_sub(1);
    for (bit, name) in TIMES.into_iter().enumerate() {
        let time_bytes = if is_long { 17 } else { 7 };
        if flags & 1 << bit == 0 {
            continue;
        }
        if left < time_bytes {
            sheet.problem(at, format!("TF flags: {flags:#04x} tell of more times than there are"));
            break;
        }
        left -= time_bytes;
        if is_long {
            sheet.volume_time(name);
        } else {
            sheet.record_time(name);
        }
    }
    if left > 0 {
        sheet.problem(at, format!("TF flags: {flags:#04x} tell of fewer times than there are"));
    }
}

fn extension(sheet: &mut Sheet<'_>, payload: &[u8]) {
    let lengths = [
        sheet.byte("ER identifier length"),
        sheet.byte("ER descriptor length"),
        sheet.byte("ER source length"),
    ];
    sheet.byte("ER extension version");
    let mut left = payload.len().saturating_sub(4);
    for (name, length) in ["ER identifier", "ER descriptor", "ER source"].into_iter().zip(lengths) {
        let length = usize::from(length).min(left);
        sheet.text(name, length);
        left -= length;
    }
}
