//! Whether link counts are what the paths say.

use std::collections::HashMap;

use super::regions::Problems;
use super::{Facts, Limits, NodeKind, Order, Reader, Step, Walk};
use crate::image::Format;

/// What a format's tools store as link counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// One for each path; of a directory 2 and one for each directory in it: mkfs.erofs and
    /// mksquashfs count them so themselves.
    Exact,
    /// At least one for each path: genisoimage stores what the host said, which knew of paths
    /// that are not in the image; xorriso stores 1 for directories.
    AtLeast,
    /// Nothing.
    None,
}

impl Rule {
    fn of(facts: &Facts) -> Self {
        match facts.format {
            Format::Erofs | Format::Squashfs => Self::Exact,
            Format::Iso9660 if facts.features.iter().any(|feature| feature == "rock-ridge") => {
                Self::AtLeast
            }
            Format::Iso9660 => Self::None,
        }
    }

    /// Whether so many links are right for an inode of so many paths.
    fn holds(self, links: u32, paths: u32, is_directory: bool) -> bool {
        match self {
            Self::Exact => links == paths,
            Self::AtLeast => links >= if is_directory { 1 } else { paths },
            Self::None => true,
        }
    }
}

/// Counts links on a walk.
pub(super) struct Links {
    rule: Rule,
    /// Of what is no directory, by its number: the paths, and the links that are stored.
    files: HashMap<u64, (u32, u32)>,
    /// The directories that the walk is in, one of each depth.
    directories: Vec<Directory>,
}

struct Directory {
    path: Vec<u8>,
    links: u32,
    directories: u32,
}

impl Links {
    pub(super) fn new(facts: &Facts) -> Self {
        Self { rule: Rule::of(facts), files: HashMap::new(), directories: Vec::new() }
    }

    /// Counts what the walk has come to.
    pub(super) fn step(&mut self, path: &[u8], step: &Step, problems: &mut Problems) {
        if self.rule == Rule::None {
            return;
        }
        self.leave(step.depth, problems);
        let links = step.stat.links;
        if step.stat.kind == NodeKind::Directory {
            if let Some(parent) = self.directories.last_mut() {
                parent.directories = parent.directories.saturating_add(1);
            }
            self.directories.push(Directory { path: path.to_vec(), links, directories: 0 });
        } else {
            let (paths, _) = self.files.entry(step.stat.number).or_insert((0, links));
            *paths = paths.saturating_add(1);
        }
    }

    /// Judges the directories that the walk has left when it comes to so many above it.
    fn leave(&mut self, depth: usize, problems: &mut Problems) {
        while self.directories.len() > depth {
            let Some(left) = self.directories.pop() else { break };
            let expected = left.directories.saturating_add(2);
            if !self.rule.holds(left.links, expected, true) {
                problems.nowhere(told(&left.path, left.links, expected));
            }
        }
    }

    /// Judges what is left. Paths of files are not kept: where some are to be told, there is
    /// another walk.
    pub(super) fn finish(mut self, reader: &dyn Reader, limits: Limits, problems: &mut Problems) {
        self.leave(0, problems);
        let rule = self.rule;
        self.files.retain(|_, (paths, links)| !rule.holds(*links, *paths, false));
        let mut walk = Walk::new(reader, limits, Order::Path);
        while !self.files.is_empty() {
            // What cannot be read was told on the first walk.
            let Ok(step) = walk.step() else { continue };
            let Some(step) = step else { break };
            if step.stat.kind != NodeKind::Directory
                && let Some((paths, links)) = self.files.remove(&step.stat.number)
            {
                problems.nowhere(told(walk.path(), links, paths));
            }
        }
    }
}

fn told(path: &[u8], links: u32, expected: u32) -> String {
    format!("{}: the link count is {links}: expected {expected}", path.escape_ascii())
}
