//! What goes around the tar stream: an age file for one X25519 recipient
//! (<https://age-encryption.org/v1>), encrypted in chunks of 64 KiB.
//!
//! Every byte of such a file is authenticated, and so is its end. But age names no
//! sender: whoever knows the recipient, the public half of the identity, can make
//! another blob that opens. So the public half is as private as the identity:
//! nothing prints it or writes it down.

use std::io::{self, Write};

use ::age::Encryptor;
use ::age::stream::StreamWriter;
use credimg_formats::Sink;

use crate::host::random;
use crate::keys::identity::Identity;
use crate::report::{Exit, Failure};

/// Encrypts what is written to it; holds one chunk.
///
/// Errors of the writer below pass through unchanged. Dropped without
/// [`finish`](Self::finish) it leaves a file that does not open.
pub struct Sealed<W: Write>(StreamWriter<W>);

impl<W: Write> Sealed<W> {
    /// Writes the header of a new age file, which the identity opens.
    pub fn new(identity: &Identity, to: W) -> io::Result<Self> {
        let failure = || Failure::new(Exit::Output, "cannot encrypt to the key");
        let recipient = identity.recipient().ok_or_else(failure)?;
        let recipients = std::iter::once(&recipient as &dyn ::age::Recipient);
        // One X25519 recipient goes with itself. The library's error may quote: it is not shown.
        let sealed = random::guarded(|| {
            Encryptor::with_recipients(recipients).map_err(|_| failure())?.wrap_output(to)
        });
        Ok(Self(sealed??))
    }

    /// Encrypts the last chunk, which says that it is the last.
    pub fn finish(self) -> io::Result<()> {
        self.0.finish().map(drop)
    }
}

impl<W: Write> Write for Sealed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// No copy by the kernel: everything passes through the cipher.
impl<W: Write> Sink for Sealed<W> {}
