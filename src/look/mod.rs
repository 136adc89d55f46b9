//! Images that exist: opened, and told of.

pub(crate) mod contents;
pub(crate) mod differences;
pub(crate) mod file_start;
pub(crate) mod initrd;
pub(crate) mod inside;
pub(crate) mod opened;
pub(crate) mod records;
pub(crate) mod serial;
pub(crate) mod tally;
