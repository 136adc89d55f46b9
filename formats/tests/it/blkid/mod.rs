//! Images judged by blkid, which makes the guest's links by label: whatever stands in an
//! image, it is of its own format and of no other. A missing tool fails the test; `make
//! setup` installs them.

mod content;
mod counts;
mod fields;
pub(crate) mod judge;
