//! Credentials through the initrd: `via: initrd` and `--initrd`.

mod archive;
mod arguments;
mod fleet;
mod guests;
mod inherited;
mod look;
mod planner;
mod program;
