//! `credimg ls`: what is in an image.

mod columns;
mod json;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;
use credimg_formats::Mode;
use credimg_formats::read::{InodeRef, NodeKind, Stat};

use super::options::Look;
use crate::host::output::Stdout;
use crate::look::contents::Contents;
use crate::look::inside::{self, Links, Located, Visited};
use crate::report::{Failure, shown_bytes};

#[derive(Args, Debug)]
#[command(after_help = "\
Columns of -l: type and permissions, with a + where an access control list adds to them; number of
links; owner; group; size in bytes, of a device its two numbers; time in UTC; name. Names are in
bytewise order. Those that could drive a terminal are quoted and escaped.

Examples:
  credimg ls -l chimera.erofs /api
  credimg ls -R chimera.erofs --key-file chimera.key --json")]
#[expect(clippy::struct_excessive_bools, reason = "a flag of the command line each")]
pub struct Ls {
    /// What is looked into.
    #[command(flatten)]
    pub look: Look,
    /// What to list: files, and what is in directories. Links are not followed [default: /]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Print a line with all metadata for each, as `ls -l --full-time` does
    #[arg(short)]
    pub long: bool,
    /// List directories with all that is below them
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// List directories themselves, not what is in them
    #[arg(short, long, conflicts_with = "recursive")]
    pub directory: bool,
    /// Print a JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(options: &Ls) -> Result<(), Failure> {
    let contents = options.look.open()?;
    let places = inside::find_all(&contents, &options.paths, Links::Kept)?;
    let mut stdout = Stdout::open()?;
    let style = match (options.json, options.long) {
        (true, _) => Style::Json,
        (false, true) => Style::Long,
        (false, false) => Style::Names,
    };
    let listing = Listing { contents: &contents, style, line: Vec::new(), is_first: true };
    listing.print(options, places, &mut stdout)?;
    stdout.finish()
}

/// How an entry is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Names,
    Long,
    Json,
}

/// An entry as it is listed.
struct Row {
    name: Box<[u8]>,
    inode: InodeRef,
    stat: Stat,
}

/// A directory that is to be listed.
struct Pending {
    path: Vec<u8>,
    inode: InodeRef,
    depth: usize,
}

struct Listing<'a> {
    contents: &'a Contents,
    style: Style,
    /// What is about to be printed.
    line: Vec<u8>,
    /// Whether nothing was printed so far.
    is_first: bool,
}

