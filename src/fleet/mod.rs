//! Fleets: one manifest for many machines, and who of them gets what.

#[allow(dead_code, reason = "it is for `fleet build`")]
pub(crate) mod equal;
pub(crate) mod isolation;
pub mod matrix;
pub(crate) mod one;
