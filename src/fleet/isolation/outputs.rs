//! Where the images of a fleet go, and that no two files of a run have one place.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Files;
use super::reach::Machine;
use crate::delivery::sidecar;
use crate::host::places::Places;
use crate::manifest::Fleet;
use crate::manifest::fleet::Template;
use crate::report::{Exit, Failure, shown};

/// The place of each image, and of the other files that a run replaces.
#[derive(Default)]
pub(super) struct Outputs {
    /// Machines by the path of their image; links in the path are followed.
    machines: HashMap<PathBuf, Machine>,
    /// What messages call a dependency file or the report, by its path; links in the path are
    /// followed.
    others: HashMap<PathBuf, String>,
    /// The machines whose images lie below a directory. Of several machines two are kept.
    below: HashMap<PathBuf, (Machine, Option<Machine>)>,
    /// For each directory above such a file, what that file is called; of several the first by name.
    others_below: HashMap<PathBuf, String>,
}

impl Outputs {
    /// The places of all files that a run replaces. Empty where neither the manifest nor an option
    /// says where they go.
    pub(super) fn new(fleet: &Fleet, files: &Files, places: &mut Places) -> Result<Self, Failure> {
        let mut outputs = Self::default();
        if let Some(template) = files.output {
            outputs.add_images(fleet, template, places)?;
        }
        if let Some((index, path)) = files.of_one {
            outputs.add_one(fleet, super::number(index), path, places)?;
        }
        if let Some(template) = files.depfile {
            for machine in fleet.machines() {
                let path = template.of(machine)?;
                let name = format!("the dependency file of {}", shown(Path::new(&machine.name)));
                let added = outputs.add_other(fleet, &path, &name, places);
                added.map_err(|message| template.refused(&message).hint(super::KEY_HINT))?;
            }
        }
        if let Some(path) = files.report {
            let added = outputs.add_other(fleet, path, "the report", places);
            added.map_err(|message| {
                Failure::new(Exit::Usage, message).hint("give each a name of its own")
            })?;
        }
        Ok(outputs)
    }

    fn add_images(
        &mut self,
        fleet: &Fleet,
        template: &Template,
        places: &mut Places,
    ) -> Result<(), Failure> {
        if !template.names_machine() {
            let message = "all machines would have one output: `{machine}` is missing";
            return Err(template.refused(message));
        }
        for (number, machine) in (0..).zip(fleet.machines()) {
            let place = places.name(&template.of(machine)?);
            if let Some(other) = self.machines.insert(place, number) {
                let both = both(fleet, other, number);
                let message = format!("two machines would have one output: {both}");
                return Err(template.refused(&message).hint(super::KEY_HINT));
            }
        }
        self.require_apart_from_sidecars(fleet, template)
    }

    /// Adds the image of one machine that goes to a path of the command line.
    fn add_one(
        &mut self,
        fleet: &Fleet,
        machine: Machine,
        path: &Path,
        places: &mut Places,
    ) -> Result<(), Failure> {
        let place = places.name(path);
        let is_foreign = |other: &Machine| *other != machine;
        if let Some(other) = self.machines.get(&place).copied().filter(is_foreign) {
            let both = both(fleet, machine, other);
            let message = format!("--output: two machines would have one output: {both}");
            return Err(Failure::new(Exit::Usage, message).hint("name another output"));
        }
        if let Some(other) = self.beside(&place).filter(is_foreign) {
            let both = both(fleet, machine, other);
            let message = format!(
                "--output: an image would have the name of a file beside another one: {both}"
            );
            return Err(Failure::new(Exit::Usage, message).hint("name another output"));
        }
        self.machines.insert(place, machine);
        Ok(())
    }

