//! The order in which a tree was put together shows nowhere: not in the bytes of any format,
//! and not in what is said of a tree that a format cannot hold.

use std::collections::{BTreeMap, HashMap};

use credimg_formats::{
    Content, Inode, InodeId, Kind, Metadata, Timestamp, Tree, erofs, iso9660, squashfs,
};

use crate::support::generator::{Random, Shape, generate};
use crate::support::{BUILD_TIME, join};

/// Whole seconds of all formats, but for two that ISO 9660 cannot hold.
fn shape() -> Shape {
    Shape {
        common_time: BUILD_TIME,
        odd_times: [
            Timestamp::from_seconds(0),
            Timestamp::new(1, 999_999_999).unwrap(),
            Timestamp::from_seconds(2_147_483_648),
            Timestamp::new(4_294_967_295, 5).unwrap(),
        ],
        block: 4096,
        xattrs: true,
        iso9660_names: false,
        target_max_bytes: 4095,
    }
}

/// A tree taken apart: its inodes, and each path with the inode that it leads to.
struct Parts {
    root: Metadata,
    inodes: Vec<(Metadata, Kind)>,
    paths: Vec<(Vec<u8>, usize)>,
}

impl Parts {
    fn of(tree: &Tree) -> Self {
        let root = tree.get(Tree::ROOT).unwrap();
        let (mut inodes, mut paths) = (Vec::new(), Vec::new());
        let mut known = HashMap::new();
        let mut directories = vec![(Vec::new(), root)];
        while let Some((above, directory)) = directories.pop() {
            let Kind::Directory(entries) = directory.kind() else { unreachable!() };
            for (name, id) in entries {
                let inode = tree.get(*id).unwrap();
                let path = join(&above, name.as_bytes());
                let number = *known.entry(*id).or_insert_with(|| {
                    inodes.push((Metadata::clone(&inode.metadata), copy(inode)));
                    inodes.len() - 1
                });
                if let Kind::Directory(_) = inode.kind() {
                    directories.push((path.clone(), inode));
                }
                paths.push((path, number));
            }
        }
        paths.sort();
        Self { root: Metadata::clone(&root.metadata), inodes, paths }
    }

    /// The tree again, its paths added in this order; a directory that is needed before its
    /// turn is made then.
    fn build<'a>(&'a self, order: impl Iterator<Item = &'a (Vec<u8>, usize)>) -> Tree {
        let numbers: BTreeMap<&[u8], usize> =
            self.paths.iter().map(|(path, number)| (path.as_slice(), *number)).collect();
        let mut tree = Tree::new(self.root.clone());
        let mut made: Vec<Option<InodeId>> = vec![None; self.inodes.len()];
        for (path, _) in order {
            let slashes = (0..path.len()).filter(|at| path[*at] == b'/').chain([path.len()]);
            let mut parent = Tree::ROOT;
            for end in slashes {
                let start =
                    path[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
                let (name, number) = (path[start..end].try_into().unwrap(), numbers[&path[..end]]);
                let (metadata, kind) = &self.inodes[number];
                let existing = tree.find(&path[..end]);
                parent = match (existing, made[number]) {
                    (Some(existing), _) => existing,
                    (None, Some(target)) => {
                        tree.link(parent, name, target).unwrap();
                        target
                    }
                    (None, None) => {
                        tree.insert(parent, name, metadata.clone(), copy_kind(kind)).unwrap()
                    }
                };
                made[number] = Some(parent);
            }
        }
        tree
    }

    /// In path order, backwards, and shuffled three times.
    fn trees(&self, seed: u64) -> [Tree; 5] {
        let mut random = Random::new(seed);
        let mut shuffled = || {
            let mut order: Vec<_> = self.paths.iter().collect();
            for last in (1..order.len()).rev() {
                order.swap(last, random.below(last as u64 + 1) as usize);
            }
            self.build(order.into_iter())
        };
        let shuffled = [shuffled(), shuffled(), shuffled()];
        let [one, two, three] = shuffled;
        [self.build(self.paths.iter()), self.build(self.paths.iter().rev()), one, two, three]
    }
}

