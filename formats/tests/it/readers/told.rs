//! What a reader tells of an image, kept.

use credimg_formats::Result;
use credimg_formats::read::{Account, Problem, Region};

/// All that is told of an image.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) regions: Vec<Region>,
    pub(crate) problems: Vec<Problem>,
}

impl Account for Told {
    fn region(&mut self, region: Region) -> Result<()> {
        self.regions.push(region);
        Ok(())
    }

    fn problem(&mut self, problem: Problem) -> Result<()> {
        self.problems.push(problem);
        Ok(())
    }
}
