//! Who may have what: `to` of an entry, and the sets of machines that it names.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::error::Fault;
use super::super::keys;
use super::super::mapping::{At, Keys};
use super::super::node::{Node, Value};
use super::super::schema;
use super::Machine;
use super::machines::MACHINES_MAX;
use super::pattern::Pattern;
use crate::report::{Position, Problem, Problems};

/// The word for every machine.
const ALL: &str = "all";
/// The way to say who gets something.
pub(super) const HINT: &str =
    "`to: all`, `to: NAME`, `to: \"chimera-*\"`, a list of these, or `to: {not: NAME}`";

/// How an entry came to the manifest of one machine of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Its index among the fleet's items.
    pub item: usize,
    /// Whether its source may reach several machines.
    pub is_shared: bool,
}

/// What a machine's name may be.
pub(super) const MACHINES_HINT: &str = "`machines` says which there are";

/// What `to` and `shared` say.
#[derive(Clone, Default)]
pub(in crate::manifest) struct Typed {
    pub(super) to: Option<At<To>>,
    pub(super) shared: Option<At<bool>>,
    /// The index among the fleet's items.
    pub(super) item: usize,
    /// Whether the source may reach several machines, of an entry that is one machine's.
    pub(in crate::manifest) granted: Option<Granted>,
}

impl Typed {
    /// What is left of it in the manifest of one machine.
    pub(super) fn of_machine(&self) -> Self {
        let is_shared = self.shared.as_ref().is_some_and(|shared| shared.value);
        let granted = Some(Granted { item: self.item, is_shared });
        Self { granted, item: self.item, ..Self::default() }
    }

    /// Where the first of them stands.
    pub(in crate::manifest) fn at(&self) -> Option<&Position> {
        let to = self.to.as_ref().map(|to| &to.at);
        to.or_else(|| self.shared.as_ref().map(|shared| &shared.at))
    }
}

/// `to` as typed: whom it names, less those that it names as `not`.
#[derive(Clone, Default)]
pub(super) struct To {
    named: Vec<At<Named>>,
    not: Vec<At<Named>>,
}

#[derive(Clone)]
enum Named {
    All,
    Machines(Pattern),
}

/// Reads `to` and `shared` of an entry.
pub(in crate::manifest) fn read(keys: &mut Keys, problems: &mut Problems) -> Typed {
    let to = keys.take("to").map(|(node, at)| At { value: to(node, &at, problems), at });
    let shared = keys.read("shared", schema::boolean, problems);
    Typed { to, shared, ..Typed::default() }
}

fn to(node: Node, at: &Position, problems: &mut Problems) -> To {
    let mut to = To::default();
    for (node, at) in one_or_more(node, at, problems) {
        if !node.is_mapping() {
            to.named.extend(problems.keep(named(node, at)));
            continue;
        }
        let Some(mut keys) = Keys::open(node, at, keys::TO, problems) else { continue };
        if let Some((node, at)) = keys.take("not") {
            let not = one_or_more(node, &at, problems).into_iter();
            to.not.extend(not.filter_map(|(node, at)| problems.keep(named(node, at))));
        }
    }
    to
}

/// The items of a list, or what stands in its place.
fn one_or_more(node: Node, at: &Position, problems: &mut Problems) -> Vec<(Node, Position)> {
    let Node { value, mark } = node;
    match value {
        Value::List(items) => {
            if items.is_empty() {
                problems
                    .note(Fault::new("expected a machine, got an empty list").hint(HINT).at(at));
            }
            let at = |(index, node): (usize, Node)| {
                let at = node.mark.position(&at.file, format!("{}[{index}]", at.key_path));
                (node, at)
            };
            (0..).zip(items).map(at).collect()
        }
        value @ (Value::Scalar(_) | Value::Mapping(_)) => vec![(Node { value, mark }, at.clone())],
    }
}

fn named(node: Node, at: Position) -> Result<At<Named>, Problem> {
    let text = schema::text(node, &at)?;
    let value = match text.as_str() {
        ALL => Named::All,
        text => Named::Machines(Pattern::parse(text).map_err(|fault| fault.at(&at))?),
    };
    Ok(At { value, at })
}

/// A set of machines of one fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MachineSet {
    /// A bit a machine.
    words: Arc<[u64]>,
}

impl MachineSet {
    fn of(machines: impl Iterator<Item = bool>) -> Self {
        let mut words = Vec::new();
        for (index, is_in) in machines.enumerate() {
            if index % 64 == 0 {
                words.push(0);
            }
            if let Some(word) = words.last_mut().filter(|_| is_in) {
                *word |= 1_u64 << (index % 64);
            }
        }
        Self { words: words.into() }
    }

    /// Whether the machine of this index is one of them.
    pub fn contains(&self, machine: usize) -> bool {
        self.words.get(machine / 64).is_some_and(|word| word & (1 << (machine % 64)) != 0)
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The indexes of the machines, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        let words = self.words.iter().enumerate();
        words.flat_map(|(index, word)| {
            let bits = (0..64).filter(move |bit| word & (1 << bit) != 0);
            bits.map(move |bit| index * 64 + bit)
        })
    }
}

/// Finds the machines that texts name.
pub(super) struct Finder<'a> {
    machines: &'a [Machine],
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(machines: &'a [Machine]) -> Self {
        let by_name = (0..).zip(machines).map(|(index, machine)| (machine.name.as_str(), index));
        Self { machines, by_name: by_name.collect() }
    }

    /// All machines.
    pub(super) fn all(&self) -> MachineSet {
        MachineSet::of(self.machines.iter().map(|_| true))
    }

    /// The machines that `to` grants; `at` says whose it is.
    pub(super) fn granted(&self, to: &At<To>, problems: &mut Problems) -> MachineSet {
        let To { named, not } = &to.value;
        let mut is_in: Vec<bool> = vec![named.is_empty(); self.machines.len()];
        for (named, is_granted) in
            named.iter().map(|it| (it, true)).chain(not.iter().map(|it| (it, false)))
        {
            if !self.mark(named, is_granted, &mut is_in) {
                let fault = Fault::new("no machine has such a name");
                problems.note(fault.hint(MACHINES_HINT).at(&named.at));
            }
        }
        let set = MachineSet::of(is_in.into_iter());
        if set.is_empty() && !(named.is_empty() && not.is_empty()) {
            problems.note(Fault::new("nobody is left to get it").hint(HINT).at(&to.at));
        }
        set
    }

    fn mark(&self, named: &At<Named>, is_granted: bool, is_in: &mut [bool]) -> bool {
        let Named::Machines(pattern) = &named.value else {
            is_in.fill(is_granted);
            return true;
        };
        let mut is_any = false;
        if let Ok(Some(names)) = pattern.names(MACHINES_MAX) {
            for index in names.iter().filter_map(|name| self.by_name.get(name.as_str())) {
                is_in.get_mut(*index).into_iter().for_each(|is_in| *is_in = is_granted);
                is_any = true;
            }
            return is_any;
        }
        for (machine, is_in) in self.machines.iter().zip(is_in) {
            if pattern.matches(&machine.name) {
                *is_in = is_granted;
                is_any = true;
            }
        }
        is_any
    }
}
