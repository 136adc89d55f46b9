//! Isolation: no source reaches two machines unless the manifest says so, and no file of one machine
//! is another's. All of it is known before anything is read, run or written.

mod outputs;
mod reach;

use std::collections::BTreeMap;
use std::hash::Hash;
use std::path::Path;
use std::sync::Arc;

use self::outputs::Outputs;
use self::reach::{Crossing, Machine, Reached, Reaches, Way};
use super::matrix::{Cell, Matrix, Row};
use crate::host::identity::FileId;
use crate::host::places::{Place, Places};
use crate::manifest::fleet::{Item, ItemKind, Origin, Template};
use crate::manifest::{Fleet, manifest_name};
use crate::report::verbose::Step;
use crate::report::{Exit, Failure, Position, Problem, Problems, Subject, shown};
use crate::sources::pseudo::{self, Action, New};

/// The files that each machine has of its own, as the command line and the manifest name them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Files<'a> {
    /// Where the images go.
    pub(crate) output: Option<&'a Template>,
    /// The index of a machine whose image goes to another path, and that path.
    pub(crate) of_one: Option<(usize, &'a Path)>,
    /// Where the dependency files go.
    pub(crate) depfile: Option<&'a Template>,
    /// Where the report about all machines goes.
    pub(crate) report: Option<&'a Path>,
    /// The key files, each with the option that names it.
    pub(crate) keys: &'a [(&'static str, &'a Template)],
    /// The guests' own initrds, which machines may have in common.
    pub(crate) initrd: Option<&'a Template>,
}

/// What reaches which machines, in a fleet that has been found to isolate them.
pub(crate) struct Isolated<'a> {
    fleet: &'a Fleet,
    reaches: Reaches,
}

/// Two sources are one if their keys are equal.
#[derive(Hash)]
enum Key<'a> {
    File(FileId),
    /// A file that does not exist.
    Missing(&'a Path),
    Command(&'a [u8]),
    Variable(&'a str),
    Content(&'a str),
}

/// By each way that has one: the problem that a run would replace a source, or that a source holds
/// another machine's image.
type Found = BTreeMap<usize, Problem>;

/// Checks that no source, key or output of a machine reaches another one. What the manifest says is
/// an error of exit code 3 with both places, what options say one of exit code 2.
pub(crate) fn require<'a>(fleet: &'a Fleet, files: &Files) -> Result<Isolated<'a>, Failure> {
    let step = Step::begin();
    let mut places = Places::default();
    let outputs = Outputs::new(fleet, files, &mut places)?;
    let mut search = Search { fleet, files, places, outputs, reaches: Reaches::default() };
    let mut problems = search.run();
    search.tell(&mut problems);
    problems.sort();
    problems.finish()?;
    search.require_options_apart()?;
    search.require_initrds()?;
    step.end(|| format!("no source reaches two of {} machines", fleet.machines().len()));
    Ok(Isolated { fleet, reaches: search.reaches })
}

impl Isolated<'_> {
    /// The matrix of who gets what. Items without content of their own, such as links, are left
    /// out.
    pub(crate) fn matrix(&self) -> Matrix {
        let machines = self.fleet.machines();
        let row = |(way, item): (usize, &Item)| {
            let first = item.machines.iter().next()?;
            if is_nothing(&self.fleet.origin(way, first)) {
                return None;
            }
            let cells = (0..machines.len()).map(|machine| self.cell(way, item, machine));
            Some(Row {
                kind: kind(item.kind),
                name: if item.shown.is_empty() { item.position.name() } else { item.shown.clone() },
                place: item.position.of_value(),
                cells: cells.collect(),
            })
        };
        Matrix {
            machines: machines.iter().map(|machine| machine.name.clone()).collect(),
            rows: self.fleet.items().iter().enumerate().filter_map(row).collect(),
        }
    }

    fn cell(&self, way: usize, item: &Item, machine: usize) -> Cell {
        if !item.machines.contains(machine) {
            Cell::None
        } else if self.reaches.is_shared(number(way), number(machine)) {
            Cell::Shared
        } else {
            Cell::Own
        }
    }
}

