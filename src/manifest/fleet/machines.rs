//! Reads `machines`: the names, their ranges, and what is said of each machine.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::error::Fault;
use super::super::keys;
use super::super::mapping::{At, Keys};
use super::super::node::{Node, Text, Value};
use super::super::schema;
use super::grants::ALL;
use super::pattern::{self, Pattern};
use super::placeholders;
use crate::report::{Position, Problems};

/// Most machines of a fleet.
pub(super) const MACHINES_MAX: usize = 10_000;
/// Most variables of a machine, each of which every command of it gets.
const VARIABLES_MAX: usize = 256;
/// What a variable's name is.
const VARIABLE_RULE: &str = "expected a variable's name: letters of lower case, digits and `_`, \
                             of which the first is a letter";

/// The settings that a key of `machines` has for the machines that it names.
pub(super) struct Settings {
    pub(super) owner: Option<At<Text>>,
    pub(super) reader: Option<At<Text>>,
    pub(super) format: Option<At<Text>>,
    pub(super) target: Option<At<Text>>,
    pub(super) label: Option<At<Text>>,
    /// By their names, in the manifest's order.
    pub(super) variables: Vec<(String, Text)>,
}

/// A machine as typed.
pub(in crate::manifest) struct Typed {
    pub(super) name: String,
    /// Where its key stands.
    pub(super) position: Position,
    pub(super) settings: Arc<Settings>,
}

/// Reads the machines. Those that are faulty are left out, with problems.
pub(in crate::manifest) fn read(node: Node, at: &Position, problems: &mut Problems) -> Vec<Typed> {
    let found = node.describe();
    let Value::Mapping(pairs) = node.value else {
        let fault = Fault::new(format!("expected a mapping of names to settings, got {found}"));
        problems.note(fault.hint("as in `machines: {chimera: {}, medusa: {}}`").at(at));
        return Vec::new();
    };
    let mut machines = Vec::new();
    let mut taken: HashMap<String, Position> = HashMap::new();
    if pairs.is_empty() {
        problems.note(Fault::new("expected one machine or more").at(at));
    }
    for (key, value) in pairs {
        let position = key.mark.position(&at.file, Arc::clone(&at.key_path));
        let names = schema::text(key, &position).and_then(|text| {
            let names = names(&text, MACHINES_MAX.saturating_sub(machines.len()));
            let names = names.map_err(|fault| fault.at(&position));
            names.map(|names| (names, text))
        });
        let Some((names, text)) = problems.keep(names) else { continue };
        let position =
            Position { key_path: format!("{}.{}", at.key_path, *text).into(), ..position };
        let value_at = value.mark.position(&at.file, Arc::clone(&position.key_path));
        let Some(settings) = settings(value, value_at, problems) else { continue };
        let settings = Arc::new(settings);
        if let Some((name, first)) = names.iter().find_map(|name| taken.get_key_value(name)) {
            let message = format!("{name} is made twice: also by {}", first.name_and_line());
            problems.note(Fault::new(message).at(&position));
            continue;
        }
        for name in names {
            taken.insert(name.clone(), position.clone());
            let (position, settings) = (position.clone(), Arc::clone(&settings));
            machines.push(Typed { name, position, settings });
        }
    }
    machines
}

/// The names that a key stands for, at most `left`.
fn names(text: &str, left: usize) -> Result<Vec<String>, Fault> {
    let pattern = Pattern::parse(text)?;
    let names = pattern.names(left)?;
    match names {
        // `to: all` could mean this machine or every machine.
        Some(names) if names.iter().any(|name| name == ALL) => {
            Err(Fault::new("no machine is called `all`, which is the word for every machine"))
        }
        Some(names) => Ok(names),
        None => {
            Err(Fault::new("expected a machine's name, got a pattern").hint(pattern::NAME_HINT))
        }
    }
}

fn settings(node: Node, at: Position, problems: &mut Problems) -> Option<Settings> {
    let is_null = node.is_null();
    let node = if is_null { Node { value: Value::Mapping(Vec::new()), ..node } } else { node };
    let mut keys = Keys::open(node, at, keys::MACHINE, problems)?;
    let owner = keys.read("owner", schema::scalar, problems);
    let reader = keys.read("reader", schema::scalar, problems);
    let format = keys.read("format", schema::text, problems);
    let target = keys.read("target", schema::text, problems);
    let label = keys.read("label", schema::text, problems);
    let variables = keys.take("vars").map(|(node, at)| variables(node, &at, problems));
    let variables = variables.unwrap_or_default();
    Some(Settings { owner, reader, format, target, label, variables })
}

/// Reads the variables. Those that are faulty are left out. Neither names nor values are ever
/// shown.
fn variables(node: Node, at: &Position, problems: &mut Problems) -> Vec<(String, Text)> {
    let found = node.describe();
    let Value::Mapping(pairs) = node.value else {
        let fault = Fault::new(format!("expected a mapping of names to values, got {found}"));
        problems.note(fault.at(at));
        return Vec::new();
    };
    if pairs.len() > VARIABLES_MAX {
        let message = format!("expected at most {VARIABLES_MAX} variables, got {}", pairs.len());
        problems.note(Fault::new(message).at(at));
        return Vec::new();
    }
    let mut variables: Vec<(String, Text)> = Vec::new();
    for (name, value) in pairs {
        let name_at = name.mark.position(&at.file, Arc::clone(&at.key_path));
        let value_at = value.mark.position(&at.file, Arc::clone(&at.key_path));
        let name = schema::text(name, &name_at).and_then(|name| {
            let fault = if !placeholders::is_variable(&name) {
                Fault::new(VARIABLE_RULE)
            } else if variables.iter().any(|(other, _)| *other == *name) {
                Fault::new("a variable is given twice")
            } else {
                return Ok(name);
            };
            Err(fault.at(&name_at))
        });
        let value = schema::scalar(value, &value_at).and_then(|value| {
            // Commands get the value in their environment, which cannot hold a NUL.
            let is_fit = !value.contains('\0');
            let refusal = || Fault::new("expected a value without NUL").at(&value_at);
            is_fit.then_some(value).ok_or_else(refusal)
        });
        if let (Some(name), Some(value)) = (problems.keep(name), problems.keep(value)) {
            variables.push((String::clone(&name), value));
        }
    }
    variables
}
