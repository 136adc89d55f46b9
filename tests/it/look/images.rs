//! One tree, and images of it: ours in every format and those of other tools.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Timespec, Timestamps};
use tempfile::TempDir;

use super::{done, tool};

/// A directory with a tree and images of it.
pub(crate) struct Images(TempDir);

/// An image that was made of the tree.
pub(crate) struct Image {
    pub(crate) name: &'static str,
    /// The file system that the kernel has for it; none that it has not, or may not have.
    pub(crate) mounted_as: Option<&'static str>,
    pub(crate) xattrs: Kept,
    /// What comes behind the name on the command line.
    pub(crate) key: &'static [&'static str],
}

/// Which extended attributes a format holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    All,
    /// All but access lists.
    NoLists,
    None,
}

const KEY: &[&str] = &["--key-file", "key"];
const fn image(
    name: &'static str,
    mounted_as: Option<&'static str>,
    xattrs: Kept,
    key: &'static [&'static str],
) -> Image {
    Image { name, mounted_as, xattrs, key }
}

/// All of them: ours, and behind them those of other tools.
pub(crate) const ALL: [Image; 11] = [
    image("ours.erofs", Some("erofs"), Kept::All, &[]),
    image("ours.sqfs", Some("squashfs"), Kept::NoLists, &[]),
    image("ours.iso", None, Kept::None, &[]),
    image("locked.erofs", None, Kept::All, KEY),
    image("locked.sqfs", None, Kept::NoLists, KEY),
    image("locked.iso", None, Kept::None, KEY),
    image("foreign.erofs", Some("erofs"), Kept::All, &[]),
    image("chunked.erofs", Some("erofs"), Kept::All, &[]),
    image("gzip.sqfs", Some("squashfs"), Kept::NoLists, &[]),
    image("xz.sqfs", Some("squashfs"), Kept::NoLists, &[]),
    image("foreign.iso", None, Kept::None, &[]),
];

impl Images {
    /// Makes the tree and these images of it.
    pub(crate) fn new(names: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let images = Self(directory);
        fs::create_dir(images.path("mnt")).unwrap();
        make_tree(&images.path("tree"));
        fs::write(images.path("key"), "correct horse").unwrap();
        private(&images.path("key"));
        images.manifest("tree", &["--xattrs", "--xattrs-include=*"]);
        images.manifest("unlisted", &["--xattrs", "--xattrs-include=[ut]*"]);
        images.manifest("plain", &[]);
        for name in names {
            images.make(name);
        }
        images
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.0.path()
    }

    /// The tree as an archive, and a manifest of it.
    fn manifest(&self, name: &str, options: &[&str]) {
        let mut tar = Command::new("tar");
        tar.args(["--format=posix", "--numeric-owner", "--sort=name"]).args(options);
        let nodes = ["null", "disk", "pipe"];
        tar.args(nodes.map(|node| format!("--exclude=./{node}")));
        let archive = self.path(&format!("{name}.tar"));
        tool(tar.arg("-cf").arg(archive).arg("-C").arg(self.path("tree")).arg("."));
        let manifest = format!(
            "label: LOOK\nfiles:\n- {{path: /, tar: {name}.tar, mode: keep, dir_mode: keep, \
             owner: keep, mtime: keep}}\npseudo: [{}]\n",
            // Which no archive brings.
            nodes.map(|node| self.pseudo(node)).join(", ")
        );
        fs::write(self.path(&format!("{name}.yaml")), manifest).unwrap();
    }

    /// The pseudo definition of a node of the tree.
    fn pseudo(&self, name: &str) -> String {
        let time = fs::symlink_metadata(self.path("tree").join(name)).unwrap().mtime();
        match name {
            "null" => format!("/null C {time} 644 0 0 1 3"),
            "disk" => format!("/disk B {time} 644 0 0 253 17"),
            _ => format!("/pipe I {time} 644 0 0 f"),
        }
    }

