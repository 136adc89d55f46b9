//! What the YAML says: which keys stand where, and of which shape their values
//! are. What the texts mean is `resolve`'s matter.

use std::sync::Arc;

use super::error::Fault;
use super::keys::{self, Key};
use super::mapping::{At, Keys};
use super::node::{Node, ScalarKind, Text, Value};
use super::{fleet, format_options, source, verity};
use crate::report::{Position, Problem, Problems};

/// The manifest as typed.
pub(super) struct Typed {
    pub(super) label: Option<At<Text>>,
    /// Whether the label is made of a machine's name or variables.
    pub(super) label_is_made: bool,
    pub(super) format: Option<At<Text>>,
    pub(super) format_options: format_options::Typed,
    pub(super) encrypt: Option<Encrypt>,
    pub(super) verity: Option<verity::Typed>,
    pub(super) defaults: Attributes,
    /// `xattrs` of `defaults`.
    pub(super) default_xattrs: Option<At<Xattrs>>,
    /// The entries that have a path and a source.
    pub(super) files: Vec<Entry>,
    /// The credentials that have a name and a source.
    pub(super) credentials: Vec<Credential>,
    /// The items of fw_cfg that have a name and a source.
    pub(super) fw_cfg: Vec<FwCfg>,
    pub(super) mount: Option<Mount>,
    pub(super) pass_env: Vec<At<Text>>,
    pub(super) pseudo: Vec<PseudoItem>,
    pub(super) pseudo_files: Vec<PseudoItem>,
    /// The machines of a fleet that are well formed; none where there is no fleet.
    pub(super) machines: Option<At<Vec<fleet::TypedMachine>>>,
    /// Where the images of a fleet go.
    pub(super) output: Option<At<Text>>,
}

/// An item of `pseudo` or `pseudo_files`.
#[derive(Clone)]
pub(super) struct PseudoItem {
    pub(super) at: Position,
    pub(super) text: At<Text>,
    /// Whether it is a text alone, without keys.
    pub(super) is_plain: bool,
    pub(super) grant: fleet::Grant,
}

/// `mount`: a path alone, or with options.
#[derive(Clone)]
pub(super) struct Mount {
    pub(super) path: At<Text>,
    pub(super) options: Option<At<Text>>,
}

/// `encrypt`.
#[derive(Clone)]
pub(super) struct Encrypt {
    pub(super) at: Position,
    pub(super) luks: At<Text>,
    pub(super) key: Option<At<Text>>,
    pub(super) sector_size: Option<At<Text>>,
}

/// `owner`, `mode`, `dir_mode` and `mtime`, of an entry or of `defaults`.
#[derive(Clone, Default)]
pub(super) struct Attributes {
    pub(super) owner: Option<At<Text>>,
    pub(super) mode: Option<At<Text>>,
    pub(super) dir_mode: Option<At<Text>>,
    pub(super) mtime: Option<At<Text>>,
}

/// One entry of `files`.
pub(super) struct Entry {
    pub(super) at: Position,
    pub(super) path: At<Text>,
    pub(super) source: At<source::TypedSource>,
    pub(super) attributes: Attributes,
    pub(super) trim: Option<At<bool>>,
    pub(super) links: Option<At<Text>>,
    pub(super) xattrs: Option<At<Xattrs>>,
    pub(super) xattrs_recursive: Option<At<bool>>,
    pub(super) grant: fleet::Grant,
}

/// One item of `credentials`.
pub(super) struct Credential {
    pub(super) at: Position,
    pub(super) name: At<Text>,
    pub(super) source: At<source::TypedSource>,
    pub(super) trim: Option<At<bool>>,
    pub(super) via: Option<At<Text>>,
    pub(super) grant: fleet::Grant,
}

/// One item of `fw_cfg`.
pub(super) struct FwCfg {
    pub(super) at: Position,
    pub(super) name: At<Text>,
    pub(super) source: At<source::TypedSource>,
    pub(super) trim: Option<At<bool>>,
    pub(super) grant: fleet::Grant,
}

/// `xattrs` as typed.
#[derive(Clone)]
pub(super) enum Xattrs {
    /// `none`: those of an archive are left out.
    None,
    /// Names and values.
    Given(Vec<(At<Text>, At<XattrValue>)>),
}

