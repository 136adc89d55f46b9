//! What touches the host's files, memory and processes on behalf of everything else.

pub(crate) mod at_rest;
pub(crate) mod follow;
pub mod guard;
pub mod hardening;
pub(crate) mod holes;
pub(crate) mod identity;
pub mod input;
pub(crate) mod lease;
pub(crate) mod listing;
pub(crate) mod mappings;
pub mod memory;
pub(crate) mod open;
pub mod output;
pub mod panics;
pub(crate) mod places;
pub(crate) mod private;
pub mod random;
pub mod signals;
pub mod steady;
pub(crate) mod streams;
pub(crate) mod trust;
pub(crate) mod users;

/// Whether the program keeps its promises about the disk, other users and what is left in
/// memory: always, but in a build with `--cfg credimg_without_promises`, by which `make bench`
/// learns what they cost.
pub const KEEPS_PROMISES: bool = !cfg!(credimg_without_promises);
