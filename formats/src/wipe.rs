//! What is left of a secret on the stack: copies that a compiler made, and what libraries
//! forgot.

use std::hint::black_box;

use zeroize::Zeroize;

/// How much of the stack is overwritten: more than anything here uses, with room for the
/// larger frames of a build without optimisation.
const DEPTH_BYTES: usize = if cfg!(debug_assertions) { 256 << 10 } else { 128 << 10 };

/// Runs `work`, and overwrites what it left on the stack below its caller's frame. Where
/// the outcome holds bytes of a secret itself, and not only their address, they stay.
pub fn without_traces<T>(work: impl FnOnce() -> T) -> T {
    if cfg!(credimg_without_promises) {
        return work();
    }
    let outcome = apart(work);
    overwrite();
    outcome
}

/// Has a frame of its own: merged into its caller's, that would keep what was in it.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    black_box(());
    work()
}

#[inline(never)]
#[expect(clippy::large_stack_arrays, reason = "the stack is what it is about")]
fn overwrite() {
    let mut waste = [0_u64; DEPTH_BYTES / size_of::<u64>()];
    // Somebody could look at it, so it is there.
    black_box(&mut waste).zeroize();
    black_box(&waste);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_comes_back() {
        assert_eq!(without_traces(|| vec![1, 2, 3].len()), 3);
    }
}
