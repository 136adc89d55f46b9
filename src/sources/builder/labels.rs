//! Extended attributes that come from above: those of `defaults` for every inode, and those
//! of an entry for everything below it.
//!
//! Of two values for one attribute that of the entry wins over that of an archive, and both
//! over that of `defaults`. What Linux gives to no inode of a kind, such as `user.` to a
//! symbolic link, goes to the others alone.

use credimg_formats::xattrs::Holder;
use credimg_formats::{Kind, Xattrs};

use crate::manifest::Attributes;

/// Adds what every inode of this kind gets and does not have yet.
pub(super) fn add_defaults(defaults: &Attributes, kind: &Kind, xattrs: &mut Xattrs) {
    let holder = Holder::of(kind);
    for (name, value) in &defaults.xattrs {
        if holder.fault(name).is_none() && !xattrs.contains_key(name) {
            xattrs.insert(name.clone(), value.clone());
        }
    }
}

/// Adds what everything that an entry makes gets.
pub(super) fn add_recursive(entry: &Attributes, holder: Holder, xattrs: &mut Xattrs) {
    if entry.xattrs_recursive != Some(true) {
        return;
    }
    for (name, value) in &entry.xattrs {
        if holder.fault(name).is_none() {
            xattrs.insert(name.clone(), value.clone());
        }
    }
}
