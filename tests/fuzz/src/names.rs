//! Names of ISO 9660: identifiers for readers without Rock Ridge.

use std::collections::HashSet;

use credimg_formats::{Name, fuzzing};

use super::Target;

pub const TARGET: Target =
    Target { name: "names", max_bytes: 2048, memory_max_bytes: 8 << 20, run, seeds };

/// The most of Joliet: 64 characters of name and extension, the dot, and the version (its
/// "Joliet File Identifiers").
const JOLIET_MAX_BYTES: usize = 2 * (64 + 1 + 2);
/// The most of ECMA-119 7.5.1: 30, the dot, and the version.
const PRIMARY_MAX_BYTES: usize = 30 + 1 + 2;

/// Names, one a line; those of directories end with a slash.
fn run(data: &[u8]) {
    let mut names: Vec<(Name, bool)> = data
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"/").map_or((line, false), |name| (name, true)))
        .filter_map(|(name, is_directory)| Some((Name::new(name).ok()?, is_directory)))
        .collect();
    names.sort();
    names.dedup_by(|one, other| one.0 == other.0);
    for is_joliet in [false, true] {
        let identifiers = fuzzing::iso9660_identifiers(&names, is_joliet).unwrap();
        assert_eq!(identifiers.len(), names.len());
        let different: HashSet<&[u8]> =
            identifiers.iter().map(|identifier| stem(identifier, is_joliet)).collect();
        assert_eq!(different.len(), names.len(), "two names with one identifier");
        for identifier in &identifiers {
            let max = if is_joliet { JOLIET_MAX_BYTES } else { PRIMARY_MAX_BYTES };
            assert!((1..=max).contains(&identifier.len()), "{} bytes", identifier.len());
            let is_character = |byte: &u8| {
                byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"_.;".contains(byte)
            };
            assert!(is_joliet || identifier.iter().all(is_character));
            assert!(!is_joliet || identifier.len() % 2 == 0);
        }
    }
}

/// What two entries must not share: their identifiers without the version and without the
/// dot of a file that has no extension, which a directory would share.
fn stem(identifier: &[u8], is_joliet: bool) -> &[u8] {
    let (version, dot): (&[u8], &[u8]) =
        if is_joliet { (b"\0;\x001", b"\0.") } else { (b";1", b".") };
    let name = identifier.strip_suffix(version).unwrap_or(identifier);
    if is_joliet { name } else { name.strip_suffix(dot).unwrap_or(name) }
}

fn seeds() -> Vec<Vec<u8>> {
    let long = "x".repeat(64);
    vec![
        b"key\nKEY\nKey/\nk+y\nk-y\nKEY_1\na.x\nA.x\n".to_vec(),
        format!("{long}1\n{long}2\n{long}.text\n{long}.texts\n").into_bytes(),
        "Key.txt\na:b\na?b\na_b\ndir.d/\n\u{1f511}\nh\u{fffd}\n\u{e4}.b\n".into(),
        b"bad\xff\n.bashrc\nend.\nid_ed25519.pub\n".to_vec(),
    ]
}
