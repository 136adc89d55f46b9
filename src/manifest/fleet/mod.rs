//! A manifest of many machines: their names, who may have what, and the plain manifest of each.
//!
//! Invariant: users of a [`Fleet`] see the manifest of one machine, which holds nothing that this
//! machine is not granted.

mod definition;
mod expand;
mod faults;
mod grants;
mod item;
mod label;
mod machines;
mod origins;
mod pattern;
mod placeholders;
mod template;

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use credimg_formats::Secret;

pub use self::grants::Granted;
pub use self::grants::MachineSet;
pub(super) use self::grants::{Typed as Grant, read as grant};
pub use self::item::{Item, ItemKind};
pub(super) use self::machines::{Typed as TypedMachine, read as machines};
pub(crate) use self::origins::Origin;
pub use self::template::Template;

use self::expand::{Expanded, MACHINE_MAX_BYTES};
use self::faults::Faults;
use self::grants::Finder;
use self::label::Labels;
#[cfg(test)]
pub(crate) use self::label::PROTOCOLS as PROTOCOL_LABELS;
use self::pattern::Pattern;
pub(crate) use self::pattern::is_name as is_machine_name;
use self::placeholders::Values;
use super::error::{Fault, manifest_name};
use super::mapping::{At, is_close};
use super::node::Text;
use super::resolved::{MachineContext, Manifest};
use super::{resolve, schema};
use crate::report::{Exit, Failure, Position, Problem, Problems, Subject, shown};

/// Most grants of a manifest. An entry that goes to three machines is three grants.
const GRANTS_MAX: usize = 1_000_000;
/// Most bytes of the manifests of all machines together.
const EXPANDED_MAX_BYTES: usize = 128 << 20;

/// What credimg knows of the fleet that a manifest describes.
pub struct Fleet {
    path: PathBuf,
    machines: Vec<Machine>,
    items: Vec<Item>,
    /// For each machine: the indexes of the items that it is granted, in order.
    granted: Vec<Box<[u32]>>,
    /// The manifest as typed, of which each machine gets a part.
    typed: schema::Typed,
    output: Option<Template>,
    /// The variables of the environment that are sources; set when they are first asked for.
    variables: OnceLock<Arc<HashSet<OsString>>>,
}

/// One machine of a fleet.
pub struct Machine {
    /// Its name: 1 to 64 letters, digits and `-_.` that begin with a letter or digit.
    pub name: String,
    /// The user of this host that its image belongs to, where given.
    pub owner: Option<At<String>>,
    /// The user of this host that may read its image, where given.
    pub reader: Option<At<String>>,
    /// The monitor that its arguments are for, where given.
    pub target: Option<At<String>>,
    /// Where its key stands in the manifest.
    pub position: Position,
    settings: Arc<machines::Settings>,
}

/// The machines. A problem of a text that several machines have is noted once.
fn new_machines(typed: Vec<TypedMachine>, problems: &mut Problems) -> Vec<Machine> {
    let mut noted = HashSet::new();
    let mut note = |problem: Problem| {
        let at = problem.position.as_ref().map(|at| (at.line, at.column));
        if noted.insert(at) {
            problems.note(problem);
        }
    };
    typed.into_iter().map(|typed| Machine::new(typed, &mut note)).collect()
}

impl Machine {
    fn new(typed: TypedMachine, note: &mut impl FnMut(Problem)) -> Self {
        let TypedMachine { name, position, settings } = typed;
        let values = Values { machine: &name, variables: Some(&settings.variables) };
        let mut replaced = |typed: &Option<At<Text>>| {
            let At { value, at } = values.replace(typed.as_ref()?).map_err(&mut *note).ok()?;
            Some(At { value: String::clone(&value), at })
        };
        let (owner, reader) = (replaced(&settings.owner), replaced(&settings.reader));
        let target = replaced(&settings.target);
        Self { name, owner, reader, target, position, settings }
    }

    /// What commands of this machine learn of it.
    fn context(&self, sources: Arc<HashSet<OsString>>) -> MachineContext {
        let variables = self.settings.variables.iter();
        let variables =
            variables.map(|(name, value)| (name.clone(), Secret::from(value.as_bytes())));
        MachineContext {
            name: self.name.clone(),
            variables: variables.collect(),
            sources,
            owner: self.owner.clone(),
            reader: self.reader.clone(),
            target: self.target.clone(),
        }
    }

    fn values(&self) -> Values<'_> {
        Values { machine: &self.name, variables: Some(&self.settings.variables) }
    }
}

