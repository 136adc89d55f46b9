//! Reads all that an image holds.

use std::io;

use credimg_formats::read::{
    Account, Limits, NodeKind, Order, Problem, Reader, Region, Walk, open,
};
use credimg_formats::{Error, Result, Sink};

/// What is wrong with an image, as its reader finds it first; none where nothing is.
pub(crate) fn outcome(image: Vec<u8>) -> Option<String> {
    match read_all(image) {
        Err(error) => Some(told(&error)),
        Ok(problem) => problem.map(|problem| match problem.offset_bytes {
            Some(offset) => format!("problem at {offset}: {}", problem.message),
            None => format!("problem: {}", problem.message),
        }),
    }
}

fn told(error: &Error) -> String {
    format!("{:?}: {error}", error.kind())
}

fn read_all(image: Vec<u8>) -> Result<Option<Problem>> {
    let limits = Limits::for_image(image.len() as u64);
    let reader = open(Box::new(image), limits)?;
    walk(&*reader, limits)?;
    let mut first = First(None);
    reader.account(&mut first)?;
    Ok(first.0)
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

/// Counts what it takes. Holes cost nothing, however long they are.
struct Counted(u64);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Counted {
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.0 += length_bytes;
        Ok(())
    }
}

/// Keeps the first problem alone.
struct First(Option<Problem>);

impl Account for First {
    fn region(&mut self, _region: Region) -> Result<()> {
        Ok(())
    }

    fn problem(&mut self, problem: Problem) -> Result<()> {
        self.0.get_or_insert(problem);
        Ok(())
    }
}

/// Keeps the regions of an image, in which nothing is wrong.
#[derive(Default)]
pub(super) struct Found {
    pub(super) regions: Vec<Region>,
}

impl Account for Found {
    fn region(&mut self, region: Region) -> Result<()> {
        self.regions.push(region);
        Ok(())
    }

    fn problem(&mut self, _problem: Problem) -> Result<()> {
        Ok(())
    }
}
