//! Identifiers of files and directories: their characters and length (ECMA-119 7.4 to
//! 7.6, Joliet), and their order (9.3).

/// Whose rules identifiers follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alphabet {
    Primary,
    Joliet,
}

impl Alphabet {
    /// What is wrong with an identifier.
    pub(crate) fn fault(self, identifier: &[u8], is_directory: bool) -> Option<&'static str> {
        match (self, is_directory) {
            (Self::Primary, false) => primary_file_fault(identifier),
            (Self::Primary, true) => primary_directory_fault(identifier),
            (Self::Joliet, _) => joliet_fault(identifier, is_directory),
        }
    }

    /// What orders identifiers, and is the same for those that readers take for one: a
    /// name and an extension, each as if filled up with spaces.
    pub(crate) fn order(self, identifier: &[u8]) -> Vec<u16> {
        match self {
            Self::Primary => {
                let end = identifier.iter().position(|byte| *byte == b';');
                let identifier = &identifier[..end.unwrap_or(identifier.len())];
                let dot = identifier.iter().position(|byte| *byte == b'.');
                let (name, extension) = match dot {
                    Some(dot) => (&identifier[..dot], &identifier[dot + 1..]),
                    None => (identifier, [].as_slice()),
                };
                let padded =
                    [name, extension].map(|part| part.iter().copied().chain([b' '; 31]).take(31));
                padded.into_iter().flatten().map(u16::from).collect()
            }
            // The separators come before all other characters, as fillers do.
            Self::Joliet => {
                let units = units(identifier);
                let end = units.len() - usize::from(units.ends_with(&VERSION)) * VERSION.len();
                let dot = u16::from(b'.');
                units[..end].iter().map(|unit| if *unit == dot { 0 } else { *unit }).collect()
            }
        }
    }

    /// The name as text, without its version.
    pub(crate) fn text(self, identifier: &[u8]) -> Vec<u8> {
        match self {
            Self::Primary => identifier.to_vec(),
            Self::Joliet => {
                let units = units(identifier);
                let end = units.len() - usize::from(units.ends_with(&VERSION)) * VERSION.len();
                String::from_utf16_lossy(&units[..end]).into_bytes()
            }
        }
    }
}

/// `;1`
const VERSION: [u16; 2] = [0x3b, 0x31];

fn is_d_character(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

/// 7.5.1 and level 2 of 10.2: name, dot, extension, semicolon, version.
fn primary_file_fault(identifier: &[u8]) -> Option<&'static str> {
    let Some(name) = identifier.strip_suffix(b";1") else {
        return Some("does not end in the version 1");
    };
    let parts: Vec<_> = name.split(|byte| *byte == b'.').collect();
    let [name, extension] = parts[..] else { return Some("does not have one dot") };
    let length = name.len() + extension.len();
    if length == 0 || length > 30 {
        return Some("does not have 1 to 30 characters");
    }
    let legal = [name, extension].concat().iter().all(|byte| is_d_character(*byte));
    (!legal).then_some("has another character than A-Z, 0-9 and _")
}

/// 7.6.1 and 7.6.3.
fn primary_directory_fault(identifier: &[u8]) -> Option<&'static str> {
    if identifier.is_empty() || identifier.len() > 31 {
        return Some("does not have 1 to 31 characters");
    }
    let legal = identifier.iter().all(|byte| is_d_character(*byte));
    (!legal).then_some("has another character than A-Z, 0-9 and _")
}

/// The limit is on names and extensions, without the dot between them and the version.
fn joliet_fault(identifier: &[u8], is_directory: bool) -> Option<&'static str> {
    if !identifier.len().is_multiple_of(2) {
        return Some("has half a character");
    }
    let units = units(identifier);
    let name = match (units.strip_suffix(&VERSION), is_directory) {
        (None, false) => return Some("does not end in the version 1"),
        (Some(name), false) => name,
        _ => &units,
    };
    if name.ends_with(&[u16::from(b'.')]) {
        return Some("ends in a dot, which some readers do not show");
    }
    let has_extension = !is_directory && name.contains(&u16::from(b'.'));
    if !(1..=64).contains(&(name.len() - usize::from(has_extension))) {
        return Some("does not have 1 to 64 characters");
    }
    let illegal = |unit: u16| {
        unit < 0x20
            || (0xd800..0xe000).contains(&unit)
            || "*/:;?\\".encode_utf16().any(|c| c == unit)
    };
    name.iter().any(|unit| illegal(*unit)).then_some("has a character that Joliet forbids")
}

fn units(identifier: &[u8]) -> Vec<u16> {
    identifier.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}
