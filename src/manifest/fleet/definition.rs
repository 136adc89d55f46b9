//! Replaces placeholders in a pseudo definition: in its path, and in the path of a link or a file
//! of the host. Nothing else is replaced. A command learns of its machine from the environment, and
//! the rest does not depend on a machine.

use super::super::error::Fault;
use super::super::node::Text;
use super::placeholders::{Values, Wrong};

/// The rule for values in a definition, by which they need no quotes.
const VALUE_RULE: &str = "a value here is one of letters, digits and `._+@:/-`";

/// The definition with its placeholders replaced.
pub(super) fn replace(values: &Values, text: &str) -> Result<Text, Wrong> {
    let end = end_of_paths(text);
    let (paths, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+@:/-".contains(&byte);
    let mut replaced = values.text_of(paths, |value| {
        // A quote, a space or a backslash would end the path, and begin something else.
        let is_fit = value.bytes().all(is_plain);
        is_fit.then_some(()).ok_or_else(|| Fault::new(VALUE_RULE))
    })?;
    replaced.push_str(rest);
    Ok(replaced)
}

/// The end of the part in which placeholders are replaced.
fn end_of_paths(text: &str) -> usize {
    let space = |character: char| character.is_ascii_whitespace() || character == '\x0b';
    let name = end_of_name(text);
    let behind = text.get(name..).unwrap_or_default();
    let letter = behind.trim_start_matches(space).split(space).next();
    if matches!(letter, Some("l" | "h" | "L")) { text.len() } else { name }
}

/// The end of the name, which may be quoted.
fn end_of_name(text: &str) -> usize {
    let is_space = |byte: u8| byte.is_ascii_whitespace() || byte == 0x0b;
    let (mut is_quoted, mut has_begun) = (false, false);
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' => {
                bytes.next();
            }
            byte if is_space(byte) && !is_quoted => {
                if has_begun {
                    return at;
                }
                continue;
            }
            _ => {}
        }
        has_begun = true;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_stand_in_paths_alone() {
        for (text, paths) in [
            ("/a f 400 0 0 awk '{print}'", "/a"),
            ("  \"/a b\" f 400 0 0 x", "  \"/a b\""),
            ("/a\\ b s 777 0 0 {x}", "/a\\ b"),
            ("/a l /srv/{machine}", "/a l /srv/{machine}"),
            ("\"a\"\\\"b  h x y", "\"a\"\\\"b  h x y"),
            ("/a L /b", "/a L /b"),
            ("/a", "/a"),
            ("", ""),
            ("\\", "\\"),
            ("\"never ends l", "\"never ends l"),
        ] {
            assert_eq!(text.get(..end_of_paths(text)), Some(paths), "{text}");
        }
    }
}
