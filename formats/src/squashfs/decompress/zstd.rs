//! zstd.

use super::{Fault, Unpacker};
use crate::error::{Error, ErrorKind, Result};

/// `ZSTD_error_dstSize_tooSmall`: the library has its errors as negative lengths.
const TOO_SMALL: usize = 70_usize.wrapping_neg();

pub(super) struct Zstd(zstd_safe::DCtx<'static>);

impl Zstd {
    pub(super) fn create() -> Result<Box<dyn Unpacker>> {
        match zstd_safe::DCtx::try_create() {
            Some(context) => Ok(Box::new(Self(context))),
            None => Err(Error::new(ErrorKind::Cost, "there is no memory to unpack zstd")),
        }
    }
}

impl Unpacker for Zstd {
    fn unpack(&mut self, stored: &[u8], output: &mut [u8]) -> Result<usize, Fault> {
        if stored.is_empty() {
            return Err(Fault::Broken);
        }
        self.0.decompress(output, stored).map_err(|code| match code {
            TOO_SMALL => Fault::TooLong,
            _ => Fault::Broken,
        })
    }
}
