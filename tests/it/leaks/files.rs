//! A secret in place of each field of archives, in key files, in what is unwrapped, and in
//! what is audited.

use std::fs;
use std::path::Path;

use crate::leaks::canary::{BESIDE, SCALAR};
use crate::leaks::case::{Case, Place, forms};

/// Fields of a ustar header: name, offset and length in bytes (POSIX pax, ustar).
const FIELDS: &[(&str, usize, usize)] = &[
    ("name", 0, 100),
    ("mode", 100, 8),
    ("uid", 108, 8),
    ("gid", 116, 8),
    ("size", 124, 12),
    ("mtime", 136, 12),
    ("chksum", 148, 8),
    ("typeflag", 156, 1),
    ("linkname", 157, 100),
    ("magic", 257, 8),
    ("uname", 265, 32),
    ("gname", 297, 32),
    ("devmajor", 329, 8),
    ("devminor", 337, 8),
    ("prefix", 345, 155),
];
const PAX_KEYS: &[&str] = &[
    "path",
    "linkpath",
    "size",
    "uid",
    "gid",
    "mtime",
    "uname",
    "SCHILY.xattr.user.k",
    "SCHILY.acl.access",
    "LIBARCHIVE.xattr.user.k",
    "GNU.sparse.map",
    "GNU.sparse.realsize",
    "hdrcharset",
    "comment",
];
const BLOCK: usize = 512;

pub(crate) fn cases() -> Vec<Case> {
    [headers(), pax(), keys(), unwrapped(), audited(), inspected()].concat()
}

/// An archive of plain files.
pub(crate) fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let members = members.iter().map(|(name, content)| member(name, b'0', content, &[]));
    members.chain([vec![0; 2 * BLOCK]]).collect::<Vec<_>>().concat()
}

/// A member of this type with its content; `changes` are written into the header before it
/// gets its checksum.
fn member(name: &str, kind: u8, content: &[u8], changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut header = vec![0; BLOCK];
    let mut put = |offset: usize, bytes: &[u8]| {
        let end = (offset + bytes.len()).min(BLOCK);
        header.get_mut(offset..end).unwrap().copy_from_slice(bytes.get(..end - offset).unwrap());
    };
    put(0, name.as_bytes());
    put(100, b"0000600\0" as &[u8]);
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000005\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    for (offset, bytes) in changes {
        put(*offset, bytes);
    }
    if !changes.iter().any(|(offset, _)| *offset == 148) {
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        let text = format!("{sum:06o}\0 ");
        header.get_mut(148..156).unwrap().copy_from_slice(text.as_bytes());
    }
    let mut member = [&header[..], content].concat();
    member.resize(member.len().next_multiple_of(BLOCK), 0);
    member
}

fn build(group: &'static str, what: &str, archive: &[u8], place: Place) -> Case {
    let manifest = "files: [{path: /box, tar: a.tar}]\n";
    let case = Case::new(group, what, &["build", "m.yaml", "-o", "out/i.erofs", "--json"]);
    case.file("m.yaml", manifest).file("a.tar", archive).at(place)
}

/// A secret in each field of each kind of member. What lies where a name stands is a name.
fn headers() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in *b"01234567xgLKSVZ" {
        for (field, offset, length) in FIELDS {
            for cut in [SCALAR.len(), *length] {
                let value = SCALAR.repeat(8);
                let value = value.as_bytes().get(..cut.min(*length)).unwrap();
                let bad = member("box/key", kind, BESIDE.as_bytes(), &[(*offset, value)]);
                let archive = [bad, tar(&[("box/other", BESIDE.as_bytes())])].concat();
                let is_name = ["name", "prefix", "linkname"].contains(field);
                let place = if is_name { Place::Name } else { Place::Secret };
                let what = format!("{field} of a member of kind {}", char::from(kind));
                cases.push(build("tar", &what, &archive, place));
            }
        }
    }
    let whole = tar(&[("box/key", SCALAR.repeat(200).as_bytes())]);
    for cut in (0..whole.len()).step_by(173) {
        let (start, rest) = whole.split_at(cut);
        let what = format!("cut at {cut}");
        cases.push(build("tar", &what, start, Place::Secret));
        // What follows is read as a header where content stands.
        cases.push(build("tar", &format!("without its first {cut} bytes"), rest, Place::Secret));
    }
    cases
}

/// A secret in each record of an extended header, and as a record's own text.
fn pax() -> Vec<Case> {
    let mut cases = Vec::new();
    for key in PAX_KEYS {
        for form in forms("5", SCALAR) {
            let text = [b" ", key.as_bytes(), b"=", &form, b"\n"].concat();
            for length in [text.len() + 2, text.len() + 3, 0] {
                let record = [length.to_string().as_bytes(), &text].concat();
                let is_name = ["path", "linkpath"].contains(key);
                let place = if is_name { Place::Name } else { Place::Secret };
                cases.push(described(&record, &format!("{key}={form:?}"), place));
            }
        }
    }
    for form in forms("12 path=a", SCALAR) {
        cases.push(described(&form, &format!("{form:?}"), Place::Secret));
    }
    cases
}

/// An archive of which the one member has this extended header.
fn described(header: &[u8], what: &str, place: Place) -> Case {
    let header = member("pax", b'x', header, &[]);
    let archive = [header, tar(&[("box/key", BESIDE.as_bytes())])].concat();
    build("pax", what, &archive, place)
}

