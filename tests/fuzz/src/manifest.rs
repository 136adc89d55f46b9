//! A manifest, from its text to its plan and to the tree as far as that is known.

use std::path::Path;

use credimg::manifest::{self, Fleet, Loaded, Manifest};

use super::{Target, messages};

pub const TARGET: Target = Target {
    name: "manifest",
    max_bytes: 8192,
    memory_max_bytes: 64 << 20,
    run,
    seeds: || {
        super::contents_below(&[
            "testdata/manifests/good",
            "testdata/manifests/bad",
            "testdata/manifests/fleets",
            "testdata/demo/secrets.yaml",
        ])
    },
};

fn run(data: &[u8]) {
    one(data);
    if let Some(data) = super::amplified(data, 256 << 10) {
        one(&data);
    }
}

fn one(data: &[u8]) {
    match manifest::parse_any(data, Path::new("m.yaml")) {
        Ok(Loaded::One(plan)) => of_plan(&plan, data),
        Ok(Loaded::Many(fleet)) => of_fleet(&fleet, data),
        Err(failure) => {
            let hint = failure.hint.as_deref().unwrap_or_default();
            messages::assert_hides(&without_machines(&failure.message), data);
            messages::assert_hides(&without_machines(hint), data);
            messages::assert_places(&failure.message, "m.yaml", data);
        }
    }
}

/// A fleet that is accepted has a manifest for each machine, with what it is granted and no more.
fn of_fleet(fleet: &Fleet, data: &[u8]) {
    for (machine, index) in fleet.machines().iter().zip(0..8) {
        let plan = fleet.manifest_of(index).expect("a machine of a fleet that is accepted");
        let granted = fleet.items().iter().filter(|item| item.machines.contains(index)).count();
        let pseudo = plan.pseudo.definitions.len() + plan.pseudo.files.len();
        assert_eq!(plan.sources().count() + pseudo, granted);
        assert_eq!(fleet.find(&machine.name).ok(), Some(index));
        of_plan(&plan, data);
    }
}

/// A message without the names of machines, which are shown on purpose.
fn without_machines(message: &str) -> String {
    let words: Vec<&str> = message.split(' ').collect();
    let is_name = |index: usize| {
        let next = words.get(index + 1).copied().unwrap_or_default();
        let previous = index.checked_sub(1).and_then(|index| words.get(index)).copied();
        words[index].contains("machines.")
            || words[index].ends_with("`?")
            || previous == Some("machine")
            || next.starts_with("(line")
            || next == "is" && words.get(index + 2) == Some(&"made")
    };
    let others = (0..words.len()).filter(|index| !is_name(*index)).map(|index| words[index]);
    others.collect::<Vec<_>>().join(" ")
}

fn of_plan(plan: &Manifest, data: &[u8]) {
    let text = format!("{plan:?}");
    assert!(!text.is_empty());
    if !plan.pseudo.files.is_empty() {
        // These are files of this machine.
        return;
    }
    match credimg::fuzzing::rehearse(plan) {
        Ok(()) => {}
        // Paths in the image are shown on purpose.
        Err(failure) => assert!(!failure.message.is_empty(), "{}", data.len()),
    }
}
