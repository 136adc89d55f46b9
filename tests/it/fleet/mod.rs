//! Fleets: one manifest, many machines.

mod isolation;
mod oracle;
mod runs;
