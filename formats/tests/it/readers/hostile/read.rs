//! Reads all that an image holds.

use std::sync::Arc;

use credimg_formats::read::{
    Account, Digests, Limits, NodeKind, Order, Problem, Reader, Region, Walk, dump, open, verify,
};
use credimg_formats::{Error, Result};

use super::counted::Counted;

/// What is wrong with an image, as its reader finds it first; none where nothing is. Only who
/// is thorough has it accounted for alone, and dumped.
pub(crate) fn outcome(image: Vec<u8>, is_thorough: bool) -> Option<String> {
    match read_all(&Arc::new(image), is_thorough) {
        Err(error) => Some(format!("{:?}: {error}", error.kind())),
        Ok(problem) => problem.map(|problem| match problem.offset_bytes {
            Some(offset) => format!("problem at {offset}: {}", problem.message),
            None => format!("problem: {}", problem.message),
        }),
    }
}

fn read_all(image: &Arc<Vec<u8>>, is_thorough: bool) -> Result<Option<Problem>> {
    let limits = Limits::for_image(image.len() as u64);
    let reader = open(Box::new(Arc::clone(image)), limits)?;
    walk(&*reader, limits)?;
    if is_thorough {
        reader.account(&mut Found::default())?;
    }
    let problems = verify(&*reader, image, limits)?.problems;
    if is_thorough {
        dump(&*reader, image, Digests::Shown, &mut Counted(0))?;
    }
    Ok(problems.kept.into_iter().next())
}

/// Goes through all paths, with all that the reader tells of each.
fn walk(reader: &dyn Reader, limits: Limits) -> Result<()> {
    let mut walk = Walk::new(reader, limits, Order::Path);
    while let Some(step) = walk.step()? {
        let inode = step.inode;
        let here = |error: Error| error.at(walk.path());
        reader.xattrs(inode).map_err(here)?;
        match step.stat.kind {
            NodeKind::Symlink => drop(reader.target(inode).map_err(here)?),
            NodeKind::File => {
                let mut counted = Counted(0);
                reader.stream(inode, &mut counted).map_err(here)?;
                assert_eq!(counted.0, step.stat.size_bytes, "the content has another length");
                reader.extents(inode, &mut |_| Ok(())).map_err(here)?;
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

/// Keeps the regions of an image, in which nothing is wrong.
#[derive(Default)]
pub(super) struct Found {
    pub(super) regions: Vec<Region>,
    pub(super) wants_regions: bool,
}

impl Account for Found {
    fn wants_text(&self) -> bool {
        self.wants_regions
    }

    fn region(&mut self, region: Region) -> Result<()> {
        assert!(region.length_bytes > 0, "{}: a region of nothing", region.title);
        let fields_bytes: u64 = region.fields.iter().map(|field| field.length_bytes).sum();
        let is_whole = region.fields.is_empty() || fields_bytes == region.length_bytes;
        assert!(is_whole, "{}: its fields are not all of it", region.title);
        if self.wants_regions {
            self.regions.push(region);
        }
        Ok(())
    }

    fn problem(&mut self, _problem: Problem) -> Result<()> {
        Ok(())
    }
}
