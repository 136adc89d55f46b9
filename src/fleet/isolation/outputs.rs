//! Where the images of a fleet go: each to a place of its own.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::reach::Machine;
use crate::delivery::sidecar;
use crate::host::places::Places;
use crate::manifest::Fleet;
use crate::manifest::fleet::Template;
use crate::report::{Failure, Position, shown};

/// The place of each image.
#[derive(Default)]
pub(super) struct Outputs {
    /// Whose image lies at a path without links.
    machines: HashMap<PathBuf, Machine>,
    /// Whose images lie below a directory: one machine, or two of several.
    below: HashMap<PathBuf, (Machine, Option<Machine>)>,
}

impl Outputs {
    /// The places of all machines' images; none where no template says them.
    pub(super) fn new(
        fleet: &Fleet,
        template: Option<&Template>,
        places: &mut Places,
    ) -> Result<Self, Failure> {
        let mut outputs = Self::default();
        let Some(template) = template else { return Ok(outputs) };
        if !template.names_machine() {
            let message = "all machines would have one output: `{machine}` is missing";
            return Err(template.refused(message));
        }
        for (number, machine) in (0..).zip(fleet.machines()) {
            let place = places.place(&template.of(machine)?).path;
            if let Some(other) = outputs.machines.insert(place.clone(), number) {
                let both = both(fleet, other, number);
                let message = format!("two machines would have one output: {both}");
                return Err(template.refused(&message).hint(super::KEY_HINT));
            }
        }
        outputs.require_apart_from_sidecars(fleet, template)?;
        Ok(outputs)
    }

    /// Learns which directories hold images, for sources that are directories.
    pub(super) fn look_above(&mut self) {
        for (path, machine) in &self.machines {
            for above in path.ancestors().skip(1) {
                let below = self.below.entry(above.to_owned()).or_insert((*machine, None));
                // The lowest and the highest, in whatever order they are met.
                let (low, high) = (below.0, below.1.unwrap_or(below.0));
                let (low, high) = (low.min(*machine), high.max(*machine));
                *below = (low, Some(high).filter(|high| *high != low));
            }
        }
    }

    /// An error where a machine's image has the name of a file beside another machine's.
    fn require_apart_from_sidecars(
        &self,
        fleet: &Fleet,
        template: &Template,
    ) -> Result<(), Failure> {
        let mut met = Vec::new();
        for (path, machine) in &self.machines {
            let name = path.file_name().unwrap_or_default().as_bytes();
            for dot in name.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at)
            {
                let (image, suffix) = name.split_at_checked(dot).unwrap_or_default();
                if !sidecar::is_own(suffix.get(1..).unwrap_or_default()) {
                    continue;
                }
                let image = path.with_file_name(std::ffi::OsStr::from_bytes(image));
                met.extend(self.machines.get(&image).map(|other| (*machine, *other)));
            }
        }
        let Some((machine, other)) = met.into_iter().min() else { return Ok(()) };
        let both = both(fleet, machine, other);
        let message = format!("an image would have the name of a file beside another one: {both}");
        Err(template.refused(&message))
    }

    /// The image of another machine that is at this path or below it.
    pub(super) fn foreign(&self, path: &Path, machine: Machine) -> Option<(Machine, &Path)> {
        let is_foreign = |other: &Machine| *other != machine;
        if let Some(other) = self.machines.get(path).filter(|other| is_foreign(other)) {
            let (path, _) = self.machines.get_key_value(path)?;
            return Some((*other, path));
        }
        let (path, (first, second)) = self.below.get_key_value(path)?;
        let other = std::iter::once(*first).chain(*second).find(is_foreign)?;
        Some((other, path))
    }
}

/// Two machines with their places.
fn both(fleet: &Fleet, one: Machine, other: Machine) -> String {
    let told = |machine: Machine| {
        let machine = fleet.machines().get(super::index(machine))?;
        let Position { file, line, column, .. } = &machine.position;
        Some(format!("{} ({file}:{line}:{column})", shown(Path::new(&machine.name))))
    };
    [one, other].into_iter().filter_map(told).collect::<Vec<_>>().join(" and ")
}