    /// Adds a file that a run replaces and that is no image. An error is a message.
    fn add_other(
        &mut self,
        fleet: &Fleet,
        path: &Path,
        name: &str,
        places: &mut Places,
    ) -> Result<(), String> {
        let place = places.name(path);
        let image = |machine: Machine| {
            let machine = fleet.machines().get(super::index(machine));
            shown(Path::new(machine.map_or("", |machine| &machine.name)))
        };
        if let Some(machine) = self.machines.get(&place) {
            return Err(format!("{name} would replace the image of {}", image(*machine)));
        }
        if let Some(machine) = self.beside(&place) {
            let image = image(machine);
            return Err(format!("{name} has the name of a file beside the image of {image}"));
        }
        match self.others.insert(place, name.to_owned()) {
            Some(other) => Err(format!("{name} would replace {other}")),
            None => Ok(()),
        }
    }

    /// Notes the directories above all these files, so that sources that are directories can be
    /// compared.
    pub(super) fn look_above(&mut self) {
        for (path, machine) in &self.machines {
            for above in path.ancestors().skip(1) {
                let below = self.below.entry(above.to_owned()).or_insert((*machine, None));
                // The lowest and the highest number are kept, so that the order of the map does not
                // matter.
                let (low, high) = (below.0, below.1.unwrap_or(below.0));
                let (low, high) = (low.min(*machine), high.max(*machine));
                *below = (low, Some(high).filter(|high| *high != low));
            }
        }
        for (path, name) in &self.others {
            for above in path.ancestors().skip(1) {
                let first = self.others_below.entry(above.to_owned()).or_insert(name.clone());
                if name < first {
                    first.clone_from(name);
                }
            }
        }
    }

    /// An error where a machine's image has the name of a file beside another machine's.
    fn require_apart_from_sidecars(
        &self,
        fleet: &Fleet,
        template: &Template,
    ) -> Result<(), Failure> {
        let met =
            self.machines.iter().filter_map(|(path, machine)| Some((*machine, self.beside(path)?)));
        let Some((machine, other)) = met.min() else { return Ok(()) };
        let both = both(fleet, machine, other);
        let message = format!("an image would have the name of a file beside another one: {both}");
        Err(template.refused(&message))
    }

    /// The machine whose image would have a private file with this path beside it.
    fn beside(&self, path: &Path) -> Option<Machine> {
        let name = path.file_name()?.as_bytes();
        let dots = name.iter().enumerate().filter(|(_, byte)| **byte == b'.');
        let mut images = dots.filter_map(|(dot, _)| {
            let (image, suffix) = name.split_at_checked(dot)?;
            let is_own = sidecar::is_own(suffix.get(1..)?);
            is_own.then(|| path.with_file_name(OsStr::from_bytes(image)))
        });
        images.find_map(|image| self.machines.get(&image).copied())
    }

    /// The image of another machine that is at `path`, below it, or has a private file at `path`.
    pub(super) fn foreign(&self, path: &Path, machine: Machine) -> Option<(Machine, &Path)> {
        let is_foreign = |other: &Machine| *other != machine;
        let image = self.machines.get(path).copied().or_else(|| self.beside(path));
        if let Some(other) = image.filter(is_foreign) {
            let (path, _) = self.machines.iter().find(|(_, machine)| **machine == other)?;
            return Some((other, path));
        }
        let (path, (first, second)) = self.below.get_key_value(path)?;
        let other = std::iter::once(*first).chain(*second).find(is_foreign)?;
        Some((other, path))
    }

    /// What would happen to the source at this path: a dependency file or the report would replace it,
    /// or would lie in it. The text is the start of a message, which goes on with the source's name.
    pub(super) fn harm(&self, path: &Path) -> Option<String> {
        let replaced = self.others.get(path).map(|file| format!("{file} would replace"));
        replaced.or_else(|| Some(format!("{} would lie in", self.others_below.get(path)?)))
    }
}

/// The names of two machines and their places in the manifest, for messages.
fn both(fleet: &Fleet, one: Machine, other: Machine) -> String {
    let told = |machine: Machine| {
        let machine = fleet.machines().get(super::index(machine))?;
        Some(format!("{} ({})", shown(Path::new(&machine.name)), machine.position.place()))
    };
    [one, other].into_iter().filter_map(told).collect::<Vec<_>>().join(" and ")
}
