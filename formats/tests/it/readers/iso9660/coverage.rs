//! What a reader accounts for: every byte of the image, once.

use credimg_formats::read::{Reader, Region, RegionKind};

use crate::readers::told::Told;

/// Says what is wrong with an image, or with what is told of it; empty for a sound one.
pub(crate) fn faults(reader: &dyn Reader, image: &[u8]) -> Vec<String> {
    let mut told = Told::default();
    if let Err(error) = reader.account(&mut told) {
        return vec![error.to_string()];
    }
    let mut faults: Vec<String> = told
        .problems
        .iter()
        .map(|problem| format!("problem at {:?}: {}", problem.offset_bytes, problem.message))
        .collect();
    told.regions.sort_by_key(|region| (region.offset_bytes, region.length_bytes));
    let mut end = 0;
    for region in &told.regions {
        let Region { offset_bytes, length_bytes, title, .. } = region;
        if *offset_bytes != end {
            faults.push(format!("{title}: expected at byte {end}, is at {offset_bytes}"));
        }
        end = offset_bytes + length_bytes;
        if *length_bytes == 0 || title.is_empty() {
            faults.push(format!("{title}: is empty at byte {offset_bytes}"));
        }
        let fields: u64 = region.fields.iter().map(|field| field.length_bytes).sum();
        if !region.fields.is_empty() && fields != *length_bytes {
            faults.push(format!("{title}: fields of {fields} bytes, not {length_bytes}"));
        }
        let bytes = &image[*offset_bytes as usize..end as usize];
        if region.kind == RegionKind::Padding && bytes.iter().any(|byte| *byte != 0) {
            faults.push(format!("{title}: is not zero"));
        }
    }
    if end != image.len() as u64 {
        faults.push(format!("byte {end} to {} is told by nobody", image.len()));
    }
    faults
}
