//! The grammar of one definition: `NAME TYPE ...`.
//!
//! Names and times may be quoted with `"`, and a backslash takes the next
//! character as it is, within quotes too. Commands, link targets and the values
//! of attributes reach to the end of the definition as they stand.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use credimg_formats::tree::SYMLINK_MAX_BYTES;
use credimg_formats::{Device, Mode, Name, Secret, Timestamp};

use super::definition::{Action, DataSection, HostFile, ImagePath, New, PATH_MAX_BYTES};
use super::fault::Fault;
use super::lines::DataFile;
use super::{date, value};
use crate::manifest;
use crate::sources::builder::InodeAttributes;

const QUOTING_HINT: &str =
    "a name or a date with spaces is quoted with \", or has a backslash before each";
const DATE_HINT: &str = "dates are `YYYY-MM-DD`, `1 jan 1980` or `jan 1 1980`, each with `HH:MM:SS` \
                         and `UTC` or an offset behind it if wanted";
const NAMES_HINT: &str =
    "names are not taken but root, which is 0: host and guest may number them differently";

/// What a definition of a file may refer to.
#[derive(Clone, Copy)]
pub(super) struct InFile<'a> {
    /// The file's data section, if it has one.
    pub(super) data: Option<&'a Arc<DataFile>>,
}

/// Understands the definition in `text`; `file` says that it stands in one.
pub(super) fn definition(text: &[u8], file: Option<InFile>) -> Result<(ImagePath, Action), Fault> {
    let mut fields = Fields { text, at: 0 };
    // Only an item of a manifest can hold one: a file is looked at line by line.
    if let Some(offset) = text.iter().position(|byte| *byte == 0) {
        return Err(Fault::new(offset, "a NUL byte"));
    }
    fields.skip_space();
    let path = path(&mut fields)?;
    let (at, letter) = fields.word();
    let action = match letter {
        [] => return Err(Fault::new(at, "expected a type after the name").hint(QUOTING_HINT)),
        [b'x'] => xattr(&mut fields)?,
        [b'l'] => host_file(&mut fields, false)?,
        [b'h'] => host_file(&mut fields, true)?,
        [b'L'] => link(&mut fields)?,
        [b'R'] => data(at, &mut fields, file)?,
        word => {
            let Some(described) = Described::of(word) else {
                let message = "expected a type: one of d m b c f s i x h l L D M B C F S I R";
                return Err(Fault::new(at, message).hint(QUOTING_HINT));
            };
            let is_dated = word.iter().any(u8::is_ascii_uppercase);
            let mtime = if is_dated { Some(time(&mut fields)?) } else { None };
            let attributes = attributes(&mut fields, mtime)?;
            with_attributes(described, attributes, &mut fields)?
        }
    };
    if path.is_root() && !action.is_for_root() {
        return Err(Fault::new(at, "only d, D and x can be said of the root directory"));
    }
    Ok((path, action))
}

/// What a type with `MODE UID GID` makes or changes.
#[derive(Clone, Copy)]
enum Described {
    Directory,
    Existing,
    BlockDevice,
    CharDevice,
    Command,
    Symlink,
    FifoOrSocket,
}

impl Described {
    /// What a type's letter stands for; behind an upper-case one a time precedes the attributes.
    fn of(word: &[u8]) -> Option<Self> {
        match word {
            b"d" | b"D" => Some(Self::Directory),
            b"m" | b"M" => Some(Self::Existing),
            b"b" | b"B" => Some(Self::BlockDevice),
            b"c" | b"C" => Some(Self::CharDevice),
            b"f" | b"F" => Some(Self::Command),
            b"s" | b"S" => Some(Self::Symlink),
            b"i" | b"I" => Some(Self::FifoOrSocket),
            _ => None,
        }
    }
}

/// `text` without the white space that it begins with.
pub(super) fn trim_start(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    text.get(end..).unwrap_or_default()
}

