//! A tree as `unsquashfs -pf` prints an image: definitions, then the data of all files.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;

use credimg_formats::{InodeId, Kind, Tree};

/// The whole listing. Where a file has holes is not known: the last number of `R` is 0.
pub(crate) fn listing(tree: &Tree) -> Vec<u8> {
    let mut lister =
        Lister { tree, seen: HashMap::new(), definitions: String::new(), data: Vec::new() };
    lister.list(Tree::ROOT, "");
    let mut listing = lister.definitions.into_bytes();
    listing.extend_from_slice(b"#\n# START OF DATA - DO NOT MODIFY\n#\n");
    listing.extend_from_slice(&lister.data);
    listing
}

struct Lister<'a> {
    tree: &'a Tree,
    /// Escaped paths by the inodes that were listed already.
    seen: HashMap<InodeId, String>,
    definitions: String,
    data: Vec<u8>,
}

impl Lister<'_> {
    fn list(&mut self, id: InodeId, path: &str) {
        let inode = self.tree.get(id).unwrap();
        let name = if path.is_empty() { "/".to_owned() } else { escape(&path[1..]) };
        if let Some(first) = self.seen.get(&id) {
            writeln!(self.definitions, "{name} L {first}").unwrap();
            return;
        }
        self.seen.insert(id, name.clone());
        let metadata = &inode.metadata;
        let (letter, rest) = match inode.kind() {
            Kind::Directory(_) => ('D', String::new()),
            Kind::File(content) => {
                let offset = self.data.len();
                content.stream(&mut self.data).unwrap();
                ('R', format!(" {} {offset} 0", self.data.len() - offset))
            }
            Kind::Symlink(target) => ('S', format!(" {}", std::str::from_utf8(target).unwrap())),
            Kind::CharDevice(device) => ('C', device_numbers(device.major(), device.minor())),
            Kind::BlockDevice(device) => ('B', device_numbers(device.major(), device.minor())),
            Kind::Fifo => ('I', " f".to_owned()),
            Kind::Socket => ('I', " s".to_owned()),
        };
        let (seconds, mode) = (metadata.mtime.seconds(), metadata.mode);
        let (uid, gid) = (metadata.uid.cast_signed(), metadata.gid.cast_signed());
        writeln!(self.definitions, "{name} {letter} {seconds} {mode:o} {uid} {gid}{rest}").unwrap();
        for (attribute, value) in &metadata.xattrs {
            let attribute = std::str::from_utf8(attribute).unwrap();
            writeln!(self.definitions, "{name} x {attribute}={}", shown(value.expose())).unwrap();
        }
        if let Kind::Directory(entries) = inode.kind() {
            for (name, child) in entries {
                let name = std::str::from_utf8(name.as_bytes()).unwrap();
                self.list(*child, &format!("{path}/{name}"));
            }
        }
    }
}

/// The numbers as unsquashfs prints them: the high bits of the minor number
/// are taken for some of the major one, and the highest for its sign.
fn device_numbers(major: u32, minor: u32) -> String {
    let high = (minor >> 8 << 20 | major << 8).cast_signed() >> 8;
    format!(" {high} {}", minor & 0xff)
}

fn escape(path: &str) -> String {
    let mut escaped = String::new();
    for character in path.chars() {
        if character == '"' || character == '\\' || character.is_ascii_whitespace() {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn shown(value: &[u8]) -> String {
    let is_printable = |byte: &u8| (32..127).contains(byte);
    if value.iter().all(is_printable) {
        return String::from_utf8(value.to_vec()).unwrap();
    }
    let mut text = Vec::from(b"0t");
    for byte in value {
        match byte {
            byte if is_printable(byte) && *byte != b'\\' => text.push(*byte),
            byte => write!(text, "\\{byte:03o}").unwrap(),
        }
    }
    String::from_utf8(text).unwrap()
}
