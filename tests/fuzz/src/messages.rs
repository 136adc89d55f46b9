//! What every message promises: it holds nothing that stands in the input.

use credimg::report::Failure;

/// Words with letters and digits that messages have of their own.
const OWN: [&str; 14] = [
    "iso9660",
    "base64",
    "argon2id",
    "pbkdf2",
    "luks1",
    "luks2",
    "4294967295",
    "sha256",
    "sha512",
    "aes256",
    "plain64",
    "CP1252",
    "UTF8",
    "rfc4648",
];
/// The shortest word that is looked for: shorter ones may be in both by chance.
const WORD_MIN_BYTES: usize = 7;

/// Fails where `message` holds a word of `data` that looks like a secret: one of letters
/// and digits both.
pub fn assert_hides(message: &str, data: &[u8]) {
    let words = message.split(|c: char| !c.is_ascii_alphanumeric());
    for word in words.filter(|word| is_secret(word)) {
        let is_there = data.windows(word.len()).any(|window| window == word.as_bytes());
        assert!(!is_there, "a message shows what stands in the input: {word:?} in {message:?}");
    }
}

/// Fails where a failure or its hint holds a word of `data` that looks like a secret.
pub fn assert_failure_hides(failure: &Failure, data: &[u8]) {
    assert!(!failure.message.is_empty());
    assert_hides(&failure.message, data);
    assert_hides(failure.hint.as_deref().unwrap_or_default(), data);
}

fn is_secret(word: &str) -> bool {
    word.len() >= WORD_MIN_BYTES
        && !OWN.contains(&word)
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Fails unless each line of `message` that begins with `name` and a place says one that
/// `text` has: a line, and a column of at most one behind its end. What ends a line besides a
/// newline is left to the message: YAML takes a carriage return for one.
pub fn assert_places(message: &str, name: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let of = |ends: &[char]| -> Vec<usize> {
        let text = text.replace("\r\n", "\n");
        text.split(ends).map(|line| line.chars().count()).collect()
    };
    let lines = [of(&['\n']), of(&['\n', '\r'])];
    // What follows those that are listed has no place.
    let listed = message.lines().filter(|line| !line.ends_with(" are not listed"));
    for problem in listed {
        let Some(place) = problem.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) else {
            panic!("a problem begins without the file's name: {problem:?}");
        };
        let mut numbers = place.split(':').map_while(|part| part.parse::<usize>().ok());
        let (Some(line), Some(column)) = (numbers.next(), numbers.next()) else { continue };
        let is_there = |lines: &Vec<usize>| {
            let length = lines.get(line.wrapping_sub(1));
            // One carriage return more where it is none of the line's end.
            length.is_some_and(|length| (1..=length + 2).contains(&column))
        };
        assert!(lines.iter().any(is_there), "{problem:?} is on none of {lines:?}");
    }
}
