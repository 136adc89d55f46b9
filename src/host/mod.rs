//! What touches the host's files, memory and processes on behalf of everything else.

pub mod guard;
pub(crate) mod private;
