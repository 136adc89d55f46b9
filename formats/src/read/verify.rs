//! Whether an image is valid: each record, each link, and each byte that belongs to none.

use std::cmp::Ordering;

use super::links::Links;
use super::regions::{Problems, Regions};
use super::sweep::{Stretch, sweep};
use super::walk::{Order, Walk};
use super::{InodeRef, Limits, NodeKind, Reader, Region, RegionKind, Storage, hash_tree};
use crate::error::{Error, ErrorKind, Result, corrupt, unreadable};

/// What was looked at, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What is wrong, in the order in which it was found.
    pub problems: Problems,
    /// Size of the storage in bytes.
    pub size_bytes: u64,
    /// How many paths there are, the root's counted.
    pub paths: u64,
    /// Bytes of records.
    pub record_bytes: u64,
    /// Bytes of the storage that hold content, shared ones counted once.
    pub content_bytes: u64,
    /// Bytes that are zero and belong to nothing, or fill up a block.
    pub padding_bytes: u64,
}

/// Verifies the image of `reader`, which is in `storage`: what the format's reader finds in its
/// records; names, links and loops by a walk through all paths; that what is stored overlaps
/// nowhere, ends within the storage, can be read and, where it is compressed, unpacked; and that
/// all else is zero. The bytes are gone through once, in their order. A hash tree behind the file
/// system counts as records, and is not compared with the data.
///
/// What is wrong with the image is in the report. An error is what ends that: a failing read, a
/// feature that is not read here, or an image that goes beyond the limits.
pub fn verify(reader: &dyn Reader, storage: &dyn Storage, limits: Limits) -> Result<Report> {
    let size_bytes = storage.size_bytes().map_err(unreadable)?;
    let mut regions = Regions::new(size_bytes, false);
    // What stops the account is the last that it tells.
    let told = reader.account(&mut regions);
    let told = told.and_then(|()| hash_tree::account(storage, &mut regions));
    let stopped = told.err().map(blame).transpose()?;
    let (regions, problems) = regions.finish();
    let mut report = Report { problems, size_bytes, ..Report::default() };
    if let Some(error) = &stopped {
        report.problems.nowhere(error.to_string());
    }
    let packed = walk(reader, limits, stopped.as_ref(), &mut report)?;
    let stretches = settle(&regions, &mut report);
    // Where the account ended early, what it did not come to is no gap.
    let (is_whole, problems) = (stopped.is_none(), &mut report.problems);
    report.padding_bytes =
        sweep(reader, storage, size_bytes, &stretches, packed, is_whole, problems)?;
    Ok(report)
}

/// An error that is the image's fault is a problem of it; any other ends the work.
fn blame(error: Error) -> Result<Error> {
    match error.kind() {
        ErrorKind::Corrupt => Ok(error),
        ErrorKind::Unsupported
        | ErrorKind::Unrepresentable
        | ErrorKind::Limit
        | ErrorKind::Cost
        | ErrorKind::Conflict
        | ErrorKind::Changed
        | ErrorKind::Key
        | ErrorKind::Source
        | ErrorKind::Io
        | ErrorKind::Bug => Err(error),
    }
}

/// Content that is stored in another form than it has: where it is, how long it is there, and
/// a file that holds it, at a place.
pub(super) struct Packed {
    pub(super) image_offset_bytes: u64,
    pub(super) stored_bytes: u64,
    pub(super) file: InodeRef,
    pub(super) file_offset_bytes: u64,
}

