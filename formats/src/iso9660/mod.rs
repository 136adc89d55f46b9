//! ISO 9660 (ECMA-119) level 3 with Rock Ridge 1.12, and Joliet on request.
//!
//! Rock Ridge carries names, modes, owners, times, links and device numbers as they
//! are; the identifiers beside it are only for readers that do not know it. Directories
//! may be nested deeper than the eight levels of ECMA-119, as every reader of Rock
//! Ridge can follow them; none is moved elsewhere.
//!
//! The image is written front to back: descriptors, path tables, directories, each
//! with what continues its records, then the content of the files.
//!
//! ```
//! use credimg_formats::{ForwardOnly, Kind, Metadata, Mode, Tree, iso9660};
//!
//! let file = Metadata { mode: Mode::of::<0o400>(), ..Metadata::default() };
//! let mut tree = Tree::new(Metadata { mode: Mode::of::<0o755>(), ..Metadata::default() });
//! tree.insert_at("user-data", file.clone(), Kind::file("#cloud-config\n"), &file)?;
//! tree.insert_at("meta-data", file.clone(), Kind::file("{}\n"), &file)?;
//! let options = iso9660::Options::new().volume_id("cidata".parse()?);
//! let plan = iso9660::Plan::new(&tree, options)?;
//! // Standard output, a pipe or a socket would do as well.
//! let mut pipe = ForwardOnly::new(std::io::sink());
//! assert_eq!(plan.write(&mut pipe)?, plan.size_bytes());
//! # Ok::<(), credimg_formats::Error>(())
//! ```

mod directory;
mod emit;
pub mod format;
mod identifier;
mod keys;
mod loss;
mod plan;
mod read;
mod system_use;
mod time;
mod write;

pub(crate) use identifier::identifiers;
pub use loss::{Loss, Lost, losses};
pub use plan::{Options, Plan, VolumeId};
pub use read::{Hierarchy, Reader};
