//! The readers: what they see of images is what the reference tools and Linux see, and what
//! is broken ends in an error.

pub(crate) mod blind;
pub(crate) mod differences;
pub(crate) mod erofs;
pub(crate) mod flips;
pub(crate) mod goldens;
pub(crate) mod hostile;
pub(crate) mod iso9660;
pub(crate) mod listing;
pub(crate) mod repack;
pub(crate) mod squashfs;
pub(crate) mod told;
pub(crate) mod valid;
pub(crate) mod whole;
