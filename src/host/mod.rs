//! What touches the host's files, memory and processes on behalf of everything else.

pub(crate) mod at_rest;
pub(crate) mod follow;
pub mod guard;
pub(crate) mod holes;
pub(crate) mod identity;
pub(crate) mod lease;
pub(crate) mod listing;
pub(crate) mod mappings;
pub(crate) mod memory;
pub(crate) mod private;
pub(crate) mod streams;
pub(crate) mod trust;
