//! Whose each byte of an image is.

use std::collections::BTreeMap;

use super::bytes::{Image, View};
use super::{Result, fault};

#[derive(Default)]
pub(crate) struct Claims {
    claims: Vec<Claim>,
    places: BTreeMap<String, u64>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    start: u64,
    end: u64,
    /// Content, which equal extents have in common.
    is_content: bool,
    name: String,
}

impl Claims {
    /// A record that is at one place only.
    pub(crate) fn record(&mut self, view: &View) {
        self.place(&view.name, view.start);
        let end = view.start + view.len() as u64;
        self.claims.push(Claim {
            start: view.start,
            end,
            is_content: false,
            name: view.name.clone(),
        });
    }

    /// Content of a file; hard links have the same.
    pub(crate) fn content(&mut self, start: u64, length: u64, name: String) {
        self.place(&name, start);
        self.claims.push(Claim { start, end: start + length, is_content: true, name });
    }

    /// Notes where a part of a record is.
    pub(crate) fn place(&mut self, name: &str, start: u64) {
        self.places.entry(name.to_owned()).or_insert(start);
    }

    pub(crate) fn places(self) -> BTreeMap<String, u64> {
        self.places
    }

    /// No byte is claimed twice, and those that nobody claims are zero.
    pub(crate) fn settle(&mut self, image: &dyn Image) -> Result<()> {
        self.claims.sort();
        self.claims.dedup_by(|next, kept| {
            next.is_content
                && (next.start, next.end, true) == (kept.start, kept.end, kept.is_content)
        });
        let mut end = 0;
        let mut last = "";
        for claim in &self.claims {
            if claim.start < end {
                return fault(claim.start, format!("{} overlaps {last}", claim.name));
            }
            unclaimed(image, end, claim.start)?;
            (end, last) = (claim.end, &claim.name);
        }
        unclaimed(image, end, image.length())
    }
}

fn unclaimed(image: &dyn Image, mut start: u64, end: u64) -> Result<()> {
    while start < end {
        let bytes = image.read(start, (end - start).min(1 << 20));
        if let Some(at) = bytes.iter().position(|byte| *byte != 0) {
            let byte = bytes[at];
            return fault(
                start + at as u64,
                format!("a byte that belongs to nothing is {byte:#04x}"),
            );
        }
        start += bytes.len() as u64;
    }
    Ok(())
}
