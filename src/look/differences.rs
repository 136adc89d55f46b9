//! How two images are compared, and how differences are told: by paths and respects, never by
//! values.

use credimg_formats::read::{Aspect, Change, Comparison, Difference, Facts};
use credimg_formats::{Format, hex_text};
use serde::Serialize;

use crate::report::shown_bytes;

/// The respects in which images of these formats can be compared, with each other or with a tree.
/// What one of the formats cannot hold is no difference.
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

/// The names of respects, with `separator` between them.
pub(crate) fn names(aspects: &[Aspect], separator: &str) -> String {
    let names: Vec<_> = aspects.iter().copied().map(name).collect();
    names.join(separator)
}

/// A difference for programs. The field names are stable.
#[derive(Serialize)]
pub(crate) struct Told {
    /// The path, in which bytes that are not UTF-8 are replaced.
    path: String,
    /// The bytes of a path that is not UTF-8, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    /// `added`, `removed`, `changed`, or `volume` for the volume itself.
    change: &'static str,
    /// The respects in which it is changed.
    respects: Vec<&'static str>,
}

impl Told {
    /// A difference of the volume itself.
    pub(crate) fn of_volume(what: &'static str) -> Self {
        Self { path: "/".to_owned(), path_hex: None, change: "volume", respects: vec![what] }
    }

    /// About how many bytes of a report it takes.
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

/// The bytes as hexadecimal digits; none where they are UTF-8.
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

/// The text for a path of an image that differs from what the image should hold.
pub(crate) fn fault(difference: &Difference<'_>) -> String {
    let path = shown_bytes(difference.path);
    match &difference.change {
        Change::Added(_) => format!("{path}: it should not be there"),
        Change::Removed(_) => format!("{path}: it is missing"),
        Change::Changed(aspects) => format!("{path}: another {}", names(aspects, ", another ")),
    }
}
