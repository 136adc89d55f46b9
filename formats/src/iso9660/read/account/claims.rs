//! Which bytes of the image are told of, so that what is left over can be told as well.

use std::collections::HashSet;

use crate::content::Buffer;
use crate::error::Result;
use crate::iso9660::read::metadata::Image;
use crate::read::{Account, Problem, Region, RegionKind};

/// How much is looked through at once.
const PIECE_BYTES: u64 = 64 << 10;

/// The stretches that are told of.
#[derive(Default)]
pub(super) struct Claims {
    taken: Vec<Claim>,
    /// Where content begins, and its length: each is told once, whoever shares it.
    contents: HashSet<(u64, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    start: u64,
    end: u64,
    is_record: bool,
}

impl Claims {
    pub(super) fn record(&mut self, start: u64, length: u64) {
        let end = start.saturating_add(length);
        if let Some(last) = self.taken.last_mut().filter(|last| last.is_record && last.end == start)
        {
            last.end = end;
        } else {
            self.taken.push(Claim { start, end, is_record: true });
        }
    }

    /// Whether this content is not told of yet.
    pub(super) fn content(&mut self, start: u64, length: u64) -> bool {
        let is_new = self.contents.insert((start, length));
        if is_new {
            let end = start.saturating_add(length);
            self.taken.push(Claim { start, end, is_record: false });
        }
        is_new
    }

    pub(super) fn is_content(&self, start: u64, length: u64) -> bool {
        self.contents.contains(&(start, length))
    }

    /// Whether any content begins there.
    pub(super) fn begins_content(&self, start: u64) -> bool {
        self.contents.iter().any(|(other, _)| *other == start)
    }

    /// Tells of records that overlap anything, and of zeros that belong to nothing: they fill
    /// up the image. What is left over and not zero is told by nobody.
    pub(super) fn settle(mut self, image: &Image, account: &mut dyn Account) -> Result<()> {
        self.taken.sort_unstable();
        let mut end = 0;
        let mut is_record = false;
        for claim in self.taken {
            if claim.start > end {
                gap(image, account, end, claim.start)?;
            } else if claim.start < end && (claim.is_record || is_record) {
                let message = "a record overlaps what stands before it".to_owned();
                account.problem(Problem { offset_bytes: Some(claim.start), message })?;
            }
            if claim.end >= end {
                (end, is_record) = (claim.end, claim.is_record);
            }
        }
        if image.size_bytes() > end {
            gap(image, account, end, image.size_bytes())?;
        }
        Ok(())
    }
}

/// The part of a gap that is zero from its start on, and the part up to its end.
fn gap(image: &Image, account: &mut dyn Account, start: u64, end: u64) -> Result<()> {
    let mut buffer = Buffer::zeroed(usize::try_from(PIECE_BYTES.min(end - start)).unwrap_or(1));
    let mut zeros_start = start;
    let mut at = start;
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(buffer.len()).min(buffer.len());
        let piece = buffer.get_mut(..length).unwrap_or_default();
        image.read_content(at, piece)?;
        // From the first byte to the last that is not zero, nobody knows what it is.
        if let Some(first) = piece.iter().position(|byte| *byte != 0) {
            let last = piece.iter().rposition(|byte| *byte != 0).unwrap_or(first);
            unused(account, zeros_start, at + first as u64)?;
            zeros_start = at + last as u64 + 1;
        }
        at += length as u64;
    }
    unused(account, zeros_start, end)
}

fn unused(account: &mut dyn Account, start: u64, end: u64) -> Result<()> {
    if start >= end {
        return Ok(());
    }
    account.region(Region {
        offset_bytes: start,
        length_bytes: end - start,
        kind: RegionKind::Padding,
        title: "unused".to_owned(),
        fields: Vec::new(),
        notes: Vec::new(),
    })
}