/// What a manifest's text turned out to be.
pub enum Loaded {
    /// The manifest of one machine.
    One(Box<Manifest>),
    /// The manifest of many machines.
    Many(Box<Fleet>),
}

impl Loaded {
    /// The manifest of one machine: that of the fleet's `machine`, or the only one.
    pub fn one(self, machine: Option<&str>) -> Result<Manifest, Failure> {
        match (self, machine) {
            (Self::One(manifest), None) => Ok(*manifest),
            (Self::Many(fleet), Some(name)) => fleet.manifest_of(fleet.find(name)?),
            (Self::One(manifest), Some(_)) => Err(no_fleet(&manifest)),
            (Self::Many(fleet), None) => {
                let (file, count) = (manifest_name(&fleet.path), fleet.machines.len());
                let message = format!("{file}: this manifest is of {count} machines");
                let hint = "`--machine NAME` takes one of them, `credimg fleet` all";
                Err(Failure::new(Exit::Manifest, message).hint(hint))
            }
        }
    }
}

/// The failure of a command that names a machine, with a manifest that is no fleet's.
pub(crate) fn no_fleet(manifest: &Manifest) -> Failure {
    let file = manifest_name(&manifest.path);
    let message = format!("--machine: {file} is of one machine, without a name");
    Failure::new(Exit::Usage, message).hint("`machines:` in a manifest names them")
}

impl Fleet {
    /// The fleet that `typed` describes. None, with a problem noted, where it describes none.
    pub(super) fn new(
        mut typed: schema::Typed,
        path: &Path,
        problems: &mut Problems,
    ) -> Option<Self> {
        let machines = typed.machines.take()?;
        let machines = new_machines(machines.value, problems);
        if machines.is_empty() {
            return None;
        }
        let items = item::all(&mut typed, Finder::new(&machines), problems);
        let directory = path.parent().unwrap_or(Path::new(""));
        let output = typed.output.take();
        let output =
            output.and_then(|typed| problems.keep(Template::of_manifest(&typed, directory)));
        let (granted, variables) = (Vec::new(), OnceLock::new());
        let path = path.into();
        let mut fleet = Self { path, machines, items, granted, typed, output, variables };
        fleet.note_faults(problems);
        Some(fleet)
    }

    /// Notes what is wrong with machines and grants. The manifests of single machines are checked
    /// only if all that is right; else the same problem would be told twice.
    fn note_faults(&mut self, problems: &mut Problems) {
        let grants = self.items.iter().map(|item| item.machines.len()).sum::<usize>();
        if grants > GRANTS_MAX {
            let message = format!("expected at most {GRANTS_MAX} things for all machines together");
            problems.note(Fault::new(format!("{message}, got {grants}")).of_all());
            return;
        }
        self.granted = item::of_machines(&self.items, self.machines.len());
        expand::of_machine(&self.typed, None, 0..self.items.len(), problems);
        // An item that goes to nobody is no news where a grant is faulty.
        if problems.is_empty() {
            self.note_empty_handed(problems);
            self.note_faults_of_machines(problems);
        }
    }

    fn note_empty_handed(&self, problems: &mut Problems) {
        for (machine, granted) in self.machines.iter().zip(&self.granted) {
            if granted.is_empty() {
                let message = format!("the machine {} gets nothing", machine.name);
                let fault = Fault::new(message).hint("`to` of an entry says who gets it");
                problems.note(fault.at(&machine.position));
            }
        }
    }

    fn note_faults_of_machines(&self, problems: &mut Problems) {
        let mut faults = Faults::new(self);
        let mut labels = Labels::new(self.output.as_ref());
        let mut bytes_left = EXPANDED_MAX_BYTES;
        let file = Arc::from(manifest_name(&self.path));
        let none = || Problems::new(Subject::Manifest, &file);
        for (index, machine) in (0..).zip(&self.machines) {
            let (mut of_machine, mut of_manifest) = (none(), none());
            let Expanded { typed, bytes } = self.expanded(index, machine, &mut of_machine);
            if let Some(output) = &self.output {
                of_machine.keep(output.require(machine));
            }
            let Some(left) = bytes_left.checked_sub(bytes) else {
                let message = "with placeholders replaced the manifests of all machines are larger";
                let message = format!("{message} than {EXPANDED_MAX_BYTES} bytes together");
                problems.note(Fault::new(message).of_all());
                break;
            };
            bytes_left = left;
            let manifest = resolve::resolve(typed, &self.path, &mut of_manifest);
            if let Some((manifest, label)) =
                manifest.as_ref().and_then(|manifest| Some((manifest, manifest.label.as_ref()?)))
            {
                let joliet = manifest.format_options.joliet;
                problems.keep(labels.add(machine, label, manifest.format, joliet));
            }
            faults.add(machine, of_machine, true);
            faults.add(machine, of_manifest, false);
            if faults.are_many() {
                break;
            }
        }
        faults.tell(problems);
    }

