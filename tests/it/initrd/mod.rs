//! Credentials through the initrd: `via: initrd` and `--initrd`.

mod archive;
mod arguments;
mod fleet;
pub(crate) mod guests;
mod inherited;
mod look;
mod planner;
mod program;