    fn make(&self, name: &str) {
        let build = |options: &[&str]| {
            let manifest = match name.rsplit_once('.').unwrap().1 {
                "erofs" => "tree.yaml",
                "sqfs" => "unlisted.yaml",
                _ => "plain.yaml",
            };
            let common = ["build", manifest, "-o", name, "--allow-devices", "--quiet"];
            done(self.directory(), &[&common, options, &["--args", "none"]].concat());
        };
        let mksquashfs = |options: &[&str]| {
            let mut command = Command::new("mksquashfs");
            command.args(["tree", name, "-no-progress", "-quiet"]).args(options);
            tool(command.current_dir(self.directory()));
        };
        let mkfs = |options: &[&str]| {
            let mut command = Command::new("mkfs.erofs");
            tool(command.args(options).args([name, "tree"]).current_dir(self.directory()));
        };
        match name {
            "ours.erofs" | "ours.iso" => build(&[]),
            "ours.sqfs" => build(&["--compression", "zstd"]),
            "locked.erofs" | "locked.iso" => build(&["--encrypt", "luks2", "--key-file", "key"]),
            "locked.sqfs" => build(&["--encrypt", "luks1", "--key-file", "key"]),
            "foreign.erofs" => mkfs(&[]),
            "chunked.erofs" => mkfs(&["--chunksize=4096"]),
            "gzip.sqfs" => mksquashfs(&["-comp", "gzip", "-always-use-fragments"]),
            "xz.sqfs" => mksquashfs(&["-comp", "xz", "-b", "4096"]),
            _ => {
                let mut xorriso = Command::new("xorriso");
                xorriso.args([
                    "-as",
                    "mkisofs",
                    "-quiet",
                    "-R",
                    "-J",
                    "--hardlinks",
                    "-o",
                    name,
                    "tree",
                ]);
                tool(xorriso.current_dir(self.directory()));
            }
        }
    }