/// Goes through all paths, and returns what is to be unpacked, each stretch once and in the
/// order of the image.
fn walk(
    reader: &dyn Reader,
    limits: Limits,
    stopped: Option<&Error>,
    report: &mut Report,
) -> Result<Vec<Packed>> {
    let mut walk = Walk::new(reader, limits, Order::Path);
    let mut links = Links::new(reader.facts());
    let mut packed = Vec::new();
    let mut crowded = 4096;
    loop {
        let outcome = walk.step().and_then(|step| {
            let Some(step) = step else { return Ok(false) };
            let here = |error: Error| error.at(walk.path());
            links.step(walk.path(), &step, &mut report.problems);
            report.paths += 1;
            reader.xattrs(step.inode).map_err(here)?;
            if step.stat.kind == NodeKind::Symlink {
                reader.target(step.inode).map_err(here)?;
            }
            if step.stat.kind == NodeKind::File {
                content(reader, step.inode, step.stat.size_bytes, &mut packed).map_err(here)?;
            }
            Ok(true)
        });
        match outcome.map_err(blame) {
            Ok(true) => {}
            Ok(false) => break,
            Err(Ok(error)) => {
                // The account may have come to the fault before, and did not know the path.
                if !stopped.is_some_and(|stopped| is_same(stopped, &error)) {
                    report.problems.nowhere(error.to_string());
                }
            }
            Err(Err(error)) => return Err(error),
        }
        if packed.len() >= crowded {
            order(&mut packed);
            crowded = packed.len() * 2 + 4096;
        }
    }
    links.finish(reader, limits, &mut report.problems);
    order(&mut packed);
    Ok(packed)
}

/// Whether the second error is the first one with a path.
fn is_same(first: &Error, second: &Error) -> bool {
    second.to_string().ends_with(&first.to_string())
}

/// Looks at where a file's content is: all of it, and in order.
fn content(
    reader: &dyn Reader,
    file: InodeRef,
    size_bytes: u64,
    packed: &mut Vec<Packed>,
) -> Result<()> {
    let mut end_bytes = 0;
    reader.extents(file, &mut |extent| {
        if extent.file_offset_bytes != end_bytes {
            let message = format!(
                "its content goes on at byte {}: expected {end_bytes}",
                extent.file_offset_bytes
            );
            return Err(corrupt(message));
        }
        end_bytes = end_bytes.saturating_add(extent.length_bytes);
        if let Some(image_offset_bytes) = extent.image_offset_bytes
            && extent.stored_bytes != extent.length_bytes
        {
            let (stored_bytes, file_offset_bytes) = (extent.stored_bytes, extent.file_offset_bytes);
            packed.push(Packed { image_offset_bytes, stored_bytes, file, file_offset_bytes });
        }
        Ok(())
    })?;
    if end_bytes != size_bytes {
        let message = format!("its content has {end_bytes} bytes: expected {size_bytes}");
        return Err(corrupt(message));
    }
    Ok(())
}

fn order(packed: &mut Vec<Packed>) {
    packed.sort_by_key(|piece| (piece.image_offset_bytes, piece.stored_bytes));
    packed.dedup_by_key(|piece| (piece.image_offset_bytes, piece.stored_bytes));
}

/// Looks at how regions lie beside each other, and returns them without what two share.
fn settle(regions: &[Region], report: &mut Report) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    // What reaches furthest so far.
    let mut furthest: Option<(&Region, u64)> = None;
    for region in regions {
        let (start, title) = (region.offset_bytes, &region.title);
        let mut end = start.saturating_add(region.length_bytes);
        if end > report.size_bytes {
            let size = report.size_bytes;
            let message = format!("{title} ends at {end}, behind the end of the image, {size}");
            report.problems.at(start, message);
            end = report.size_bytes;
        }
        let (before, taken) = furthest.map_or((None, 0), |(region, end)| (Some(region), end));
        if let Some(before) = before.filter(|_| start < taken) {
            let is_shared =
                before.kind == RegionKind::Content && region.kind == RegionKind::Content;
            if !is_shared {
                report.problems.at(start, format!("{title} overlaps {}", before.title));
            }
        }
        let rest = start.max(taken)..end;
        if !rest.is_empty() {
            let bytes = rest.end - rest.start;
            match region.kind {
                RegionKind::Record => report.record_bytes += bytes,
                RegionKind::Content => report.content_bytes += bytes,
                RegionKind::Padding => {}
            }
            stretches.push(Stretch { start: rest.start, end, kind: region.kind });
        }
        if end.cmp(&taken) == Ordering::Greater {
            furthest = Some((region, end));
        }
    }
    stretches
}
