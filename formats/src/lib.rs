//! Userspace writers for read-only file system images: EROFS, SquashFS and ISO 9660, each
//! with LUKS around it or not. No root, no external tool, no unsafe code.
//!
//! A [`Tree`] of files is turned into a plan of one format, which says at once what the
//! format cannot hold. Only a plan can be written, and that fails only on I/O or on a
//! source that changed. The plans have one trait in common, [`Image`].
//!
//! ```
//! use credimg_formats::{Image, Kind, Metadata, Mode, Tree, erofs, probe};
//!
//! let directory = Metadata { mode: Mode::of::<0o500>(), ..Metadata::default() };
//! let file = Metadata { mode: Mode::of::<0o400>(), ..Metadata::default() };
//! let mut tree = Tree::new(directory.clone());
//! tree.insert_at("/api/token", file, Kind::file("hunter2"), &directory)?;
//! let options = erofs::Options::new().label("SECRETS".parse()?);
//! let plan: Box<dyn Image> = Box::new(erofs::Plan::new(&tree, options)?);
//!
//! let mut image = Vec::new();
//! plan.write(&mut image)?;
//! let found = probe::probe(&mut image.as_slice())?;
//! assert!(matches!(found, probe::Probe::Erofs { label, .. } if label == b"SECRETS"));
//! # Ok::<(), credimg_formats::Error>(())
//! ```
//!
//! # What each format holds
//!
//! | | [EROFS](erofs) | [SquashFS](squashfs) | [ISO 9660](iso9660) with Rock Ridge |
//! | --- | --- | --- | --- |
//! | read by Linux | from 5.4 on, where it is built in | everywhere | everywhere |
//! | label | 15 bytes | none | 32 bytes, 16 with Joliet |
//! | UUID | yes | none | none; blkid shows the time |
//! | times | nanoseconds, any year | seconds, 1970 to 2106 | seconds, 1900 to 2155; Linux reads 1901 to 2038 |
//! | owners | any | any, 65,535 different ones | any |
//! | names | 255 bytes | 255 bytes | 255 bytes; Linux reads 253 |
//! | extended attributes | `user.`, `trusted.`, `security.`, access lists | `user.`, `trusted.`, `security.` | none |
//! | compressed | no | gzip, lz4, xz, zstd, or not | no |
//! | equal files | share their whole blocks | are stored once | are stored twice |
//! | is written | front to back | first bytes last | front to back |
//! | size | known beforehand | known at the end | known beforehand |
//!
//! Links, devices, pipes and sockets are held by all, hard links included. What cannot be
//! held is an error of its kind with its path, unless the options say that it may be lost.
//!
//! # Where an image goes
//!
//! Any [`Sink`]: a `Vec<u8>`, a [`File`](std::fs::File) in a
//! [`BufWriter`](std::io::BufWriter), a [`Cursor`](std::io::Cursor), and with
//! [`ForwardOnly`] a pipe. It begins where the sink stands: what lies before stays. Nothing is
//! flushed; a `BufWriter` is, by whoever made it.
//! [`luks::Plan`] writes any image as an encrypted volume; [`verity::Writer`] writes a hash tree
//! behind any of them, by which Linux tells every changed byte.
//!
//! # Features
//!
//! A format each: `erofs`, `iso9660`, `luks`, `squashfs`; and a compressor each: `gzip`,
//! `lz4`, `xz`, `zstd`, which bring `squashfs` along; and `verity`, which brings all formats along.
//! All are on by default. [`probe`], which tells formats apart, is there with all four formats.
//!
//! # Secrets
//!
//! [`Secret`] and [`Buffer`] are wiped when they are dropped and never shown by `Debug`. No
//! error holds content.
//!
//! Invariant: this crate knows no clock, no random source, no environment and no host path.
//! The same tree and options give the same bytes; what is random of LUKS is given by the
//! caller.

#![cfg_attr(
    not(all(feature = "erofs", feature = "iso9660", feature = "luks", feature = "squashfs")),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "what formats share that are left out"
    )
)]

#[cfg(any(feature = "erofs", feature = "iso9660", feature = "luks", feature = "squashfs"))]
pub mod ahead;
mod calendar;
pub mod chunked;
#[cfg(any(feature = "erofs", feature = "squashfs"))]
mod compress;
pub mod content;
#[cfg(any(feature = "erofs", feature = "squashfs"))]
mod duplicates;
#[cfg(feature = "erofs")]
pub mod erofs;
pub mod error;
#[cfg(feature = "iso9660")]
#[doc(hidden)]
pub mod fuzzing;
mod hex;
mod image;
#[cfg(feature = "iso9660")]
pub mod iso9660;
#[cfg(feature = "luks")]
pub mod luks;
#[cfg(all(feature = "erofs", feature = "iso9660", feature = "luks", feature = "squashfs"))]
pub mod probe;
pub mod read;
#[cfg(any(feature = "erofs", feature = "iso9660", feature = "squashfs"))]
mod read_ahead;
pub mod signature;
mod sinks;
#[cfg(feature = "squashfs")]
pub mod squashfs;
pub mod tree;
mod uuid;
#[cfg(feature = "verity")]
pub mod verity;
#[cfg(any(feature = "erofs", feature = "iso9660", feature = "luks", feature = "squashfs"))]
mod wipe;
pub mod xattrs;
#[cfg(any(feature = "erofs", feature = "squashfs", feature = "verity"))]
mod zeros;

pub use calendar::DateTime;
pub use content::{Buffer, Content, Secret, Sink, Source};
pub use error::{Error, ErrorKind, Result};
pub use hex::{hex_bytes, hex_text};
#[cfg(any(feature = "erofs", feature = "iso9660", feature = "squashfs"))]
pub use image::Spec;
pub use image::{Format, Image, Profile};
pub use sinks::ForwardOnly;
pub use tree::{
    Device, Entries, Inode, InodeId, Kind, Metadata, Mode, Name, Timestamp, Tree, Xattrs,
};
pub use uuid::{uuid_bytes, uuid_text};
#[cfg(any(feature = "erofs", feature = "iso9660", feature = "luks", feature = "squashfs"))]
pub use wipe::{without_traces, without_traces_below};
