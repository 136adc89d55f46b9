//! Extended headers of POSIX.1-2001 (pax, "pax Extended Header"): records of
//! `LENGTH KEYWORD=VALUE\n`. They are taken by their length, as a value may
//! hold any byte, a newline too.

use std::collections::BTreeMap;

use credimg_formats::{Secret, Timestamp, Xattrs};

use super::refused;
use crate::report::Failure;

/// How star, GNU tar and bsdtar write an extended attribute. The latter two escape
/// bytes of its name as `%XX`: GNU tar `%` and `=`, bsdtar all that are no printable ASCII too.
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// Keywords that say nothing an image holds: names of users (only the numbers
/// count, as names differ between host and guest), other times than that of
/// modification, where the file lay on its old disk, and how text is encoded (we
/// take bytes).
const IGNORED: [&[u8]; 11] = [
    b"atime",
    b"ctime",
    b"comment",
    b"charset",
    b"hdrcharset",
    b"uname",
    b"gname",
    b"LIBARCHIVE.creationtime",
    b"SCHILY.dev",
    b"SCHILY.ino",
    b"SCHILY.nlink",
];

/// What an extended header says. Where it says nothing the member's own header counts.
#[derive(Clone, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) xattrs: Xattrs,
}

impl Pax {
    /// Reads the records of one header, without those of extended attributes if they are
    /// not kept. Of two records for one keyword the last counts.
    pub(super) fn parse(mut bytes: &[u8], keeps_xattrs: bool) -> Result<Self, Failure> {
        let mut records = BTreeMap::new();
        while !bytes.is_empty() {
            let (keyword, value, rest) =
                split_record(bytes).ok_or_else(|| refused("an extended header is malformed"))?;
            if keeps_xattrs || !is_xattr(keyword) {
                records.insert(keyword, value);
            }
            bytes = rest;
        }
        let has_xattrs = records.keys().any(|keyword| keyword.starts_with(XATTR_PREFIX));
        let mut pax = Self::default();
        for (keyword, value) in records {
            // bsdtar writes each extended attribute a second time, in a form of its own.
            if !(has_xattrs && keyword.starts_with(b"LIBARCHIVE.xattr.")) {
                pax.set(keyword, value)?;
            }
        }
        Ok(pax)
    }

    /// Takes what a global header says for all members to come. Extended attributes are
    /// refused: no archiver writes them there, and every member would hold a copy.
    pub(super) fn merge_global(&mut self, global: Self) -> Result<(), Failure> {
        let Self { path: None, link: None, size: None, uid, gid, mtime, xattrs } = global else {
            return Err(refused("a global extended header gives all members one name or size"));
        };
        if !xattrs.is_empty() {
            return Err(refused("a global extended header holds extended attributes"));
        }
        self.uid = uid.or(self.uid);
        self.gid = gid.or(self.gid);
        self.mtime = mtime.or(self.mtime);
        Ok(())
    }

    /// The records of one member: its own, and where it has none the global ones.
    pub(super) fn over(mut self, global: &Self) -> Self {
        self.uid = self.uid.or(global.uid);
        self.gid = self.gid.or(global.gid);
        self.mtime = self.mtime.or(global.mtime);
        self
    }

    fn set(&mut self, keyword: &[u8], value: &[u8]) -> Result<(), Failure> {
        if let Some(name) = keyword.strip_prefix(XATTR_PREFIX) {
            return self.set_xattr(name, value);
        }
        if IGNORED.contains(&keyword) || value.is_empty() {
            // An empty value takes a record back.
            return Ok(());
        }
        match keyword {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number(value)?),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            b"RHT.security.selinux" => self.set_xattr(b"security.selinux", value)?,
            _ if keyword.starts_with(b"GNU.sparse.") => return Err(sparse()),
            _ => return Err(unknown(keyword)),
        }
        Ok(())
    }

    /// Takes an extended attribute of any length and kind: whether the image can have it is
    /// known later.
    fn set_xattr(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        let invalid = || refused("the name of an extended attribute is not valid");
        let name = unescape(name).ok_or_else(invalid)?;
        if name.is_empty() || name.contains(&0) {
            return Err(invalid());
        }
        self.xattrs.insert(name.into(), Secret::from(value));
        Ok(())
    }
}

/// Whether a record is an extended attribute in any of the ways in which archivers write
/// them, access lists among them.
fn is_xattr(keyword: &[u8]) -> bool {
    let prefixes: [&[u8]; 4] =
        [XATTR_PREFIX, b"LIBARCHIVE.xattr.", b"SCHILY.acl.", b"RHT.security."];
    prefixes.iter().any(|prefix| keyword.starts_with(prefix))
}

/// A name without its `%XX` escapes; none where a `%` begins no escape.
fn unescape(mut name: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(name.len());
    while let Some((byte, rest)) = name.split_first() {
        name = rest;
        if *byte != b'%' {
            plain.push(*byte);
            continue;
        }
        let (digits, rest) = name.split_at_checked(2)?;
        let digits = str::from_utf8(digits).ok()?;
        // `from_str_radix` alone would take a sign.
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        plain.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal)?);
        name = rest;
    }
    Some(plain)
}

