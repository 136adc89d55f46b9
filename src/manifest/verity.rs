//! The key `verity` of a manifest: as typed, and what it means.

use credimg_formats::{hex_bytes, uuid_bytes};

use super::error::Fault;
use super::keys;
use super::mapping::{At, Keys};
use super::node::{Node, Text};
use super::resolve::optional;
use super::schema::{boolean, scalar, text};
use crate::report::{Position, Problems};

/// Longest salt in bytes, as a superblock has room for no more.
const SALT_MAX_BYTES: usize = 256;

/// The hash tree that the image gets. The build chooses what is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verity {
    /// The salt, which is hashed with every block.
    pub salt: Option<Vec<u8>>,
    /// The UUID of the tree.
    pub uuid: Option<[u8; 16]>,
    /// Size of a block of data.
    pub data_block_bytes: Option<(u32, Position)>,
    /// Size of a block of hashes.
    pub hash_block_bytes: Option<u32>,
}

/// What is typed.
#[derive(Clone)]
pub(super) enum Typed {
    /// Whether there is a tree.
    Plain(bool),
    /// There is a tree, made with these options.
    Shape(Box<Shape>),
}

/// The keys of the mapping, as typed.
#[derive(Clone)]
pub(super) struct Shape {
    pub(super) salt: Option<At<Text>>,
    pub(super) uuid: Option<At<Text>>,
    pub(super) data_block: Option<At<Text>>,
    pub(super) hash_block: Option<At<Text>>,
}

pub(super) fn read(node: Node, at: Position, problems: &mut Problems) -> Option<Typed> {
    if !node.is_mapping() {
        let found = node.describe();
        return problems.keep(boolean(node, &at).map(Typed::Plain).map_err(|_| {
            let fault = Fault::new(format!("expected true, false or a mapping, got {found}"));
            fault.hint("as in `verity: true`, or `verity: {salt: \"0123abcd\"}`").at(&at)
        }));
    }
    let mut keys = Keys::open(node, at, keys::VERITY, problems)?;
    Some(Typed::Shape(Box::new(Shape {
        // A text and no number: other programs may write a number in another way.
        salt: keys.read("salt", text, problems),
        uuid: keys.read("uuid", text, problems),
        data_block: keys.read("data_block", scalar, problems),
        hash_block: keys.read("hash_block", scalar, problems),
    })))
}

/// Checks what is typed; none where the image gets no tree.
pub(super) fn resolve(typed: &Typed, problems: &mut Problems) -> Option<Verity> {
    let Shape { salt, uuid, data_block, hash_block } = match typed {
        Typed::Plain(false) => return None,
        Typed::Plain(true) => return Some(Verity::default()),
        Typed::Shape(shape) => shape.as_ref(),
    };
    let data_block_bytes = optional(data_block.as_ref(), block_bytes, problems);
    let data_block_at = data_block.as_ref().map(|typed| typed.at.clone());
    Some(Verity {
        salt: optional(salt.as_ref(), salt_bytes, problems),
        uuid: optional(uuid.as_ref(), self::uuid, problems),
        data_block_bytes: data_block_bytes.zip(data_block_at),
        hash_block_bytes: optional(hash_block.as_ref(), block_bytes, problems),
    })
}

/// The bytes of a salt, which is written in hexadecimal digits.
fn salt_bytes(text: &str) -> Result<Vec<u8>, Fault> {
    let expected = || {
        let fault = Fault::new(format!(
            "expected hexadecimal digits, two for each of at most {SALT_MAX_BYTES} bytes"
        ));
        fault.hint("leave it out, and it is made of what the image is called; `-` is none")
    };
    if text == "-" {
        return Ok(Vec::new());
    }
    let bytes = hex_bytes(text).filter(|bytes| (1..=SALT_MAX_BYTES).contains(&bytes.len()));
    bytes.ok_or_else(expected)
}

fn uuid(text: &str) -> Result<[u8; 16], Fault> {
    uuid_bytes(text).ok_or_else(|| Fault::new("expected 32 hexadecimal digits as 8-4-4-4-12"))
}

fn block_bytes(text: &str) -> Result<u32, Fault> {
    match text {
        "512" => Ok(512),
        "1024" => Ok(1024),
        "2048" => Ok(2048),
        "4096" => Ok(4096),
        _ => Err(Fault::new("expected 512, 1024, 2048 or 4096")),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use credimg_formats::uuid_text;

    use super::*;

    #[test]
    fn salts_are_digits() {
        assert_eq!(salt_bytes("00fF").unwrap(), [0, 255]);
        assert_eq!(salt_bytes("-").unwrap(), [0; 0]);
        assert_eq!(salt_bytes(&"ab".repeat(256)).unwrap().len(), 256);
        for bad in ["", "0", "+1", "0x", "zz", "a b ", "äa", &"ab".repeat(257)] {
            assert!(salt_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn uuids_have_their_form() {
        let text = "6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81";
        assert_eq!(uuid_text(uuid(text).unwrap()), text);
        assert!(uuid(&text.to_uppercase()).is_ok());
        for bad in ["", "6f1c2ad00b5e4c779a341d2f00fe9b81", "6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b8"] {
            assert!(uuid(bad).is_err(), "{bad}");
        }
    }
}
