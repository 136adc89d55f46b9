//! Finds the archive of credentials that credimg has put behind a guest's own initrd: the last
//! archive of the file, in the form `newc`.

use crate::delivery::initrd::newc::{
    ALIGNMENT_BYTES, HEADER_BYTES, KIND, MAGIC, Number, REGULAR, TRAILER, number,
};
use crate::delivery::initrd::{EXTRA_TOP, TMPFILES_TOP};

/// How much of an initrd's end is searched. No archive of credentials is longer, as systemd takes
/// one mebibyte of them.
pub(super) const TAIL_MAX_BYTES: u64 = 4 << 20;

/// A file of an archive.
pub(super) struct Member<'a> {
    pub(super) path: &'a [u8],
    pub(super) content: &'a [u8],
}

/// The archive of credentials in `end`, which is the end of an initrd, and the files in that
/// archive. None where nothing lies behind the guest's own initrd.
pub(super) fn archive(end: &[u8]) -> Option<(&[u8], Vec<Member<'_>>)> {
    let mut left = end;
    // An archive of credentials begins with one of the two directories that credimg makes.
    let is_first = |name: &[u8]| {
        let path = name.split(|byte| *byte == 0).next();
        [EXTRA_TOP, TMPFILES_TOP].iter().any(|first| path == Some(first.as_bytes()))
    };
    while let Some(at) = left.windows(MAGIC.len()).position(|bytes| bytes == MAGIC.as_bytes()) {
        left = left.get(at..)?;
        if is_first(left.get(HEADER_BYTES..).unwrap_or_default())
            && let Some(members) = members(left)
        {
            return Some((left, members));
        }
        left = left.get(MAGIC.len()..)?;
    }
    None
}

/// The regular files of the archive that `left` begins with. None where it is damaged, or where
/// anything but zeros follows it.
fn members(mut left: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut members = Vec::new();
    loop {
        let (header, rest) = left.split_at_checked(HEADER_BYTES)?;
        if !header.starts_with(MAGIC.as_bytes()) {
            return None;
        }
        let length = |which| usize::try_from(number(header, which)?).ok();
        let (content_bytes, name_bytes) =
            (length(Number::ContentBytes)?, length(Number::NameBytes)?);
        let mode = number(header, Number::Mode)?;
        let path = rest.get(..name_bytes)?.strip_suffix(b"\0")?;
        let rest = left.get((HEADER_BYTES + name_bytes).next_multiple_of(ALIGNMENT_BYTES)..)?;
        let content = rest.get(..content_bytes)?;
        left = rest.get(content_bytes.next_multiple_of(ALIGNMENT_BYTES)..)?;
        if path == TRAILER.as_bytes() {
            return left.iter().all(|byte| *byte == 0).then_some(members);
        }
        if mode & KIND == REGULAR {
            members.push(Member { path, content });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, mode: u32, content: &str) -> String {
        let (zero, content_bytes, name_bytes) = (0, content.len(), path.len() + 1);
        let mut entry = format!(
            "070701{zero:08x}{mode:08x}{zero:08x}{zero:08x}{zero:08x}{zero:08x}{content_bytes:08x}\
             {zero:08x}{zero:08x}{zero:08x}{zero:08x}{name_bytes:08x}{zero:08x}{path}\0"
        );
        for text in [content, ""] {
            while entry.len() % 4 != 0 {
                entry.push('\0');
            }
            entry.push_str(text);
        }
        entry
    }

    fn found(initrd: &str) -> Option<Vec<(String, String)>> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (_, members) = archive(initrd.as_bytes())?;
        Some(members.iter().map(|member| (text(member.path), text(member.content))).collect())
    }

    #[test]
    fn credentials_are_found_behind_any_initrd() {
        let directory = entry(".extra", 0o040_555, "");
        let own = entry(".extra/system_credentials/a.cred", 0o100_400, "hunter2");
        let end = entry("TRAILER!!!", 0, "");
        let tail = [directory.as_str(), &own, &end].concat();
        let expected =
            Some(vec![(".extra/system_credentials/a.cred".to_owned(), "hunter2".to_owned())]);
        for before in ["", "packed 070701", &[entry("init", 0o100_755, "x"), end.clone()].concat()]
        {
            assert_eq!(found(&format!("{before}\0\0\0\0{tail}")), expected);
        }
        for other in [
            String::new(),
            [entry("init", 0o100_755, "x"), end.clone()].concat(),
            format!("{tail}and more"),
            [directory.as_str(), &own].concat(),
            tail.replace("00000007", "ffffffff"),
            tail.replace("00000007", "-0000007"),
        ] {
            assert_eq!(found(&other), None, "{other}");
        }
    }
}