/// What is left of a definition.
struct Fields<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn left(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - trim_start(self.left()).len();
    }

    /// The next word and where it begins; empty at the end.
    fn word(&mut self) -> (usize, &'a [u8]) {
        self.skip_space();
        let (at, left) = (self.at, self.left());
        let length = left.iter().position(|byte| is_space(*byte)).unwrap_or(left.len());
        self.at += length;
        (at, left.get(..length).unwrap_or_default())
    }

    /// The next word with quotes and backslashes applied, and where it begins.
    fn quoted(&mut self) -> Result<(usize, Vec<u8>), Fault> {
        self.skip_space();
        let (at, left) = (self.at, self.left());
        let mut word = Vec::new();
        let mut open = None;
        let mut bytes = left.iter().enumerate();
        let mut end = left.len();
        while let Some((index, byte)) = bytes.next() {
            match byte {
                b'"' => open = if open.is_none() { Some(index) } else { None },
                b'\\' => match bytes.next() {
                    Some((_, next)) => word.push(*next),
                    None => return Err(Fault::new(at + index, "a backslash before nothing")),
                },
                byte if is_space(*byte) && open.is_none() => {
                    end = index;
                    break;
                }
                byte => word.push(*byte),
            }
        }
        if let Some(index) = open {
            return Err(Fault::new(at + index, "a quote that does not end"));
        }
        self.at += end;
        Ok((at, word))
    }

    /// Everything that is left, and where it begins.
    fn rest(&mut self) -> (usize, &'a [u8]) {
        self.skip_space();
        let (at, rest) = (self.at, self.left());
        self.at = self.text.len();
        (at, rest)
    }

    /// What is left, which is one line, and where it begins.
    fn line(&mut self) -> Result<(usize, &'a [u8]), Fault> {
        let (at, line) = self.rest();
        match line.iter().position(|byte| *byte == b'\n') {
            None => Ok((at, line)),
            Some(newline) => {
                Err(Fault::new(at + newline, "a line break, but only commands may have one"))
            }
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        match self.word() {
            (_, []) => Ok(()),
            (at, _) => Err(Fault::new(at, "expected nothing more").hint(QUOTING_HINT)),
        }
    }
}

/// `isspace` of the C locale.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// A path in the image. Leading, doubled and trailing slashes mean nothing.
fn path(fields: &mut Fields) -> Result<ImagePath, Fault> {
    let (at, text) = fields.quoted()?;
    let mut path = Vec::with_capacity(text.len());
    for component in text.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
        // The tree's own messages name limits and lengths, never the bytes.
        Name::new(component).map_err(|error| Fault::new(at, error.to_string()))?;
        if !path.is_empty() {
            path.push(0);
        }
        path.extend(component);
    }
    if path.len() >= PATH_MAX_BYTES {
        return Err(Fault::new(at, format!("expected a path of at most {PATH_MAX_BYTES} bytes")));
    }
    Ok(ImagePath(path.into()))
}

/// `MODE UID GID`.
fn attributes(fields: &mut Fields, mtime: Option<Timestamp>) -> Result<InodeAttributes, Fault> {
    let (at, word) = fields.word();
    let mode = std::str::from_utf8(word).ok().and_then(|digits| digits.parse().ok());
    let mode = mode.ok_or_else(|| {
        let fault = Fault::new(at, "expected a mode: octal digits, at most 7777");
        // A date without quotes goes wrong here.
        if mtime.is_some() { fault.hint(QUOTING_HINT) } else { fault }
    })?;
    let uid = id(fields, "expected a user id: a number of at most 4294967294")?;
    let gid = id(fields, "expected a group id: a number of at most 4294967294")?;
    Ok(InodeAttributes { mode, owner: (uid, gid), mtime })
}

fn id(fields: &mut Fields, expected: &'static str) -> Result<u32, Fault> {
    match fields.word() {
        (_, b"root") => Ok(0),
        (at, word) => match decimal(word) {
            // The largest number is the kernel's invalid id.
            Some(id) if id < u64::from(u32::MAX) => Ok(u32::try_from(id).unwrap_or(0)),
            _ => Err(Fault::new(at, expected).hint(NAMES_HINT)),
        },
    }
}

/// Unsigned seconds or a date.
fn time(fields: &mut Fields) -> Result<Timestamp, Fault> {
    let (at, word) = fields.quoted()?;
    let is_quoted = fields.text.get(at..fields.at) != Some(&word[..]);
    let seconds = match decimal(&word) {
        Some(seconds) if !is_quoted => u32::try_from(seconds).ok(),
        _ => std::str::from_utf8(&word).ok().and_then(date::parse),
    };
    let seconds = seconds.ok_or_else(|| {
        let message = "expected a time: seconds since 1970, at most 4294967295, or a date";
        Fault::new(at, message).hint(DATE_HINT)
    })?;
    Ok(Timestamp::from_seconds(seconds.into()))
}

/// What follows `MODE UID GID`.
fn with_attributes(
    described: Described,
    mut attributes: InodeAttributes,
    fields: &mut Fields,
) -> Result<Action, Fault> {
    let new = match described {
        Described::Directory => New::Directory,
        Described::Existing => {
            fields.end()?;
            return Ok(Action::Modify(attributes));
        }
        Described::Command => match fields.rest() {
            (at, []) => return Err(Fault::new(at, "expected a command")),
            (_, command) => New::Command(OsString::from_vec(command.to_vec())),
        },
        Described::Symlink => {
            let (at, target) = fields.line()?;
            if !(1..=SYMLINK_MAX_BYTES).contains(&target.len()) {
                let message = format!("expected a link target of 1 to {SYMLINK_MAX_BYTES} bytes");
                return Err(Fault::new(at, message));
            }
            attributes.mode = Mode::SYMLINK;
            New::Symlink(target.into())
        }
        Described::BlockDevice => New::BlockDevice(device(fields)?),
        Described::CharDevice => New::CharDevice(device(fields)?),
        Described::FifoOrSocket => match fields.word() {
            (_, b"s") => New::Socket,
            (_, b"f") => New::Fifo,
            (at, _) => return Err(Fault::new(at, "expected `s` for a socket or `f` for a FIFO")),
        },
    };
    fields.end()?;
    Ok(Action::Make(attributes, new))
}

