//! YAML text to a tree of nodes that know where they stand.
//!
//! The parser's events are read directly, beneath its serde layer: only they
//! tell a plain `0400` from a quoted one, give every node its exact place, and
//! name each fault by kind instead of by a text that may quote the manifest.

use std::borrow::Cow;
use std::sync::Arc;

use serde_yaml::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput};
use zeroize::Zeroizing;

use super::EXAMPLE_HINT;
use super::error::Fault;
use super::syntax;
use crate::report::{Position, Problem};

/// Largest manifest in bytes.
pub const MANIFEST_MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of lists and mappings, the outermost counted as 1.
pub const DEPTH_MAX: usize = 32;

/// Text of the manifest, wiped when dropped. It has no `Debug` on purpose: nor
/// has any type here that holds one.
pub(super) type Text = Zeroizing<String>;

/// A point of the manifest: 1-based line and column, in characters.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Mark {
    /// The position of `key_path`, which stands here in `file`.
    pub(super) fn position(self, file: &Arc<str>, key_path: impl Into<Arc<str>>) -> Position {
        Position::new(file, self.line, self.column, key_path)
    }

    /// Where what follows `before` stands.
    fn after(before: &str) -> Self {
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let lines = before.bytes().filter(|byte| *byte == b'\n').count();
        let columns = before.get(start..).unwrap_or_default().chars().count();
        Self { line: lines as u64 + 1, column: columns as u64 + 1 }
    }
}

impl From<&Marker> for Mark {
    fn from(marker: &Marker) -> Self {
        Self { line: marker.line() as u64, column: marker.col() as u64 + 1 }
    }
}

/// A value and where it stands.
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) mark: Mark,
}

/// What YAML knows: scalars, lists, mappings.
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// A scalar as written.
pub(super) struct Scalar {
    /// Escapes and folding applied, otherwise as it stands in the manifest.
    pub(super) text: Text,
    /// Neither quoted nor a block: YAML may read it as something else than text.
    pub(super) is_plain: bool,
}

/// What YAML's core schema (YAML 1.2.2, 10.3.2) reads a scalar as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ScalarKind {
    Null,
    Bool(bool),
    Number,
    Text,
}

impl Scalar {
    pub(super) fn kind(&self) -> ScalarKind {
        match self.text.as_str() {
            _ if !self.is_plain => ScalarKind::Text,
            "" | "~" | "null" | "Null" | "NULL" => ScalarKind::Null,
            "true" | "True" | "TRUE" => ScalarKind::Bool(true),
            "false" | "False" | "FALSE" => ScalarKind::Bool(false),
            text if is_number(text) => ScalarKind::Number,
            _ => ScalarKind::Text,
        }
    }
}

impl Node {
    /// Whether it is YAML's null, as of a key without a value.
    pub(super) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => scalar.kind() == ScalarKind::Null,
            Value::List(_) | Value::Mapping(_) => false,
        }
    }

    /// Whether it is a mapping.
    pub(super) fn is_mapping(&self) -> bool {
        match &self.value {
            Value::Mapping(_) => true,
            Value::Scalar(_) | Value::List(_) => false,
        }
    }

    /// The scalar that it is, if it is one.
    pub(super) fn into_scalar(self) -> Option<Scalar> {
        match self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::List(_) | Value::Mapping(_) => None,
        }
    }

    /// Whether it looks like a placeholder without quotes, which YAML takes for a mapping:
    /// `{machine}`.
    pub(super) fn is_placeholder(&self) -> bool {
        match &self.value {
            Value::Mapping(pairs) => matches!(&**pairs, [(_, value)] if value.is_null()),
            Value::List(_) | Value::Scalar(_) => false,
        }
    }

    /// What the node is, for messages.
    pub(super) fn describe(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Scalar(scalar) => match scalar.kind() {
                ScalarKind::Null => "nothing",
                ScalarKind::Bool(_) => "true or false",
                ScalarKind::Number => "a number",
                ScalarKind::Text => "text",
            },
        }
    }
}

/// The one document of `text`. Refused are more than 1 MiB, other encodings
/// than UTF-8, control characters, nesting over 32 levels, tags, anchors,
/// aliases, directives, a second document and no document at all.
pub(super) fn parse(text: &[u8], file: &Arc<str>) -> Result<Node, Problem> {
    if text.len() > MANIFEST_MAX_BYTES {
        let fault = Fault::new(format!("larger than {MANIFEST_MAX_BYTES} bytes"));
        return Err(fault.hint("keep large content in files of its own").of_all());
    }
    let text = checked_text(text, file)?;
    let options = serde_yaml::options! {
        disallow_directives: true,
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    Reader { parser: Parser::new_from_str_with_options(text, options), file }.document()
}

struct Reader<'input> {
    parser: Parser<'input, StrInput<'input>>,
    /// The manifest as messages call it.
    file: &'input Arc<str>,
}

