//! Fleets: one manifest, many machines.

mod canaries;
mod equal;
mod isolation;
mod kills;
mod oracle;
mod runs;
