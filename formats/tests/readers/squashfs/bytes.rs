//! Every byte of an image is accounted for, once.

use credimg_formats::Result;
use credimg_formats::read::{Account, Problem, Reader as _, Region, RegionKind};

use super::open;

#[derive(Default)]
struct Told {
    regions: Vec<Region>,
    problems: Vec<Problem>,
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

/// Refuses what the reader tells of an image where something is wrong with it, or a byte is in no
/// region or in two, but for content that files share. Returns how many regions there are.
pub(crate) fn check(what: &str, image: &[u8]) -> usize {
    let mut told = Told::default();
    open(image.to_vec()).account(&mut told).unwrap();
    assert_eq!(told.problems, [], "{what}");
    told.regions.sort_by_key(|region| (region.offset_bytes, region.length_bytes));
    told.regions.dedup_by_key(|region| {
        let is_content = region.kind == RegionKind::Content;
        is_content
            .then_some((region.offset_bytes, region.length_bytes))
            .ok_or((region.offset_bytes, region.title.clone()))
    });
    let mut end = 0;
    for region in &told.regions {
        let (start, title) = (region.offset_bytes, &region.title);
        assert_eq!(start, end, "{what}: {title} begins elsewhere than the region before it ends");
        end = start + region.length_bytes;
        let fields: u64 = region.fields.iter().map(|field| field.length_bytes).sum();
        match region.kind {
            RegionKind::Record => assert_eq!(fields, region.length_bytes, "{what}: {title}"),
            RegionKind::Content => assert_eq!(fields, 0, "{what}: {title}"),
            RegionKind::Padding => {
                let padding = &image[start as usize..end as usize];
                assert!(padding.iter().all(|byte| *byte == 0), "{what}: {title}");
            }
        }
    }
    assert_eq!(end, image.len() as u64, "{what}: the image ends elsewhere");
    told.regions.len()
}
