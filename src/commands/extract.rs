//! `credimg extract`: what an image holds becomes files of the host.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use credimg_formats::read::{InodeRef, NodeKind, Order, Stat, Step, Walk};
use credimg_formats::{Buffer, Mode, Sink, Xattrs};
use serde::Serialize;

use super::options::{Look, size};
use super::print;
use crate::host::output::{
    Attributes, Content, DirectoryId, Extracted, LinkTarget, Node, Replacing,
};
use crate::host::signals;
use crate::job::files;
use crate::look::contents::Contents;
use crate::look::inside::{self, Links, Located};
use crate::report::{self, Exit, Failure, human_size, json, line, shown, verbose};
use crate::sources::builder::budget::over_size;

#[derive(Args, Debug)]
#[command(after_help = "\
Files become private: of mode 0600, directories 0700, owned by the caller, whatever the umask.
Devices are left out. Nothing is written outside of DIR: no symbolic link there is followed. It
does not wait for the disk, as `sync` would.

Examples:
  credimg extract chimera.erofs out
  # One directory, with its modes and times
  credimg extract chimera.erofs out /ssh --preserve
  # Everything as it is in the image
  sudo credimg extract chimera.erofs out --preserve --owners --xattrs --devices")]
#[expect(clippy::struct_excessive_bools, reason = "a flag of the command line each")]
pub struct Extract {
    /// What is looked into.
    #[command(flatten)]
    pub look: Look,
    /// The directory to fill, which is made where there is none; no symbolic link
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
    /// Files and directories to extract, under their whole paths [default: all]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Keep modes and times; set-id bits with --owners only
    #[arg(short, long)]
    pub preserve: bool,
    /// Keep owners and groups, as root
    #[arg(long)]
    pub owners: bool,
    /// Keep extended attributes; capabilities with --owners only
    #[arg(long, requires = "preserve")]
    pub xattrs: bool,
    /// Make device nodes, as root
    #[arg(long)]
    pub devices: bool,
    /// Replace files and links that are there already
    #[arg(short, long)]
    pub force: bool,
    /// Most bytes of the files extracted, together, with a suffix as in 512M, 64G or 1T
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = size)]
    pub max_size: u64,
    /// Print no summary and no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Print a JSON report of how much was extracted instead of the summary
    #[arg(long)]
    pub json: bool,
}

/// The report for programs. The field names are stable.
#[derive(Serialize)]
struct Report<'a> {
    directory: String,
    #[serde(flatten)]
    counts: &'a Counts,
}

/// The longest file that is read and written at once.
const SMALL_BYTES: u64 = 64 << 10;
/// The attribute of capabilities, which gives rights to whoever runs a file. If another user owns
/// the file, these would be rights of the caller.
const CAPABILITY: &[u8] = b"security.capability";
/// The set-id bits, which give the rights of the file's owner or group.
const SET_ID: Mode = Mode::of::<0o6000>();

pub(super) fn run(options: &Extract) -> Result<(), Failure> {
    require_root(options)?;
    if options.directory == Path::new("-") {
        let message = "- is no directory: files are extracted into one, not into a stream";
        return Err(Failure::new(Exit::Usage, message).hint("a directory named - is ./-"));
    }
    let contents = options.look.open()?;
    let places = apart(inside::find_all(&contents, &options.paths, Links::Kept)?);
    let to = Extracted::open(&options.directory, options.replacing())?;
    let mut extraction = Extraction {
        contents: &contents,
        options,
        to,
        entered: BTreeMap::new(),
        unfinished: Vec::new(),
        linked: BTreeMap::new(),
        buffer: Buffer::default(),
        counts: Counts::default(),
    };
    let (standing, step) = (line::begin(!options.quiet), verbose::Step::begin());
    let outcome = extraction.extract(&places);
    step.end(|| format!("extracted from {}", contents.shown()));
    drop(standing);
    let counts = extraction.counts;
    outcome.map_err(|failure| counts.tell(&options.directory, failure))?;
    if counts.devices_left_out > 0 {
        let (count, plural) = counted(counts.devices_left_out);
        report::warn(&format!("left out {count} device{plural}: --devices makes them, as root"));
    }
    if options.json {
        let report =
            json::line(&Report { directory: json::path(&options.directory), counts: &counts })?;
        return print(&report).map_err(|failure| counts.tell(&options.directory, failure));
    }
    if !options.quiet {
        report::note(&counts.summary(&options.directory));
    }
    Ok(())
}

