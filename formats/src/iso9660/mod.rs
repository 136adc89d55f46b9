//! ISO 9660 (ECMA-119) level 3 with Rock Ridge 1.12, and Joliet on request.

mod plan;

pub use plan::{Loss, Lost, Options, Plan, VolumeId};
