//! The formats: what each is called and holds, and how an image of any of them is written.

use std::fmt;
use std::str::FromStr;

use crate::content::Sink;
#[cfg(feature = "erofs")]
use crate::erofs;
use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "iso9660")]
use crate::iso9660;
#[cfg(feature = "squashfs")]
use crate::squashfs;
use crate::tree::Tree;

/// A format of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// EROFS.
    Erofs,
    /// SquashFS.
    Squashfs,
    /// ISO 9660 with Rock Ridge.
    Iso9660,
}

/// What images of a format are called and hold.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "a row of a table")]
pub struct Profile {
    /// The name for programs: that in options and reports.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// What names of images end in, behind the dot.
    pub extensions: &'static [&'static str],
    /// Longest volume label in bytes; none where there is no label.
    pub label_max_bytes: Option<usize>,
    /// Longest volume label in bytes with a Joliet tree; none where no image has one.
    pub joliet_label_max_bytes: Option<usize>,
    /// Whether there is a UUID. What blkid shows of ISO 9660 is a time.
    pub has_uuid: bool,
    /// Whether times have fractions of seconds.
    pub has_nanoseconds: bool,
    /// Whether inodes have extended attributes.
    pub has_xattrs: bool,
    /// Whether content may be compressed.
    pub has_compression: bool,
    /// Whether the image's first bytes are [rewritten](Sink::rewrite) at the end.
    pub rewrites_start: bool,
}

impl Format {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Erofs, Self::Squashfs, Self::Iso9660];

    /// The format whose images have this extension.
    pub fn of_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.profile().extensions.contains(&extension))
    }

    /// What its images are called and hold.
    pub const fn profile(self) -> Profile {
        match self {
            Self::Erofs => Profile {
                name: "erofs",
                title: "EROFS",
                extensions: &["erofs"],
                label_max_bytes: Some(15),
                joliet_label_max_bytes: None,
                has_uuid: true,
                has_nanoseconds: true,
                has_xattrs: true,
                has_compression: false,
                rewrites_start: false,
            },
            Self::Squashfs => Profile {
                name: "squashfs",
                title: "SquashFS",
                extensions: &["squashfs", "sqfs"],
                label_max_bytes: None,
                joliet_label_max_bytes: None,
                has_uuid: false,
                has_nanoseconds: false,
                has_xattrs: true,
                has_compression: true,
                rewrites_start: true,
            },
            Self::Iso9660 => Profile {
                name: "iso9660",
                title: "ISO 9660",
                extensions: &["iso"],
                label_max_bytes: Some(32),
                joliet_label_max_bytes: Some(16),
                has_uuid: false,
                has_nanoseconds: false,
                has_xattrs: false,
                has_compression: false,
                rewrites_start: false,
            },
        }
    }

    /// The name for programs: that in options and reports.
    pub const fn name(self) -> &'static str {
        self.profile().name
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    /// Takes the [name](Self::name).
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "unknown format: expected erofs, squashfs or iso9660",
            )
        })
    }
}

impl Profile {
    /// Whether there is a volume label.
    pub const fn has_label(self) -> bool {
        self.label_max_bytes.is_some()
    }

    /// Whether there may be a Joliet tree.
    pub const fn has_joliet(self) -> bool {
        self.joliet_label_max_bytes.is_some()
    }
}

/// An image that is wanted: its format, and what the writer of that takes.
#[cfg(any(feature = "erofs", feature = "iso9660", feature = "squashfs"))]
#[derive(Clone, Debug)]
pub enum Spec {
    /// An image of EROFS.
    #[cfg(feature = "erofs")]
    Erofs(erofs::Options),
    /// An image of SquashFS.
    #[cfg(feature = "squashfs")]
    Squashfs(squashfs::Options),
    /// An image of ISO 9660.
    #[cfg(feature = "iso9660")]
    Iso9660(iso9660::Options),
}

#[cfg(any(feature = "erofs", feature = "iso9660", feature = "squashfs"))]
impl Spec {
    /// The format.
    pub fn format(&self) -> Format {
        match *self {
            #[cfg(feature = "erofs")]
            Self::Erofs(_) => Format::Erofs,
            #[cfg(feature = "squashfs")]
            Self::Squashfs(_) => Format::Squashfs,
            #[cfg(feature = "iso9660")]
            Self::Iso9660(_) => Format::Iso9660,
        }
    }

    /// Lays out `tree`. Errors are those of the plan of the format.
    pub fn plan(self, tree: &Tree) -> Result<Box<dyn Image + '_>> {
        Ok(match self {
            #[cfg(feature = "erofs")]
            Self::Erofs(options) => Box::new(erofs::Plan::new(tree, options)?),
            #[cfg(feature = "squashfs")]
            Self::Squashfs(options) => Box::new(squashfs::Plan::new(tree, options)?),
            #[cfg(feature = "iso9660")]
            Self::Iso9660(options) => Box::new(iso9660::Plan::new(tree, options)?),
        })
    }
}

/// An image that is laid out and can be written, whatever its format; writing fails only on
/// I/O or on a source that changed.
pub trait Image {
    /// Size of the image in bytes, a multiple of 4096; none where it is known only when all
    /// is written, as of SquashFS.
    fn size_bytes(&self) -> Option<u64>;

