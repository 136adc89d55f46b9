//! Fleets: one manifest, many machines.

mod oracle;
