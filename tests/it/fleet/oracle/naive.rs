//! Who gets what, worked out in the simplest way that there is, from the texts of a manifest alone.

use std::fmt::Write;

/// An item of a random manifest.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The list that it stands in.
    pub(super) list: &'static str,
    /// Its path or name, with placeholders.
    pub(super) name: String,
    /// The key of its source.
    pub(super) key: &'static str,
    /// Its source, with placeholders.
    pub(super) source: String,
    /// Whom it goes to.
    pub(super) to: Vec<String>,
    /// Whom it does not go to.
    pub(super) not: Vec<String>,
    pub(super) is_shared: bool,
}

/// A key of `machines`, and the value of `{vars.site}` of what it makes.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) site: String,
}

/// A random manifest.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    pub(super) keys: Vec<Key>,
    pub(super) items: Vec<Item>,
}

/// A machine with what it gets: of each item the list, the name and the source.
pub(super) type Grant = (String, Vec<[String; 3]>);

impl Fleet {
    /// Each machine's name and variable, in order.
    fn machines(&self) -> Vec<(String, String)> {
        let of = |key: &Key| {
            names(&key.name).into_iter().map(|name| (name, key.site.clone())).collect::<Vec<_>>()
        };
        self.keys.iter().flat_map(of).collect()
    }

    /// Who gets what, or nothing where the manifest is wrong.
    pub(super) fn grants(&self) -> Option<Vec<Grant>> {
        let machines = self.machines();
        for (place, (name, _)) in machines.iter().enumerate() {
            if machines[..place].iter().any(|(other, _)| other == name) {
                return None;
            }
        }
        for pattern in self.items.iter().flat_map(|item| item.to.iter().chain(&item.not)) {
            if !machines.iter().any(|(name, _)| is_named(pattern, name)) {
                return None;
            }
        }
        for item in &self.items {
            if !machines.iter().any(|(name, _)| item.goes_to(name)) {
                return None;
            }
        }
        let mut grants = Vec::new();
        for (name, site) in &machines {
            let replaced =
                |text: &str| text.replace("{machine}", name).replace("{vars.site}", site);
            let mut got: Vec<[String; 3]> = Vec::new();
            for item in self.items.iter().filter(|item| item.goes_to(name)) {
                let place = replaced(&item.name);
                // Two entries of one machine at one path.
                if got.iter().any(|[list, other, _]| list == item.list && *other == place) {
                    return None;
                }
                got.push([item.list.to_owned(), place, replaced(&item.source)]);
            }
            if got.is_empty() {
                return None;
            }
            grants.push((name.clone(), got));
        }
        Some(grants)
    }

    /// Whether some source reaches two machines and is not shared wherever it does.
    pub(super) fn leaks(&self) -> bool {
        let machines = self.machines();
        let mut reached: Vec<(String, String, bool)> = Vec::new();
        for (name, site) in &machines {
            for item in self.items.iter().filter(|item| item.goes_to(name)) {
                let source = item.source.replace("{machine}", name).replace("{vars.site}", site);
                // `file:` and `tar:` may name one file.
                let kind = if item.key == "tar" { "file" } else { item.key };
                reached.push((format!("{kind} {source}"), name.clone(), item.is_shared));
            }
        }
        for (source, machine, is_shared) in &reached {
            let elsewhere = |(other_source, other, other_is_shared): &(String, String, bool)| {
                other_source == source && other != machine && !(*is_shared && *other_is_shared)
            };
            if reached.iter().any(elsewhere) {
                return true;
            }
        }
        false
    }

    /// The manifest's text.
    pub(super) fn yaml(&self) -> String {
        let mut text = "machines:\n".to_owned();
        for Key { name, site } in &self.keys {
            writeln!(text, "  \"{name}\": {{vars: {{site: \"{site}\"}}}}").unwrap();
        }
        for list in ["files", "credentials", "fw_cfg"] {
            let mut items = self.items.iter().filter(|item| item.list == list).peekable();
            if items.peek().is_some() {
                writeln!(text, "{list}:").unwrap();
            }
            items.for_each(|item| text.push_str(&item.yaml()));
        }
        text
    }
}

