//! Sources from outside: real files, directories, archives and commands in,
//! a tree or a clear error out.
mod archives;
mod assembly;
mod commands;
mod directories;
mod equal;
mod files;
mod followed_links;
mod hostile_archives;
mod packed_archives;
mod side_by_side;
mod sparse;
mod torn;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use credimg::delivery::means::Means;
use credimg::manifest::{
    Attributes, Entry, FormatOptions, Keep, Manifest, Pseudo, Source, TreePath,
};
use credimg::report::{Exit, Failure, Position};
use credimg::sources::assemble::{
    Doing, MAX_SIZE_BYTES, OnExchangeable, OwnFiles, Replaced, Settings, Step, assemble,
};
use credimg::sources::command::Limits;
use credimg::sources::pseudo::Policy;
use credimg_formats::{
    Content, Error, Inode, InodeId, Kind, Metadata, Mode, Name, Sink, Timestamp, Tree, Xattrs,
};

use crate::support::alone::{alone, alone_with};
use crate::support::host::{CREDIMG, Host};

/// What must never show up in an error.
pub(crate) const CANARY: &str = "zK7canaryQ2";
pub(crate) const BUILD_TIME: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// The attributes that a manifest gives without any word of its own.
pub(crate) fn defaults() -> Attributes {
    Attributes {
        mode: Keep::Set(Mode::of::<0o400>()),
        dir_mode: Keep::Set(Mode::of::<0o500>()),
        owner: Keep::Set((0, 0)),
        mtime: Keep::Set(None),
        xattrs: Xattrs::new(),
        xattrs_recursive: None,
        archive_xattrs: true,
    }
}

/// Everything that the source has.
pub(crate) fn keep() -> Attributes {
    Attributes {
        mode: Keep::Keep,
        dir_mode: Keep::Keep,
        owner: Keep::Keep,
        mtime: Keep::Keep,
        xattrs: Xattrs::new(),
        xattrs_recursive: None,
        archive_xattrs: true,
    }
}

/// What commands are granted, under the program's guard.
pub(crate) fn limits() -> Limits {
    Limits::new(Path::new(CREDIMG))
}

pub(crate) fn settings() -> Settings {
    let (output, policy) = (OwnFiles::default(), Policy::default());
    let means = Means::default();
    let on_exchangeable = OnExchangeable::Taken;
    let commands = limits();
    let max_size_bytes = MAX_SIZE_BYTES;
    Settings {
        build_time: BUILD_TIME,
        commands,
        output,
        policy,
        means,
        on_exchangeable,
        max_size_bytes,
        initrd: None,
        notes_inputs: false,
        shared: None,
    }
}

pub(crate) fn with_timeout(timeout: Duration) -> Settings {
    Settings { commands: Limits { timeout, ..limits() }, ..settings() }
}

/// An entry of a manifest; `plan` says where it stands.
pub(crate) fn entry(path: &str, source: Source) -> Entry {
    entry_with(path, source, defaults())
}

pub(crate) fn entry_with(path: &str, source: Source, attributes: Attributes) -> Entry {
    let names = path.split('/').filter(|name| !name.is_empty());
    let path = TreePath(names.map(|name| Name::new(name.as_bytes()).unwrap()).collect());
    let position = Position::new(&"".into(), 0, 0, "");
    Entry { path, source, attributes, position, granted: None }
}

/// A manifest of these entries, one every ten lines.
pub(crate) fn plan(entries: Vec<Entry>) -> Manifest {
    let mut entries = entries;
    for (index, entry) in entries.iter_mut().enumerate() {
        let line = 10 * (index as u64 + 1);
        entry.position = Position::new(&"secrets.yaml".into(), line, 5, format!("files[{index}]"));
    }
    let manifest = "secrets.yaml".into();
    let pseudo = Pseudo::default();
    Manifest {
        path: manifest,
        label: None,
        format: None,
        format_options: FormatOptions::default(),
        encrypt: None,
        verity: None,
        parents: defaults(),
        entries,
        credentials: Vec::new(),
        fw_cfg: Vec::new(),
        mount: None,
        pass_env: Vec::new(),
        pseudo,
        machine: None,
    }
}

