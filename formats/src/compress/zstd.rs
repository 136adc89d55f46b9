//! zstd.

use super::{Fault, Pack, Unpack};
use crate::error::{Error, ErrorKind, Result};

/// `ZSTD_error_dstSize_tooSmall`: the library has its errors as negative lengths.
const TOO_SMALL: usize = 70_usize.wrapping_neg();

pub(super) struct Packer(Option<zstd_safe::CCtx<'static>>);

impl Packer {
    pub(super) fn new(level: u8) -> Self {
        let context = zstd_safe::CCtx::try_create().and_then(|mut context| {
            let level = zstd_safe::CParameter::CompressionLevel(i32::from(level));
            context.set_parameter(level).is_ok().then_some(context)
        });
        Self(context)
    }
}

impl Pack for Packer {
    fn pack(&mut self, block: &[u8], output: &mut Vec<u8>) -> bool {
        output.reserve(block.len());
        self.0.as_mut().is_some_and(|context| context.compress2(output, block).is_ok())
    }
}

pub(super) struct Unpacker(zstd_safe::DCtx<'static>);

impl Unpacker {
    pub(super) fn create() -> Result<Box<dyn Unpack>> {
        match zstd_safe::DCtx::try_create() {
            Some(context) => Ok(Box::new(Self(context))),
            None => Err(Error::new(ErrorKind::Cost, "there is no memory to unpack zstd")),
        }
    }
}

impl Unpack for Unpacker {
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
