//! Paths that look like nothing a person would name a file.

use super::*;

/// Makes [`PATHS`] files with odd paths, relative to `directory` or absolute
/// below it: the hand-written list first, then seeded mixtures.
pub(crate) fn make_odd_files(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut random = Random(0x5eed);
    let mut written: Vec<_> = HAND_WRITTEN.iter().map(|path| path.to_vec()).collect();
    written.extend([1012, 3000].map(|length_bytes| long_path(length_bytes).into_bytes()));
    let mut written = written.into_iter();
    while paths.len() < PATHS {
        let by_hand = written.next();
        let is_absolute = by_hand.as_ref().map_or(random.below(3) == 0, |path| path[0] == b'/');
        let bytes = by_hand.unwrap_or_else(|| odd_path(&mut random));
        let path = PathBuf::from(OsString::from_vec(bytes));
        let target = directory.join(path.strip_prefix("/").unwrap_or(&path));
        let parent = target.parent().unwrap();
        // A mixture may name what is a file or a directory already: it is left out.
        if fs::create_dir_all(parent).is_err() || target.exists() {
            continue;
        }
        File::create(&target).unwrap().set_len(size_bytes(paths.len())).unwrap();
        paths.push(if is_absolute { target } else { path });
    }
    paths
}

/// A relative path of this length: 1012 bytes is what a configuration file just carries.
pub(crate) fn long_path(length_bytes: usize) -> String {
    let name = format!("{}/", "n".repeat(199));
    let directories = name.repeat((length_bytes - 1) / 200);
    let rest = length_bytes - directories.len();
    directories + &"m".repeat(rest)
}

/// One to three components, each of one to six pieces.
fn odd_path(random: &mut Random) -> Vec<u8> {
    let components: Vec<_> = (0..=random.below(3))
        .map(|_| {
            let pieces: Vec<_> =
                (0..=random.below(6)).map(|_| PIECES[random.below(PIECES.len())]).collect();
            pieces.concat()
        })
        .collect();
    components.join(&b'/')
}

/// Marsaglia's xorshift: the same paths in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }
}

#[rustfmt::skip]
const HAND_WRITTEN: &[&[u8]] = &[
    b"plain.erofs", b"./dot.erofs", b"sub/../up.erofs", b"/absolute", b"//two/slashes",
    // What looks like an option or a request for help.
    b"-", b"-x", b"--help", b"help", b"?",
    // What looks like a protocol.
    b"a:b", b":", b"a:", b"sub/a:b", b"/a:b", b"file:x", b"json:{}",
    b"json:{\"driver\":\"null-co\"}", b"nbd:localhost:1", b"nbd://localhost/x", b"fat:rw:sub",
    b"pseudo:x", b"http://localhost/x", b"fd:3", b"dev/fdset/1",
    // What ends a value of an option list, or adds another.
    b",", b",,", b"a,b", b"a,format=qcow2,read-only=off", b",if=virtio", b"a,,b,,,c", b"trailing,",
    b"a=b", b"=", b"file=x",
    // What a shell or a configuration file reads.
    b" ", b" leading", b"trailing ", b"two  spaces", b"tab\there", b"new\nline", b"\n",
    b"trailing newline\n", b"carriage\rreturn", b"\x01\x02\x1b[2J\x7f", b"it's", b"'", b"''",
    b"\"", b"say \"hi\"", b"\\", b"a\\", b"a\\nb", b"\\,", b"100%", b"%s%n%d", b"~", b"~root",
    b"~/x", b"*", b"?.erofs", b"[a-z]", b"{a,b}", b"!", b"!!", b"$HOME", b"$(touch hit)",
    b"`touch hit`", b"${IFS}", b"#comment", b"[drive]", b"a;b", b"a&b|c", b"<in >out", b"(sub)",
    // UTF-8 with and without a meaning, and bytes that are none.
    "\u{e9}t\u{e9}.erofs".as_bytes(), "日本.erofs".as_bytes(), "😀".as_bytes(),
    "\u{202e}sfore".as_bytes(), "\u{fffd}".as_bytes(), "\u{ffff}".as_bytes(),
    "\u{fdd0}\u{1fffe}".as_bytes(), b"\xff", b"\xc3", b"latin1-\xe9",
    b"\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a", b"surrogate-\xed\xa0\x80",
];

#[rustfmt::skip]
const PIECES: &[&[u8]] = &[
    b"a", b"b", b"Z9", b",", b",,", b":", b"=", b" ", b"  ", b"'", b"\"", b"\\", b"\\\\", b"\n",
    b"\t", b"\r", b"%", b"%s", b"~", b"*", b"?", b"[a]", b"{a,b}", b"!", b"$HOME", b"$(id)", b"`",
    b"#", b"&", b"|", b";", b"<", b">", b"(", b")", b"^", b"-", b"--", b"+", b"@", b"file:",
    b"json:", b"nbd:", b"fat:", b"file=", b",id=x", b",format=qcow2", b",read-only=off",
    b"\xc3\xa9", b"\xe6\x97\xa5", b"\xf0\x9f\x98\x80", b"\x01", b"\x7f", b"\x1b", b"\xff",
    b"\xfe\x80", b"\x81", b"\x88",
];
