//! What is left of a secret on the stack and in registers: copies that a compiler made, and what libraries
//! forgot.

use std::hint::black_box;

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, Key, KeyInit};
use aes::{Aes256, Block};
use zeroize::Zeroize;

/// How much of the stack is overwritten where nobody knows how much was used: more than anything
/// here uses, with room for the larger frames of a build without optimisation.
const DEPTH_BYTES: usize = if cfg!(debug_assertions) { 256 << 10 } else { 128 << 10 };

/// Runs `work`, and overwrites what it left on the stack below its caller's frame, and in
/// registers. Where the outcome holds bytes of a secret itself, and not only their address, they
/// stay.
pub fn without_traces<T>(work: impl FnOnce() -> T) -> T {
    if cfg!(credimg_without_promises) {
        return work();
    }
    // After a panic, too.
    let _wipe = Wipe(|| {
        overwrite_registers();
        overwrite::<{ DEPTH_BYTES / 8 }>();
    });
    apart(work)
}

/// Runs `work`, and overwrites as much of the stack below its caller's frame as was used, up to
/// 1 MiB. `used` is asked afterwards how many bytes that is; it says none where it cannot tell. No
/// register is overwritten: what works with ciphers has done that by [`without_traces`].
pub fn without_traces_below<T>(used: impl Fn() -> Option<usize>, work: impl FnOnce() -> T) -> T {
    if cfg!(credimg_without_promises) {
        return work();
    }
    let _wipe = Wipe(|| match used().unwrap_or(DEPTH_BYTES).div_ceil(1 << 10) {
        0..=32 => overwrite::<{ 32 << 7 }>(),
        33..=48 => overwrite::<{ 48 << 7 }>(),
        49..=64 => overwrite::<{ 64 << 7 }>(),
        65..=128 => overwrite::<{ 128 << 7 }>(),
        129..=256 => overwrite::<{ 256 << 7 }>(),
        257..=512 => overwrite::<{ 512 << 7 }>(),
        513.. => overwrite::<{ 1024 << 7 }>(),
    });
    apart(work)
}

struct Wipe<F: Fn()>(F);

impl<F: Fn()> Drop for Wipe<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// Leaves room between its caller's frame and that of the work: what overwrites begins a
/// few words below as well.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    let room = [0_u64; 64];
    black_box(&room);
    let outcome = deeper(work);
    black_box(&room);
    outcome
}

/// Has a frame of its own: merged into its caller's, that would keep what was in it.
#[inline(never)]
fn deeper<T>(work: impl FnOnce() -> T) -> T {
    black_box(());
    work()
}

#[inline(never)]
fn overwrite<const WORDS: usize>() {
    let mut waste = [0_u64; WORDS];
    // Somebody could look at it, so it is there.
    black_box(&mut waste).zeroize();
    black_box(&waste);
}

/// Ciphers leave round keys in the vector registers, which whatever saves registers, such
/// as the dynamic linker, copies onto the stack later. The same work with a key of
/// zeros takes their places.
#[inline(never)]
fn overwrite_registers() {
    let cipher = Aes256::new(&Key::<Aes256>::default());
    let mut blocks = [Block::default(); 32];
    cipher.encrypt_blocks(black_box(&mut blocks));
    cipher.decrypt_blocks(black_box(&mut blocks));
    black_box(&blocks);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_comes_back() {
        assert_eq!(without_traces(|| vec![1, 2, 3].len()), 3);
        for used in [None, Some(0), Some(40 << 10), Some(300 << 10), Some(600 << 10)] {
            assert_eq!(without_traces_below(|| used, || vec![1, 2, 3].len()), 3);
        }
    }
}