impl Extract {
    /// How existing files are treated. The files that are read are never replaced.
    fn replacing(&self) -> Replacing {
        if !self.force {
            return Replacing::Nothing;
        }
        let read = std::iter::once(&self.look.image).chain(&self.look.key_file);
        Replacing::AllBut(read.filter_map(|path| files::id(std::fs::metadata(path))).collect())
    }
}

fn require_root(options: &Extract) -> Result<(), Failure> {
    let wanted = [(options.owners, "--owners"), (options.devices, "--devices")];
    let wanted = wanted.into_iter().find(|(is_wanted, _)| *is_wanted);
    match wanted {
        Some((_, option)) if !rustix::process::geteuid().is_root() => {
            let message = format!("{option} is for root alone");
            Err(Failure::new(Exit::Policy, message)
                .hint("without it, files are the caller's and devices are left out"))
        }
        _ => Ok(()),
    }
}

/// Drops places that lie below another place.
fn apart(mut places: Vec<Located>) -> Vec<Located> {
    let names = |place: &Located| -> Vec<Box<[u8]>> {
        place.way.iter().map(|(name, _)| name.clone()).collect()
    };
    places.sort_by_key(names);
    places.dedup_by(|below, above| names(below).starts_with(&names(above)));
    places
}

/// How much was made so far. Members of the report have these names.
#[derive(Default, Serialize)]
struct Counts {
    files: u64,
    directories: u64,
    others: u64,
    content_bytes: u64,
    devices_left_out: u64,
}

impl Counts {
    /// Adds to a failure how much was extracted before.
    fn tell(&self, directory: &Path, failure: Failure) -> Failure {
        if self.files + self.directories + self.others == 0 {
            return failure;
        }
        let news = format!("what was extracted before stays in {}", shown(directory));
        let hint = failure.hint.as_ref().map(|hint| format!("{hint}; {news}"));
        Failure { hint: Some(hint.unwrap_or(news)), ..failure }
    }

    fn summary(&self, directory: &Path) -> String {
        let (files, plural) = counted(self.files);
        format!("extracted {files} file{plural} into {}", shown(directory))
    }
}

fn counted(count: u64) -> (u64, &'static str) {
    (count, if count == 1 { "" } else { "s" })
}

struct Extraction<'a> {
    contents: &'a Contents,
    options: &'a Extract,
    to: Extracted,
    /// The directories of the host that lead to what is extracted.
    entered: BTreeMap<InodeRef, DirectoryId>,
    /// Directories that get their attributes at the end, when everything is in them.
    unfinished: Vec<(DirectoryId, InodeRef, Stat)>,
    /// The first name of each inode that has several.
    linked: BTreeMap<u64, LinkTarget>,
    /// The buffer for small files; wiped when dropped.
    buffer: Buffer,
    counts: Counts,
}