impl Listing<'_> {
    fn print(mut self, options: &Ls, places: Vec<Located>, to: &mut Stdout) -> Result<(), Failure> {
        if self.style == Style::Json {
            json::begin(self.contents, &mut self.line)?;
        }
        let is_listed =
            |place: &Located| place.stat.kind == NodeKind::Directory && !options.directory;
        let (directories, files): (Vec<_>, Vec<_>) = places.into_iter().partition(is_listed);
        // As `ls` does: a directory has a heading where it is not all that there is.
        let has_headings =
            options.recursive || directories.len() + files.len() > 1 && !directories.is_empty();
        let row = |Located { way, inode, stat }: Located| {
            let path = inside::joined(way.iter().map(|(name, _)| &**name));
            Row { name: path.into(), inode, stat }
        };
        self.rows(b"", &files.into_iter().map(row).collect::<Vec<_>>(), to)?;
        for Located { way, inode, .. } in directories {
            let path = inside::joined(way.iter().map(|(name, _)| &**name));
            let depth = way.len();
            self.tree(Pending { path, inode, depth }, has_headings, options.recursive, to)?;
        }
        if self.style == Style::Json {
            self.line.extend_from_slice(b"]}\n");
        }
        self.spill(to)
    }

    /// A directory, and all below it where that is wanted: each before those that it holds.
    fn tree(
        &mut self,
        first: Pending,
        has_heading: bool,
        is_recursive: bool,
        to: &mut Stdout,
    ) -> Result<(), Failure> {
        let mut visited = Visited::default();
        let mut pending = vec![first];
        while let Some(Pending { path, inode, depth }) = pending.pop() {
            visited.enter(self.contents, inode, depth, || path.clone())?;
            let rows = self.read(inode, &path, is_recursive)?;
            if has_heading && self.style != Style::Json {
                let blank = if self.is_first { "" } else { "\n" };
                let _ = writeln!(self.line, "{blank}{}:", shown_bytes(&path));
                self.is_first = false;
            }
            self.rows(&path, &rows, to)?;
            if !is_recursive {
                continue;
            }
            for Row { name, inode, stat } in rows.iter().rev() {
                if stat.kind == NodeKind::Directory {
                    let path = below(&path, name);
                    pending.push(Pending { path, inode: *inode, depth: depth + 1 });
                }
            }
        }
        Ok(())
    }

    /// What is in a directory, sorted.
    fn read(
        &self,
        directory: InodeRef,
        path: &[u8],
        wants_kinds: bool,
    ) -> Result<Vec<Row>, Failure> {
        let reader = &self.contents.reader;
        let mut names = Vec::new();
        let outcome = reader.entries(directory, &mut |entry| {
            names.push((Box::<[u8]>::from(entry.name), entry.inode));
            Ok(ControlFlow::Continue(()))
        });
        outcome.map_err(|error| self.contents.failure_at(path, &error))?;
        names.sort_unstable();
        let needs_stat = wants_kinds || self.style != Style::Names;
        let row = |(name, inode): (Box<[u8]>, InodeRef)| {
            let stat = if needs_stat { Some(reader.stat(inode)) } else { None };
            match stat.transpose() {
                Ok(stat) => Ok(Row { name, inode, stat: stat.unwrap_or(NO_STAT) }),
                Err(error) => Err(self.contents.failure_at(&below(path, &name), &error)),
            }
        };
        names.into_iter().map(row).collect()
    }

    /// Prints entries of the directory at `directory`, or with their whole paths.
    fn rows(&mut self, directory: &[u8], rows: &[Row], to: &mut Stdout) -> Result<(), Failure> {
        match self.style {
            Style::Names => {
                for row in rows {
                    self.line.extend_from_slice(shown_bytes(&row.name).as_bytes());
                    self.line.push(b'\n');
                    self.spill_some(to)?;
                }
            }
            Style::Long => {
                let details = rows.iter().map(|row| self.detail(directory, row));
                let details = details.collect::<Result<Vec<_>, _>>()?;
                let widths = columns::Widths::of(&details);
                for detail in &details {
                    columns::write(&widths, detail, &mut self.line);
                    self.spill_some(to)?;
                }
            }
            Style::Json => {
                for row in rows {
                    let separator = if self.is_first { "\n" } else { ",\n" };
                    self.line.extend_from_slice(separator.as_bytes());
                    self.is_first = false;
                    let path = below(directory, &row.name);
                    json::write(self.contents, &path, row, &mut self.line)?;
                    self.spill_some(to)?;
                }
            }
        }
        self.is_first &= rows.is_empty();
        Ok(())
    }

    fn detail<'a>(&self, directory: &[u8], row: &'a Row) -> Result<columns::Detail<'a>, Failure> {
        let reader = &self.contents.reader;
        let failure = |error| self.contents.failure_at(&below(directory, &row.name), &error);
        let is_link = row.stat.kind == NodeKind::Symlink;
        let target = is_link.then(|| reader.target(row.inode)).transpose().map_err(failure)?;
        let has_list = !is_link
            && reader.xattrs(row.inode).map_err(failure)?.keys().any(|name| {
                matches!(&**name, b"system.posix_acl_access" | b"system.posix_acl_default")
            });
        Ok(columns::Detail { name: &row.name, stat: &row.stat, target, has_list })
    }

    fn spill_some(&mut self, to: &mut Stdout) -> Result<(), Failure> {
        const PIECE_BYTES: usize = 16 << 10;
        if self.line.len() < PIECE_BYTES { Ok(()) } else { self.spill(to) }
    }

    fn spill(&mut self, to: &mut Stdout) -> Result<(), Failure> {
        let written = to.write_all(&self.line);
        self.line.clear();
        written.map_err(|error| to.failure(error))
    }
}

/// Stands where nobody asks for it.
const NO_STAT: Stat = Stat {
    kind: NodeKind::File,
    mode: Mode::of::<0>(),
    uid: 0,
    gid: 0,
    mtime: credimg_formats::Timestamp::from_seconds(0),
    links: 1,
    size_bytes: 0,
    number: 0,
};

/// The path of an entry; where the directory is left out, `name` is a whole path.
fn below(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        b"" => name.to_vec(),
        b"/" => [b"/", name].concat(),
        _ => [directory, b"/", name].concat(),
    }
}
