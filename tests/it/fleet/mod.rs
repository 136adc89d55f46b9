//! Fleets: one manifest, many machines.

mod canaries;
mod equal;
mod isolation;
mod oracle;
mod runs;