impl<'input> Reader<'input> {
    fn document(&mut self) -> Result<Node, Problem> {
        let mut root: Option<Node> = None;
        loop {
            match self.next()? {
                None | Some((Event::StreamEnd, _)) => {
                    let empty = || Fault::new("the manifest is empty").hint(EXAMPLE_HINT).of_all();
                    return root.filter(|root| !root.is_null()).ok_or_else(empty);
                }
                Some((Event::DocumentStart(..), mark)) if root.is_some() => {
                    let fault = Fault::new("more than one YAML document");
                    return Err(fault.at(&mark.position(self.file, "")));
                }
                Some((event, mark)) => {
                    if let Some(node) = self.node(event, mark, 1)? {
                        root = Some(node);
                    }
                }
            }
        }
    }

    /// The node that `event` begins; none where it begins no node. Recursion
    /// ends at [`DEPTH_MAX`].
    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser may add events")]
    fn node(
        &mut self,
        event: Event<'input>,
        mark: Mark,
        depth: usize,
    ) -> Result<Option<Node>, Problem> {
        let refuse = |fault: Fault| Err(fault.at(&mark.position(self.file, "")));
        if event.tag().is_some() {
            return refuse(syntax::tags());
        }
        if event.anchor_id().is_some() {
            return refuse(syntax::anchors());
        }
        let is_collection = matches!(event, Event::SequenceStart(..) | Event::MappingStart(..));
        if is_collection && depth > DEPTH_MAX {
            return refuse(syntax::depth());
        }
        let value = match event {
            Event::Scalar(text, style, ..) => Value::Scalar(scalar(text, style)),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                while let Some(item) = self.child(depth)? {
                    items.push(item);
                }
                Value::List(items)
            }
            Event::MappingStart(..) => {
                let mut pairs = Vec::new();
                while let Some(key) = self.child(depth)? {
                    let Some(value) = self.child(depth)? else { break };
                    pairs.push((key, value));
                }
                Value::Mapping(pairs)
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => return refuse(syntax::anchors()),
            // The end of a list, a mapping or the document.
            _ => return Ok(None),
        };
        Ok(Some(Node { value, mark }))
    }

    /// The next node of a collection at `depth`; none at its end.
    fn child(&mut self, depth: usize) -> Result<Option<Node>, Problem> {
        match self.next()? {
            None => Ok(None),
            Some((event, mark)) => self.node(event, mark, depth + 1),
        }
    }

    fn next(&mut self) -> Result<Option<(Event<'input>, Mark)>, Problem> {
        let event = self.parser.next_event().transpose();
        let event = event.map_err(|error| scan_problem(&error, self.file))?;
        // A node starts behind its tag, but then the tag is what is refused.
        Ok(event.map(|(event, span)| (event, Mark::from(&span.tag_start().unwrap_or(span.start)))))
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Scalar {
    Scalar { text: Zeroizing::new(text.into_owned()), is_plain: style == ScalarStyle::Plain }
}

fn scan_problem(error: &ScanError, file: &Arc<str>) -> Problem {
    syntax::fault(error.kind()).at(&Mark::from(error.marker()).position(file, ""))
}

/// `text` as UTF-8 of printable characters (YAML 1.2.2, 5.1). The parser takes
/// a NUL byte for the end of its input, so that whatever follows one would be
/// dropped without a word.
fn checked_text<'text>(text: &'text [u8], file: &Arc<str>) -> Result<&'text str, Problem> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        let before = std::str::from_utf8(before).unwrap_or_default();
        Fault::new("not UTF-8").at(&Mark::after(before).position(file, ""))
    })?;
    let odd = |character: char| match character {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        _ => character.is_control(),
    };
    let Some(offset) = text.find(odd) else { return Ok(text) };
    let fault = Fault::new("a control character, which YAML forbids")
        .hint("write it as an escape in double quotes, or use `base64:`");
    let before = text.get(..offset).unwrap_or_default();
    Err(fault.at(&Mark::after(before).position(file, "")))
}