    /// What the kernel, or who made it, says of an image: a mount, or the tree itself.
    pub(crate) fn judged<T>(&self, image: &Image, look: impl FnOnce(&Path) -> T) -> T {
        let Some(file_system) = image.mounted_as else { return look(&self.path("tree")) };
        let root = self.path("mnt");
        let mut mount = Command::new("mount");
        mount.args(["-t", file_system, "-o", "loop,ro"]).arg(self.path(image.name)).arg(&root);
        tool(&mut mount);
        let _mounted = Mounted(root.clone());
        look(&root)
    }
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    /// A program that another test has just started holds all open files until it runs.
    fn drop(&mut self) {
        for _ in 0..100 {
            if Command::new("umount").arg(&self.0).output().unwrap().status.success() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{} cannot be unmounted", self.0.display());
    }
}

pub(crate) fn private(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Files of many kinds and lengths, with names that hurt, links, devices and attributes.
fn make_tree(tree: &Path) {
    let at = |name: &str| tree.join(name);
    fs::create_dir_all(at("api/deep/deeper")).unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("motd"), "hello\n").unwrap();
    fs::write(at("api/token"), "hunter2").unwrap();
    fs::write(at("api/nothing"), "").unwrap();
    fs::write(at("api/name with \u{e9} and \"quotes\""), "x").unwrap();
    fs::write(at("api").join("n".repeat(200)), "long").unwrap();
    let noise: Vec<u8> = (0..300_000_u32).map(|number| (number * 7 % 251) as u8).collect();
    fs::write(at("api/deep/large"), &noise).unwrap();
    let mut sparse = noise.clone();
    sparse.truncate(5000);
    sparse.resize(1 << 20, 0);
    sparse.extend(b"end");
    let file = fs::File::create(at("api/deep/sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &sparse[..5000], 0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", 1 << 20).unwrap();
    fs::hard_link(at("motd"), at("api/deep/deeper/hard")).unwrap();
    std::os::unix::fs::symlink("../../motd", at("api/deep/link")).unwrap();
    std::os::unix::fs::symlink("/api/token", at("absolute")).unwrap();
    std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
    tool(Command::new("mkfifo").arg(at("pipe")));
    tool(Command::new("mknod").arg(at("null")).args(["c", "1", "3"]));
    tool(Command::new("mknod").arg(at("disk")).args(["b", "253", "17"]));
    for (name, mode) in
        [("motd", 0o644), ("api/token", 0o4750), ("api/deep", 0o2711), ("empty", 0o1777)]
    {
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::chown(at("api/token"), Some(990), Some(70_000)).unwrap();
    std::os::unix::fs::lchown(at("absolute"), Some(1), Some(2)).unwrap();
    // A change of the owner has cleared it.
    fs::set_permissions(at("api/token"), fs::Permissions::from_mode(0o4750)).unwrap();
    for (name, attribute, value) in [
        ("motd", "user.note", &b"a value"[..]),
        ("api", "trusted.note", b"another"),
        // One entry each for the owner, user 3, the group, the mask and others.
        ("api/nothing", "system.posix_acl_access", &acl()),
    ] {
        rustix::fs::setxattr(at(name), attribute, value, rustix::fs::XattrFlags::empty()).unwrap();
    }
    let mut count = 0;
    for entry in walkdir::WalkDir::new(tree).contents_first(true) {
        count += 1;
        let time = Timespec { tv_sec: 1_600_000_000 + count * 86_400, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        let no_follow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(rustix::fs::CWD, entry.unwrap().path(), &times, no_follow).unwrap();
    }
}

/// `user::rw-,user:3:r--,group::r--,mask::r--,other::---` (`linux/posix_acl_xattr.h`).
fn acl() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 4, 3), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)];
    let entry = |(tag, bits, id): (u16, u16, u32)| {
        [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    [2_u32.to_le_bytes().to_vec(), entries.into_iter().flat_map(entry).collect()].concat()
}

/// Everything that is to be the same of two trees, by path.
pub(crate) fn facts(root: &Path, with: Kept) -> BTreeMap<PathBuf, String> {
    let mut first_names = BTreeMap::new();
    let mut facts = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root).sort_by_file_name().min_depth(1) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(root).unwrap().to_owned();
        let metadata = fs::symlink_metadata(entry.path()).unwrap();
        let kind = metadata.file_type();
        let mut fact = format!(
            "{:o} {}:{} {}.{}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            metadata.mtime(),
            metadata.mtime_nsec()
        );
        if kind.is_symlink() {
            write!(fact, " -> {}", fs::read_link(entry.path()).unwrap().display()).unwrap();
        } else if kind.is_file() {
            let content = fs::read(entry.path()).unwrap();
            write!(fact, " {} bytes, digest {:?}", content.len(), digest(&content)).unwrap();
        } else if kind.is_char_device() || kind.is_block_device() {
            write!(fact, " device {}", metadata.rdev()).unwrap();
        }
        if !kind.is_dir() {
            let first = first_names.entry(metadata.ino()).or_insert_with(|| path.clone());
            write!(fact, " {} links, as {}", metadata.nlink(), first.display()).unwrap();
        }
        fact += &xattrs(entry.path(), with);
        facts.insert(path, fact);
    }
    facts
}

fn digest(content: &[u8]) -> Vec<u8> {
    use sha2_of_hkdf::Digest;
    sha2_of_hkdf::Sha256::digest(content).to_vec()
}

fn xattrs(path: &Path, with: Kept) -> String {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let mut names: Vec<&[u8]> =
        names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    names.retain(|name| match with {
        Kept::All => true,
        Kept::NoLists => !name.starts_with(b"system."),
        Kept::None => false,
    });
    names.sort_unstable();
    let show = |name: &&[u8]| {
        let mut value = vec![0; 4096];
        let length = rustix::fs::lgetxattr(path, *name, &mut value[..]).unwrap();
        format!(" {}={:?}", name.escape_ascii(), &value[..length])
    };
    names.iter().map(show).collect()
}