fn copy(inode: &Inode) -> Kind {
    copy_kind(inode.kind())
}

fn copy_kind(kind: &Kind) -> Kind {
    match kind {
        Kind::Directory(_) => Kind::directory(),
        Kind::File(Content::Memory(secret)) => Kind::File(Content::Memory(secret.clone())),
        Kind::File(Content::Stream { .. }) => unreachable!("the generator streams nothing"),
        Kind::Symlink(target) => Kind::Symlink(target.clone()),
        Kind::CharDevice(device) => Kind::CharDevice(*device),
        Kind::BlockDevice(device) => Kind::BlockDevice(*device),
        Kind::Fifo => Kind::Fifo,
        Kind::Socket => Kind::Socket,
    }
}

/// The image, or what is said where there is none.
type Outcome = Result<Vec<u8>, String>;

fn erofs_image(tree: &Tree) -> Outcome {
    let options = erofs::Options::new().build_time(BUILD_TIME).uuid([7; 16]);
    let mut image = Vec::new();
    erofs::Plan::new(tree, options)
        .and_then(|plan| plan.write(&mut image))
        .map_err(|error| error.to_string())?;
    Ok(image)
}

fn squashfs_image(tree: &Tree, cut_fractions: bool) -> Outcome {
    let options = squashfs::Options::new()
        .build_time(BUILD_TIME)
        .cut_fractions(cut_fractions)
        .block_size(squashfs::BlockSize::new(4096).unwrap());
    let mut image = Vec::new();
    squashfs::Plan::new(tree, options)
        .and_then(|plan| plan.write(&mut image))
        .map_err(|error| error.to_string())?;
    Ok(image)
}

fn iso9660_image(tree: &Tree, joliet: bool, lossy: bool) -> Outcome {
    let options = iso9660::Options::new()
        .build_time(BUILD_TIME)
        .cut_fractions(true)
        .joliet(joliet)
        .lossy(lossy);
    let mut image = Vec::new();
    iso9660::Plan::new(tree, options)
        .and_then(|plan| plan.write(&mut image))
        .map_err(|error| error.to_string())?;
    Ok(image)
}

/// All that is made of a tree, by name: the images of the formats, and what is said of it where
/// they are asked for more than they hold.
fn outcomes(tree: &Tree) -> [(&'static str, Outcome); 7] {
    [
        ("EROFS", erofs_image(tree)),
        ("SquashFS", squashfs_image(tree, true)),
        ("ISO 9660", iso9660_image(tree, false, true)),
        ("ISO 9660 with Joliet", iso9660_image(tree, true, true)),
        ("SquashFS with fractions", squashfs_image(tree, false)),
        ("ISO 9660 without loss", iso9660_image(tree, false, false)),
        ("Joliet without loss", iso9660_image(tree, true, false)),
    ]
}

/// Builds the tree of each seed in five orders and compares all outcomes; returns how many
/// images and errors were alike.
pub(crate) fn compare(seeds: std::ops::Range<u64>) -> (usize, usize) {
    let (mut images, mut errors) = (0, 0);
    for seed in seeds {
        let (tree, _) = generate(seed, shape());
        let parts = Parts::of(&tree);
        let expected = outcomes(&tree);
        for (order, tree) in parts.trees(seed).iter().enumerate() {
            assert_eq!(tree.len(), parts.inodes.len() + 1);
            for ((format, outcome), (_, expected)) in outcomes(tree).iter().zip(&expected) {
                assert!(outcome == expected, "seed {seed}: {format}: order {order}");
            }
        }
        images += expected.iter().filter(|(_, outcome)| outcome.is_ok()).count();
        errors += expected.iter().filter(|(_, outcome)| outcome.is_err()).count();
    }
    (images, errors)
}
