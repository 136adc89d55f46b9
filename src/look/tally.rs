//! Counts what an image holds, by one walk over its inodes. Contents are not read.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use credimg_formats::read::{self, Limits, NodeKind, Order, Stat, Storage, Walk};
use credimg_formats::{Error, ErrorKind, Result, Timestamp};
use serde::Serialize;

use crate::manifest::time;

/// Counts and sizes of an image. The field names are stable: programs read them.
#[derive(Default, Serialize)]
pub(crate) struct Tally {
    build_time_seconds: Option<i64>,
    block_bytes: u32,
    /// How many bytes of the storage belong to the image.
    used_bytes: u64,
    compression: Option<&'static str>,
    features: Vec<String>,
    files: u64,
    directories: u64,
    symlinks: u64,
    devices: u64,
    fifos: u64,
    sockets: u64,
    /// Further names of inodes that were counted by their first name.
    further_names: u64,
    /// The length of all files together.
    content_bytes: u64,
    /// How many bytes of the image their content takes. What several files share is counted once.
    stored_bytes: u64,
    /// The rest of the image: records and padding.
    metadata_bytes: u64,
    /// The oldest and newest time of anything but directories; none where there is nothing else.
    oldest_seconds: Option<i64>,
    newest_seconds: Option<i64>,
}

impl Tally {
    /// Counts what the image in `storage` holds.
    pub(crate) fn of(storage: Box<dyn Storage>) -> Result<Self> {
        let size_bytes = storage.size_bytes().map_err(unreadable)?;
        let limits = Limits::for_image(size_bytes);
        let reader = read::open(storage, limits)?;
        let facts = reader.facts();
        let mut tally = Self {
            build_time_seconds: facts.build_time.map(Timestamp::seconds),
            block_bytes: facts.block_bytes,
            used_bytes: facts.used_bytes,
            compression: facts.compression,
            features: facts.features.clone(),
            ..Self::default()
        };
        let mut seen = HashSet::new();
        let mut stored = Stretches::default();
        let mut walk = Walk::new(&*reader, limits, Order::Image);
        while let Some(step) = walk.step()? {
            if step.stat.kind != NodeKind::Directory && !seen.insert(step.stat.number) {
                tally.further_names += 1;
                continue;
            }
            tally.add(&step.stat);
            if step.stat.kind == NodeKind::File {
                reader.extents(step.inode, &mut |extent| {
                    if let Some(start) = extent.image_offset_bytes {
                        stored.add(start, extent.stored_bytes);
                    }
                    Ok(())
                })?;
            }
        }
        tally.stored_bytes = stored.length_bytes();
        tally.metadata_bytes = tally.used_bytes.saturating_sub(tally.stored_bytes);
        Ok(tally)
    }

    fn add(&mut self, stat: &Stat) {
        let count = match stat.kind {
            NodeKind::Directory => {
                self.directories += 1;
                return;
            }
            NodeKind::File => {
                self.content_bytes = self.content_bytes.saturating_add(stat.size_bytes);
                &mut self.files
            }
            NodeKind::Symlink => &mut self.symlinks,
            NodeKind::CharDevice(_) | NodeKind::BlockDevice(_) => &mut self.devices,
            NodeKind::Fifo => &mut self.fifos,
            NodeKind::Socket => &mut self.sockets,
        };
        *count += 1;
        let seconds = stat.mtime.seconds();
        self.oldest_seconds = Some(self.oldest_seconds.map_or(seconds, |old| old.min(seconds)));
        self.newest_seconds = Some(self.newest_seconds.map_or(seconds, |new| new.max(seconds)));
    }

    /// The lines for people: pairs of name and text.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        lines.extend(self.build_time_seconds.map(|seconds| ("built", time::show(seconds))));
        lines.push(("blocks", format!("{} bytes", self.block_bytes)));
        lines.extend(self.compression.map(|name| ("packed", name.to_owned())));
        if !self.features.is_empty() {
            lines.push(("features", self.features.join(", ")));
        }
        lines.push(("holds", self.counts()));
        let content = format!(
            "{} bytes, stored in {}; metadata and padding {}",
            self.content_bytes, self.stored_bytes, self.metadata_bytes
        );
        lines.push(("content", content));
        if let (Some(oldest), Some(newest)) = (self.oldest_seconds, self.newest_seconds) {
            let [oldest, newest] = [oldest, newest].map(time::show);
            let times =
                if oldest == newest { oldest } else { format!("from {oldest} to {newest}") };
            lines.push(("times", times));
        }
        lines
    }

    /// The numbers of files, of directories, and of each other kind that is there.
    fn counts(&self) -> String {
        let plural = |count| if count == 1 { "" } else { "s" };
        let mut text = format!("{} file{}", self.files, plural(self.files));
        let directories = if self.directories == 1 { "directory" } else { "directories" };
        let rest = [
            (self.symlinks, "symbolic link"),
            (self.devices, "device"),
            (self.fifos, "named pipe"),
            (self.sockets, "socket"),
            (self.further_names, "further name"),
        ];
        // Writing into a String does not fail.
        let _ = write!(text, ", {} {directories}", self.directories);
        for (count, name) in rest.into_iter().filter(|(count, _)| *count > 0) {
            let _ = write!(text, ", {count} {name}{}", plural(count));
        }
        text
    }
}

fn unreadable(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Source, "cannot read the image").caused_by(error)
}

/// Ranges of bytes of an image, by their starts. None overlaps or touches another.
#[derive(Default)]
struct Stretches(BTreeMap<u64, u64>);

impl Stretches {
    fn add(&mut self, start: u64, length_bytes: u64) {
        let (mut start, mut end) = (start, start.saturating_add(length_bytes));
        while let Some((other, other_end)) = self.last_up_to(end).filter(|(_, end)| *end >= start) {
            self.0.remove(&other);
            (start, end) = (start.min(other), end.max(other_end));
        }
        if end > start {
            self.0.insert(start, end);
        }
    }

    fn last_up_to(&self, end: u64) -> Option<(u64, u64)> {
        self.0.range(..=end).next_back().map(|(start, end)| (*start, *end))
    }

    fn length_bytes(&self) -> u64 {
        let lengths = self.0.iter().map(|(start, end)| end.saturating_sub(*start));
        lengths.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_count_each_byte_once() {
        let mut stretches = Stretches::default();
        for (start, length_bytes, sum) in [
            (10, 0, 0),
            (10, 5, 5),
            (20, 5, 10),
            (15, 5, 15),
            (10, 15, 15),
            (12, 2, 15),
            (0, 100, 100),
            (99, 2, 101),
            (u64::MAX, 9, 101),
            (u64::MAX - 1, 9, 102),
        ] {
            stretches.add(start, length_bytes);
            assert_eq!(stretches.length_bytes(), sum, "{start} {length_bytes}");
        }
    }
}
