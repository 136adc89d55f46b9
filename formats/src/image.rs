//! What the plans of all formats have in common.

use crate::content::Sink;
use crate::error::Result;

/// An image that is laid out and can be written, whatever its format; writing fails only on
/// I/O or on a source that changed.
pub trait Image {
    /// Size of the image in bytes, a multiple of 4096; none where it is known only when all
    /// is written, as of SquashFS.
    fn size_bytes(&self) -> Option<u64>;

    /// Writes the image and returns its size in bytes. It does not flush the sink: whoever
    /// buffers has to, and sees what fails then.
    fn write(&self, sink: &mut dyn Sink) -> Result<u64>;
}

#[cfg(feature = "erofs")]
impl Image for crate::erofs::Plan<'_> {
    fn size_bytes(&self) -> Option<u64> {
        Some(self.size_bytes())
    }

    fn write(&self, sink: &mut dyn Sink) -> Result<u64> {
        self.write(sink)
    }
}

#[cfg(feature = "iso9660")]
impl Image for crate::iso9660::Plan<'_> {
    fn size_bytes(&self) -> Option<u64> {
        Some(self.size_bytes())
    }

    fn write(&self, sink: &mut dyn Sink) -> Result<u64> {
        self.write(sink)
    }
}

#[cfg(feature = "squashfs")]
impl Image for crate::squashfs::Plan<'_> {
    fn size_bytes(&self) -> Option<u64> {
        None
    }

    fn write(&self, sink: &mut dyn Sink) -> Result<u64> {
        self.write(sink)
    }
}