impl Extraction<'_> {
    fn extract(&mut self, places: &[Located]) -> Result<(), Failure> {
        for place in places {
            let Some(((name, _), above)) = place.way.split_last() else {
                self.tree(DirectoryId::BASE, place)?;
                continue;
            };
            let mut parent = DirectoryId::BASE;
            for (name, inode) in above {
                parent = self.enter(parent, name, *inode)?;
            }
            if place.stat.kind == NodeKind::Directory {
                let directory = self.enter(parent, name, place.inode)?;
                self.tree(directory, place)?;
            } else {
                self.entry(parent, name, &place.path(), place.inode, &place.stat)?;
            }
        }
        self.to.look_again()?;
        // Inner directories were made later, and so come first here.
        for (directory, inode, stat) in std::mem::take(&mut self.unfinished).into_iter().rev() {
            if let Some(attributes) = self.attributes(b"", inode, &stat)? {
                self.to.finish(directory, &attributes)?;
            }
        }
        Ok(())
    }

    /// Enters, or makes, a directory on the way to what is extracted.
    fn enter(
        &mut self,
        parent: DirectoryId,
        name: &[u8],
        inode: InodeRef,
    ) -> Result<DirectoryId, Failure> {
        if let Some(directory) = self.entered.get(&inode) {
            return Ok(*directory);
        }
        let stat = self.contents.reader.stat(inode);
        let stat = stat.map_err(|error| self.contents.failure_at(name, &error))?;
        let directory = self.directory(parent, name, inode, &stat)?;
        self.entered.insert(inode, directory);
        Ok(directory)
    }

    fn directory(
        &mut self,
        parent: DirectoryId,
        name: &[u8],
        inode: InodeRef,
        stat: &Stat,
    ) -> Result<DirectoryId, Failure> {
        let (directory, is_new) = self.to.directory(parent, name)?;
        if is_new {
            self.counts.directories += 1;
            if self.options.preserve || self.options.owners {
                self.unfinished.push((directory, inode, *stat));
            }
        }
        Ok(directory)
    }

    /// Extracts everything below a directory that was made.
    fn tree(&mut self, directory: DirectoryId, place: &Located) -> Result<(), Failure> {
        let contents = self.contents;
        let start = (place.inode, if place.way.is_empty() { Vec::new() } else { place.path() });
        let mut walk = Walk::below(&*contents.reader, *contents.limits(), Order::Path, start);
        let mut levels = vec![directory];
        loop {
            let step = walk.step().map_err(|error| contents.failure(&error))?;
            let Some(Step { inode, stat, depth }) = step else { return Ok(()) };
            // The directory itself was made before.
            if depth == 0 {
                continue;
            }
            levels.truncate(depth);
            let Some(parent) = levels.last().copied() else { continue };
            let name = walk.path().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            if stat.kind == NodeKind::Directory {
                levels.push(self.directory(parent, name, inode, &stat)?);
            } else {
                self.entry(parent, name, walk.path(), inode, &stat)?;
            }
        }
    }

    /// Extracts anything but a directory.
    fn entry(
        &mut self,
        parent: DirectoryId,
        name: &[u8],
        path: &[u8],
        inode: InodeRef,
        stat: &Stat,
    ) -> Result<(), Failure> {
        signals::check()?;
        let Counts { files, content_bytes, .. } = self.counts;
        let shown = || progress_text(path, files, content_bytes);
        line::show(shown);
        if let Some(first) = self.linked.get(&stat.number) {
            self.to.link(parent, name, first)?;
            self.count(stat);
            return Ok(());
        }
        let made = match stat.kind {
            NodeKind::File => self.file(parent, name, path, inode, stat)?,
            NodeKind::Symlink => {
                let attributes = self.attributes(path, inode, stat)?;
                let target = self.contents.reader.target(inode);
                let target = target.map_err(|error| self.contents.failure_at(path, &error))?;
                self.to.symlink(parent, name, &target, attributes.as_ref())?
            }
            NodeKind::CharDevice(_) | NodeKind::BlockDevice(_) if !self.options.devices => {
                self.counts.devices_left_out += 1;
                return Ok(());
            }
            NodeKind::CharDevice(device) => {
                let attributes = self.attributes(path, inode, stat)?;
                let node = Node::CharDevice(device.major(), device.minor());
                self.to.node(parent, name, node, attributes.as_ref())?
            }
            NodeKind::BlockDevice(device) => {
                let attributes = self.attributes(path, inode, stat)?;
                let node = Node::BlockDevice(device.major(), device.minor());
                self.to.node(parent, name, node, attributes.as_ref())?
            }
            NodeKind::Fifo => {
                let attributes = self.attributes(path, inode, stat)?;
                self.to.node(parent, name, Node::Fifo, attributes.as_ref())?
            }
            NodeKind::Socket => {
                let attributes = self.attributes(path, inode, stat)?;
                self.to.node(parent, name, Node::Socket, attributes.as_ref())?
            }
            // A directory has only one name, and was made by it.
            NodeKind::Directory => return Ok(()),
        };
        if stat.links > 1 {
            self.linked.insert(stat.number, made);
        }
        self.count(stat);
        Ok(())
    }

    fn count(&mut self, stat: &Stat) {
        match stat.kind {
            NodeKind::File => self.counts.files += 1,
            NodeKind::Directory
            | NodeKind::Symlink
            | NodeKind::CharDevice(_)
            | NodeKind::BlockDevice(_)
            | NodeKind::Fifo
            | NodeKind::Socket => self.counts.others += 1,
        }
    }

    fn file(
        &mut self,
        parent: DirectoryId,
        name: &[u8],
        path: &[u8],
        inode: InodeRef,
        stat: &Stat,
    ) -> Result<LinkTarget, Failure> {
        let attributes = self.attributes(path, inode, stat)?;
        let max_bytes = self.options.max_size;
        if stat.size_bytes > max_bytes.saturating_sub(self.counts.content_bytes) {
            return Err(over_size(max_bytes));
        }
        let contents = self.contents;
        let failure = |error| contents.failure_at(path, &error);
        let made = if stat.size_bytes <= SMALL_BYTES {
            if self.buffer.is_empty() {
                self.buffer = Buffer::zeroed(usize::try_from(SMALL_BYTES).unwrap_or_default());
            }
            let length = usize::try_from(stat.size_bytes).unwrap_or_default();
            let bytes = self.buffer.get_mut(..length).unwrap_or_default();
            let got = contents.reader.read_at(inode, 0, bytes).map_err(failure)?;
            let bytes = bytes.get(..got).unwrap_or_default();
            self.to.file(parent, name, Content::Bytes(bytes), attributes.as_ref())?
        } else {
            let counts = &self.counts;
            let mut stream = |sink: &mut dyn Sink| {
                let mut shown = Shown { sink, counts, path, done_bytes: 0 };
                contents.reader.stream(inode, &mut shown).map_err(failure)
            };
            self.to.file(parent, name, Content::Stream(&mut stream), attributes.as_ref())?
        };
        self.counts.content_bytes += stat.size_bytes;
        Ok(made)
    }

    /// The attributes that a file gets of those in the image; none where it gets none.
    fn attributes(
        &self,
        path: &[u8],
        inode: InodeRef,
        stat: &Stat,
    ) -> Result<Option<Attributes>, Failure> {
        let Extract { preserve, owners, xattrs: wants_xattrs, .. } = *self.options;
        if !preserve && !owners {
            return Ok(None);
        }
        let mut xattrs = Xattrs::new();
        if wants_xattrs {
            xattrs = self
                .contents
                .reader
                .xattrs(inode)
                .map_err(|error| self.contents.failure_at(path, &error))?;
            if !owners {
                xattrs.remove(CAPABILITY);
            }
        }
        let mode = if owners { stat.mode } else { stat.mode.without(SET_ID) };
        Ok(Some(Attributes {
            mode: preserve.then_some(mode),
            mtime: preserve.then_some(stat.mtime),
            owner: owners.then_some((stat.uid, stat.gid)),
            xattrs,
        }))
    }
}

/// Shows on the terminal how much of a large file is written.
struct Shown<'a> {
    sink: &'a mut dyn Sink,
    counts: &'a Counts,
    /// The file's path in the image.
    path: &'a [u8],
    done_bytes: u64,
}

fn progress_text(path: &[u8], files: u64, content_bytes: u64) -> String {
    let (path, size) = (report::shown_bytes(path), human_size(content_bytes));
    format!("extracting {path}: {files} files and {size} so far")
}

impl Shown<'_> {
    fn count(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        let Counts { files, content_bytes, .. } = self.counts;
        let done = content_bytes + self.done_bytes;
        line::show(|| progress_text(self.path, *files, done));
    }
}

impl Write for Shown<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.count(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Sink for Shown<'_> {
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.sink.write_zeros(length_bytes)?;
        self.count(length_bytes);
        Ok(())
    }
}