/// The failure to take a sparse file, in any of the forms that tar knows.
pub(super) fn sparse() -> Failure {
    refused("sparse files are not supported").hint(
        "pack it again without `--sparse`; bsdtar, which needs no such option, takes \
         `--no-read-sparse`",
    )
}

/// The name of the member that these records describe, if they tell it, whatever is wrong
/// with the others.
pub(super) fn member_name(mut records: &[u8]) -> Option<&[u8]> {
    let mut name = None;
    while let Some((keyword, value, rest)) = split_record(records) {
        if matches!(keyword, b"path" | b"GNU.sparse.name") {
            name = Some(value);
        }
        records = rest;
    }
    name
}

/// Splits off the first record: keyword, value, rest.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = str::from_utf8(bytes.get(..digits)?).ok()?.parse().ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(digits + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((record.get(..equals)?, record.get(equals + 1..)?, rest))
}

fn number(value: &[u8]) -> Result<u64, Failure> {
    let digits = str::from_utf8(value).ok();
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| refused("a number in an extended header is not valid"))
}

/// Seconds since the epoch with a decimal fraction, such as `-1.5`; what is finer
/// than a nanosecond is cut off.
fn time(value: &[u8]) -> Result<Timestamp, Failure> {
    let parse = || {
        let text = str::from_utf8(value).ok()?;
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let nanoseconds: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        let seconds: i64 = whole.parse().ok()?;
        let time = match (is_negative, nanoseconds) {
            (false, _) => Timestamp::new(seconds, nanoseconds),
            (true, 0) => Timestamp::new(-seconds, 0),
            // Nanoseconds count forward, so the second before is the one they belong to.
            (true, _) => Timestamp::new(-seconds - 1, 1_000_000_000 - nanoseconds),
        };
        time.ok()
    };
    parse().ok_or_else(|| refused("a time in an extended header is not valid"))
}

/// The refusal of a keyword. What does not look like a keyword is not shown.
fn unknown(keyword: &[u8]) -> Failure {
    let is_odd = |byte: &u8| !byte.is_ascii_alphanumeric() && !b"._-".contains(byte);
    if keyword.len() > 64 || keyword.iter().any(is_odd) {
        return refused("an extended header holds an unknown keyword");
    }
    let keyword = keyword.escape_ascii().to_string();
    let failure = refused(format!("an extended header holds {keyword}, which is not supported"));
    failure.hint(if is_xattr(keyword.as_bytes()) {
        "leave out the attributes and access lists that the archive has with `xattrs: none`".into()
    } else {
        format!("pack it again with `tar --pax-option=delete={keyword}` to drop it")
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn records_go_by_their_length() {
        let pax = Pax::parse(b"28 SCHILY.xattr.user.a=\n1\n=\n13 uid=70000\n8 path=\n", true);
        let pax = pax.unwrap();
        assert_eq!(pax.xattrs.get(b"user.a".as_slice()).unwrap().expose(), b"\n1\n=");
        assert_eq!(pax.uid, Some(70_000));
        assert_eq!(pax.path, None);
    }

    #[test]
    fn names_of_extended_attributes_are_unescaped() {
        // As GNU tar 1.34 and bsdtar 3.6.2 write `user.a=b` and `user.100%`.
        let pax =
            Pax::parse(b"29 SCHILY.xattr.user.a%3Db=x\n30 SCHILY.xattr.user.100%25=y\n", true);
        let names: Vec<_> = pax.unwrap().xattrs.into_keys().collect();
        assert_eq!(names, [b"user.100%".as_slice().into(), b"user.a=b".as_slice().into()]);
        for case in [b"26 SCHILY.xattr.user.a%=x\n", b"26 SCHILY.xattr.user.%4=x\n"] {
            assert!(Pax::parse(case, true).is_err(), "{}", case.escape_ascii());
        }
        assert!(Pax::parse(b"27 SCHILY.xattr.user.%+1=x\n", true).is_err());
    }

    #[test]
    fn malformed_records_are_refused() {
        let cases: [&[u8]; 9] = [
            b"x",
            b"6 a=b",
            b"99 a=b\n",
            b"2 a=b\n",
            b"5 ab\n",
            b"6 a=b\0",
            b"-6 a=b\n",
            b"13 uid=7000x\n",
            b"99999999999999999999 a=b\n",
        ];
        for case in cases {
            assert!(Pax::parse(case, true).is_err(), "{}", case.escape_ascii());
        }
    }

    #[test]
    fn times_count_forward() {
        let parse = |text: &str| time(text.as_bytes()).ok().map(|t| (t.seconds(), t.nanoseconds()));
        assert_eq!(parse("1.5"), Some((1, 500_000_000)));
        assert_eq!(parse("-1.5"), Some((-2, 500_000_000)));
        assert_eq!(parse("-1"), Some((-1, 0)));
        assert_eq!(parse("0.0000000019"), Some((0, 1)));
        assert_eq!(parse("-9223372036854775807.9"), Some((i64::MIN, 100_000_000)));
        for bad in ["", "-", ".5", "1.x", "+1", "9223372036854775808", "1e3", "--1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
