//! Secrets in the environment of containers: `docker run -e NAME=VALUE` and its kin.

use super::judge::{Found, option_of};
use super::rules::Rule;
use super::secrecy::{assignment, is_secret_name, is_secret_value};
use super::word::{Text, Word};

/// Short options without a value, which may stand before `e` in one word.
const SWITCHES: &[u8] = b"diqtP";

/// Whether a program runs containers.
pub(super) fn is_engine(program: &[u8]) -> bool {
    const ENGINES: [&[u8]; 5] = [b"buildah", b"docker", b"kubectl", b"nerdctl", b"podman"];
    ENGINES.contains(&program)
}

/// Judges the arguments of an engine such as docker. `-e NAME` without a value takes the
/// variable from the engine's own environment, and shows nothing.
pub(super) fn judge(arguments: &[Word], found: &mut Found) {
    for (index, word) in arguments.iter().enumerate() {
        let next = || arguments.get(index + 1).map(Word::text);
        let text = word.text();
        let value = match option_of(text) {
            (b"env" | b"build-arg" | b"e", attached) => attached.or_else(next),
            _ => short(text).and_then(|rest| if rest.is_empty() { next() } else { Some(rest) }),
        };
        if let Some((name, value)) = value.and_then(assignment)
            && is_secret_name(name)
            && is_secret_value(value.bytes)
        {
            found.add(Rule::ContainerEnvironment, value);
        }
    }
}

/// What follows `e` in a word of short options: `NAME=VALUE` in `-eNAME=VALUE`, nothing in `-ite`.
fn short(text: Text<'_>) -> Option<Text<'_>> {
    let letters = text.after(b"-")?;
    let at = letters.bytes.iter().position(|byte| !SWITCHES.contains(byte))?;
    (letters.bytes.get(at) == Some(&b'e')).then(|| letters.rest(at + 1))
}
