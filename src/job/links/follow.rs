//! Where a symbolic link leads, as the guest's kernel finds it (`path_resolution(7)`).

use std::collections::{HashMap, HashSet};
use std::iter::Peekable;
use std::slice::Split;

use credimg_formats::{Inode, InodeId, Kind, Tree};

use crate::manifest::MountPoint;

/// Most links on the way to one file (`MAXSYMLINKS` of Linux).
const LINKS_MAX: u32 = 40;

/// Where a link leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// To something on the disk.
    Inside(InodeId),
    /// To a place outside of the disk.
    Outside(Outside),
    /// Nowhere: nothing is there, or there is a circle, or there are too many links.
    Nowhere,
    /// To a place of which nothing is known yet.
    Unknown,
}

/// A place of the guest above or beside the disk, as far as it matters for the way back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outside {
    /// How many names of the mount point its path begins with.
    on_the_way: usize,
    /// How many other names follow.
    beside: usize,
}

/// The links of one tree. Each is followed once, so that the cost of all together grows with
/// the length of their targets.
pub(super) struct Links<'a> {
    tree: &'a Tree,
    /// The names of the mount point; none where it is not known.
    mount: Vec<&'a [u8]>,
    /// Directories that may hold more than the tree says, also below.
    unknown: HashSet<InodeId>,
    /// The answers so far; none for a link that is being followed.
    known: HashMap<Link, Option<Way>>,
}

/// A link in one of its directories. A link with several names may lead elsewhere from each.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Link {
    directory: InodeId,
    id: InodeId,
}

/// Where a link leads, and over how many links, the link itself included.
#[derive(Clone, Copy)]
struct Way {
    answer: Answer,
    links: u32,
}

/// What separates names.
type IsSlash = fn(&u8) -> bool;

/// A link that is being followed.
struct Step<'a> {
    link: Link,
    /// The names of its target.
    names: Peekable<Split<'a, u8, IsSlash>>,
    way: Way,
}

impl<'a> Links<'a> {
    pub(super) fn new(
        tree: &'a Tree,
        mount: Option<&'a MountPoint>,
        unknown: HashSet<InodeId>,
    ) -> Self {
        let names = mount.into_iter().flat_map(|point| point.as_str().split('/'));
        let mount = names.filter(|name| !name.is_empty()).map(str::as_bytes).collect();
        Self { tree, mount, unknown, known: HashMap::new() }
    }

    /// Where the symbolic link `id` leads from `directory`.
    pub(super) fn answer(&mut self, directory: InodeId, id: InodeId) -> Answer {
        let link = Link { directory, id };
        // A list and no recursion, as the sources decide how many links lead to one another.
        let mut steps = Vec::new();
        self.begin(&mut steps, link);
        while let Some(step) = steps.last_mut() {
            if let Some(next) = self.advance(step) {
                self.begin(&mut steps, next);
            } else {
                self.known.insert(step.link, Some(step.way));
                steps.pop();
            }
        }
        self.known.get(&link).copied().flatten().map_or(Answer::Nowhere, |way| way.answer)
    }

    /// Begins to follow a link, unless it was followed already.
    fn begin(&mut self, steps: &mut Vec<Step<'a>>, link: Link) {
        let tree = self.tree;
        let Some(Kind::Symlink(target)) = tree.get(link.id).map(Inode::kind) else { return };
        if self.known.contains_key(&link) {
            return;
        }
        self.known.insert(link, None);
        let is_slash: IsSlash = |byte| *byte == b'/';
        let answer = match target.first() {
            Some(b'/') => Answer::Outside(Outside::default()),
            _ => Answer::Inside(link.directory),
        };
        let names = target.split(is_slash).peekable();
        steps.push(Step { link, names, way: Way { answer, links: 1 } });
    }

    /// Goes on as long as the links on the way are known; returns the first unknown one.
    fn advance(&self, step: &mut Step<'a>) -> Option<Link> {
        while let Some(name) = step.names.peek().copied() {
            let way = match step.way.answer {
                Answer::Inside(directory) => match self.inside(directory, name) {
                    Answer::Inside(id) if self.is_link(id) => {
                        let link = Link { directory, id };
                        match self.known.get(&link) {
                            None => return Some(link),
                            // This link is being followed already: a circle.
                            Some(None) => Way { answer: Answer::Nowhere, links: 0 },
                            Some(Some(way)) => *way,
                        }
                    }
                    answer @ (Answer::Inside(_)
                    | Answer::Outside(_)
                    | Answer::Nowhere
                    | Answer::Unknown) => Way { answer, links: 0 },
                },
                Answer::Outside(place) => Way { answer: self.outside(place, name), links: 0 },
                Answer::Nowhere | Answer::Unknown => return None,
            };
            let links = step.way.links.saturating_add(way.links);
            let answer = if links > LINKS_MAX { Answer::Nowhere } else { way.answer };
            step.way = Way { answer, links };
            step.names.next();
        }
        None
    }

