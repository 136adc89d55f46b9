//! What a reader tells of every byte of an image, for `verify` and `dump`.

use crate::error::Result;

/// Takes what a reader finds in an image.
pub trait Account {
    /// A stretch of the image. They may come in any order. Two may be the same stretch only
    /// where content is shared; they overlap nowhere else in a valid image.
    fn region(&mut self, region: Region) -> Result<()>;

    /// Whether titles, fields and notes are shown to anybody. Where they are not, fields and
    /// notes may be left out, as making them takes longer than the rest.
    fn wants_text(&self) -> bool {
        true
    }

    /// Something that is wrong.
    fn problem(&mut self, problem: Problem) -> Result<()>;
}

/// A stretch of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where it begins.
    pub offset_bytes: u64,
    /// How long it is.
    pub length_bytes: u64,
    /// What it is.
    pub kind: RegionKind,
    /// What people read, such as `superblock`, `inode 36`, `directory of inode 36`; it holds
    /// names of entries, and no content.
    pub title: String,
    /// The fields of a record, in their order and without a gap where there are any.
    pub fields: Vec<Field>,
    /// Lines that explain it, such as the records inside a compressed block.
    pub notes: Vec<String>,
}

/// What a stretch of an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// A record of the format.
    Record,
    /// Content of a file, or what a record holds of the user's bytes (a value of an extended
    /// attribute): only its length and digest are ever shown.
    Content,
    /// Zeros that fill up a block; anything else in them is a problem.
    Padding,
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// How long it is.
    pub length_bytes: u64,
    /// The format's name for it.
    pub name: &'static str,
    /// Its value for people; none where it holds content, which is shown by its digest.
    pub value: Option<String>,
}

/// Something that is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as a byte of the image; none where it is no single place.
    pub offset_bytes: Option<u64>,
    /// What is wrong: lower case, without a full stop, what was expected and what is there;
    /// it holds no content.
    pub message: String,
}
