//! Extended attributes that a directory has and everything below it lacks.

use crate::manifest::{Entry, Manifest};

/// A warning for each entry whose attributes may have been meant for everything below.
pub(crate) fn warnings(manifest: &Manifest) -> Vec<String> {
    let is_alone = |entry: &&Entry| {
        let attributes = &entry.attributes;
        let is_tree = entry.source.makes().is_tree();
        is_tree && !attributes.xattrs.is_empty() && attributes.xattrs_recursive.is_none()
    };
    let warning = |entry: &Entry| {
        format!(
            "{} ({}): its xattrs are the directory's own, and nothing below it has them: \
             `xattrs_recursive: true` gives them to everything, `false` says that this is meant",
            entry.position.key_path, entry.path
        )
    };
    manifest.entries.iter().filter(is_alone).map(warning).collect()
}
