//! ISO 9660 (ECMA-119) level 3 with Rock Ridge 1.12, and Joliet on request.
//!
//! Rock Ridge carries names, modes, owners, times, links and device numbers as they
//! are; the identifiers beside it are only for readers that do not know it. Directories
//! may be nested deeper than the eight levels of ECMA-119, as every reader of Rock
//! Ridge can follow them; none is moved elsewhere.
//!
//! The image is written front to back: descriptors, path tables, directories, each
//! with what continues its records, then the content of the files.

mod directory;
mod emit;
pub mod format;
mod identifier;
mod loss;
mod plan;
mod system_use;
mod time;
mod write;

pub(crate) use identifier::identifiers;
pub use loss::{Loss, Lost, losses};
pub use plan::{Options, Plan, VolumeId};
