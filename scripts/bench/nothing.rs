//! What it costs to start a Rust program at all.

fn main() {}