    fn is_link(&self, id: InodeId) -> bool {
        matches!(self.tree.get(id).map(Inode::kind), Some(Kind::Symlink(_)))
    }

    /// The entry `name` of a directory of the disk.
    fn inside(&self, directory: InodeId, name: &[u8]) -> Answer {
        let inode = self.tree.get(directory);
        let Some(inode) = inode.filter(|inode| matches!(inode.kind(), Kind::Directory(_))) else {
            return Answer::Nowhere;
        };
        match name {
            b"" | b"." => Answer::Inside(directory),
            b".." if directory == Tree::ROOT => {
                let on_the_way = self.mount.len().saturating_sub(1);
                Answer::Outside(Outside { on_the_way, beside: 0 })
            }
            b".." => Answer::Inside(inode.parent()),
            name => match self.tree.child(directory, name) {
                Some(id) => Answer::Inside(id),
                None if self.is_unknown(directory) => Answer::Unknown,
                None => Answer::Nowhere,
            },
        }
    }

    fn is_unknown(&self, mut directory: InodeId) -> bool {
        // Usually there are none.
        while !self.unknown.is_empty() {
            if self.unknown.contains(&directory) {
                return true;
            }
            match self.tree.get(directory) {
                Some(inode) if directory != Tree::ROOT => directory = inode.parent(),
                _ => return false,
            }
        }
        false
    }

    /// The place `name` seen from one outside of the disk. Links of the guest's own are not known.
    fn outside(&self, place: Outside, name: &[u8]) -> Answer {
        let Outside { on_the_way, beside } = place;
        let place = match name {
            b"" | b"." => place,
            b".." if beside > 0 => Outside { on_the_way, beside: beside - 1 },
            b".." => Outside { on_the_way: on_the_way.saturating_sub(1), beside },
            name if beside == 0 && self.mount.get(on_the_way) == Some(&name) => {
                if on_the_way + 1 == self.mount.len() {
                    return Answer::Inside(Tree::ROOT);
                }
                Outside { on_the_way: on_the_way + 1, beside }
            }
            _ => Outside { on_the_way, beside: beside + 1 },
        };
        Answer::Outside(place)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use credimg_formats::{Content, Metadata, Secret};

    use super::*;
    use credimg_formats::Name;

    fn add(tree: &mut Tree, parent: InodeId, name: &str, kind: Kind) -> InodeId {
        tree.insert(parent, Name::new(name.as_bytes()).unwrap(), Metadata::default(), kind).unwrap()
    }

    fn link(tree: &mut Tree, parent: InodeId, name: &str, target: &str) -> InodeId {
        add(tree, parent, name, Kind::Symlink(target.as_bytes().into()))
    }

    #[test]
    fn forty_links_are_followed_as_linux_does_and_no_more() {
        let mut tree = Tree::new(Metadata::default());
        let file = Kind::File(Content::Memory(Secret::new(Vec::new())));
        let file = add(&mut tree, Tree::ROOT, "0", file);
        let chain: Vec<_> = (1..=50_000)
            .map(|n| link(&mut tree, Tree::ROOT, &n.to_string(), &(n - 1).to_string()))
            .collect();
        let mut links = Links::new(&tree, None, HashSet::new());
        for (index, id) in chain.iter().enumerate().rev() {
            let expected = if index < 40 { Answer::Inside(file) } else { Answer::Nowhere };
            assert_eq!(links.answer(Tree::ROOT, *id), expected, "{index}");
        }
    }

    #[test]
    fn circles_lead_nowhere() {
        let mut tree = Tree::new(Metadata::default());
        let circle = ["b", "c/x", "a"];
        let circle: Vec<_> = ["a", "b", "c"]
            .iter()
            .zip(circle)
            .map(|(name, target)| link(&mut tree, Tree::ROOT, name, target))
            .collect();
        let itself = link(&mut tree, Tree::ROOT, "itself", "./itself");
        let into = link(&mut tree, Tree::ROOT, "into", "a");
        let mut links = Links::new(&tree, None, HashSet::new());
        for id in circle.into_iter().chain([itself, into]) {
            assert_eq!(links.answer(Tree::ROOT, id), Answer::Nowhere);
        }
    }
}
