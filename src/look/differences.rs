//! How two images are compared, and what is told of what differs: paths and respects, never a
//! value.

use credimg_formats::read::{Aspect, Change, Comparison, Difference, Facts};
use credimg_formats::{Format, hex_text};
use serde::Serialize;

use crate::report::shown_bytes;

/// The respects in which images of these formats can be compared, with each other or with a
/// tree: what one of them does not hold is no difference.
pub(crate) fn comparison(formats: &[&Facts]) -> Comparison {
    let mut comparison = Comparison::new();
    for facts in formats {
        let profile = facts.format.profile();
        if !profile.has_nanoseconds {
            comparison = comparison.whole_seconds();
        }
        if !profile.has_xattrs {
            comparison = comparison.without(Aspect::Xattrs);
        }
        let has_attributes = match facts.format {
            Format::Erofs | Format::Squashfs => true,
            Format::Iso9660 => facts.features.iter().any(|feature| feature == "rock-ridge"),
        };
        if !has_attributes {
            let unknown = [Aspect::Mode, Aspect::Owner, Aspect::Links];
            comparison = unknown.into_iter().fold(comparison, Comparison::without);
        }
    }
    comparison
}

/// The name of a respect.
pub(crate) fn name(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Kind => "kind",
        Aspect::Content => "content",
        Aspect::Target => "target",
        Aspect::Device => "device",
        Aspect::Mode => "mode",
        Aspect::Owner => "owner",
        Aspect::Time => "time",
        Aspect::Xattrs => "xattrs",
        Aspect::Links => "links",
    }
}

/// The names of respects, with this between them.
pub(crate) fn names(aspects: &[Aspect], separator: &str) -> String {
    let names: Vec<_> = aspects.iter().copied().map(name).collect();
    names.join(separator)
}

/// A difference for programs. The field names are stable.
#[derive(Serialize)]
pub(crate) struct Told {
    /// Bytes that are not UTF-8 are replaced.
    path: String,
    /// All bytes of such a path, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    /// `added`, `removed`, `changed` or, of what is no path, `volume`.
    change: &'static str,
    /// In which respects, where it is changed.
    respects: Vec<&'static str>,
}

impl Told {
    /// One of the volume itself.
    pub(crate) fn of_volume(what: &'static str) -> Self {
        Self { path: "/".to_owned(), path_hex: None, change: "volume", respects: vec![what] }
    }

    /// How many bytes it takes, about.
    pub(crate) fn len(&self) -> usize {
        self.path.len() + self.path_hex.as_ref().map_or(0, String::len)
    }

    pub(crate) fn new(difference: &Difference<'_>) -> Self {
        let (change, respects) = match &difference.change {
            Change::Added(_) => ("added", Vec::new()),
            Change::Removed(_) => ("removed", Vec::new()),
            Change::Changed(aspects) => ("changed", aspects.iter().copied().map(name).collect()),
        };
        let path = difference.path;
        let path_hex = hex(path);
        Self { path: String::from_utf8_lossy(path).into_owned(), path_hex, change, respects }
    }
}

/// All bytes as hexadecimal digits, where they are not UTF-8.
pub(crate) fn hex(bytes: &[u8]) -> Option<String> {
    if str::from_utf8(bytes).is_ok() {
        return None;
    }
    Some(hex_text(bytes))
}

/// The line of `credimg diff` for people.
pub(crate) fn line(difference: &Difference<'_>) -> String {
    let path = shown_bytes(difference.path);
    match &difference.change {
        Change::Added(_) => format!("+ {path}"),
        Change::Removed(_) => format!("- {path}"),
        Change::Changed(aspects) => format!("M {path} {}", names(aspects, " ")),
    }
}

/// What is wrong with a path of an image, where the other side is what it should hold.
pub(crate) fn fault(difference: &Difference<'_>) -> String {
    let path = shown_bytes(difference.path);
    match &difference.change {
        Change::Added(_) => format!("{path}: it should not be there"),
        Change::Removed(_) => format!("{path}: it is missing"),
        Change::Changed(aspects) => format!("{path}: another {}", names(aspects, ", another ")),
    }
}
