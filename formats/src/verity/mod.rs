//! dm-verity behind any image: a hash tree by which Linux tells every changed byte, as it reads.
//!
//! Behind the image, in the same file, come a superblock and the tree, both byte for byte those of
//! `veritysetup format`. The one hash at the tree's top, the root hash, stands for all that is in
//! the image: a guest that is told it reads the image as it was written, or gets an error. The
//! tree hides nothing. The root hash is public by its nature, but who has it and the salt, which
//! stands in the superblock, can find out whether a guess of all that the image holds is right.
//!
//! A [`Writer`] hashes what passes, so an image is written and sealed in one pass.
//!
//! ```
//! use credimg_formats::verity::{self, Data, Options, Writer};
//! use credimg_formats::{Metadata, Tree, erofs, read};
//!
//! let tree = Tree::new(Metadata::default());
//! let plan = erofs::Plan::new(&tree, erofs::Options::new())?;
//! let options = Options { salt: vec![7; 32], uuid: [9; 16], ..Options::default() };
//! let mut image = Vec::new();
//! let mut writer = Writer::new(&options, &mut image)?;
//! plan.write(&mut writer)?;
//! let sealed = writer.finish()?;
//! assert_eq!(sealed.size_bytes, image.len() as u64);
//!
//! let found = verity::find(&image)?.expect("there is a tree");
//! assert!(verity::verify(&image, &found, &sealed.root_hash)?.is_empty());
//! let data = Data::new(image, &found);
//! let limits = read::Limits::for_image(found.data_bytes);
//! assert!(read::open(Box::new(data), limits).is_ok());
//! # Ok::<(), credimg_formats::Error>(())
//! ```

mod account;
mod data;
mod find;
pub mod format;
mod hash;
mod layout;
mod options;
mod tree;
mod verify;
mod write;

pub use account::account;
pub use data::Data;
pub use find::{Found, find};
pub use options::{Algorithm, Options};
pub use verify::{root_hash, verify};
pub use write::{Sealed, Writer};
