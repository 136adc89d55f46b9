//! Collects what is wrong with the manifests of several machines, so that each problem is told
//! once.

use std::collections::HashMap;

use super::{Fleet, Machine};
use crate::report::{Problem, Problems};

/// How many different problems are kept.
const KEPT_MAX: usize = 1000;

/// After how many problems no more are looked for.
const ADDED_MAX: usize = 20_000;

/// Problems by their place and message.
#[derive(Default)]
pub(super) struct Faults<'a> {
    found: HashMap<(Place, String), Found<'a>>,
    /// How many machines each item goes to, by its key path.
    granted: HashMap<&'a str, usize>,
    machines_total: usize,
    /// How many problems were added.
    added: usize,
}

/// Line, column, and column within the text.
type Place = (u64, u64, u64);

/// A problem, and the machines that have it.
struct Found<'a> {
    problem: Problem,
    first: &'a Machine,
    machines_total: usize,
    /// Whether the machine lacks something that the item needs.
    is_of_machine: bool,
}

impl<'a> Faults<'a> {
    pub(super) fn new(fleet: &'a Fleet) -> Self {
        let granted = fleet.items.iter();
        let granted = granted.map(|item| (&*item.position.key_path, item.machines.len()));
        Self {
            found: HashMap::new(),
            granted: granted.collect(),
            machines_total: fleet.machines.len(),
            added: 0,
        }
    }

    /// Adds the problems of one machine. `is_of_machine` says that the machine lacks something that
    /// an item needs.
    pub(super) fn add(&mut self, machine: &'a Machine, problems: Problems, is_of_machine: bool) {
        for problem in problems.into_kept() {
            self.added += 1;
            let place = problem.position.as_ref().map_or((0, 0, 0), |position| {
                (position.line, position.column, position.text_column.unwrap_or(0))
            });
            let key = (place, problem.message.clone());
            if let Some(found) = self.found.get_mut(&key) {
                found.machines_total += 1;
            } else if self.found.len() < KEPT_MAX {
                let found = Found { problem, first: machine, machines_total: 1, is_of_machine };
                self.found.insert(key, found);
            }
        }
    }

    /// Whether there are so many that looking for more takes too long.
    pub(super) fn are_many(&self) -> bool {
        self.added > ADDED_MAX
    }

    /// Notes each problem. It names the machines that have it, unless all have it that can.
    pub(super) fn tell(self, problems: &mut Problems) {
        for found in self.found.into_values() {
            let Found { mut problem, first, machines_total, is_of_machine } = found;
            let key_path = problem.position.as_ref().map(|position| &*position.key_path);
            let item = key_path.and_then(|key_path| key_path.split('.').next()).unwrap_or_default();
            let concerned = self.granted.get(item).copied().unwrap_or(self.machines_total);
            let is_its_own = item == "machines";
            if is_of_machine || machines_total < concerned && !is_its_own {
                let Machine { name, position, .. } = first;
                let more = match machines_total {
                    1 => String::new(),
                    all => format!(" and {} more", all - 1),
                };
                let (message, line) = (&problem.message, position.line);
                problem.message = format!("{message}, for {name} (line {line}){more}");
            }
            problems.note(problem);
        }
    }
}