fn kind(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::File => "file",
        ItemKind::Credential => "credential",
        ItemKind::FwCfg => "fw_cfg",
        ItemKind::Pseudo => "pseudo",
        ItemKind::PseudoFile => "pseudo_file",
    }
}

/// An index as a number of 32 bits. There are far fewer machines and items.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Whether an item of this origin brings no content.
fn is_nothing(origin: &Origin) -> bool {
    match origin {
        Origin::Nothing => true,
        Origin::Definition(text) => match pseudo::action(text.as_bytes()) {
            Some(Action::HostFile(_) | Action::Make(_, New::Command(_) | New::Data(_))) => false,
            Some(
                Action::Make(
                    _,
                    New::Directory
                    | New::Symlink(_)
                    | New::BlockDevice(_)
                    | New::CharDevice(_)
                    | New::Fifo
                    | New::Socket,
                )
                | Action::Modify(_)
                | Action::Xattr { .. }
                | Action::Link(_),
            )
            | None => true,
        },
        Origin::File(_)
        | Origin::Directory(_)
        | Origin::Command(_)
        | Origin::Variable(_)
        | Origin::Content(_) => false,
    }
}

/// The search for sources that meet.
struct Search<'a> {
    fleet: &'a Fleet,
    files: &'a Files<'a>,
    places: Places,
    outputs: Outputs,
    reaches: Reaches,
}

