//! The seeded generator of trees that hit the edges of a format, and of the same
//! tree as a plain list to compare with.

use std::collections::BTreeMap;

use credimg_formats::{
    Content, Device, InodeId, Kind, Metadata, Mode, Name, Secret, Timestamp, Tree, Xattrs,
};

use super::{Expected, ExpectedKind, Listing, S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK, join, special};

/// The generator: splitmix64, so that a seed means the same tree for ever.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// How a generated tree is shaped.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// The time that most entries have.
    pub(crate) common_time: Timestamp,
    /// What the others have.
    pub(crate) odd_times: [Timestamp; 4],
    /// The block size whose multiples are the edges.
    pub(crate) block: usize,
    pub(crate) xattrs: bool,
    /// Names that ISO 9660 mangles alike among the others, and none over 253 bytes, of
    /// which Linux reads no more from it.
    pub(crate) iso9660_names: bool,
    /// Longest target of a symbolic link in bytes.
    pub(crate) target_max_bytes: usize,
}

/// Names that differ only in what ISO 9660 identifiers cannot hold: in case, behind
/// the eighth or thirtieth character, in characters that are not allowed, in dots;
/// and names that look like what a collision is resolved to.
const ALIKE: [&[u8]; 48] = [
    b"readme",
    b"README",
    b"ReadMe",
    b"readme.",
    b"README.TXT",
    b"readme.txt",
    b"readme.tXt",
    b"readme.t x",
    b"secrets1",
    b"secrets11",
    b"secrets12",
    b"secrets13",
    b"secrets1.key",
    b"secrets12.key",
    b"secrets13.key",
    b"abcdefghijklmnopqrstuvwxyz0123",
    b"abcdefghijklmnopqrstuvwxyz01234",
    b"abcdefghijklmnopqrstuvwxyz012345",
    b"abcdefghijklmnopqrstuvwxyz01234.pem",
    b"abcdefghijklmnopqrstuvwxyz012345.pem",
    b"abcdefghijklmnopqrstuvwxyz0123456.pem",
    b"a.abcdefghijklmnopqrstuvwxyz0123",
    b"a.abcdefghijklmnopqrstuvwxyz01234",
    b"+++",
    b"---",
    b"   ",
    b"\xff\xff\xff",
    b"\xc3\xa4\xc3\xb6",
    b"\xc3\xa4\xc3\xbc",
    b"_",
    b"__",
    b"___",
    b"a;1",
    b"A",
    b"a",
    b"A;1",
    b"A.;1",
    b"a.b.c",
    b"a_b.c",
    b"a.b_c",
    b".a",
    b"..a",
    b"...",
    b"a..",
    b"README00",
    b"README_1.TXT",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ000",
    b"___0001",
];

/// Makes the tree of `seed` and what a reader must see of it.
pub(crate) fn generate(seed: u64, shape: Shape) -> (Tree, Listing) {
    let mut random = Random::new(seed);
    let mut maker =
        Maker { random: &mut random, shape, listing: Listing::new(), contents: Vec::new() };
    let (root, expected) = maker.metadata(true);
    let mut tree = Tree::new(root);
    maker
        .listing
        .insert(Vec::new(), Expected { kind: ExpectedKind::Directory { links: 2 }, ..expected });
    let mut directories = vec![(Tree::ROOT, Vec::new())];
    let mut files: Vec<(InodeId, Vec<u8>)> = Vec::new();
    for _ in 0..=maker.random.below(40) {
        let (parent, parent_path) =
            directories[maker.random.below(directories.len() as u64) as usize].clone();
        match maker.random.below(11) {
            0 | 1 => {
                let made = maker.directory(&mut tree, parent, &parent_path);
                directories.extend(made);
            }
            2 => maker.symlink(&mut tree, parent, &parent_path),
            3 if !files.is_empty() => {
                let target: (_, Vec<u8>) =
                    files[maker.random.below(files.len() as u64) as usize].clone();
                maker.hard_link(&mut tree, parent, &parent_path, &target);
            }
            4 => maker.full_directory(&mut tree, parent, &parent_path),
            5 => maker.special(&mut tree, parent, &parent_path),
            _ => files.extend(maker.file(&mut tree, parent, &parent_path)),
        }
    }
    let mut listing = maker.listing;
    settle_links(&mut listing);
    (tree, listing)
}

