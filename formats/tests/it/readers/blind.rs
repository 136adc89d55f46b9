//! What is blind to formats, by a reader of no format that says whatever a test wants.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use credimg_formats::read::{
    Account, Digests, Entry, Extent, Facts, InodeRef, Limits, NodeKind, Order, Problem, Reader,
    Region, RegionKind, Stat, Walk, dump, into_tree, verify,
};
use credimg_formats::{Error, ErrorKind, Format, Mode, Result, Sink, Timestamp, Xattrs};

const CONTENT: RegionKind = RegionKind::Content;
const RECORD: RegionKind = RegionKind::Record;
const PADDING: RegionKind = RegionKind::Padding;
const SIZE: usize = 1000;

type Entries = Vec<(Vec<u8>, u64)>;

/// An image of nothing but claims.
struct Claims {
    facts: Facts,
    /// Kind, link count, and names with what they name.
    inodes: BTreeMap<u64, (NodeKind, u32, Entries)>,
    extents: Vec<Extent>,
    size_bytes: u64,
    regions: Vec<(u64, u64, RegionKind)>,
    problems: usize,
    ends_in: Option<ErrorKind>,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            facts: Facts::new(Format::Erofs),
            inodes: BTreeMap::new(),
            extents: Vec::new(),
            size_bytes: 0,
            regions: Vec::new(),
            problems: 0,
            ends_in: None,
        }
    }
}

impl Claims {
    /// The root and what it holds: names and the numbers of inodes.
    fn root(entries: &[(&str, u64)]) -> Self {
        let mut claims = Self::default();
        claims.directory(0, 2, entries);
        claims
    }

    fn directory(&mut self, number: u64, links: u32, entries: &[(&str, u64)]) {
        let entries = entries.iter().map(|(name, number)| (name.as_bytes().to_vec(), *number));
        self.inodes.insert(number, (NodeKind::Directory, links, entries.collect()));
    }

    fn file(mut self, number: u64, links: u32) -> Self {
        self.inodes.insert(number, (NodeKind::File, links, Vec::new()));
        self
    }
}

impl Reader for Claims {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn root(&self) -> InodeRef {
        InodeRef(0)
    }

    fn stat(&self, inode: InodeRef) -> Result<Stat> {
        let Some((kind, links, _)) = self.inodes.get(&inode.0) else {
            return Err(Error::new(ErrorKind::Corrupt, "there is no such inode"));
        };
        let (mtime, size_bytes) = (Timestamp::default(), self.size_bytes);
        let (kind, links, number) = (*kind, *links, inode.0);
        Ok(Stat {
            kind,
            mode: Mode::of::<0o644>(),
            uid: 0,
            gid: 0,
            mtime,
            links,
            size_bytes,
            number,
        })
    }

    fn xattrs(&self, _inode: InodeRef) -> Result<Xattrs> {
        Ok(Xattrs::new())
    }

    fn target(&self, _symlink: InodeRef) -> Result<Box<[u8]>> {
        Ok(b"target".as_slice().into())
    }

