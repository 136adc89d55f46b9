//! What all commands that look into an image take.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// An image, and what opens it.
#[derive(Args, Debug)]
pub struct Look {
    /// The image, a file
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub image: PathBuf,
    /// Look into an encrypted image with the key in FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// Derive keys whatever the image's header asks for: more than 32 million hashes of PBKDF2,
    /// 1 GiB of memory or 16 GiB that Argon2 fills are refused without it
    #[arg(long, requires = "key_file")]
    pub allow_cost: bool,
}