struct Maker<'r> {
    random: &'r mut Random,
    shape: Shape,
    listing: Listing,
    /// Of the files so far.
    contents: Vec<Vec<u8>>,
}

impl Maker<'_> {
    fn name(&mut self) -> Vec<u8> {
        if self.shape.iso9660_names {
            if self.random.below(2) == 0 {
                return self.random.pick(&ALIKE).to_vec();
            }
            let lengths = [1, 2, 3, 8, 12, 30, 31, 40, 249, 250, 251, 252, 253];
            let length = self.random.pick(&lengths);
            return self.name_of(length);
        }
        let length = self.random.pick(&[1, 1, 2, 3, 8, 12, 40, 251, 252, 253, 254, 255]);
        self.name_of(length)
    }

    fn name_of(&mut self, length: usize) -> Vec<u8> {
        loop {
            // Names around the dot sort on both sides of `.` and `..`.
            let first = self.random.pick(b"!#-+,./0AZaz~\x01\x7f\xc3\xff");
            let mut name = vec![first];
            while name.len() < length {
                name.push(self.random.pick(b"abcdefghij0123456789._- '\"$\\\n\xc3\xa4\xff\x01"));
            }
            // Linux cannot look up such names of one byte on ISO 9660.
            let is_lost = self.shape.iso9660_names && matches!(name[..], [1 | 128..]);
            if Name::new(&name).is_ok() && !is_lost {
                return name;
            }
        }
    }

    fn metadata(&mut self, is_directory: bool) -> (Metadata, Expected) {
        let common = self.shape.common_time;
        let times = [[common; 4], self.shape.odd_times].concat();
        let ids = [0, 0, 0, 1, 990, 65534, 65535, 65536, 0x7fff_ffff, 0xffff_fffe];
        let modes: &[u16] = if is_directory {
            &[0o500, 0o755, 0o700, 0o1777, 0o2755, 0o000, 0o7777]
        } else {
            &[0o400, 0o400, 0o644, 0o4755, 0o000, 0o7777, 0o2640]
        };
        let metadata = Metadata {
            mode: Mode::new(self.random.pick(modes)).unwrap(),
            uid: self.random.pick(&ids),
            gid: self.random.pick(&ids),
            mtime: self.random.pick(&times),
            xattrs: self.xattrs(),
        };
        let expected = Expected {
            kind: ExpectedKind::Directory { links: 2 },
            mode: u32::from(metadata.mode),
            uid: metadata.uid,
            gid: metadata.gid,
            mtime: (metadata.mtime.seconds(), i64::from(metadata.mtime.nanoseconds())),
            xattrs: metadata
                .xattrs
                .iter()
                .map(|(n, v)| (n.to_vec(), v.expose().to_vec()))
                .collect(),
        };
        (metadata, expected)
    }

    fn xattrs(&mut self) -> Xattrs {
        let mut xattrs = Xattrs::new();
        if !self.shape.xattrs || self.random.below(3) != 0 {
            return xattrs;
        }
        if self.random.below(4) == 0 {
            // What many inodes have alike, as a whole set and as a value.
            let label = b"system_u:object_r:etc_t:s0\0".as_slice();
            xattrs.insert(b"security.label".as_slice().into(), Secret::from(label));
            if self.random.below(2) == 0 {
                return xattrs;
            }
            xattrs.insert(b"trusted.same".as_slice().into(), Secret::from(label));
        }
        for _ in 0..=self.random.below(4) {
            let prefix = self.random.pick(&["user.", "trusted.", "security."]);
            let room = 255 - prefix.len() as u64;
            let length = self.random.pick(&[1, 2, 3, 4, 5, 17, room - 1, room]);
            let mut name = prefix.as_bytes().to_vec();
            // Lower case, so that it is never `security.capability`, which the kernel interprets.
            name.extend((0..length).map(|_| b'a' + self.random.below(3) as u8));
            let size = self.random.pick(&[0, 1, 2, 3, 4, 5, 100, 1000, 3900, 4096, 9000, 65535]);
            xattrs.insert(name.into(), Secret::new(self.random.bytes(size)));
        }
        xattrs
    }

    fn size(&mut self) -> usize {
        let block = self.shape.block as i64;
        let base =
            self.random.pick(&[0, 0, 0, block / 4, block / 2, block, block, 2 * block, 5 * block]);
        let delta =
            self.random.pick(&[-97, -96, -65, -64, -63, -33, -32, -31, -1, 0, 1, 31, 32, 33, 64]);
        if self.random.below(4) == 0 {
            return self.random.below(4 * self.shape.block as u64) as usize;
        }
        (base + delta).max(0) as usize
    }

    fn add(
        &mut self,
        tree: &mut Tree,
        parent: InodeId,
        parent_path: &[u8],
        name: &[u8],
        kind: Kind,
    ) -> Option<(InodeId, Vec<u8>)> {
        let (metadata, mut expected) = self.metadata(matches!(kind, Kind::Directory(_)));
        let path = join(parent_path, name);
        expected.kind = match &kind {
            Kind::Directory(_) => ExpectedKind::Directory { links: 2 },
            Kind::Symlink(target) => {
                expected.mode = 0o777;
                ExpectedKind::Symlink(target.to_vec())
            }
            Kind::File(Content::Memory(secret)) => ExpectedKind::File {
                content: secret.expose().to_vec(),
                links: 1,
                same_as: path.clone(),
            },
            Kind::File(Content::Stream { .. }) => unreachable!("the generator streams nothing"),
            Kind::CharDevice(device) => special(S_IFCHR, (device.major(), device.minor())),
            Kind::BlockDevice(device) => special(S_IFBLK, (device.major(), device.minor())),
            Kind::Fifo => special(S_IFIFO, (0, 0)),
            Kind::Socket => special(S_IFSOCK, (0, 0)),
        };
        let mut metadata = metadata;
        if !matches!(kind, Kind::File(_) | Kind::Directory(_)) {
            // Linux lets only files and directories have user.* attributes.
            metadata.xattrs.retain(|name, _| !name.starts_with(b"user."));
            expected.xattrs.retain(|name, _| !name.starts_with(b"user."));
        }
        let id = tree.insert(parent, Name::new(name).unwrap(), metadata, kind).ok()?;
        self.listing.insert(path.clone(), expected);
        Some((id, path))
    }

    fn directory(
        &mut self,
        tree: &mut Tree,
        parent: InodeId,
        parent_path: &[u8],
    ) -> Option<(InodeId, Vec<u8>)> {
        // Linux cannot reach paths over 4095 bytes.
        let name = if parent_path.len() > 2500 { self.name_of(2) } else { self.name() };
        self.add(tree, parent, parent_path, &name, Kind::directory())
    }

    fn file(
        &mut self,
        tree: &mut Tree,
        parent: InodeId,
        parent_path: &[u8],
    ) -> Option<(InodeId, Vec<u8>)> {
        let name = self.name();
        let content = self.content();
        let kind = Kind::File(Content::Memory(Secret::new(content)));
        self.add(tree, parent, parent_path, &name, kind)
    }

    /// Mostly new content; else an earlier file's, or one that differs in its last byte.
    fn content(&mut self) -> Vec<u8> {
        if self.contents.is_empty() || self.random.below(6) != 0 {
            let size = self.size();
            let content = self.new_content(size);
            self.contents.push(content.clone());
            return content;
        }
        let mut content =
            self.contents[self.random.below(self.contents.len() as u64) as usize].clone();
        if let Some(last) = content.last_mut()
            && self.random.below(2) == 0
        {
            *last ^= 1;
        }
        content
    }

    /// Random, repetitive or zero bytes, in runs that do not care for blocks.
    fn new_content(&mut self, size: usize) -> Vec<u8> {
        let mut content = Vec::with_capacity(size);
        while content.len() < size {
            let room = size - content.len();
            let run = if self.random.below(2) == 0 {
                room
            } else {
                1 + self.random.below(room as u64) as usize
            };
            match self.random.below(4) {
                0 => content.resize(content.len() + run, 0),
                1 => {
                    let word = self.random.bytes(7);
                    content.extend(word.iter().cycle().take(run));
                }
                _ => content.extend(self.random.bytes(run)),
            }
        }
        content
    }

    fn special(&mut self, tree: &mut Tree, parent: InodeId, parent_path: &[u8]) {
        let name = self.name();
        let numbers = [(0, 0), (1, 3), (8, 255), (8, 256), (259, 65_535), (0xfff, 0xf_ffff)];
        let (major, minor) = self.random.pick(&numbers);
        let device = Device::new(major, minor).unwrap();
        let kind = match self.random.below(4) {
            0 => Kind::CharDevice(device),
            1 => Kind::BlockDevice(device),
            2 => Kind::Fifo,
            _ => Kind::Socket,
        };
        self.add(tree, parent, parent_path, &name, kind);
    }

    fn symlink(&mut self, tree: &mut Tree, parent: InodeId, parent_path: &[u8]) {
        let name = self.name();
        let length =
            self.random.pick(&[1, 2, 31, 32, 33, 60, 255, 256, 1000, 4032, 4064, 4065, 4094, 4095]);
        let length = length.min(self.shape.target_max_bytes);
        let target = if self.shape.iso9660_names && self.random.below(2) == 0 {
            self.components(length)
        } else {
            (0..length).map(|_| self.random.pick(b"abc/.\xff\n ")).collect::<Vec<u8>>()
        };
        self.add(tree, parent, parent_path, &name, Kind::Symlink(target.into()));
    }

    /// A target of components that fill a Rock Ridge field, or miss by a byte, of empty
    /// ones, and of those that it has flags for.
    fn components(&mut self, length: usize) -> Vec<u8> {
        let mut target = Vec::new();
        while target.len() < length {
            match self.random.below(5) {
                0 => target.extend(b"./"),
                1 => target.extend(b"../"),
                2 => target.push(b'/'),
                _ => {
                    let size = self.random.pick(&[1, 2, 122, 123, 246, 247, 248, 249, 250, 255]);
                    target.resize(target.len() + size, b'c');
                    target.push(b'/');
                }
            }
        }
        target.truncate(length);
        target
    }

    fn hard_link(
        &mut self,
        tree: &mut Tree,
        parent: InodeId,
        parent_path: &[u8],
        (target, target_path): &(InodeId, Vec<u8>),
    ) {
        let name = self.name();
        if tree.link(parent, Name::new(&name).unwrap(), *target).is_ok() {
            let expected = self.listing[target_path].clone();
            self.listing.insert(join(parent_path, &name), expected);
        }
    }

    /// A directory whose entries, with `.` and `..`, fill one or two blocks exactly, or miss by a byte.
    fn full_directory(&mut self, tree: &mut Tree, parent: InodeId, parent_path: &[u8]) {
        let Some((id, path)) = self.directory(tree, parent, parent_path) else { return };
        if path.len() > 3500 {
            return;
        }
        let miss = self.random.pick(&[-1, 0, 0, 1]);
        let mut room = self.shape.block as i64 - (12 + 1) - (12 + 2) + miss;
        let mut index = 0;
        while room > 13 {
            // Leave a rest that one more name can fill.
            let longest = if self.shape.iso9660_names { 253 } else { 255 };
            let length = if room <= 12 + longest { room - 12 } else { 40 + index % 100 };
            let name = format!("{index:0>width$}", width = length as usize);
            self.add(
                tree,
                id,
                &path,
                name.as_bytes(),
                Kind::File(Content::Memory(Secret::default())),
            );
            room -= 12 + length;
            index += 1;
        }
        if self.random.below(2) == 0 {
            self.file(tree, id, &path);
        }
    }
}

/// Fills in link counts and names the first path of each inode.
fn settle_links(listing: &mut Listing) {
    let mut subdirectories: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    let mut names: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    for (path, expected) in listing.iter() {
        match &expected.kind {
            ExpectedKind::Directory { .. } if !path.is_empty() => {
                *subdirectories.entry(parent(path).to_vec()).or_default() += 1;
            }
            ExpectedKind::File { same_as, .. } => {
                names.entry(same_as.clone()).or_default().push(path.clone());
            }
            _ => {}
        }
    }
    for (path, expected) in listing.iter_mut() {
        match &mut expected.kind {
            ExpectedKind::Directory { links } => {
                *links = 2 + subdirectories.get(path).copied().unwrap_or(0);
            }
            ExpectedKind::File { links, same_as, .. } => {
                let all = &names[same_as];
                *links = all.len() as u64;
                same_as.clone_from(&all[0]);
            }
            ExpectedKind::Symlink(_) | ExpectedKind::Special { .. } => {}
        }
    }
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(b"", |slash| &path[..slash])
}