/// Key files of every kind that hold something else.
fn keys() -> Vec<Case> {
    const COMMANDS: &[&[&str]] = &[
        &[
            "build",
            "m.yaml",
            "-o",
            "out/i.erofs",
            "--encrypt",
            "luks1",
            "--key-file",
            "k",
            "--json",
        ],
        &["build", "m.yaml", "-o", "out/i.erofs", "--encrypt", "luks2", "--key-out", "k"],
        &[
            "build",
            "m.yaml",
            "-o",
            "out/i.erofs",
            "--encrypt",
            "luks1",
            "--key-file",
            "luks.key",
            "--master-key",
            "k",
        ],
        &["seal", "m.yaml", "-o", "out/i.age", "--key-out", "k"],
        &["secret", "wrap", "--master-key", "k", "--id", "a"],
        &["secret", "unwrap", "--master-key", "k"],
        &["exec", "m.yaml", "--encrypt", "luks1", "--key-file", "k", "--", "./monitor"],
        &["args", "box.tar", "--key-file", "k"],
        &["inspect", "box.tar", "--key-file", "k"],
    ];
    let manifest = format!("files: [{{path: /t, text: {BESIDE}}}]\n");
    let mut cases = Vec::new();
    for command in COMMANDS {
        let long = SCALAR.repeat(40);
        let more = [
            format!("AGE-SECRET-KEY-1{SCALAR}"),
            format!("# created\nAGE-SECRET-KEY-1{}\n", SCALAR.to_uppercase()),
            format!("{SCALAR}\n"),
            format!("{SCALAR}\r\n"),
            format!("{SCALAR}=="),
            long,
        ];
        let texts = forms("key", SCALAR).into_iter().chain(more.map(String::into_bytes));
        for text in texts {
            let what = format!("{command:?} with the key {:?}", String::from_utf8_lossy(&text));
            let case = Case::new("keys", &what, command).file("m.yaml", manifest.clone());
            cases.push(case.file("k", text).stdin(BESIDE));
        }
    }
    cases
}

/// What `secret unwrap` is given.
fn unwrapped() -> Vec<Case> {
    let shapes = [
        ("secret,id=a,iv=", ",data=QUJD"),
        ("secret,id=a,iv=AAECAwQFBgcICQoLDA0ODw==,data=", ""),
        ("{\"iv\": \"", "\", \"data\": \"QUJD\"}"),
        ("{\"iv\": \"AAECAwQFBgcICQoLDA0ODw==\", \"data\": ", "}"),
        ("{\"iv\": ", ""),
        ("", ""),
    ];
    let mut cases = Vec::new();
    for (before, behind) in shapes {
        for form in forms("QUJD", SCALAR) {
            let text = [before.as_bytes(), &form, behind.as_bytes()].concat();
            let what = String::from_utf8_lossy(&text).into_owned();
            let arguments = ["secret", "unwrap", "--master-key", "master.key"];
            cases.push(Case::new("unwrap", &what, &arguments).stdin(text));
        }
    }
    cases
}

/// A secret in place of each word of the scripts and configurations that the audit knows,
/// leaking and safe. (Directories and files are named in findings, but not these words.)
fn audited() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in ["leaks", "safe"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/audit").join(kind);
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if !entry.file_type().unwrap().is_file() {
                continue;
            }
            let text = fs::read(entry.path()).unwrap();
            let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./-+%$".contains(byte);
            let words: Vec<_> = text.chunk_by(|a, b| is_word(a) == is_word(b)).collect();
            let wanted = words.iter().enumerate().filter(|(_, word)| is_word(&word[0]));
            // Long ones would be most of all cases.
            let step = (words.len() / 40).max(1);
            for (index, word) in wanted.step_by(step) {
                let grown = [word, SCALAR.as_bytes()].concat();
                for canary in [SCALAR.as_bytes(), &grown] {
                    let mut changed = words.clone();
                    changed[index] = canary;
                    let what = format!("word {index} of {}", entry.path().display());
                    let arguments: &[&str] =
                        if index % 2 == 0 { &["audit", "-"] } else { &["audit", "--json", "-"] };
                    cases.push(Case::new("audit", &what, arguments).stdin(changed.concat()));
                }
            }
        }
    }
    cases
}

/// Files that are no images, or images of which fields are text: `inspect` and `args` say
/// what they are, and a label is a name.
fn inspected() -> Vec<Case> {
    let mut cases = Vec::new();
    for (magic, offset) in [
        (&b"LUKS\xba\xbe\x00\x01"[..], 0),
        (b"LUKS\xba\xbe\x00\x02", 0),
        (b"\xe2\xe1\xf5\xe0", 1024),
        (b"hsqs", 0),
        (b"\x01CD001\x01", 32768),
    ] {
        for start in [8, 16, 24, 72, 112, 168, 208, 4096] {
            let mut image = vec![0; 64 << 10];
            let mut put = |offset: usize, bytes: &[u8]| {
                image.get_mut(offset..offset + bytes.len()).unwrap().copy_from_slice(bytes);
            };
            put(offset + start, SCALAR.as_bytes());
            put(offset, magic);
            for command in [
                &["inspect", "i"][..],
                &["inspect", "i", "--json"],
                &["inspect", "i", "--key-file", "luks.key"],
                &["args", "i"],
                &["args", "i", "--key-file", "luks.key"],
                &["ls", "-lR", "i"],
                &["cat", "i", "a"],
                &["extract", "i", "out/x"],
            ] {
                let what = format!("{command:?}: magic at {offset}, secret {start} behind");
                let case = Case::new("inspect", &what, command).file("i", image.clone());
                cases.push(case.at(Place::Name));
            }
        }
    }
    cases
}
