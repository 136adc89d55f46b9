//! The regions of an image in the order of its bytes, as far as its size bears them.

use super::{Account, Problem, Region, RegionKind};
use crate::error::{Error, ErrorKind, Result};

/// Most problems that are kept; the others are counted.
const PROBLEMS_MAX: usize = 100;

/// What is wrong with an image, as far as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// The first ones.
    pub kept: Vec<Problem>,
    /// How many more there are.
    pub more: u64,
}

impl Problems {
    pub(crate) fn add(&mut self, problem: Problem) {
        if self.kept.len() < PROBLEMS_MAX {
            self.kept.push(problem);
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn at(&mut self, offset_bytes: u64, message: impl Into<String>) {
        self.add(Problem { offset_bytes: Some(offset_bytes), message: message.into() });
    }

    pub(crate) fn nowhere(&mut self, message: impl Into<String>) {
        self.add(Problem { offset_bytes: None, message: message.into() });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

/// Takes what a reader accounts for. Content that is shared is kept once.
pub(super) struct Regions {
    told: Vec<Region>,
    pub(super) problems: Problems,
    wants_text: bool,
    /// Where the regions are looked through for shared ones the next time.
    crowded: usize,
    /// Most regions of an image of this size.
    limit: usize,
}

impl Regions {
    /// Of an image of that size; fields and notes are kept where `wants_text` says so.
    pub(super) fn new(size_bytes: u64, wants_text: bool) -> Self {
        // The smallest records that are told of have some bytes each.
        let limit = usize::try_from(size_bytes / 4).unwrap_or(usize::MAX).saturating_add(65_536);
        let crowded = 4096;
        Self { told: Vec::new(), problems: Problems::default(), wants_text, crowded, limit }
    }

    /// The regions and the problems, the former by their places; those without a byte are left
    /// out.
    pub(super) fn finish(mut self) -> (Vec<Region>, Problems) {
        self.settle();
        (self.told, self.problems)
    }

    /// Sorts the regions, and keeps content that is told of several times once.
    fn settle(&mut self) {
        // By all but the texts, so that of the same stretch the record comes first.
        self.told.sort_by_key(|region| {
            (region.offset_bytes, region.length_bytes, region.kind != RegionKind::Record)
        });
        self.told.dedup_by(|next, kept| {
            let is_shared = next.kind == RegionKind::Content
                && kept.kind == RegionKind::Content
                && (next.offset_bytes, next.length_bytes) == (kept.offset_bytes, kept.length_bytes)
                && next.fields.is_empty()
                && kept.fields.is_empty();
            if is_shared && self.wants_text && kept.notes.len() < 20 && kept.title != next.title {
                kept.notes.push(format!("also {}", next.title));
            }
            is_shared
        });
    }
}

impl Account for Regions {
    fn wants_text(&self) -> bool {
        self.wants_text
    }

    fn region(&mut self, mut region: Region) -> Result<()> {
        if region.length_bytes == 0 {
            return Ok(());
        }
        let field_bytes: u64 = region.fields.iter().map(|field| field.length_bytes).sum();
        if !region.fields.is_empty() && field_bytes != region.length_bytes {
            let (title, length) = (&region.title, region.length_bytes);
            let message =
                format!("{title}: the fields have {field_bytes} bytes, the record {length}");
            return Err(Error::new(ErrorKind::Bug, message));
        }
        if !self.wants_text {
            (region.fields, region.notes) = (Vec::new(), Vec::new());
        }
        self.told.push(region);
        if self.told.len() >= self.crowded {
            self.settle();
            if self.told.len() > self.limit {
                let message = "the image has far more records than one of its size can have";
                return Err(Error::new(ErrorKind::Limit, message));
            }
            self.crowded = self.told.len() * 2 + 4096;
        }
        Ok(())
    }

    fn problem(&mut self, problem: Problem) -> Result<()> {
        self.problems.add(problem);
        Ok(())
    }
}
