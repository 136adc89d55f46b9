//! Fleets: one manifest for many machines, and who of them gets what.

pub mod matrix;