impl Search<'_> {
    /// Adds every source and returns the problems. Directories come first, as any other source may
    /// lie in one.
    fn run(&mut self) -> Problems {
        let file = Arc::from(manifest_name(self.fleet.path()));
        let mut problems = Problems::new(Subject::Manifest, &file);
        let items = 0..self.fleet.items().len();
        let is_directory = |way: &usize| {
            let first = self.fleet.items().get(*way).and_then(|item| item.machines.iter().next());
            let origin = first.map(|machine| self.fleet.origin(*way, machine));
            matches!(origin, Some(Origin::Directory(_)))
        };
        let (directories, others): (Vec<_>, Vec<_>) = items.partition(is_directory);
        if !directories.is_empty() {
            self.outputs.look_above();
        }
        for way in &directories {
            self.each_origin(*way, |search, origin, reached| {
                if let Origin::Directory(path) = origin {
                    let place = search.places.place(&path);
                    search.reaches.add_directory(&place.path, number(*way), reached);
                }
            });
        }
        let ways = directories.into_iter().chain(others);
        let (same, other): (Vec<_>, Vec<_>) = ways.partition(|way| self.fleet.has_one_origin(*way));
        let mut found = Found::new();
        for way in same {
            self.each_origin(way, |search, origin, reached| {
                search.add(way, &origin, reached, &mut found);
            });
        }
        // Machine by machine, as the files of one machine are often in one directory: then it is
        // looked up once.
        for machine in 0..self.fleet.machines().len() {
            let is_granted = |way: &&usize| {
                let item = self.fleet.items().get(**way);
                item.is_some_and(|item| item.machines.contains(machine))
            };
            for way in other.iter().filter(is_granted) {
                let origin = self.fleet.origin(*way, machine);
                self.add(*way, &origin, Reached::only(number(machine)), &mut found);
            }
        }
        self.add_keys(&mut found);
        for problem in found.into_values() {
            problems.note(problem);
        }
        problems
    }

    /// Calls `take` with each origin of an item and whom it reaches.
    fn each_origin(&mut self, way: usize, mut take: impl FnMut(&mut Self, Origin, Reached)) {
        let fleet = self.fleet;
        let Some(item) = fleet.items().get(way) else { return };
        let mut machines = item.machines.iter();
        if fleet.has_one_origin(way) {
            if let Some(first) = machines.next() {
                let other = machines.next().map(number);
                let reached = Reached { first: number(first), other };
                take(self, fleet.origin(way, first), reached);
            }
            return;
        }
        for machine in machines {
            take(self, fleet.origin(way, machine), Reached::only(number(machine)));
        }
    }

    /// Adds a source. The first problem of each way is kept in `found`.
    fn add(&mut self, way: usize, origin: &Origin, reached: Reached, found: &mut Found) {
        match origin {
            Origin::Nothing => {}
            Origin::File(path) | Origin::Directory(path) => {
                self.add_path(way, path, reached, found);
                let item = self.fleet.items().get(way);
                if item.is_some_and(|item| item.kind == ItemKind::PseudoFile) {
                    for action in pseudo::actions(path) {
                        self.add_action(way, action, reached, found);
                    }
                }
            }
            Origin::Definition(text) => {
                if let Some(action) = pseudo::action(text.as_bytes()) {
                    self.add_action(way, action, reached, found);
                }
            }
            Origin::Command(words) => self.add_key(way, &Key::Command(words), reached),
            Origin::Variable(name) => self.add_key(way, &Key::Variable(name), reached),
            Origin::Content(text) if text.is_empty() => {}
            Origin::Content(text) => self.add_key(way, &Key::Content(text), reached),
        }
    }

    /// Adds the source of a pseudo definition.
    fn add_action(&mut self, way: usize, action: Action, reached: Reached, found: &mut Found) {
        match action {
            Action::HostFile(file) => {
                let path = self.fleet.directory().join(file.path);
                self.add_path(way, &path, reached, found);
            }
            Action::Make(_, New::Command(script)) => {
                let words = self.fleet.shell(&script.to_string_lossy(), index(reached.first));
                self.add_key(way, &Key::Command(&words), reached);
            }
            Action::Make(..) | Action::Modify(_) | Action::Xattr { .. } | Action::Link(_) => {}
        }
    }

    fn add_path(&mut self, way: usize, source: &Path, reached: Reached, found: &mut Found) {
        let Place { path, id } = self.places.place(source);
        let key = id.map_or(Key::Missing(&path), Key::File);
        self.add_key(way, &key, reached);
        let may_share = may_share(self.fleet);
        self.reaches.add_below(&path, number(way), reached, &may_share);
        // A run replaces a link itself, not what it leads to. So both names count.
        let names = [self.places.name(source), path];
        let foreign = names.iter().find_map(|name| self.outputs.foreign(name, reached.first));
        if let Some((machine, output)) = foreign {
            let message = format!(
                "a source of {} that is, or holds, the image of {} or a file beside it: {}",
                self.name(reached.first),
                self.name(machine),
                shown(output)
            );
            let problem = || self.problem(way, message, "name another output, or another source");
            found.entry(way).or_insert_with(problem);
        }
        if let Some(harm) = names.iter().find_map(|name| self.outputs.harm(name)) {
            let message = format!("{harm} a source of {}", self.name(reached.first));
            let problem = || self.problem(way, message, "give each a name of its own");
            found.entry(way).or_insert_with(problem);
        }
    }

    fn add_key(&mut self, way: usize, key: &Key, reached: Reached) {
        self.reaches.add(key, number(way), reached, &may_share(self.fleet));
    }

    /// Adds the key files, which two machines must never share.
    fn add_keys(&mut self, found: &mut Found) {
        let items = self.fleet.items().len();
        for machine in 0..self.fleet.machines().len() {
            let reached = Reached::only(number(machine));
            if let Some(path) = self.fleet.key_file(machine) {
                self.add_path(items, &path, reached, found);
            }
            for (index, (_, template)) in self.files.keys.iter().enumerate() {
                let machine = self.fleet.machines().get(machine);
                if let Some(Ok(path)) = machine.map(|machine| template.of(machine)) {
                    self.add_path(items + 1 + index, &path, reached, found);
                }
            }
        }
    }

    /// Notes each source that reaches two machines although it is not shared.
    fn tell(&self, problems: &mut Problems) {
        for (way, crossing) in self.reaches.crossings() {
            let (way, message) = (index(way), self.message(way, crossing));
            if self.option(way).is_none() {
                problems.note(self.problem(way, message, self.hint(way)));
            }
        }
    }

    /// An error of exit code 2 where an option names one key file for two machines.
    fn require_options_apart(&self) -> Result<(), Failure> {
        for (way, crossing) in self.reaches.crossings() {
            if let Some(option) = self.option(index(way)) {
                let message = format!("{option}: {}", self.message(way, crossing));
                return Err(Failure::new(Exit::Usage, message).hint(KEY_HINT));
            }
        }
        Ok(())
    }

    /// An error of exit code 2 where the run would replace a guest's own initrd by a file of another
    /// machine, or by the report. That its own machine's image would replace it is found when that
    /// machine is built.
    fn require_initrds(&mut self) -> Result<(), Failure> {
        let Some(template) = self.files.initrd else { return Ok(()) };
        for (index, machine) in self.fleet.machines().iter().enumerate() {
            let path = template.of(machine)?;
            for name in [self.places.name(&path), self.places.place(&path).path] {
                let initrd = format!("the initrd of {}", machine.name);
                let foreign = self.outputs.foreign(&name, number(index));
                let message = match (foreign, self.outputs.harm(&name)) {
                    (Some((other, _)), _) => {
                        let other = self.name(other);
                        format!("{initrd} is the image of {other} or a file beside it")
                    }
                    (None, Some(harm)) => format!("{harm} {initrd}"),
                    (None, None) => continue,
                };
                let failure = Failure::new(Exit::Usage, format!("--initrd: {message}"));
                return Err(failure.hint("name another output, or another initrd"));
            }
        }
        Ok(())
    }

    /// The hint for a source that reaches two machines by this way.
    fn hint(&self, way: usize) -> &'static str {
        let Some(item) = self.fleet.items().get(way) else { return KEY_HINT };
        let first = item.machines.iter().next();
        let is_script = match first.map(|machine| self.fleet.origin(way, machine)) {
            Some(Origin::Definition(text)) => {
                let action = pseudo::action(text.as_bytes());
                matches!(action, Some(Action::Make(_, New::Command(_))))
            }
            Some(_) | None => self.fleet.is_script(way),
        };
        if is_script { SCRIPT_HINT } else { SHARED_HINT }
    }

    fn message(&self, way: Way, crossing: Crossing) -> String {
        let Crossing { machine, other, other_way } = crossing;
        let (name, other_name) = (self.name(machine), self.name(other));
        if way == other_way {
            let (at, other_at) = (self.machine_place(machine), self.machine_place(other));
            return format!(
                "one source reaches two machines: {name} ({at}) and {other_name} ({other_at})"
            );
        }
        let place = self.place(index(other_way));
        format!("the source of {name} also reaches {other_name} by {place}")
    }

    fn name(&self, machine: Machine) -> &str {
        self.fleet.machines().get(index(machine)).map_or("", |machine| &machine.name)
    }

    /// Line and column of a machine in the manifest.
    fn machine_place(&self, machine: Machine) -> String {
        let machine = self.fleet.machines().get(index(machine));
        machine.map_or_else(String::new, |machine| machine.position.place())
    }

    fn position(&self, way: usize) -> Option<&Position> {
        let item = self.fleet.items().get(way).map(|item| &item.position);
        item.or_else(|| self.fleet.key_position())
    }

    /// The place of a way in the manifest, or its option, for messages.
    fn place(&self, way: usize) -> String {
        let option = self.option(way).map(str::to_owned);
        option.or_else(|| Some(self.position(way)?.of_value())).unwrap_or_default()
    }

    /// The option that names the key file of this way; none where the manifest names it.
    fn option(&self, way: usize) -> Option<&'static str> {
        let index = way.checked_sub(self.fleet.items().len() + 1)?;
        self.files.keys.get(index).map(|(option, _)| *option)
    }

    fn problem(&self, way: usize, message: String, hint: &str) -> Problem {
        Problem { position: self.position(way).cloned(), message, hint: Some(hint.to_owned()) }
    }
}

const SHARED_HINT: &str = "`{machine}` in it gives each machine its own; `shared: true` on every \
                           entry that has it says that machines may share it";
const SCRIPT_HINT: &str = "a script that names `$CREDIMG_MACHINE` is another one for each machine; \
                           `shared: true` on every entry that has it says that machines may share it";
const KEY_HINT: &str = "`{machine}` in it gives each machine its own";

/// Whether a source may reach several machines by a way: `shared: true` says so of an item. Keys
/// may never.
fn may_share(fleet: &Fleet) -> impl Fn(Way) -> bool {
    |way| fleet.items().get(index(way)).is_some_and(|item| item.shared)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
