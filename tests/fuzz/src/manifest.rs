//! A manifest, from its text to its plan and to the tree as far as that is known.

use std::path::Path;

use credimg::manifest::{self, Manifest};

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
    match manifest::parse(data, Path::new("m.yaml")) {
        Ok(plan) => of_plan(&plan, data),
        Err(failure) => {
            messages::assert_failure_hides(&failure, data);
            messages::assert_places(&failure.message, "m.yaml", data);
        }
    }
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
