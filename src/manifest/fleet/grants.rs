//! Who may have what: `to` of an entry, and the sets of machines that it names.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::error::Fault;
use super::super::keys;
use super::super::mapping::{At, Keys, is_close};
use super::super::node::{Node, Value};
use super::super::schema;
use super::Machine;
use super::pattern::Pattern;
use crate::report::{Position, Problem, Problems};

/// Most comparisons of one piece of a pattern with one name, over the whole manifest.
const COMPARISONS_MAX: usize = 10_000_000;
/// How many comparisons the search for a similar name counts as.
const COMPARISONS_OF_HINT: usize = 8;
const TOO_MANY: &str = "there are too many patterns of `to` for so many machines";
/// The word for every machine, which is no machine's name.
pub(super) const ALL: &str = "all";
/// The way to say who gets something.
pub(super) const HINT: &str =
    "`to: all`, `to: NAME`, `to: \"chimera-*\"`, a list of these, or `to: {not: NAME}`";

/// Says which item of a fleet an entry in the manifest of one machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Its index among the fleet's items.
    pub item: usize,
    /// Whether its source may reach several machines.
    pub is_shared: bool,
}

/// Where to look up a name that no machine has.
pub(super) const MACHINES_HINT: &str = "`machines` says which there are";

/// The keys `to` and `shared` of an entry, as typed.
#[derive(Clone, Default)]
pub(in crate::manifest) struct Typed {
    pub(super) to: Option<At<To>>,
    pub(super) shared: Option<At<bool>>,
    /// The index among the fleet's items.
    pub(super) item: usize,
    /// Set in the manifest of one machine, in place of the keys.
    pub(in crate::manifest) granted: Option<Granted>,
}

impl Typed {
    /// What the manifest of one machine has in place of the keys: the item, and whether it is
    /// shared.
    pub(super) fn of_machine(&self) -> Self {
        let is_shared = self.shared.as_ref().is_some_and(|shared| shared.value);
        let granted = Some(Granted { item: self.item, is_shared });
        Self { granted, item: self.item, ..Self::default() }
    }

    /// The place of `to`, or else of `shared`.
    pub(in crate::manifest) fn at(&self) -> Option<&Position> {
        let to = self.to.as_ref().map(|to| &to.at);
        to.or_else(|| self.shared.as_ref().map(|shared| &shared.at))
    }
}

/// The value of `to`, as typed: the machines that it names, and those that it excludes by `not`.
#[derive(Clone, Default)]
pub(super) struct To {
    named: Vec<At<Named>>,
    not: Vec<At<Named>>,
    /// Whether a part of it is missing, because it was wrong.
    is_flawed: bool,
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
    for (node, at) in one_or_more(node, at, &mut to.is_flawed, problems) {
        if !node.is_mapping() {
            let named = problems.keep(named(node, at));
            to.is_flawed |= named.is_none();
            to.named.extend(named);
            continue;
        }
        let not = Keys::open(node, at, keys::TO, problems).and_then(|mut keys| {
            if !keys.is_flawed && keys.given(&["not"]).is_none() {
                problems.note(Fault::new("missing key `not`").at(&keys.at));
            }
            keys.take("not")
        });
        let Some((node, at)) = not else {
            to.is_flawed = true;
            continue;
        };
        for (node, at) in one_or_more(node, &at, &mut to.is_flawed, problems) {
            let named = problems.keep(named(node, at));
            to.is_flawed |= named.is_none();
            to.not.extend(named);
        }
    }
    to
}

/// The items of a list; of anything else that itself, as a list of one.
fn one_or_more(
    node: Node,
    at: &Position,
    is_flawed: &mut bool,
    problems: &mut Problems,
) -> Vec<(Node, Position)> {
    let Node { value, mark } = node;
    match value {
        Value::List(items) => {
            if items.is_empty() {
                *is_flawed = true;
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
    /// A bit for each machine.
    words: Arc<[u64]>,
}

impl MachineSet {
    /// The bits of no machine, for a fleet of `count` machines.
    fn none(count: usize) -> Vec<u64> {
        vec![0; count.div_ceil(64)]
    }

    /// The bits of all machines, for a fleet of `count` machines.
    fn everybody(count: usize) -> Vec<u64> {
        let mut words = vec![u64::MAX; count / 64];
        words.extend(Some((1 << (count % 64)) - 1).filter(|word| *word != 0));
        words
    }

    /// Whether the machine of this index is one of them.
    pub fn contains(&self, machine: usize) -> bool {
        self.words.get(machine / 64).is_some_and(|word| word & (1 << (machine % 64)) != 0)
    }

    /// How many machines are in the set.
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
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(index * 64 + bit)
            })
        })
    }
}

