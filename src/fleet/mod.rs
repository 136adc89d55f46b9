//! Fleets: one manifest for many machines, and who of them gets what.

mod batch;
pub(crate) mod equal;
pub(crate) mod isolation;
pub mod matrix;
pub(crate) mod one;
mod progress;
pub(crate) mod report;
pub(crate) mod run;
