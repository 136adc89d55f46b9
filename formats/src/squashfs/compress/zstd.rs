//! zstd.

use super::Compressor;

pub(super) struct Zstd(Option<zstd_safe::CCtx<'static>>);

impl Zstd {
    pub(super) fn new(level: u8) -> Self {
        let context = zstd_safe::CCtx::try_create().and_then(|mut context| {
            let level = zstd_safe::CParameter::CompressionLevel(i32::from(level));
            context.set_parameter(level).is_ok().then_some(context)
        });
        Self(context)
    }
}

impl Compressor for Zstd {
    fn compress(&mut self, block: &[u8], output: &mut Vec<u8>) -> bool {
        output.reserve(block.len());
        self.0.as_mut().is_some_and(|context| context.compress2(output, block).is_ok())
    }
}
