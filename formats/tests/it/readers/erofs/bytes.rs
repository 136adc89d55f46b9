//! Every byte of an image is accounted for, once.

use credimg_formats::read::{Reader as _, RegionKind};

use crate::readers::erofs::open;
use crate::readers::told::Told;

/// Refuses what a reader tells of an image where something is wrong with it, a byte is in two
/// regions, or one that is not zero in none or in padding. Returns how many regions there are.
pub(crate) fn check(what: &str, image: &[u8]) -> usize {
    let mut told = Told::default();
    open(image.to_vec()).account(&mut told).unwrap();
    assert_eq!(told.problems, [], "{what}");
    told.regions.sort_by_key(|region| region.offset_bytes);
    let mut end = 0;
    let is_zero =
        |start: u64, end: u64| image[start as usize..end as usize].iter().all(|byte| *byte == 0);
    for region in &told.regions {
        let (start, title) = (region.offset_bytes, &region.title);
        assert!(start >= end, "{what}: {title} begins at {start}, before {end}");
        assert!(is_zero(end, start), "{what}: not zero: before {title} from {end} to {start}");
        end = start + region.length_bytes;
        let fields: u64 = region.fields.iter().map(|field| field.length_bytes).sum();
        match region.kind {
            RegionKind::Record => assert_eq!(fields, region.length_bytes, "{what}: {title}"),
            RegionKind::Content => assert_eq!(fields, 0, "{what}: {title}"),
            RegionKind::Padding => {
                assert!(is_zero(start, end), "{what}: not zero: padding from {start} to {end}");
            }
        }
        assert!(end <= image.len() as u64, "{what}: {title} ends behind the image");
    }
    assert!(is_zero(end, image.len() as u64), "{what}: not zero: from {end} on");
    told.regions.len()
}
