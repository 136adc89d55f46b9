//! Directories and their records: ECMA-119 6.8, 9.1 and 9.3.

use std::collections::{BTreeMap, HashSet};

use super::bytes::{Image, View};
use super::claims::Claims;
use super::fields::{self, Fields, Owner};
use super::identifier::Alphabet;
use super::volume::Root;
use super::{Attributes, Extent, Node, Result, SECTOR_BYTES};

/// All directories that a volume descriptor leads to.
pub(crate) struct Hierarchy {
    /// By level, then by parent, then in the order of the parent's records.
    pub(crate) directories: Vec<Directory>,
}

pub(crate) struct Directory {
    pub(crate) path: Vec<u8>,
    pub(crate) identifier: Vec<u8>,
    /// Index of the parent; the root is its own.
    pub(crate) parent: usize,
    pub(crate) extent: Extent,
    /// Of the parent's record; `.` for the root.
    pub(crate) own: Option<Fields>,
    pub(crate) entries: Vec<Entry>,
    used_bytes: Vec<u64>,
}

/// A file or directory: one record, or one for each section of a file.
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) identifier: Vec<u8>,
    /// Where the first record is.
    pub(crate) start: u64,
    pub(crate) is_directory: bool,
    pub(crate) extents: Vec<Extent>,
    pub(crate) fields: Option<Fields>,
}

/// 9.1.
struct Record {
    view: View,
    identifier: Vec<u8>,
    is_directory: bool,
    is_continued: bool,
    extent: Extent,
    date: i64,
    system_use: View,
}

pub(crate) fn read(image: &dyn Image, claims: &mut Claims, root: &Root) -> Result<Hierarchy> {
    let record = Record::parse(image, root.view.clone())?;
    record.expect_directory(&[0])?;
    if record.system_use.len() > 0 {
        return record.view.fault(34, "has system use fields");
    }
    let mut walker = Walker { image, claims, alphabet: root.alphabet, seen: HashSet::new() };
    let mut directories = vec![Directory {
        path: Vec::new(),
        identifier: vec![0],
        parent: 0,
        extent: record.extent,
        own: None,
        entries: Vec::new(),
        used_bytes: Vec::new(),
    }];
    let mut next = 0;
    while next < directories.len() {
        let children = walker.directory(&mut directories, next, &record)?;
        directories.extend(children);
        next += 1;
    }
    Ok(Hierarchy { directories })
}

struct Walker<'w> {
    image: &'w dyn Image,
    claims: &'w mut Claims,
    alphabet: Alphabet,
    /// Where the directories so far start.
    seen: HashSet<u64>,
}