/// Whether the core schema reads plain `text` as an integer or a float.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let radix = |prefix: &str, radix: u32| {
        let digits = text.strip_prefix(prefix).unwrap_or_default();
        !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix))
    };
    match unsigned {
        ".inf" | ".Inf" | ".INF" => true,
        ".nan" | ".NaN" | ".NAN" => unsigned.len() == text.len(),
        _ if radix("0o", 8) || radix("0x", 16) => true,
        // Rust's floats are the schema's, but for the words for infinity and not-a-number.
        _ => {
            unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.')
                && unsigned.parse::<f64>().is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::wildcard_enum_match_arm,
        reason = "a panic is how a test fails"
    )]

    use super::*;

    fn parsed(text: &[u8]) -> Result<Node, Problem> {
        parse(text, &Arc::from("m"))
    }

    fn kind(text: &str) -> ScalarKind {
        match parsed(format!("- {text}").as_bytes()).unwrap().value {
            Value::List(items) => match &items.first().unwrap().value {
                Value::Scalar(scalar) => scalar.kind(),
                _ => panic!("expected a scalar"),
            },
            _ => panic!("expected a list"),
        }
    }

    #[test]
    fn scalars_are_read_by_the_core_schema() {
        for text in ["0", "0400", "-12", "+3", "0o17", "0x1F", "1.", ".5", "-1.5e+3", "12e03"] {
            assert!(kind(text) == ScalarKind::Number, "{text}");
        }
        for text in [".inf", "-.INF", "+.Inf", ".nan", "1e999"] {
            assert!(kind(text) == ScalarKind::Number, "{text}");
        }
        for text in ["0:0", "1_000", "inf", "nan", "-.nan", "0o8", "0x", "+0x1", "12:30:45", "."] {
            assert!(kind(text) == ScalarKind::Text, "{text}");
        }
        for text in ["yes", "no", "on", "y", "tRue", "\"true\"", "'1'", "\"\"", "|\n  1"] {
            assert!(kind(text) == ScalarKind::Text, "{text}");
        }
        for text in ["~", "null", "NULL", "", "# comment"] {
            assert!(kind(text) == ScalarKind::Null, "{text}");
        }
        assert!(kind("TRUE") == ScalarKind::Bool(true));
        assert!(kind("false") == ScalarKind::Bool(false));
    }

    #[test]
    fn nesting_ends_at_32_levels() {
        let flow = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let maps = |depth: usize| "{a: ".repeat(depth) + &"}".repeat(depth);
        let block = |depth: usize| "- ".repeat(depth) + "x";
        let mixed = |depth: usize| {
            "- ".repeat(depth / 2) + &"[".repeat(depth - depth / 2) + &"]".repeat(depth - depth / 2)
        };
        for nested in [flow, maps, block, mixed] {
            assert!(parsed(nested(DEPTH_MAX).as_bytes()).is_ok());
            let problem = parsed(nested(DEPTH_MAX + 1).as_bytes()).err().unwrap().message;
            assert!(problem.ends_with("nested deeper than 32 levels"), "{problem}");
        }
    }

    /// Every node as `line:column text`, in the manifest's order.
    fn places(node: &Node, found: &mut Vec<String>) {
        let Mark { line, column } = node.mark;
        match &node.value {
            Value::Scalar(scalar) => found.push(format!("{line}:{column} {}", *scalar.text)),
            Value::List(items) => {
                found.push(format!("{line}:{column} list"));
                for item in items {
                    places(item, found);
                }
            }
            Value::Mapping(pairs) => {
                found.push(format!("{line}:{column} mapping"));
                for (key, value) in pairs {
                    places(key, found);
                    places(value, found);
                }
            }
        }
    }

    #[test]
    fn nodes_know_their_places() {
        let text = "# comment\nä: 0400\nlist:\n  - x: \"a\\tb\"\n    y: |\n      one\n      two\n  \
                    - [p, 'ü', {q: r}]\n? z\n: last\nnone:\n";
        let mut found = Vec::new();
        places(&parsed(text.as_bytes()).unwrap(), &mut found);
        let expected = "2:1 mapping, 2:1 ä, 2:4 0400, 3:1 list, 4:3 list, 4:5 mapping, 4:5 x, \
                        4:8 a\tb, 5:5 y, 6:7 one\ntwo\n, 8:5 list, 8:6 p, 8:9 ü, 8:14 mapping, \
                        8:15 q, 8:18 r, 9:3 z, 10:3 last, 11:1 none, 11:5 ~";
        assert_eq!(found.join(", "), expected);
    }
}
