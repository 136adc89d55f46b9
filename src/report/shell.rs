//! Words for a POSIX shell.

/// Joins `words` into one line that a shell's `eval` splits into the same words.
pub(crate) fn line(words: &[Vec<u8>]) -> Vec<u8> {
    let mut line = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(&b' ');
    line.push(b'\n');
    line
}

/// The word as it is where no shell gives any of its bytes a meaning, else in
/// single quotes, in which only the single quote itself has one.
pub(crate) fn quoted(word: &[u8]) -> Vec<u8> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./,:=@%+".contains(byte);
    if !word.is_empty() && word.iter().all(is_plain) {
        return word.to_vec();
    }
    let inner = word.split(|byte| *byte == b'\'').collect::<Vec<_>>().join(&b"'\\''"[..]);
    [b"'", &inner[..], b"'"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_a_shell_would_read() {
        for (word, expected) in [
            ("file=/a/b,,c:d", "file=/a/b,,c:d"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("'", r"''\'''"),
            ("~/*", "'~/*'"),
            ("é", "'é'"),
        ] {
            assert_eq!(quoted(word.as_bytes()), expected.as_bytes());
        }
        assert_eq!(line(&[b"a".to_vec(), b"b c".to_vec()]), b"a 'b c'\n");
    }
}
