//! The secrets that are looked for, how a piece of one is found, and a seeded choice.

/// What stands in a place of the manifest, an archive or a key file.
pub(crate) const SCALAR: &str = "qZx7vKwJ9yXzHq3WjVbN";
/// What the host's files hold.
pub(crate) const CONTENT: &str = "Jk8QpWz2xVfYq6RtGmHw";
/// The value of the variable that is an `env:` source.
pub(crate) const VARIABLE: &str = "wQ4ZjXk9PvTb5LcYrDfS";
/// What commands print, on both streams.
pub(crate) const PRINTED: &str = "Vx3MzQj7KwHf9BnTgYpC";
/// The secrets of manifests that are broken somewhere else.
pub(crate) const BESIDE: &str = "zW6XqJr8NvKd4FhLmGtP";

/// So many letters in a row, whatever their case, are a piece of a secret.
const PIECE_LETTERS: usize = 6;

/// Whether `text` shows a piece of `canary`: as it is, in hexadecimal digits or in base64.
pub(crate) fn shows(text: &[u8], canary: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let hex = canary.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let forms = [(canary, PIECE_LETTERS), (&hex, 2 * PIECE_LETTERS)];
    let encoded = (0..3).map(|skip| base64(canary.as_bytes().get(skip..).unwrap_or_default()));
    forms.iter().any(|(form, letters)| has_piece(&text, form, *letters))
        || encoded.into_iter().any(|form| has_piece(&text, &form, 2 * PIECE_LETTERS))
}

fn has_piece(lower_text: &[u8], form: &str, letters: usize) -> bool {
    let form = form.to_ascii_lowercase();
    let mut pieces = form.as_bytes().windows(letters);
    pieces.any(|piece| lower_text.windows(letters).any(|window| window == piece))
}

/// Base64 of the whole groups of three bytes.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    let whole = bytes.len() / 3 * 3;
    base64::engine::general_purpose::STANDARD.encode(bytes.get(..whole).unwrap_or_default())
}

/// Numbers that a seed decides (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % end
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (2..=items.len()).rev() {
            let chosen = self.below(end);
            items.swap(end - 1, chosen);
        }
    }
}