    /// Writes the image and returns its size in bytes. It does not flush the sink: whoever
    /// buffers has to, and sees what fails then.
    fn write(&self, sink: &mut dyn Sink) -> Result<u64>;
}

#[cfg(feature = "erofs")]
impl Image for erofs::Plan<'_> {
    fn size_bytes(&self) -> Option<u64> {
        Some(self.size_bytes())
    }

    fn write(&self, sink: &mut dyn Sink) -> Result<u64> {
        self.write(sink)
    }
}

#[cfg(feature = "iso9660")]
impl Image for iso9660::Plan<'_> {
    fn size_bytes(&self) -> Option<u64> {
        Some(self.size_bytes())
    }

    fn write(&self, sink: &mut dyn Sink) -> Result<u64> {
        self.write(sink)
    }
}

#[cfg(feature = "squashfs")]
impl Image for squashfs::Plan<'_> {
    fn size_bytes(&self) -> Option<u64> {
        None
    }

    fn write(&self, sink: &mut dyn Sink) -> Result<u64> {
        self.write(sink)
    }
}

#[cfg(all(test, feature = "erofs", feature = "iso9660", feature = "squashfs"))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::content::{Content, Source};
    use crate::sinks::ForwardOnly;
    use crate::tree::{Kind, Metadata, Name};

    #[test]
    fn a_format_is_told_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
        for text in ["", "EROFS", "iso", "ext4"] {
            assert_eq!(text.parse::<Format>().unwrap_err().kind(), ErrorKind::Unsupported);
        }
    }

    #[test]
    fn a_profile_is_what_the_writers_do() {
        let [erofs, squashfs, iso9660] = Format::ALL.map(Format::profile);
        assert_eq!(erofs.label_max_bytes, Some(erofs::Label::MAX_BYTES));
        assert_eq!(iso9660.label_max_bytes, Some(iso9660::VolumeId::MAX_BYTES));
        assert_eq!(iso9660.joliet_label_max_bytes, Some(iso9660::VolumeId::JOLIET_MAX_BYTES));
        assert_eq!([erofs, squashfs].map(|it| it.joliet_label_max_bytes), [None; 2]);
        let tree = Tree::new(Metadata::default());
        let specs = [
            Spec::Erofs(erofs::Options::new()),
            Spec::Squashfs(squashfs::Options::new()),
            Spec::Iso9660(iso9660::Options::new()),
        ];
        assert_eq!(specs.each_ref().map(Spec::format), Format::ALL);
        for spec in specs {
            let format = spec.format();
            let image = spec.plan(&tree).unwrap();
            let size_bytes = image.write(&mut ForwardOnly::new(std::io::sink()));
            assert_eq!(size_bytes.is_err(), format.profile().rewrites_start, "{format}");
        }
    }

    /// Delivers its bytes in two pieces.
    struct Halves(Vec<u8>);

    impl Source for Halves {
        fn stream(&self, _planned_bytes: u64, sink: &mut dyn Sink) -> Result<()> {
            let (first, second) = self.0.split_at(self.0.len() / 2);
            sink.write_all(first)?;
            Ok(sink.write_all(second)?)
        }
    }

    /// A tree of 200 files, 1.5 MiB in all, some of them equal, empty or a hole; in memory, or
    /// streams that may be read ahead.
    fn tree_of_many(is_streamed: bool) -> Tree {
        let mut tree = Tree::new(Metadata::default());
        for index in 0..200_usize {
            let byte = u8::try_from(index % 150).unwrap();
            let bytes = vec![byte; index % 150 * 977 % 16_000];
            let content = if is_streamed {
                let length_bytes = bytes.len() as u64;
                Content::Stream { length_bytes, source: Box::new(Halves(bytes)) }
            } else {
                Content::from(bytes)
            };
            let name = Name::new(format!("{index:03}").as_bytes()).unwrap();
            tree.insert(Tree::ROOT, name, Metadata::default(), Kind::File(content)).unwrap();
        }
        tree
    }

    #[test]
    fn threads_that_read_or_compress_change_no_byte() {
        let compressions = ["none", "gzip:1", "lz4", "xz:0", "zstd:1"];
        let compressions = compressions.iter().filter_map(|text| text.parse().ok());
        let mut specs: Vec<Box<dyn Fn(usize) -> Spec>> = vec![
            Box::new(|threads| Spec::Erofs(erofs::Options::new().threads(threads))),
            Box::new(|threads| Spec::Iso9660(iso9660::Options::new().threads(threads))),
        ];
        for compression in compressions {
            for block_bytes in [4 << 10, 128 << 10] {
                let block_size = squashfs::BlockSize::new(block_bytes).unwrap();
                let options = squashfs::Options::new().compression(compression);
                let options = options.block_size(block_size);
                specs.push(Box::new(move |threads| {
                    Spec::Squashfs(options.clone().threads(threads))
                }));
            }
        }
        let (streamed, in_memory) = (tree_of_many(true), tree_of_many(false));
        for spec in specs {
            let image = |tree: &Tree, threads| {
                let mut image = Vec::new();
                spec(threads).plan(tree).unwrap().write(&mut image).unwrap();
                image
            };
            let one = image(&in_memory, 1);
            for threads in [0, 1, 2, 5] {
                assert!(image(&streamed, threads) == one, "{:?}", spec(threads));
            }
        }
    }
}