impl Walker<'_> {
    /// Reads the records of one directory; returns the directories among them.
    fn directory(
        &mut self,
        directories: &mut [Directory],
        index: usize,
        root: &Record,
    ) -> Result<Vec<Directory>> {
        let Directory { extent, parent, .. } = directories[index];
        let shown = self.shown(&directories[index].path);
        if !self.seen.insert(extent.start) {
            return super::fault(extent.start, format!("directory {shown} is there twice"));
        }
        let mut records = self.records(&mut directories[index], &shown)?.into_iter();
        let (Some(dot), Some(dot_dot)) = (records.next(), records.next()) else {
            return super::fault(extent.start, format!("directory {shown} lacks . or .."));
        };
        dot.expect_directory(&[0])?;
        dot_dot.expect_directory(&[1])?;
        if dot.extent != extent {
            return dot.view.fault(3, "is not the directory itself");
        }
        if dot_dot.extent != directories[parent].extent {
            return dot_dot.view.fault(3, "is not the parent");
        }
        if index == 0 && dot.date != root.date {
            return root.view.fault(19, "date: is not that of the root directory");
        }
        let own = self.fields(&dot, if index == 0 { Owner::Root } else { Owner::Dot })?;
        let up = self.fields(&dot_dot, Owner::Dot)?;
        if index == 0 {
            directories[0].own.clone_from(&own);
        }
        same_attributes(&dot, own.as_ref(), directories[index].own.as_ref())?;
        same_attributes(&dot_dot, up.as_ref(), directories[parent].own.as_ref())?;

        let path = directories[index].path.clone();
        let entries = self.entries(&path, records.collect())?;
        let children = entries.iter().filter(|entry| entry.is_directory);
        let children = children.map(|entry| Directory {
            path: entry.path.clone(),
            identifier: entry.identifier.clone(),
            parent: index,
            extent: entry.extents[0],
            own: entry.fields.clone(),
            entries: Vec::new(),
            used_bytes: Vec::new(),
        });
        let children = children.collect();
        directories[index].entries = entries;
        Ok(children)
    }

    /// The name of a directory in faults.
    fn shown(&self, path: &[u8]) -> String {
        let tree = if self.alphabet == Alphabet::Joliet { "Joliet's " } else { "" };
        format!("{tree}/{}", path.escape_ascii())
    }

    /// 6.8.1: records fill sectors, none crosses the end of one.
    fn records(&mut self, directory: &mut Directory, shown: &str) -> Result<Vec<Record>> {
        let extent = directory.extent;
        if extent.length == 0 || !extent.length.is_multiple_of(SECTOR_BYTES) {
            let what = format!("directory {shown} has {} bytes, no whole sectors", extent.length);
            return super::fault(extent.start, what);
        }
        let mut records = Vec::new();
        for start in (extent.start..extent.start + extent.length).step_by(SECTOR_BYTES as usize) {
            let sector = View::read(self.image, start, SECTOR_BYTES, format!("directory {shown}"))?;
            let mut position = 1;
            while position <= sector.len() && sector.byte(position) != 0 {
                let length = usize::from(sector.byte(position));
                if length > sector.len() + 1 - position {
                    return sector.fault(position, "a record crosses the end of its sector");
                }
                if length < 34 || length % 2 != 0 {
                    return sector.fault(position, format!("a record has {length} bytes"));
                }
                let identifier_length = usize::from(sector.byte(position + 32));
                if identifier_length == 0 || 33 + identifier_length > length {
                    let what = format!("an identifier has {identifier_length} bytes");
                    return sector.fault(position + 32, what);
                }
                let identifier = sector.bytes(position + 33, identifier_length);
                let called = match identifier {
                    [0] => ".".to_owned(),
                    [1] => "..".to_owned(),
                    _ => self.alphabet.text(identifier).escape_ascii().to_string(),
                };
                let view = sector.part(position, length, format!("record {called} of {shown}"));
                self.claims.record(&view);
                records.push(Record::parse(self.image, view)?);
                position += length;
            }
            if position == 1 {
                return sector.fault(1, "a sector has no record");
            }
            directory.used_bytes.push(position as u64 - 1);
        }
        Ok(records)
    }

    fn fields(&mut self, record: &Record, owner: Owner) -> Result<Option<Fields>> {
        if self.alphabet == Alphabet::Joliet {
            return match record.system_use.len() {
                0 => Ok(None),
                _ => record.system_use.fault(1, "Joliet has no system use fields"),
            };
        }
        let area = record.system_use.clone();
        let fields = fields::read(self.image, self.claims, area, &record.view.name, owner)?;
        if fields.attributes.mtime != record.date {
            return record.view.fault(19, "date: is not the modification time of TF");
        }
        let is_directory = fields.attributes.mode & super::S_IFMT == 0o040_000;
        if is_directory != record.is_directory {
            return record.view.fault(26, "flags: the mode of PX says otherwise");
        }
        Ok(Some(fields))
    }

    /// 9.3, and sections (6.5.1) put together.
    fn entries(&mut self, directory: &[u8], records: Vec<Record>) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut continued: Option<Record> = None;
        for record in records {
            self.check_identifier(&record)?;
            let fields = self.fields(&record, Owner::Entry)?;
            self.check_extent(&record, fields.as_ref())?;
            match (entries.last_mut(), continued.take()) {
                (Some(entry), Some(section)) => {
                    if section.identifier != record.identifier {
                        return record.view.fault(34, "a section of another file is expected");
                    }
                    let meaning = |fields: &Option<Fields>| format!("{fields:?}");
                    if meaning(&entry.fields) != meaning(&fields) || section.date != record.date {
                        return record.view.fault(19, "another section has other attributes");
                    }
                    entry.extents.push(record.extent);
                }
                (last, _) => {
                    if let Some(last) = last {
                        self.check_order(last, &record)?;
                    }
                    entries.push(entry(directory, self.alphabet, &record, fields));
                }
            }
            if record.is_continued {
                continued = Some(record);
            }
        }
        match continued {
            Some(record) => record.view.fault(26, "the last section is not there"),
            None => Ok(entries),
        }
    }

    fn check_identifier(&self, record: &Record) -> Result<()> {
        match self.alphabet.fault(&record.identifier, record.is_directory) {
            Some(what) => record.view.fault(34, format!("identifier: {what}")),
            None => Ok(()),
        }
    }

    fn check_order(&self, last: &Entry, record: &Record) -> Result<()> {
        let [before, behind] =
            [&last.identifier, &record.identifier].map(|it| self.alphabet.order(it));
        match before.cmp(&behind) {
            std::cmp::Ordering::Less => Ok(()),
            std::cmp::Ordering::Equal => record.view.fault(34, "identifier: is there twice"),
            std::cmp::Ordering::Greater => record.view.fault(34, "identifier: is not in order"),
        }
    }

    /// Content is inside the image, and only files have any.
    fn check_extent(&mut self, record: &Record, fields: Option<&Fields>) -> Result<()> {
        let Record { view, extent, .. } = record;
        if record.is_directory {
            return Ok(());
        }
        let is_file = fields.is_none_or(|it| it.attributes.mode & super::S_IFMT == 0o100_000);
        if !is_file && extent.length > 0 {
            return view.fault(11, "data length: only files have content");
        }
        if extent.length == 0 {
            return match extent.start {
                0 => Ok(()),
                _ => view.fault(3, "extent: is given without content"),
            };
        }
        if record.is_continued && extent.length % SECTOR_BYTES != 0 {
            return view.fault(11, "data length: a section before the last has no whole sectors");
        }
        if extent.start + extent.length > self.image.length() {
            return view.fault(3, "extent: ends outside of the image");
        }
        self.claims.content(extent.start, extent.length, format!("content of {}", view.name));
        Ok(())
    }
}

