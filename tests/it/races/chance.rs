//! Choices that a seed repeats.

use std::time::Duration;

/// xorshift64.
pub(crate) struct Chance(u64);

impl Chance {
    /// Another sequence for every `stream`.
    pub(crate) fn new(stream: u64) -> Self {
        Self((seed() ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Pauses for less than so many milliseconds, and as often not at all.
    pub(crate) fn pause(&mut self, milliseconds: u64) {
        if self.below(2) == 0 {
            std::thread::sleep(Duration::from_micros(self.below(1000 * milliseconds)));
        }
    }
}

/// Of this run; printed, so that it can be given again.
pub(crate) fn seed() -> u64 {
    static SEED: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *SEED.get_or_init(|| {
        let given = std::env::var("CREDIMG_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
        println!("CREDIMG_SEED={seed}");
        seed
    })
}
