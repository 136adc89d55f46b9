//! Readers of what is printed for others, each written from the other's own rules.

/// Words as a POSIX shell splits them (XCU 2.2). Nothing that a shell would expand, or take
/// for an operator, may stand outside of quotes.
pub fn shell_words(line: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = line.strip_suffix(b"\n").expect("one line").iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' => words.extend(word.take()),
            b'\'' => {
                let word = word.get_or_insert_default();
                word.extend(bytes.by_ref().take_while(|byte| **byte != b'\''));
            }
            b'\\' => word.get_or_insert_default().push(*bytes.next().expect("what is escaped")),
            byte => {
                let is_plain = byte.is_ascii_alphanumeric() || b"-_./,:=@%+".contains(byte);
                assert!(is_plain, "{:?} is not quoted", char::from(*byte));
                word.get_or_insert_default().push(*byte);
            }
        }
    }
    words.extend(word);
    words
}

/// Options between commas (QEMU's `opts_do_parse`): a doubled comma is one of a value. The
/// first may have a value alone.
pub fn options(value: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut parts = vec![Vec::new()];
    let mut bytes = value.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte == b',' && bytes.next_if_eq(&&b',').is_none() {
            parts.push(Vec::new());
        } else {
            parts.last_mut().expect("a part").push(*byte);
        }
    }
    let part = |part: Vec<u8>| match part.iter().position(|byte| *byte == b'=') {
        Some(end) => (String::from_utf8_lossy(&part[..end]).into_owned(), part[end + 1..].to_vec()),
        None => (String::new(), part),
    };
    parts.into_iter().map(part).collect()
}

/// A section of a configuration file: its heading, and its settings.
pub type Section = (String, Vec<(String, Vec<u8>)>);

/// Sections as QEMU reads them (`qemu_config_foreach`): lines of at most 1023 bytes.
pub fn config(text: &[u8]) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        assert!(line.len() <= 1023, "QEMU reads a line of {} bytes as two", line.len());
        if line.is_empty() {
            continue;
        }
        if let Some(heading) = line.strip_prefix(b"[") {
            let heading = heading.strip_suffix(b"]").expect("a heading's end");
            sections.push((String::from_utf8_lossy(heading).into_owned(), Vec::new()));
            continue;
        }
        // `sscanf(line, " %63s = \"%1023[^\"]\"")`, and an empty value by itself.
        let line = line.trim_ascii_start();
        let end = line.iter().position(u8::is_ascii_whitespace).expect("a key");
        let (key, rest) = line.split_at(end);
        let value = rest.strip_prefix(b" = \"").expect("a value in quotes");
        let end = value.iter().position(|byte| *byte == b'"').expect("a closing quote");
        assert_eq!(value.len(), end + 1, "QEMU drops what follows a quote");
        let (_, settings) = sections.last_mut().expect("a heading");
        settings.push((String::from_utf8_lossy(key).into_owned(), value[..end].to_vec()));
    }
    sections
}

/// The values of an attribute in XML, between single quotes (XML 1.0, 2.3 and 4.6).
pub fn xml_values(text: &str, element: &str, attribute: &str) -> Vec<String> {
    let elements = text.split('<').filter_map(|part| part.strip_prefix(element));
    let elements = elements.filter(|rest| rest.starts_with([' ', '>', '/']));
    elements
        .filter_map(|rest| {
            let (_, value) = rest.split_once(&format!(" {attribute}='"))?;
            let (value, _) = value.split_once('\'')?;
            Some(xml_text(value))
        })
        .collect()
}

/// Character data: references resolved. White space of an attribute would become a space.
fn xml_text(text: &str) -> String {
    assert!(!text.contains(['<', '\n', '\r', '\t']), "{text:?}");
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';').expect("a reference's end");
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "apos" => '\'',
            "quot" => '"',
            "#10" => '\n',
            _ => panic!("an unknown reference &{name};"),
        });
        plain.push_str(rest);
    }
    plain
}

/// Cloud Hypervisor's options (its `OptionParser`): commas part them but between double
/// quotes, of which two stand for one.
pub fn cloud_hypervisor(text: &str) -> Vec<(String, String)> {
    let mut parts = vec![String::new()];
    let mut is_quoted = false;
    for character in text.chars() {
        is_quoted ^= character == '"';
        if character == ',' && !is_quoted {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("a part").push(character);
        }
    }
    assert!(!is_quoted, "{text}");
    let unquoted = |value: &str| match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').expect("a closing quote").replace("\"\"", "\""),
        None => value.to_owned(),
    };
    let part = |part: &String| {
        let (key, value) = part.split_once('=').expect("a value");
        (key.to_owned(), unquoted(value))
    };
    parts.iter().map(part).collect()
}

/// crosvm's options (its `serde_keyvalue`): a value may be between double quotes, in which a
/// backslash takes the next character as it is.
pub fn crosvm(text: &str) -> Vec<(String, String)> {
    let mut options = Vec::new();
    let mut left = text;
    while !left.is_empty() {
        let end = left.find([',', '=']).unwrap_or(left.len());
        let (key, rest) = left.split_at(end);
        let (value, rest) = match rest.strip_prefix('=') {
            None => (String::new(), rest),
            Some(rest) if rest.starts_with('"') => {
                let mut value = String::new();
                let mut characters = rest[1..].chars();
                loop {
                    match characters.next().expect("a closing quote") {
                        '"' => break,
                        '\\' => value.push(characters.next().expect("what is escaped")),
                        character => value.push(character),
                    }
                }
                (value, characters.as_str())
            }
            Some(rest) => {
                let (value, rest) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                assert!(!value.contains(['[', ']', '"', '\'']), "{value}");
                (value.to_owned(), rest)
            }
        };
        options.push((key.to_owned(), value));
        left = rest.strip_prefix(',').unwrap_or(rest);
        assert!(rest.is_empty() || rest.starts_with(','), "{text}");
    }
    options
}
