//! One bit of an image is another one, at random: `verify` finds it wherever it lies in a
//! record, a checksum or padding, unless the field may hold any value. Then nothing can tell
//! without the original, and `diff` against that shows it; or, where the value means nothing to
//! any reader, only the two dumps do.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use credimg_formats::read::{Comparison, Limits, diff};

use crate::readers::repack::{FORMATS, common_shape, erofs_shape, write};
use crate::readers::whole::{class, dumped, lines, read, verified};
use crate::support::generator::{Random, generate};

/// How a flip is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Found {
    /// Opening the image, or verifying it.
    Verify,
    /// Comparing it with the original.
    Diff,
    /// Comparing the dumps.
    Dump,
}

/// Of each format: the fields that may hold any value, and those whose value means nothing to
/// any reader, or nothing in some records.
type Fields = (&'static [&'static str], &'static [&'static str]);

/// What is written in them shows: names, targets, modes, owners, times. Of lengths and numbers
/// some flips move what belongs to a name to a value, or lead to another owner.
const EROFS: Fields = (
    &[
        "content",
        "e_name",
        "e_name_index",
        "e_name_len",
        "e_value_size",
        "i_gid",
        "i_mode",
        "i_mtime",
        "i_mtime_nsec",
        "i_u",
        "i_uid",
        "name",
        "nameoff",
        // The byte behind the last name of a block is one more of the name.
        "padding",
    ],
    // What has no content has no layout of it; zeros behind attributes are room for more, which
    // mkfs.erofs leaves in the root.
    &["i_format", "i_xattr_icount"],
);

const SQUASHFS: Fields = (
    &["content", "file_size", "guid", "id", "mode", "mtime", "name", "rdev", "symlink", "uid"],
    // The image's own time; where blocks or a fragment would be of what has none; flags that say
    // how a table is packed that says so itself; the parent of a directory, which Linux reads
    // only for NFS.
    &["flags", "mkfs_time", "offset", "parent_inode", "start_block"],
);

const ISO9660: Fields = (
    &[
        "NM flags",
        "NM name",
        "NM signature",
        "SL component",
        "SL component flags",
        "SL component length",
        "SL signature",
        "TF modification time",
        "content",
        "flags",
    ],
    // The system area and what an application may use; texts about the volume; identifiers and
    // times that Rock Ridge has others for; fields of a signature that nobody knows, which are
    // passed over (SUSP 4.1), whatever they were before.
    &[
        "ER descriptor",
        "ER descriptor length",
        "ER identifier",
        "ER identifier length",
        "ER signature",
        "ER source",
        "ER source length",
        "ER version",
        "NM flags",
        "NM signature",
        "PX signature",
        "SL component flags",
        "TF modification time",
        "TF signature",
        "abstract file identifier",
        "application identifier",
        "application use",
        "bibliographic file identifier",
        "copyright file identifier",
        "creation time",
        "data preparer identifier",
        "extended attribute length",
        "flags",
        "identifier",
        "identifier length",
        "length",
        "modification time",
        "publisher identifier",
        "root identifier",
        "system area",
        "system identifier",
        "time",
        "version",
        "volume flags",
        "volume identifier",
        "volume set identifier",
    ],
);

/// Flips bits of the images of these seeds, and returns how many were found how.
pub(crate) fn flip(format: &str, seeds: Range<u64>, flips: u64) -> BTreeMap<Found, u64> {
    let shape = if format == "erofs" { erofs_shape() } else { common_shape() };
    let (free, meaningless) = match format {
        "erofs" => EROFS,
        "squashfs" => SQUASHFS,
        _ => ISO9660,
    };
    let (mut counts, mut faults) = (BTreeMap::new(), BTreeMap::<_, u64>::new());
    for seed in seeds {
        let (tree, _) = generate(seed, shape);
        let image = Arc::new(write(format, &tree));
        let text = dumped(&image);
        let lines = lines(&text);
        let mut random = Random::new(seed);
        for _ in 0..flips {
            // Each class as often as the others, however many bytes it has.
            let wanted = random.pick(&["content", "field", "field", "padding"]);
            let of_class: Vec<_> = lines.iter().filter(|line| class(line.1) == wanted).collect();
            if of_class.is_empty() {
                continue;
            }
            let (range, what) = of_class[random.below(of_class.len() as u64) as usize];
            let at = range.start + random.below(range.len() as u64) as usize;
            let mut flipped = image.to_vec();
            flipped[at] ^= 1 << random.below(8);
            let found = found(&image, &Arc::new(flipped));
            *counts.entry(found).or_default() += 1;
            let name = name(format, range.start, what);
            let is_expected = match found {
                Found::Verify => true,
                Found::Diff => free.contains(&name),
                Found::Dump => meaningless.contains(&name),
            };
            if !is_expected {
                *faults.entry(format!("{name}: {found:?}")).or_default() += 1;
            }
        }
    }
    assert!(faults.is_empty(), "{format}: {faults:?}");
    counts
}

/// What a line is about: the field, or the class of what is none.
fn name<'l>(format: &str, start: usize, what: &'l str) -> &'l str {
    if format == "iso9660" && start == 0 {
        return "system area";
    }
    let field = what.split(':').next().unwrap_or_default();
    match class(what) {
        "content" if field != "application use" => "content",
        "padding" => "padding",
        _ => field,
    }
}

fn found(original: &Arc<Vec<u8>>, flipped: &Arc<Vec<u8>>) -> Found {
    match verified(flipped) {
        Ok(report) if report.problems.is_empty() => {}
        Ok(_) | Err(_) => return Found::Verify,
    }
    let (old, new) = (read(original).unwrap(), read(flipped).unwrap());
    let limits = Limits::for_image(original.len() as u64);
    let (old, new) = ((&*old, limits), (&*new, limits));
    match diff(old, new, &Comparison::new(), &mut |_| Ok(())) {
        Ok(0) => Found::Dump,
        Ok(_) | Err(_) => Found::Diff,
    }
}

/// Of each format how many are found by `verify`, by `diff` and by comparing dumps.
pub(crate) fn counts(seeds: &Range<u64>, flips: u64) -> [[u64; 3]; 3] {
    FORMATS.map(|format| {
        let counts = flip(format, seeds.clone(), flips);
        let found = [Found::Verify, Found::Diff, Found::Dump];
        found.map(|found| counts.get(&found).copied().unwrap_or_default())
    })
}

#[test]
fn a_flipped_bit_is_found_unless_the_field_may_hold_any_value() {
    assert_eq!(counts(&(0..4), 30), [[75, 45, 0], [76, 29, 7], [89, 19, 12]]);
}
