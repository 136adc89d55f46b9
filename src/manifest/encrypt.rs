//! What `encrypt` means.

use std::path::Path;

use credimg_formats::luks::Version;

use super::error::Fault;
use super::resolve::{checked, optional};
use super::resolved::{Encrypt, KeySource};
use super::{schema, values};
use crate::report::Problems;

/// What stands in place of a key's file where a key is to be made.
pub(super) const GENERATE: &str = "generate";

/// What is typed, checked; none where the version is missing or unknown.
pub(super) fn resolve(
    typed: &schema::Encrypt,
    directory: &Path,
    problems: &mut Problems,
) -> Option<Encrypt> {
    let luks = problems.keep(checked(&typed.luks, version));
    let key = |text: &str| match text {
        GENERATE => Ok(KeySource::Generate),
        text => values::host_path(text, directory).map(KeySource::File),
    };
    let key = optional(typed.key.as_ref(), key, problems);
    let sector_bytes = optional(typed.sector_size.as_ref(), sector_bytes, problems);
    let sector_at = typed.sector_size.as_ref().map(|typed| typed.at.clone());
    if let (Some(Version::Luks1), Some(typed)) = (luks, &typed.sector_size) {
        problems.note(Fault::new("only for `luks: 2`: LUKS1 has sectors of 512").at(&typed.at));
    }
    let sector_bytes = sector_bytes.zip(sector_at);
    Some(Encrypt { luks: luks?, key, sector_bytes, position: typed.at.clone() })
}

fn version(text: &str) -> Result<Version, Fault> {
    match text {
        "1" => Ok(Version::Luks1),
        "2" => Ok(Version::Luks2),
        _ => {
            Err(Fault::new("expected 1 or 2")
                .hint("QEMU opens LUKS1, the guest's kernel opens LUKS2"))
        }
    }
}

fn sector_bytes(text: &str) -> Result<usize, Fault> {
    match text {
        "512" => Ok(512),
        "4096" => Ok(4096),
        _ => Err(Fault::new("expected 512 or 4096")),
    }
}