    /// What the manifest says of one machine.
    fn expanded(&self, index: usize, machine: &Machine, problems: &mut Problems) -> Expanded {
        let items = self.granted.get(index).into_iter().flatten().map(|item| *item as usize);
        let expanded = expand::of_machine(&self.typed, Some(machine), items, problems);
        if expanded.bytes > MACHINE_MAX_BYTES {
            problems.note(placeholders::too_large().at(&machine.position));
        }
        expanded
    }

    /// The manifest's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The machines in the manifest's order, those of a range by their numbers.
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// Everything that has a source, in the manifest's order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Where the images go; none where the manifest does not say it.
    pub fn output(&self) -> Option<&Template> {
        self.output.as_ref()
    }

    /// The index of the machine of this name, if there is one.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.machines.iter().position(|machine| machine.name == name)
    }

    /// The index of the machine with this name. If there is none, the error names similar ones.
    pub fn find(&self, name: &str) -> Result<usize, Failure> {
        self.index_of(name).ok_or_else(|| {
            let message = format!(
                "{}: no machine is called {}",
                manifest_name(&self.path),
                shown(Path::new(name))
            );
            let names = self.machines.iter().map(|machine| machine.name.as_str());
            let close: Vec<_> = names.filter(|other| is_close(name, other)).take(3).collect();
            let failure = Failure::new(Exit::Usage, message);
            if close.is_empty() {
                failure.hint(grants::MACHINES_HINT)
            } else {
                failure.hint(format!("did you mean {}?", close.join(" or ")))
            }
        })
    }

    /// The indexes of the machines that any of `globs` names, in order.
    pub fn select(&self, globs: &[String]) -> Result<Vec<usize>, Failure> {
        let mut selected = vec![false; self.machines.len()];
        for glob in globs {
            let pattern = Pattern::parse(glob).map_err(|fault| fault.in_option("--only"))?;
            let mut is_any = false;
            for (machine, is_selected) in self.machines.iter().zip(&mut selected) {
                if pattern.matches(&machine.name) {
                    *is_selected = true;
                    is_any = true;
                }
            }
            if !is_any {
                let failure = Fault::new("no machine has such a name").in_option("--only");
                return Err(failure.hint(grants::MACHINES_HINT));
            }
        }
        let selected = (0..).zip(selected).filter(|(_, is_selected)| *is_selected);
        Ok(selected.map(|(index, _)| index).collect())
    }

    /// The plain manifest of one machine: what it is granted, placeholders replaced.
    pub fn manifest_of(&self, machine: usize) -> Result<Manifest, Failure> {
        let index = machine;
        let machine = self.machines.get(index).ok_or_else(|| Failure::bug(": no such machine"))?;
        let file = Arc::from(manifest_name(&self.path));
        let mut problems = Problems::new(Subject::Manifest, &file);
        let Expanded { typed, .. } = self.expanded(index, machine, &mut problems);
        let manifest = resolve::resolve(typed, &self.path, &mut problems);
        problems.sort();
        problems.finish()?;
        let manifest =
            manifest.ok_or_else(|| Failure::bug(": a machine is refused without a reason"))?;
        Ok(Manifest { machine: Some(machine.context(self.variables())), ..manifest })
    }
}

/// Notes a problem for each key that only a fleet's manifest may have.
pub(super) fn require_none(typed: &schema::Typed, problems: &mut Problems) {
    let grants = typed.files.iter().map(|it| &it.grant);
    let grants = grants.chain(typed.credentials.iter().map(|it| &it.grant));
    let grants = grants.chain(typed.fw_cfg.iter().map(|it| &it.grant));
    let grants = grants.chain(typed.pseudo.iter().map(|it| &it.grant));
    let grants = grants.chain(typed.pseudo_files.iter().map(|it| &it.grant));
    let output = typed.output.as_ref().map(|output| &output.at);
    for at in grants.filter_map(Grant::at).chain(output) {
        let fault = Fault::new("only for a fleet: this manifest has no `machines`");
        problems.note(fault.hint("as in `machines: {chimera: {}, medusa: {}}`").at(at));
    }
}