impl Xattrs {
    /// Whether there are names and values.
    pub(super) fn are_given(&self) -> bool {
        match self {
            Self::Given(_) => true,
            Self::None => false,
        }
    }
}

/// The value of an extended attribute as typed.
#[derive(Clone)]
pub(super) enum XattrValue {
    Text(Text),
    Base64(Text),
}

impl XattrValue {
    /// The text, whatever it stands for.
    pub(super) fn text(&self) -> &Text {
        match self {
            Self::Text(text) | Self::Base64(text) => text,
        }
    }
}

/// Reads the manifest's root; every problem is noted. None where the manifest
/// as a whole has not the right shape.
pub(super) fn read(root: Node, file: &Arc<str>, problems: &mut Problems) -> Option<Typed> {
    let at = root.mark.position(file, "");
    let mut keys = Keys::open(root, at, keys::MANIFEST, problems)?;
    let machines = keys.take("machines").map(|(node, at)| {
        let value = fleet::machines(node, &at, problems);
        At { value, at }
    });
    let output = keys.read("output", text, problems);
    let label = keys.read("label", text, problems);
    let format = keys.read("format", text, problems);
    let format_options = format_options::read(&mut keys, problems);
    let encrypt = keys.take("encrypt").and_then(|(node, at)| encrypt(node, at, problems));
    let verity = keys.take("verity").and_then(|(node, at)| verity::read(node, at, problems));
    let defaults = keys.take("defaults").and_then(|(node, at)| {
        let mut keys = Keys::open(node, at, keys::DEFAULTS, problems)?;
        let attributes = attributes(&mut keys, problems);
        let xattrs = keys.take("xattrs").map(|(node, at)| xattrs(node, at, problems));
        Some((attributes, xattrs))
    });
    let sources = ["files", "credentials", "fw_cfg", "pseudo", "pseudo_files"];
    if keys.given(&sources).is_none() && !keys.is_flawed {
        let fault = Fault::new("missing key `files`");
        let hint = "`credentials`, `fw_cfg`, `pseudo` or `pseudo_files` will do as well";
        problems.note(fault.hint(hint).at(&keys.at));
        return None;
    }
    let mount = keys.take("mount").and_then(|(node, at)| mount(node, at, problems));
    let credentials = items(keys.read("credentials", list, problems), credential, problems);
    let fw_cfg = items(keys.read("fw_cfg", list, problems), fw_cfg, problems);
    let pass_env = keys.read("pass_env", texts, problems);
    let (is_fleet, pseudo) = (machines.is_some(), keys.read("pseudo", list, problems));
    let read = |node, at, problems: &mut _| {
        pseudo_item(node, at, (keys::PSEUDO, "definition"), is_fleet, problems)
    };
    let pseudo = items(pseudo, read, problems);
    let read = |node, at, problems: &mut _| {
        pseudo_item(node, at, (keys::PSEUDO_FILE, "file"), is_fleet, problems)
    };
    let pseudo_files = items(keys.read("pseudo_files", list, problems), read, problems);
    let files = items(keys.read("files", list, problems), entry, problems);
    let (defaults, default_xattrs) = defaults.unwrap_or_default();
    let pass_env = pass_env.map_or_else(Vec::new, |at| at.value);
    Some(Typed {
        label,
        label_is_made: false,
        format,
        format_options,
        encrypt,
        verity,
        defaults,
        default_xattrs,
        files,
        credentials,
        fw_cfg,
        mount,
        pass_env,
        pseudo,
        pseudo_files,
        machines,
        output,
    })
}

/// What `read` makes of each item of a list, none for a list that is not there.
fn items<T>(
    list: Option<At<Vec<Node>>>,
    read: impl Fn(Node, Position, &mut Problems) -> Option<T>,
    problems: &mut Problems,
) -> Vec<T> {
    let Some(At { value, at }) = list else { return Vec::new() };
    let items = (0..).zip(value).filter_map(|(index, node): (usize, _)| {
        let at = node.mark.position(&at.file, format!("{}[{index}]", at.key_path));
        read(node, at, problems)
    });
    items.collect()
}