/// Finds the machines that texts name.
pub(super) struct Finder<'a> {
    machines: &'a [Machine],
    by_name: HashMap<&'a str, usize>,
    /// How many more comparisons are allowed.
    comparisons_left: usize,
}

impl<'a> Finder<'a> {
    pub(super) fn new(machines: &'a [Machine]) -> Self {
        let by_name = (0..).zip(machines).map(|(index, machine)| (machine.name.as_str(), index));
        Self { machines, by_name: by_name.collect(), comparisons_left: COMPARISONS_MAX }
    }

    /// All machines.
    pub(super) fn all(&self) -> MachineSet {
        MachineSet { words: MachineSet::everybody(self.machines.len()).into() }
    }

    /// The machines that `to` grants.
    pub(super) fn granted(&mut self, to: &At<To>, problems: &mut Problems) -> MachineSet {
        let To { named, not, is_flawed } = &to.value;
        let count = self.machines.len();
        let has_all = named.is_empty();
        let mut words =
            if has_all { MachineSet::everybody(count) } else { MachineSet::none(count) };
        let mut is_flawed = *is_flawed;
        for (named, is_granted) in
            named.iter().map(|it| (it, true)).chain(not.iter().map(|it| (it, false)))
        {
            let Some(is_any) = self.mark(&named.value, is_granted, &mut words) else {
                problems.note(Fault::new(TOO_MANY).of_all());
                return MachineSet::default();
            };
            if !is_any {
                let fault = Fault::new("no machine has such a name");
                problems.note(fault.hint(self.hint(&named.value)).at(&named.at));
                is_flawed = true;
            }
        }
        let set = MachineSet { words: words.into() };
        if set.is_empty() && !is_flawed {
            problems.note(Fault::new("no machine is left to get it").hint(HINT).at(&to.at));
        }
        set
    }

    /// The hint for a name that no machine has: a similar name, if there is one.
    fn hint(&mut self, named: &Named) -> String {
        // The search for a similar name counts, too.
        let comparisons = self.machines.len().saturating_mul(COMPARISONS_OF_HINT);
        let Some(left) = self.comparisons_left.checked_sub(comparisons) else {
            return MACHINES_HINT.to_owned();
        };
        self.comparisons_left = left;
        let name = match named {
            Named::Machines(pattern) => pattern.literal(),
            Named::All => None,
        };
        let known = self.machines.iter().map(|machine| machine.name.as_str());
        let mut others = known.chain([ALL]);
        let close = name.and_then(|name| others.find(|other| is_close(&name, other)));
        close.map_or_else(|| MACHINES_HINT.to_owned(), |name| format!("did you mean `{name}`?"))
    }

    /// Sets the bits of the machines that are named, or clears them where `is_granted` is false.
    /// Returns whether there are any, or none if there are too many comparisons.
    fn mark(&mut self, named: &Named, is_granted: bool, words: &mut [u64]) -> Option<bool> {
        let mut set = |machine: usize| {
            if let Some(word) = words.get_mut(machine / 64) {
                let bit = 1 << (machine % 64);
                *word = if is_granted { *word | bit } else { *word & !bit };
            }
        };
        let pattern = match named {
            Named::Machines(pattern) => pattern,
            Named::All => {
                let count = self.machines.len();
                let all = MachineSet::everybody(count);
                words.copy_from_slice(&if is_granted { all } else { MachineSet::none(count) });
                return Some(true);
            }
        };
        if let Some(name) = pattern.literal() {
            return Some(self.by_name.get(name.as_str()).map(|machine| set(*machine)).is_some());
        }
        let comparisons = self.machines.len().saturating_mul(pattern.len());
        self.comparisons_left = self.comparisons_left.checked_sub(comparisons)?;
        let mut is_any = false;
        for (index, machine) in (0..).zip(self.machines) {
            if pattern.matches(&machine.name) {
                set(index);
                is_any = true;
            }
        }
        Some(is_any)
    }
}
