//! The value of one of QEMU's options: properties, as words with commas or as JSON.

use serde_json::Value;

use crate::monitors::qemu::escaped;

/// Properties in their order, each with its key.
#[derive(Clone)]
pub(super) struct Properties(Vec<(String, Vec<u8>)>);

impl Properties {
    /// Reads an option's value. `implied` is the key of a first word that has none. A doubled comma
    /// stands for one comma. The keys of nested JSON objects are joined by dots.
    pub(super) fn parse(value: &[u8], implied: &str) -> Self {
        if value.starts_with(b"{")
            && let Ok(json) = serde_json::from_slice(value)
        {
            let mut found = Vec::new();
            flatten("", &json, &mut found);
            return Self(found);
        }
        let parts = split(value).into_iter().enumerate().map(|(index, part)| {
            let at = part.iter().position(|byte| *byte == b'=');
            match at.and_then(|at| Some((part.get(..at)?, part.get(at + 1..)?))) {
                Some((key, value)) => (String::from_utf8_lossy(key).into_owned(), value.to_vec()),
                None if index == 0 => (implied.to_owned(), part),
                None => (String::from_utf8_lossy(&part).into_owned(), b"on".to_vec()),
            }
        });
        Self(parts.collect())
    }

    /// The value of the last property with this key, which wins.
    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        self.all(key).last()
    }

    /// The value as text; none where it is not UTF-8.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        std::str::from_utf8(self.get(key)?).ok()
    }

    /// The values of every property with this key.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(own, _)| own == key).map(|(_, value)| value.as_slice())
    }

    /// Whether a disk, and every part that it is made of, is opened to be read alone.
    pub(super) fn is_read_only(&self) -> bool {
        let is_key = |key: &str| key == "readonly" || key == "read-only";
        let of_parts = |key: &str| key.rsplit('.').next().is_some_and(is_key);
        let all_are_on = self.0.iter().filter(|(key, _)| of_parts(key)).all(|(_, it)| is_on(it));
        // QEMU would make a file of its own for what is written to a snapshot.
        let is_snapshot = self.get("snapshot").is_some_and(is_on);
        // The name of a file may be JSON with parts, too.
        let has_hidden = self.0.iter().any(|(_, value)| value.starts_with(b"json:"));
        let is_said = self.0.iter().any(|(key, _)| is_key(key));
        is_said && all_are_on && !is_snapshot && !has_hidden
    }

    /// The properties for which `keeps` is true, as words with commas.
    pub(super) fn only(&self, keeps: impl Fn(&str, &[u8]) -> bool) -> Vec<u8> {
        let kept = self.0.iter().filter(|(key, value)| keeps(key, value));
        let words = kept.map(|(key, value)| [key.as_bytes(), b"=", &escaped(value)].concat());
        words.collect::<Vec<_>>().join(&b","[..])
    }
}

/// Whether QEMU takes this value for "on".
fn is_on(value: &[u8]) -> bool {
    [&b"on"[..], b"yes", b"true", b"y"].contains(&value)
}

/// The parts between single commas, with a single comma for each doubled one.
fn split(value: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let is_end = byte == b',' && bytes.next_if_eq(&b',').is_none();
        match parts.last_mut() {
            Some(part) if !is_end => part.push(byte),
            Some(_) | None => parts.push(Vec::new()),
        }
    }
    parts
}

fn flatten(path: &str, value: &Value, found: &mut Vec<(String, Vec<u8>)>) {
    let text = match value {
        Value::Object(members) => {
            for (key, value) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, found);
            }
            return;
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&format!("{path}.{index}"), value, found);
            }
            return;
        }
        Value::Bool(is_on) => (if *is_on { "on" } else { "off" }).to_owned(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Number(_) => value.to_string(),
    };
    found.push((path.to_owned(), text.into_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, key: &str) -> Option<String> {
        let properties = Properties::parse(text.as_bytes(), "driver");
        properties.get(key).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    #[test]
    fn words_with_commas_are_read_as_qemu_reads_them() {
        for (text, key, expected) in [
            ("virtio-blk,drive=x", "driver", Some("virtio-blk")),
            ("type=11,path=a,,b,value=c", "path", Some("a,b")),
            ("a=,,,b=,,", "a", Some(",")),
            ("a=,,,b=,,", "b", Some(",")),
            ("a=1,a=2", "a", Some("2")),
            ("x,read-only", "read-only", Some("on")),
            ("a=b=c", "a", Some("b=c")),
            ("", "driver", Some("")),
            ("a=1", "b", None),
        ] {
            assert_eq!(value(text, key).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn json_is_read_with_what_is_inside() {
        let text = r#"{"driver":"raw","read-only":true,"file":{"filename":"a,b"},"n":7}"#;
        for (key, expected) in
            [("driver", "raw"), ("read-only", "on"), ("file.filename", "a,b"), ("n", "7")]
        {
            assert_eq!(value(text, key).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_kept_is_written_again() {
        let properties = Properties::parse(b"q35,pflash0=a,,b,memory-backend=m", "type");
        let kept = properties.only(|key, _| key != "memory-backend");
        assert_eq!(kept, b"type=q35,pflash0=a,,b");
    }
}
