//! What the targets that read images have in common: all that a reader tells of one.

#[path = "../../../formats/tests/it/readers/hostile/counted.rs"]
mod counted;

use std::ops::ControlFlow;

use credimg_formats::read::{
    Account, Limits, NodeKind, Order, Problem, Reader, Region, Step, Walk,
};
use credimg_formats::{ErrorKind, Result};

use counted::Counted;

/// What is read of an image that takes long: each path may be a file of the whole image.
const PATHS_MAX: usize = 4096;

/// What a reader may take of an image.
pub fn limits(size_bytes: u64) -> Limits {
    Limits { work_bytes: 16 << 20, ..Limits::for_image(size_bytes) }
}

/// Refuses an error that is not the image's.
pub fn expect(outcome: Result<()>) {
    if let Err(error) = outcome {
        let kinds = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::Limit, ErrorKind::Cost];
        assert!(kinds.contains(&error.kind()), "{error}");
    }
}

/// Reads all of an image, in every way that there is; `also` is asked at each path.
pub fn walk(
    reader: &dyn Reader,
    limits: Limits,
    also: &mut dyn FnMut(&Step) -> Result<()>,
) -> Result<()> {
    let mut walk = Walk::new(reader, limits, Order::Image);
    for _ in 0..PATHS_MAX {
        let Some(step) = walk.step()? else { break };
        let (inode, size_bytes) = (step.inode, step.stat.size_bytes);
        let xattrs = reader.xattrs(inode)?;
        assert!(xattrs.keys().all(|name| !name.contains(&0)));
        also(&step)?;
        match step.stat.kind {
            NodeKind::Symlink => {
                assert_eq!(reader.target(inode)?.len() as u64, size_bytes);
            }
            NodeKind::File => {
                let mut streamed = Counted(0);
                reader.stream(inode, &mut streamed)?;
                let mut told = 0;
                reader.extents(inode, &mut |extent| {
                    assert_eq!(extent.file_offset_bytes, told);
                    told += extent.length_bytes;
                    Ok(())
                })?;
                assert_eq!((streamed.0, told), (size_bytes, size_bytes));
                let mut end = [0; 64];
                let got = reader.read_at(inode, size_bytes.saturating_sub(32), &mut end)?;
                assert_eq!(got as u64, size_bytes.min(32));
            }
            NodeKind::Directory
            | NodeKind::CharDevice(_)
            | NodeKind::BlockDevice(_)
            | NodeKind::Fifo
            | NodeKind::Socket => {}
        }
    }
    Ok(())
}

/// Looks up the names of a directory.
pub fn look_up(reader: &dyn Reader, step: &Step) -> Result<()> {
    if step.stat.kind != NodeKind::Directory {
        return Ok(());
    }
    reader.entries(step.inode, &mut |entry| {
        // Of names that are not sorted not all are found.
        let found = reader.lookup(step.inode, entry.name)?;
        assert!(found.is_none() || !entry.name.is_empty());
        Ok(ControlFlow::Continue(()))
    })
}

/// Each region is within the image, and has fields without a gap where it has any.
pub struct Checked {
    pub size_bytes: u64,
}

impl Account for Checked {
    fn region(&mut self, region: Region) -> Result<()> {
        let end = region.offset_bytes.checked_add(region.length_bytes);
        assert!(end.is_some_and(|end| end <= self.size_bytes), "{}", region.title);
        assert!(region.length_bytes > 0, "{}", region.title);
        let fields: u64 = region.fields.iter().map(|field| field.length_bytes).sum();
        let is_whole = region.fields.is_empty() || fields == region.length_bytes;
        assert!(is_whole, "{}", region.title);
        Ok(())
    }

    fn problem(&mut self, problem: Problem) -> Result<()> {
        assert!(!problem.message.is_empty());
        Ok(())
    }
}
