//! Credentials through the initrd: `via: initrd` and `--initrd`.

mod arguments;
mod planner;
