//! What credimg has put behind a guest's own initrd: the last archive of the file, in the form `newc`
//! (Linux's Documentation/driver-api/early-userspace/buffer-format.rst).

/// More than any archive of credentials is long: systemd takes a mebibyte of them.
pub(super) const TAIL_MAX_BYTES: u64 = 4 << 20;
/// What such an archive begins with: the directory that it brings.
const FIRST_NAMES: [&[u8]; 2] = [b".extra\0", b".credimg\0"];
const MAGIC: &[u8] = b"070701";
const HEAD_BYTES: usize = 110;
const TRAILER: &[u8] = b"TRAILER!!!";
/// The bits of a mode that tell the kind, and those of a regular file.
const KIND: usize = 0o170_000;
const REGULAR: usize = 0o100_000;

/// A file of an archive.
pub(super) struct Member<'a> {
    pub(super) path: &'a [u8],
    pub(super) content: &'a [u8],
}

/// The archive of credentials at the end of an initrd of which `end` are the last bytes, and its
/// files; none where the guest's own initrd stands alone.
pub(super) fn archive(end: &[u8]) -> Option<(&[u8], Vec<Member<'_>>)> {
    let mut left = end;
    while let Some(at) = left.windows(MAGIC.len()).position(|bytes| bytes == MAGIC) {
        left = left.get(at..)?;
        let name = left.get(HEAD_BYTES..).unwrap_or_default();
        if FIRST_NAMES.iter().any(|first| name.starts_with(first))
            && let Some(members) = members(left)
        {
            return Some((left, members));
        }
        left = left.get(MAGIC.len()..)?;
    }
    None
}

/// The files of an archive behind which nothing but zeros follows; none of any other.
fn members(mut left: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut members = Vec::new();
    loop {
        let (head, rest) = left.split_at_checked(HEAD_BYTES)?;
        let numbers = head.strip_prefix(MAGIC)?;
        let number = |index: usize| {
            let digits = numbers.get(index * 8..index * 8 + 8)?;
            usize::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
        };
        let (mode, content_bytes, name_bytes) = (number(1)?, number(6)?, number(11)?);
        let path = rest.get(..name_bytes)?.strip_suffix(b"\0")?;
        // Head and name, and the content, are filled up to a multiple of four.
        let rest = left.get((HEAD_BYTES + name_bytes).next_multiple_of(4)..)?;
        let content = rest.get(..content_bytes)?;
        left = rest.get(content_bytes.next_multiple_of(4)..)?;
        if path == TRAILER {
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
