//! Volume descriptors: ECMA-119 8, and Joliet's escape sequences.

use super::bytes::{Image, View};
use super::claims::Claims;
use super::identifier::Alphabet;
use super::{Result, SECTOR_BYTES, fault};

/// The directory tree that a volume descriptor describes.
pub(crate) struct Root {
    pub(crate) alphabet: Alphabet,
    /// The directory record inside the descriptor.
    pub(crate) view: View,
    pub(crate) path_table_bytes: u32,
    pub(crate) little_path_table: u32,
    pub(crate) big_path_table: u32,
}

/// The primary tree, then Joliet's if there is one.
pub(crate) fn read(image: &dyn Image, claims: &mut Claims) -> Result<Vec<Root>> {
    let length = image.length();
    if !length.is_multiple_of(4096) {
        return fault(length, format!("the image has {length} bytes, no multiple of 4096"));
    }
    let mut roots = Vec::new();
    for sector in 16.. {
        let start = sector * SECTOR_BYTES;
        let view = View::read(image, start, SECTOR_BYTES, format!("volume descriptor {sector}"))?;
        view.is(2, b"CD001\x01", "standard identifier and version")?;
        claims.record(&view);
        match (view.byte(1), roots.len()) {
            (1, 0) => roots.push(descriptor(image, &view, Alphabet::Primary)?),
            (2, 1) => roots.push(descriptor(image, &view, Alphabet::Joliet)?),
            (255, 1..) => {
                view.filled(8, 2041, 0, "reserved")?;
                break;
            }
            (kind, _) => return view.fault(1, format!("type {kind} is not expected here")),
        }
    }
    Ok(roots)
}

/// 8.4 and 8.5.
fn descriptor(image: &dyn Image, view: &View, alphabet: Alphabet) -> Result<Root> {
    view.filled(8, 1, 0, "volume flags")?;
    blank(view, alphabet, 9, 32, "system identifier")?;
    volume_identifier(view, alphabet)?;
    view.filled(73, 8, 0, "unused field")?;
    let sectors = u64::from(view.both32(81, "volume space size")?);
    let expected = image.length() / SECTOR_BYTES;
    if sectors != expected {
        return view.fault(81, format!("volume space size: expected {expected}, got {sectors}"));
    }
    match alphabet {
        Alphabet::Primary => view.filled(89, 32, 0, "unused field")?,
        Alphabet::Joliet => {
            let levels: [&[u8]; 3] = [b"%/@", b"%/C", b"%/E"];
            if !levels.contains(&view.bytes(89, 3)) {
                return view.fault(89, "no escape sequence of Joliet");
            }
            view.filled(92, 29, 0, "escape sequences")?;
        }
    }
    for (position, expected, what) in [
        (121, 1, "volume set size"),
        (125, 1, "volume sequence number"),
        (129, 2048, "logical block size"),
    ] {
        let got = view.both16(position, what)?;
        if got != expected {
            return view.fault(position, format!("{what}: expected {expected}, got {got}"));
        }
    }
    view.filled(145, 4, 0, "optional path table")?;
    view.filled(153, 4, 0, "optional path table")?;
    for (position, length, what) in [
        (191, 128, "volume set identifier"),
        (319, 128, "publisher identifier"),
        (447, 128, "data preparer identifier"),
        (575, 128, "application identifier"),
        (703, 37, "copyright file identifier"),
        (740, 37, "abstract file identifier"),
        (777, 37, "bibliographic file identifier"),
    ] {
        blank(view, alphabet, position, length, what)?;
    }
    dates(view)?;
    view.is(882, &[1], "file structure version")?;
    view.filled(883, 1, 0, "reserved")?;
    view.filled(884, 512, 0, "application use")?;
    view.filled(1396, 653, 0, "reserved")?;
    Ok(Root {
        alphabet,
        view: view.part(157, 34, format!("root record of {}", view.name)),
        path_table_bytes: view.both32(133, "path table size")?,
        little_path_table: view.little32(141),
        big_path_table: view.big32(149),
    })
}

/// An image has two dates; it neither expires nor becomes valid.
fn dates(view: &View) -> Result<()> {
    for (position, what) in [(814, "creation date"), (831, "modification date")] {
        if view.long_date(position, what)?.is_none() {
            return view.fault(position, format!("{what}: is not given"));
        }
    }
    for (position, what) in [(848, "expiration date"), (865, "effective date")] {
        if view.long_date(position, what)?.is_some() {
            return view.fault(position, format!("{what}: is given"));
        }
    }
    Ok(())
}

/// Printable, and filled up with spaces on the right.
fn volume_identifier(view: &View, alphabet: Alphabet) -> Result<()> {
    let printable = |character: u16| (0x20..0x7f).contains(&character);
    let field = view.bytes(41, 32);
    let characters: Vec<u16> = match alphabet {
        Alphabet::Primary => field.iter().map(|byte| u16::from(*byte)).collect(),
        Alphabet::Joliet => {
            field.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
        }
    };
    match characters.iter().position(|character| !printable(*character)) {
        Some(_) => view.fault(41, "volume identifier: a character is not printable"),
        None => Ok(()),
    }
}

/// A field that names nothing: spaces, of two bytes in Joliet. The odd byte at the end
/// of a field of 37 bytes is zero there.
fn blank(
    view: &View,
    alphabet: Alphabet,
    position: usize,
    length: usize,
    what: &str,
) -> Result<()> {
    for at in 0..length {
        let expected = match alphabet {
            Alphabet::Primary => b' ',
            Alphabet::Joliet if at % 2 == 1 => b' ',
            Alphabet::Joliet => 0,
        };
        view.filled(position + at, 1, expected, what)?;
    }
    Ok(())
}