    fn entries(
        &self,
        directory: InodeRef,
        each: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        for (name, number) in &self.inodes[&directory.0].2 {
            if each(Entry { name, inode: InodeRef(*number) })?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn read_at(&self, _file: InodeRef, _offset_bytes: u64, _buffer: &mut [u8]) -> Result<usize> {
        Err(Error::new(ErrorKind::Corrupt, "it cannot be unpacked"))
    }

    fn stream(&self, _file: InodeRef, sink: &mut dyn Sink) -> Result<()> {
        Ok(sink.write_zeros(self.size_bytes)?)
    }

    fn extents(&self, _file: InodeRef, each: &mut dyn FnMut(Extent) -> Result<()>) -> Result<()> {
        self.extents.iter().try_for_each(|extent| each(*extent))
    }

    fn account(&self, account: &mut dyn Account) -> Result<()> {
        for (offset_bytes, length_bytes, kind) in &self.regions {
            account.region(Region {
                offset_bytes: *offset_bytes,
                length_bytes: *length_bytes,
                kind: *kind,
                title: format!("region {offset_bytes}"),
                fields: Vec::new(),
                notes: Vec::new(),
            })?;
        }
        for number in 0..self.problems {
            account.problem(Problem { offset_bytes: None, message: format!("fault {number}") })?;
        }
        self.ends_in.map_or(Ok(()), |kind| Err(Error::new(kind, "nothing can be found behind it")))
    }
}

fn walked(claims: &Claims, limits: Limits) -> Vec<String> {
    let mut walk = Walk::new(claims, limits, Order::Path);
    let mut told = Vec::new();
    loop {
        match walk.step() {
            Ok(Some(step)) => told.push(format!("{} {}", step.depth, walk.path().escape_ascii())),
            Ok(None) => return told,
            Err(error) => told.push(format!("{:?}: {error}", error.kind())),
        }
    }
}

fn limits() -> Limits {
    Limits::for_image(SIZE as u64)
}

#[test]
fn a_walk_goes_in_path_order_and_ends_in_loops() {
    let mut claims = Claims::root(&[("b", 1), ("a!", 2), ("a", 3)]).file(2, 1);
    claims.directory(1, 2, &[("up", 0)]);
    claims.directory(3, 3, &[("again", 1), ("z", 2)]);
    let same = "Corrupt: /b: the directory is inside itself or has two parents";
    let up = "Corrupt: /a/again/up: the directory is inside itself or has two parents";
    let expected = ["0 /", "1 /a", "2 /a/again", up, "2 /a/z", "1 /a!", same];
    assert_eq!(walked(&claims, limits()), expected);
}

#[test]
fn names_that_are_none_end_a_walk_with_their_directory() {
    for (name, fault) in [
        ("", "an entry: a name is empty"),
        ("..", "an entry: `.` and `..` are not allowed as names"),
        ("a/b", "an entry: a name holds a slash"),
        ("a\0", "an entry: a name holds a NUL byte"),
        ("same", "the directory holds two entries of one name"),
    ] {
        let claims = Claims::root(&[("same", 1), (name, 1)]).file(1, 2);
        assert_eq!(walked(&claims, limits()), ["0 /", &format!("Corrupt: /: {fault}")]);
    }
    let claims = Claims::root(&[("gone", 9), ("there", 1)]).file(1, 1);
    let gone = "Corrupt: /gone: there is no such inode";
    assert_eq!(walked(&claims, limits()), ["0 /", gone, "1 /there"]);
    assert_eq!(
        walked(&Claims::default().file(0, 1), limits()),
        ["Corrupt: /: the root is no directory"]
    );
}

#[test]
fn a_walk_keeps_its_limits() {
    let mut claims = Claims::root(&[("1", 1)]);
    claims.directory(1, 2, &[("2", 2)]);
    claims.directory(2, 2, &[("3", 3), ("4", 3)]);
    let claims = claims.file(3, 1);
    assert_eq!(walked(&claims, Limits { depth: 3, ..limits() }).len(), 5);
    let deep = "Limit: /1/2: directories are nested deeper than 2 levels";
    assert_eq!(walked(&claims, Limits { depth: 2, ..limits() }), ["0 /", "1 /1", "2 /1/2", deep]);
    let many = "Limit: /1/2: the image has more than 4 entries";
    assert_eq!(walked(&claims, Limits { inodes: 4, ..limits() }), ["0 /", "1 /1", "2 /1/2", many]);
}

/// What `verify` finds in an image of these bytes.
fn found(claims: &Claims, image: &Vec<u8>) -> Vec<String> {
    let report = verify(claims, image, limits()).unwrap();
    let place =
        |problem: &Problem| problem.offset_bytes.map_or(String::new(), |o| format!("{o}: "));
    let mut told: Vec<_> =
        report.problems.kept.iter().map(|p| format!("{}{}", place(p), p.message)).collect();
    if report.problems.more > 0 {
        told.push(format!("{} more", report.problems.more));
    }
    told
}

#[test]
fn regions_lie_beside_each_other_and_the_rest_is_zero() {
    type Case<'c> = (&'c [(u64, u64, RegionKind)], usize, &'c [&'c str]);
    let cases: [Case<'_>; 9] = [
        (&[(0, 100, RECORD), (100, 900, CONTENT)], 150, &[]),
        (&[(0, 100, RECORD), (500, 500, CONTENT)], 50, &[]),
        (
            &[(0, 100, RECORD), (500, 500, CONTENT)],
            499,
            &["499: bytes that belong to nothing are not zero: 400 bytes from 100 on"],
        ),
        (
            &[(0, 10, RECORD)],
            999,
            &["999: bytes that belong to nothing are not zero: 990 bytes from 10 on"],
        ),
        (&[(0, 1000, PADDING)], 300, &["300: padding that is not zero: 1000 bytes from 0 on"]),
        (&[(0, 600, RECORD), (500, 500, RECORD)], 0, &["500: region 500 overlaps region 0"]),
        (&[(0, 600, CONTENT), (500, 500, RECORD)], 0, &["500: region 500 overlaps region 0"]),
        // Shared content, as a whole and in part.
        (&[(0, 600, CONTENT), (0, 600, CONTENT), (300, 700, CONTENT)], 0, &[]),
        (
            &[(0, 600, RECORD), (600, 401, RECORD), (u64::MAX, 9, CONTENT)],
            0,
            &[
                "600: region 600 ends at 1001, behind the end of the image, 1000",
                "18446744073709551615: region 18446744073709551615 ends at 18446744073709551615, \
                 behind the end of the image, 1000",
            ],
        ),
    ];
    for (regions, not_zero, expected) in cases {
        let mut claims = Claims::root(&[]);
        claims.regions = regions.to_vec();
        let mut image = vec![0; SIZE];
        image[not_zero] = 1;
        assert_eq!(found(&claims, &image), expected, "{regions:?}");
        let mut text = Vec::new();
        dump(&claims, &image, Digests::Hidden, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let told: usize =
            crate::readers::whole::lines(&text).iter().map(|(range, _)| range.len()).sum();
        assert_eq!(told, SIZE, "{text}");
        assert!(!text.contains("sha256"), "{text}");
    }
}

#[test]
fn link_counts_are_those_of_the_paths() {
    let mut claims = Claims::root(&[("a", 1), ("b", 1), ("c", 2), ("d", 3)]).file(1, 2).file(2, 2);
    claims.directory(3, 3, &[]);
    claims.regions = vec![(0, 1000, CONTENT)];
    let image = vec![0; SIZE];
    let expected = [
        "/d: the link count is 3: expected 2",
        "/: the link count is 2: expected 3",
        "/c: the link count is 2: expected 1",
    ];
    assert_eq!(found(&claims, &image), expected);
    // genisoimage stores what the host said.
    claims.facts.format = Format::Iso9660;
    claims.facts.features = vec!["rock-ridge".to_owned()];
    assert_eq!(found(&claims, &image), [""; 0]);
    let claims = Claims {
        regions: claims.regions.clone(),
        facts: claims.facts.clone(),
        ..claims.file(1, 1)
    };
    assert_eq!(found(&claims, &image), ["/a: the link count is 1: expected 2"]);
}

#[test]
fn content_is_whole_and_can_be_unpacked() {
    let extent = |file_offset_bytes, length_bytes, stored_bytes| Extent {
        file_offset_bytes,
        length_bytes,
        image_offset_bytes: Some(100),
        stored_bytes,
    };
    for (extents, expected) in [
        (vec![extent(0, 50, 50)], "/f: its content has 50 bytes: expected 100"),
        (
            vec![extent(0, 50, 50), extent(60, 40, 40)],
            "/f: its content goes on at byte 60: expected 50",
        ),
        // Twice the same: it is unpacked once.
        (vec![extent(0, 50, 20), extent(50, 50, 20)], "100: it cannot be unpacked"),
    ] {
        let mut claims = Claims::root(&[("f", 1)]).file(1, 1);
        claims.regions = vec![(0, 100, RECORD), (100, 900, CONTENT)];
        claims.extents = extents;
        claims.size_bytes = 100;
        assert_eq!(found(&claims, &vec![7; SIZE]), [expected]);
    }
}

#[test]
fn many_problems_are_counted_and_an_account_may_end_early() {
    let mut claims = Claims::root(&[]);
    claims.regions = vec![(0, 10, RECORD)];
    claims.ends_in = Some(ErrorKind::Corrupt);
    // What the account did not come to is no gap.
    assert_eq!(found(&claims, &vec![1; SIZE]), ["nothing can be found behind it"]);
    claims.problems = 107;
    let told = found(&claims, &vec![1; SIZE]);
    assert_eq!((told.len(), &*told[99], &*told[100]), (101, "fault 99", "8 more"));
    claims.ends_in = Some(ErrorKind::Unsupported);
    let error = verify(&claims, &vec![1; SIZE], limits()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn an_image_that_is_no_tree_becomes_none() {
    let claims = Claims::root(&[("a", 1), ("b", 9)]).file(1, 1);
    let reader: Arc<dyn Reader> = Arc::new(claims);
    let error = into_tree(&reader, limits()).unwrap_err();
    assert_eq!(error.to_string(), "/b: there is no such inode");
}
