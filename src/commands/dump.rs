//! `credimg dump`: an image byte by byte, without what its files hold.

use std::io::Write;

use clap::Args;
use credimg_formats::read::{Digests, Problems, dump, dump_volume};
use credimg_formats::{Error, Result as Read};

use super::options::Look;
use crate::host::output::Stdout;
use crate::host::random;
use crate::look::contents::{self, Contents};
use crate::look::opened::{Opened, Outside};
use crate::report::{Exit, Failure, shown};

#[derive(Args, Debug)]
#[command(after_help = "\
Every byte of the image stands in exactly one line: a field of a record with its value, padding, or
content, of which the length and the SHA-256 alone are shown. Names of files are shown. Of an
encrypted image the header is listed, and with --key-file what is inside as well.

Examples:
  credimg dump chimera.erofs
  credimg dump chimera.erofs --key-file chimera.key | less")]
pub struct Dump {
    /// The image.
    #[command(flatten)]
    pub look: Look,
    /// Tell content by its length alone: who has the digest of a short secret finds it out by
    /// trying
    #[arg(long)]
    pub no_digests: bool,
}

pub(super) fn run(options: &Dump) -> Result<(), Failure> {
    random::seed_tables()?;
    let digests = if options.no_digests { Digests::Hidden } else { Digests::Shown };
    let look = &options.look;
    let opened = Opened::new(&look.image)?;
    let mut stdout = Stdout::open()?;
    let mut is_valid = true;
    let outside = opened.outside()?;
    if let Some(Outside { storage, .. }) = &outside {
        let told = dump_volume(storage, digests, &mut stdout);
        let failure = |error| contents::failure(&shown(&look.image), None, &error);
        is_valid &= told.map_err(failure)?.is_empty();
    }
    if outside.is_none() || look.key_file.is_some() {
        let key_file = look.key_file.as_deref();
        let contents = Contents::of(opened, &look.image, key_file, look.allow_cost)?;
        if outside.is_some() {
            let heading = "\n# inside the encryption, from its first byte on\n";
            stdout.write_all(heading.as_bytes()).map_err(|error| stdout.failure(error))?;
        }
        let told = inside(&contents, digests, &mut stdout);
        is_valid &= told.map_err(|error| contents.failure(&error))?.is_empty();
    }
    stdout.finish()?;
    if is_valid {
        return Ok(());
    }
    let message =
        format!("{} is not valid: the listing ends with what is wrong", shown(&look.image));
    Err(Failure::new(Exit::Image, message))
}

fn inside(contents: &Contents, digests: Digests, to: &mut Stdout) -> Read<Problems, Error> {
    dump(&*contents.reader, &contents.storage, digests, to)
}
