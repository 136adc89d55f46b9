//! The matrix of a fleet: a row for each secret and a column for each machine. A cell says whether
//! the machine has the secret, and whether no other machine has it. The matrix holds names and
//! places, never a value.

mod ranges;
mod table;

use std::collections::HashMap;

use serde::Serialize;

/// What a machine has of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Nothing.
    None,
    /// A source that no other machine has.
    Own,
    /// A source that other machines have as well.
    Shared,
}

/// A secret, and what each machine has of it.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is in the manifest, as `file` or `credential`.
    pub kind: &'static str,
    /// Its path or name, as the manifest has it.
    pub name: String,
    /// Where it stands in the manifest: file, line, column and key path.
    pub place: String,
    /// A cell for each machine, in the order of [`Matrix::machines`].
    pub cells: Vec<Cell>,
}

/// Who gets what.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// The machines' names, in the manifest's order.
    pub machines: Vec<String>,
    /// The secrets, in the manifest's order.
    pub rows: Vec<Row>,
}

/// Machines whose columns are equal.
struct Group {
    /// The indexes of these machines, in order.
    machines: Vec<usize>,
    /// Their column.
    cells: Vec<Cell>,
}

/// A secret for programs: who has it, by name.
#[derive(Serialize)]
pub(crate) struct Secret<'a> {
    kind: &'static str,
    name: &'a str,
    place: &'a str,
    /// Machines of which each has a source of its own.
    own: Vec<&'a str>,
    /// Machines whose source is that of another machine as well.
    shared: Vec<&'a str>,
}

impl Matrix {
    /// The table for people, at most 80 columns wide unless a single name is wider. Machines with
    /// equal columns share one.
    pub fn table(&self, has_colours: bool) -> String {
        table::render(self, has_colours)
    }

    /// The rows for programs.
    pub(crate) fn secrets(&self) -> Vec<Secret<'_>> {
        self.rows.iter().map(|row| self.secret(row)).collect()
    }

    fn secret<'a>(&'a self, row: &'a Row) -> Secret<'a> {
        let having = |wanted: Cell| {
            let with_cells = self.machines.iter().zip(&row.cells);
            with_cells.filter(|(_, cell)| **cell == wanted).map(|(name, _)| &**name).collect()
        };
        let Row { kind, name, place, .. } = row;
        let (own, shared) = (having(Cell::Own), having(Cell::Shared));
        Secret { kind, name, place, own, shared }
    }

    /// The groups of machines with equal columns, in the order of their first machines.
    fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut known: HashMap<Vec<Cell>, usize> = HashMap::new();
        for machine in 0..self.machines.len() {
            let cell = |row: &Row| row.cells.get(machine).copied().unwrap_or(Cell::None);
            let cells: Vec<Cell> = self.rows.iter().map(cell).collect();
            let place = *known.entry(cells).or_insert_with_key(|cells| {
                groups.push(Group { machines: Vec::new(), cells: cells.clone() });
                groups.len() - 1
            });
            groups.get_mut(place).into_iter().for_each(|group| group.machines.push(machine));
        }
        groups
    }

    /// The names of a group, runs of numbers as one.
    fn names(&self, group: &Group) -> Vec<String> {
        let names = group.machines.iter().filter_map(|machine| self.machines.get(*machine));
        ranges::joined(names.map(|name| &**name))
    }
}