fn mount(node: Node, at: Position, problems: &mut Problems) -> Option<Mount> {
    if node.is_mapping() {
        let mut keys = Keys::open(node, at, keys::MOUNT, problems)?;
        let path = keys.require("path", text, problems);
        let options = keys.read("options", text, problems);
        return Some(Mount { path: path?, options });
    }
    let value = problems.keep(text(node, &at))?;
    Some(Mount { path: At { value, at }, options: None })
}

fn encrypt(node: Node, at: Position, problems: &mut Problems) -> Option<Encrypt> {
    if !node.is_mapping() {
        let found = node.describe();
        let fault = expected("a mapping", found).hint("as in `encrypt: {luks: 1, key: generate}`");
        problems.note(fault.at(&at));
        return None;
    }
    let mut keys = Keys::open(node, at, keys::ENCRYPT, problems)?;
    let luks = keys.require("luks", scalar, problems);
    let key = keys.read("key", text, problems);
    let sector_size = keys.read("sector_size", scalar, problems);
    Some(Encrypt { at: keys.at, luks: luks?, key, sector_size })
}

fn entry(node: Node, at: Position, problems: &mut Problems) -> Option<Entry> {
    let mut keys = Keys::open(node, at, keys::ENTRY, problems)?;
    let path = keys.require("path", text, problems);
    let source = source::read(&mut keys, problems);
    let attributes = attributes(&mut keys, problems);
    let trim = keys.read("trim", boolean, problems);
    let links = keys.read("links", text, problems);
    let xattrs = keys.take("xattrs").map(|(node, at)| xattrs(node, at, problems));
    let xattrs_recursive = keys.read("xattrs_recursive", boolean, problems);
    let grant = fleet::grant(&mut keys, problems);
    Some(Entry {
        at: keys.at,
        path: path?,
        source: source?,
        attributes,
        trim,
        links,
        xattrs,
        xattrs_recursive,
        grant,
    })
}

fn credential(node: Node, at: Position, problems: &mut Problems) -> Option<Credential> {
    let mut keys = Keys::open(node, at, keys::CREDENTIAL, problems)?;
    let name = keys.require("name", text, problems);
    let source = source::read(&mut keys, problems);
    let trim = keys.read("trim", boolean, problems);
    let via = keys.read("via", text, problems);
    let grant = fleet::grant(&mut keys, problems);
    Some(Credential { at: keys.at, name: name?, source: source?, trim, via, grant })
}

fn fw_cfg(node: Node, at: Position, problems: &mut Problems) -> Option<FwCfg> {
    let mut keys = Keys::open(node, at, keys::FW_CFG, problems)?;
    let name = keys.require("name", text, problems);
    let source = source::read(&mut keys, problems);
    let trim = keys.read("trim", boolean, problems);
    let grant = fleet::grant(&mut keys, problems);
    Some(FwCfg { at: keys.at, name: name?, source: source?, trim, grant })
}