pub(crate) fn build(entries: Vec<Entry>) -> Result<Tree, Failure> {
    Ok(assemble(&plan(entries), &settings(), &mut |_| {})?.tree)
}

/// The failure of a build that must fail, checked for what holds for each.
pub(crate) fn failure(entries: Vec<Entry>, settings: &Settings) -> Failure {
    let failure = assemble(&plan(entries), settings, &mut |_| {}).unwrap_err();
    for text in [format!("{failure:?}"), format!("{failure:#}")] {
        assert!(!text.contains(CANARY), "leaks: {text}");
    }
    let place = if failure.exit == Exit::Manifest { "secrets.yaml:" } else { "files[" };
    assert!(failure.message.starts_with(place), "no entry in: {}", failure.message);
    assert!(!failure.message.ends_with('.') && !failure.message.contains('\n'), "{failure:?}");
    failure
}

/// The failure of one entry at `/a`, without the entry's name in front.
pub(crate) fn failure_of(source: Source) -> (Exit, String) {
    let failure = failure(vec![entry("/a", source)], &settings());
    let message = failure.message.strip_prefix("files[0] (/a): ").unwrap();
    (failure.exit, message.to_owned())
}

/// Asserts that `text` holds `part`, and shows both where not.
#[track_caller]
pub(crate) fn assert_contains(text: &str, part: &str) {
    assert!(text.contains(part), "expected {part:?} in {text:?}");
}

pub(crate) fn find(tree: &Tree, path: &str) -> Option<InodeId> {
    let names = path.split('/').filter(|name| !name.is_empty());
    names.into_iter().try_fold(Tree::ROOT, |id, name| tree.child(id, name.as_bytes()))
}

#[track_caller]
pub(crate) fn inode<'a>(tree: &'a Tree, path: &str) -> &'a Inode {
    let Some(id) = find(tree, path) else { panic!("there is no {path}") };
    tree.get(id).unwrap()
}

#[track_caller]
pub(crate) fn content_of<'a>(tree: &'a Tree, path: &str) -> &'a Content {
    match inode(tree, path).kind() {
        Kind::File(content) => content,
        other => panic!("{path} is no file: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn read(tree: &Tree, path: &str) -> Vec<u8> {
    read_content(content_of(tree, path)).unwrap()
}

pub(crate) fn read_content(content: &Content) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    content.stream(&mut bytes)?;
    Ok(bytes)
}

#[track_caller]
pub(crate) fn target(tree: &Tree, path: &str) -> Vec<u8> {
    match inode(tree, path).kind() {
        Kind::Symlink(target) => target.to_vec(),
        other => panic!("{path} is no symbolic link: {other:?}"),
    }
}

/// Mode, user, group and time of an inode.
pub(crate) fn attributes(metadata: &Metadata) -> (u16, u32, u32, i64, u32) {
    let time = metadata.mtime;
    (metadata.mode.bits(), metadata.uid, metadata.gid, time.seconds(), time.nanoseconds())
}

/// A line for each inode in the order of the tree, with everything but content.
pub(crate) fn dump(tree: &Tree) -> Vec<String> {
    let line = |(id, inode): (InodeId, &Inode)| {
        let what = match inode.kind() {
            Kind::Directory(entries) => {
                format!("directory {:?}", entries.keys().collect::<Vec<_>>())
            }
            Kind::File(content) => format!("file of {} bytes", content.len()),
            Kind::Symlink(target) => format!("link to {}", target.escape_ascii()),
            special => format!("{special:?}"),
        };
        let path = tree.path_of(id);
        let metadata = attributes(&inode.metadata);
        format!("{} {metadata:?} {} {what}", path.escape_ascii(), inode.links())
    };
    tree.inodes().map(line).collect()
}

/// A sink that does something to the host just before the first byte is copied.
pub(crate) struct Meddler<F: FnMut()> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) meddle: F,
}

impl<F: FnMut()> Write for Meddler<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.meddle)();
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: FnMut()> Sink for Meddler<F> {}
