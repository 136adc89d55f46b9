//! What a command is to make, decided once: from the manifest, what the command line wishes
//! and where it goes, to plain values and the image itself.

pub(crate) mod access;
pub(crate) mod attach;
pub(crate) mod beside;
pub(crate) mod blocks;
pub(crate) mod dependencies;
pub mod depfile;
pub(crate) mod encryption;
pub(crate) mod existing;
pub(crate) mod expected;
pub(crate) mod image;
pub(crate) mod links;
pub(crate) mod loss;
pub(crate) mod news;
pub(crate) mod progress;
pub(crate) mod reach;
pub(crate) mod read_back;
pub(crate) mod reports;
pub(crate) mod request;
pub(crate) mod seed;
pub(crate) mod settings;
pub(crate) mod summary;
pub(crate) mod trusted;
pub(crate) mod user_data;
pub(crate) mod xattrs;