fn device(fields: &mut Fields) -> Result<Device, Fault> {
    let mut number = |max: u32, what: &str| match fields.word() {
        (_, word) if decimal(word).is_some_and(|number| number <= max.into()) => {
            Ok(decimal(word).and_then(|number| u32::try_from(number).ok()).unwrap_or(0))
        }
        (at, _) => Err(Fault::new(at, format!("expected a {what} number of at most {max}"))),
    };
    let major = number(Device::MAJOR_MAX, "major")?;
    let minor = number(Device::MINOR_MAX, "minor")?;
    Device::new(major, minor).map_err(|error| Fault::new(0, error.to_string()))
}

/// `NAME=VALUE`.
fn xattr(fields: &mut Fields) -> Result<Action, Fault> {
    let (at, text) = fields.line()?;
    let Some(equals) = text.iter().position(|byte| *byte == b'=') else {
        return Err(Fault::new(at, "expected NAME=VALUE of an extended attribute"));
    };
    let (name, value) = text.split_at(equals);
    let name = std::str::from_utf8(name)
        .map_err(|_| "expected an attribute's name of UTF-8".to_owned())
        .and_then(manifest::xattr_name)
        .map_err(|message| Fault::new(at, message))?;
    let value_at = at + equals + 1;
    let value = value.get(1..).unwrap_or_default();
    let value = value::decode(value).map_err(|message| Fault::new(value_at, message))?;
    let value = manifest::xattr_value(&name, Secret::new(value))
        .map_err(|message| Fault::new(value_at, message))?;
    Ok(Action::Xattr { name, value })
}

fn host_file(fields: &mut Fields, is_followed: bool) -> Result<Action, Fault> {
    let (at, path) = fields.quoted()?;
    if !(1..=PATH_MAX_BYTES).contains(&path.len()) {
        let message = format!("expected a path of the host of 1 to {PATH_MAX_BYTES} bytes");
        return Err(Fault::new(at, message));
    }
    fields.end()?;
    let path = PathBuf::from(OsString::from_vec(path));
    Ok(Action::HostFile(HostFile { path, is_followed }))
}

fn link(fields: &mut Fields) -> Result<Action, Fault> {
    fields.skip_space();
    let at = fields.at;
    let target = path(fields)?;
    if target.is_root() {
        return Err(Fault::new(at, "expected the path of an earlier definition"));
    }
    fields.end()?;
    Ok(Action::Link(target))
}

/// `R TIME MODE UID GID LENGTH OFFSET SPARSE`. Where an image has holes is
/// decided by its content, so that the last number has no effect.
fn data(at: usize, fields: &mut Fields, file: Option<InFile>) -> Result<Action, Fault> {
    let Some(InFile { data }) = file else {
        return Err(Fault::new(at, "R is for pseudo files with a data section only"));
    };
    let mtime = time(fields)?;
    let attributes = attributes(fields, Some(mtime))?;
    let mut number = |what: &str| {
        let (at, word) = fields.word();
        let number = decimal(word).map(|number| (at, number));
        number.ok_or_else(|| Fault::new(at, format!("expected {what}: a decimal number")))
    };
    let (length_at, length_bytes) = number("the data's length")?;
    let (_, offset_bytes) = number("the data's offset")?;
    number("0 or 1 for sparse")?;
    fields.end()?;
    let Some(file) = data else {
        let message = "the file has no data section";
        return Err(Fault::new(at, message)
            .hint("the line `# START OF DATA - DO NOT MODIFY` and the data are missing"));
    };
    if offset_bytes.checked_add(length_bytes).is_none_or(|end| end > file.length_bytes) {
        let message = "the data section ends before the end of this data";
        return Err(Fault::new(length_at, message).hint("the file is incomplete or was edited"));
    }
    let section = DataSection { file: Arc::clone(file), length_bytes, offset_bytes };
    Ok(Action::Make(attributes, New::Data(section)))
}

/// A decimal number without a sign.
fn decimal(word: &[u8]) -> Option<u64> {
    let is_number = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(word).ok().filter(|_| is_number)?.parse().ok()
}
