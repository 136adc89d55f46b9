//! Keys that only one format has, as typed and as understood.

use credimg_formats::Format;
use credimg_formats::squashfs::Compression;

use super::mapping::{At, Keys};
use super::node::Text;
use super::resolve::optional;
use super::schema::{boolean, text};
use super::values;
use crate::report::Problems;

/// What the manifest says of its image's format.
#[derive(Clone, Copy, Debug, Default)]
pub struct FormatOptions {
    /// How a SquashFS image is compressed, where given.
    pub compression: Option<Compression>,
    /// Whether an ISO 9660 image gets a Joliet tree.
    pub joliet: bool,
}

impl FormatOptions {
    /// Leaves out what images of `format` do not have.
    pub(crate) fn fit(self, format: Format) -> Self {
        let Self { compression, joliet } = self;
        let profile = format.profile();
        Self {
            compression: compression.filter(|_| profile.has_compression),
            joliet: joliet && profile.has_joliet(),
        }
    }
}

/// The keys as typed.
#[derive(Clone)]
pub(super) struct Typed {
    compression: Option<At<Text>>,
    joliet: Option<At<bool>>,
}

pub(super) fn read(keys: &mut Keys, problems: &mut Problems) -> Typed {
    Typed {
        compression: keys.read("compression", text, problems),
        joliet: keys.read("joliet", boolean, problems),
    }
}

pub(super) fn resolve(typed: &Typed, problems: &mut Problems) -> FormatOptions {
    let Typed { compression, joliet } = typed;
    FormatOptions {
        compression: optional(compression.as_ref(), values::compression, problems),
        joliet: joliet.as_ref().is_some_and(|joliet| joliet.value),
    }
}