/// A text alone; in a fleet also a mapping of the keys `known`, of which `key` has the text.
fn pseudo_item(
    node: Node,
    at: Position,
    (known, key): (&'static [Key], &str),
    is_fleet: bool,
    problems: &mut Problems,
) -> Option<PseudoItem> {
    if !is_fleet || !node.is_mapping() {
        let value = problems.keep(text(node, &at))?;
        let (text, grant) = (At { value, at: at.clone() }, fleet::Grant::default());
        return Some(PseudoItem { at, text, is_plain: true, grant });
    }
    let mut keys = Keys::open(node, at, known, problems)?;
    let text = keys.require(key, text, problems);
    let grant = fleet::grant(&mut keys, problems);
    Some(PseudoItem { at: keys.at, text: text?, is_plain: false, grant })
}

fn attributes(keys: &mut Keys, problems: &mut Problems) -> Attributes {
    Attributes {
        owner: keys.read("owner", scalar, problems),
        mode: keys.read("mode", scalar, problems),
        dir_mode: keys.read("dir_mode", scalar, problems),
        mtime: keys.read("mtime", scalar, problems),
    }
}

/// The extended attributes that are well formed. Their names are the user's
/// own and never shown: every problem has the key path of the whole mapping.
fn xattrs(node: Node, at: Position, problems: &mut Problems) -> At<Xattrs> {
    let found = node.describe();
    let pairs = match node.value {
        Value::Mapping(pairs) => pairs,
        Value::Scalar(scalar) if scalar.text.as_str() == "none" => {
            return At { value: Xattrs::None, at };
        }
        Value::Scalar(_) | Value::List(_) => {
            problems.note(expected("a mapping, or `none` at a `tar:`", found).at(&at));
            Vec::new()
        }
    };
    let mut xattrs = Vec::new();
    for (name, value) in pairs {
        let name_at = name.mark.position(&at.file, Arc::clone(&at.key_path));
        let name = problems.keep(text(name, &name_at));
        let value_at = value.mark.position(&at.file, Arc::clone(&at.key_path));
        let value = xattr_value(value, value_at, problems);
        if let (Some(name), Some(value)) = (name, value) {
            xattrs.push((At { value: name, at: name_at }, value));
        }
    }
    At { value: Xattrs::Given(xattrs), at }
}

fn xattr_value(node: Node, at: Position, problems: &mut Problems) -> Option<At<XattrValue>> {
    if node.is_mapping() {
        let mut keys = Keys::open(node, at, keys::XATTR_VALUE, problems)?;
        let At { value, at } = keys.require("base64", text, problems)?;
        return Some(At { value: XattrValue::Base64(value), at });
    }
    let value = XattrValue::Text(problems.keep(text(node, &at))?);
    Some(At { value, at })
}

/// Text; what YAML reads as something else has to be quoted, because other
/// programs that handle the file may rewrite it (`010`, `1e3`, `yes`).
pub(super) fn text(node: Node, at: &Position) -> Result<Text, Problem> {
    let found = node.describe();
    let is_placeholder = node.is_placeholder();
    let refusal = |is_text| {
        let fault = expected("text", found);
        let hint = "quote the value if it is meant as text";
        if is_text { fault.hint(hint) } else { fault }.at(at)
    };
    let scalar = node.into_scalar().ok_or_else(|| refusal(is_placeholder))?;
    match scalar.kind() {
        ScalarKind::Text => Ok(scalar.text),
        ScalarKind::Null | ScalarKind::Bool(_) | ScalarKind::Number => Err(refusal(true)),
    }
}

/// The text of any scalar but nothing, as written: `mode: 0400` has four digits.
pub(super) fn scalar(node: Node, at: &Position) -> Result<Text, Problem> {
    let found = node.describe();
    let refusal = || expected("a value", found).at(at);
    let scalar = node.into_scalar().ok_or_else(refusal)?;
    match scalar.kind() {
        ScalarKind::Text | ScalarKind::Bool(_) | ScalarKind::Number => Ok(scalar.text),
        ScalarKind::Null => Err(refusal()),
    }
}

pub(super) fn boolean(node: Node, at: &Position) -> Result<bool, Problem> {
    let found = node.describe();
    let refusal = || expected("true or false", found).at(at);
    match node.into_scalar().ok_or_else(refusal)?.kind() {
        ScalarKind::Bool(value) => Ok(value),
        ScalarKind::Null | ScalarKind::Number | ScalarKind::Text => Err(refusal()),
    }
}

fn list(node: Node, at: &Position) -> Result<Vec<Node>, Problem> {
    let found = node.describe();
    match node.value {
        Value::List(items) => Ok(items),
        Value::Scalar(_) | Value::Mapping(_) => Err(expected("a list", found).at(at)),
    }
}

/// The words of a command; the first is the program.
pub(super) fn command(node: Node, at: &Position) -> Result<Vec<At<Text>>, Problem> {
    match node.value {
        Value::Scalar(_) => {
            let hint = "write `[program, argument]`, or `shell:` for a command line";
            Err(expected("a list", node.describe()).hint(hint).at(at))
        }
        Value::List(_) | Value::Mapping(_) => texts(node, at),
    }
}

fn texts(node: Node, at: &Position) -> Result<Vec<At<Text>>, Problem> {
    let items = (0..).zip(list(node, at)?).map(|(index, item): (usize, Node)| {
        let at = item.mark.position(&at.file, format!("{}[{index}]", at.key_path));
        Ok(At { value: text(item, &at)?, at })
    });
    items.collect()
}

fn expected(expected: &str, found: &str) -> Fault {
    Fault::new(format!("expected {expected}, got {found}"))
}
