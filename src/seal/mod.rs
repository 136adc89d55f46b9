//! A sealed blob for a share that the guest can write: the manifest's tree as a
//! tar stream ([`tar`]) inside an age file ([`age`]), which the guest opens with
//! the identity that its firmware carries ([`crate::keys::identity`]).
//!
//! Invariant: nothing here touches the host's files; what is written goes into a
//! [`Sink`](credimg_formats::Sink) and is never held whole.

pub mod age;
pub mod tar;