fn entry(directory: &[u8], alphabet: Alphabet, record: &Record, fields: Option<Fields>) -> Entry {
    let name = match &fields {
        Some(fields) => fields.name.clone(),
        None => alphabet.text(&record.identifier),
    };
    let path =
        if directory.is_empty() { name } else { [directory, b"/", name.as_slice()].concat() };
    Entry {
        path,
        identifier: record.identifier.clone(),
        start: record.view.start,
        is_directory: record.is_directory,
        extents: vec![record.extent],
        fields,
    }
}

fn same_attributes(record: &Record, got: Option<&Fields>, expected: Option<&Fields>) -> Result<()> {
    let attributes = |fields: Option<&Fields>| fields.map(|fields| fields.attributes);
    if attributes(got) == attributes(expected) {
        return Ok(());
    }
    record.system_use.fault(1, "PX and TF are not those of the directory's own record")
}

impl Record {
    fn parse(image: &dyn Image, view: View) -> Result<Self> {
        view.filled(2, 1, 0, "extended attribute record length")?;
        let start = u64::from(view.both32(3, "extent")?) * SECTOR_BYTES;
        let length = u64::from(view.both32(11, "data length")?);
        let date = view.short_date(19, "date")?;
        let flags = view.byte(26);
        if flags & !0x82 != 0 || flags == 0x82 {
            return view.fault(26, format!("flags {flags:#04x}"));
        }
        view.filled(27, 2, 0, "interleaving")?;
        if view.both16(29, "volume sequence number")? != 1 {
            return view.fault(29, "volume sequence number: expected 1");
        }
        let identifier = view.bytes(34, usize::from(view.byte(33))).to_vec();
        // A padding byte makes the identifier end at an even position (9.1.12).
        let end = (33 + identifier.len()).next_multiple_of(2);
        view.filled(34 + identifier.len(), end - 33 - identifier.len(), 0, "padding")?;
        let name = format!("fields of {}", view.name);
        let system_use = view.part(end + 1, view.len() - end, name);
        let is_directory = flags & 0x02 != 0;
        if is_directory && start + length > image.length() {
            return view.fault(3, "extent: ends outside of the image");
        }
        Ok(Self {
            identifier,
            is_directory,
            is_continued: flags & 0x80 != 0,
            extent: Extent { start, length },
            date,
            system_use,
            view,
        })
    }

    fn expect_directory(&self, identifier: &[u8]) -> Result<()> {
        if self.identifier != identifier {
            return self.view.fault(34, "identifier: `.` and `..` are expected first");
        }
        if !self.is_directory {
            return self.view.fault(26, "flags: no directory");
        }
        Ok(())
    }
}

impl Hierarchy {
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.directories.iter().flat_map(|directory| &directory.entries)
    }

    /// All entries and the root, of a tree with Rock Ridge.
    pub(crate) fn nodes(&self) -> BTreeMap<Vec<u8>, Node> {
        let root = self.directories.iter().take(1);
        let root = root.map(|root| (&root.path, root.own.as_ref(), None));
        let entries = self.entries().map(|entry| {
            (
                &entry.path,
                entry.fields.as_ref(),
                Some(&entry.extents).filter(|_| !entry.is_directory),
            )
        });
        root.chain(entries)
            .filter_map(|(path, fields, extents)| {
                let Fields { attributes, target, device, .. } = fields?.clone();
                let extents = extents.cloned().unwrap_or_default();
                Some((path.clone(), Node { attributes, extents, target, device }))
            })
            .collect()
    }

    /// All paths, with the content of files.
    pub(crate) fn contents(&self) -> BTreeMap<Vec<u8>, Vec<Extent>> {
        let content =
            |entry: &Entry| if entry.is_directory { Vec::new() } else { entry.extents.clone() };
        self.entries().map(|entry| (entry.path.clone(), content(entry))).collect()
    }

    pub(crate) fn used_bytes(&self) -> BTreeMap<Vec<u8>, Vec<u64>> {
        let used = |directory: &Directory| (directory.path.clone(), directory.used_bytes.clone());
        self.directories.iter().map(used).collect()
    }

    /// Each inode's names and the records that they have, as Rock Ridge counts them.
    pub(crate) fn inodes(&self) -> BTreeMap<u32, Vec<(&Entry, Attributes)>> {
        let mut inodes: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        for entry in self.entries() {
            if let Some(fields) = &entry.fields {
                let named = inodes.entry(fields.attributes.serial).or_default();
                named.push((entry, fields.attributes));
            }
        }
        inodes
    }
}