impl Item {
    fn goes_to(&self, machine: &str) -> bool {
        let is_any = |patterns: &[String]| patterns.iter().any(|it| is_named(it, machine));
        (self.to.is_empty() || is_any(&self.to)) && !is_any(&self.not)
    }

    fn yaml(&self) -> String {
        let Self { list, name, key, source, .. } = self;
        let place = if *list == "files" { "path" } else { "name" };
        let source = match *key {
            "command" => format!("[echo, \"{source}\"]"),
            _ => format!("\"{source}\""),
        };
        let shared = if self.is_shared { ", shared: true" } else { "" };
        format!("  - {{{place}: \"{name}\", {key}: {source}, to: {}{shared}}}\n", self.to_yaml())
    }

    /// One of the forms in which the same can be said; which one its own texts decide.
    fn to_yaml(&self) -> String {
        let quoted = |texts: &[String]| {
            texts.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", ")
        };
        let one_or_list = |texts: &[String]| match texts {
            [one] if one.len() % 2 == 0 => format!("\"{one}\""),
            _ => format!("[{}]", quoted(texts)),
        };
        match (&self.to[..], &self.not[..]) {
            (to, []) => one_or_list(to),
            ([], not) => format!("{{not: {}}}", one_or_list(not)),
            (to, not) => format!("[{}, {{not: {}}}]", quoted(to), one_or_list(not)),
        }
    }
}

/// Whether a pattern of `to` names a machine.
pub(in crate::fleet) fn is_named(pattern: &str, machine: &str) -> bool {
    pattern == "all" || matches(pattern.as_bytes(), machine.as_bytes())
}

/// The names that a key with ranges makes.
pub(in crate::fleet) fn names(key: &str) -> Vec<String> {
    let Some((before, rest)) = key.split_once('[') else { return vec![key.to_owned()] };
    let (range, after) = rest.split_once(']').unwrap();
    let mut made = Vec::new();
    for number in numbers(range).unwrap() {
        made.extend(names(after).iter().map(|after| format!("{before}{number}{after}")));
    }
    made
}

/// The numbers of a range, as they are written.
fn numbers(range: &str) -> Option<Vec<String>> {
    let (first, last) = range.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|it| it.is_ascii_digit());
    if !is_number(first) || !is_number(last) {
        return None;
    }
    let width = if first.len() == last.len() { first.len() } else { 1 };
    let (first, last): (u32, u32) = (first.parse().unwrap(), last.parse().unwrap());
    Some((first..=last).map(|number| format!("{number:0width$}")).collect())
}

/// Whether a glob, perhaps with ranges, matches all of the text.
fn matches(glob: &[u8], text: &[u8]) -> bool {
    match glob {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skipped| matches(rest, &text[skipped..])),
        [b'?', rest @ ..] => !text.is_empty() && matches(rest, &text[1..]),
        [b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b']').unwrap();
            let (inner, rest) = (&rest[..end], &rest[end + 1..]);
            if let Some(numbers) = numbers(std::str::from_utf8(inner).unwrap()) {
                let behind = |number: &String| text.strip_prefix(number.as_bytes());
                return numbers.iter().filter_map(behind).any(|behind| matches(rest, behind));
            }
            !text.is_empty() && is_in_class(inner, text[0]) && matches(rest, &text[1..])
        }
        [byte, rest @ ..] => text.first() == Some(byte) && matches(rest, &text[1..]),
    }
}

fn is_in_class(class: &[u8], byte: u8) -> bool {
    match class {
        [b'!', class @ ..] => !is_in_class(class, byte),
        [first, b'-', last, rest @ ..] => {
            (*first..=*last).contains(&byte) || is_in_class(rest, byte)
        }
        [one, rest @ ..] => *one == byte || is_in_class(rest, byte),
        [] => false,
    }
}
