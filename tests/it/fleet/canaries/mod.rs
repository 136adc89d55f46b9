//! A secret that can be told from all others, a canary, stands in every place of a fleet, each with
//! random grants: after the build each is in exactly the images and sidecars of those who were
//! granted it, and nowhere else.
//!
//! `make test` builds some machines, `make test-fleets` 500. `CREDIMG_FLEET_MACHINES` is the number
//! of machines, `CREDIMG_SEED` chooses the grants.

mod open;
mod plan;
mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::plan::{Plan, VARIANTS};
use self::search::Canary;
use crate::formats::generator::Random;
use crate::support::host::{Host, assert_done};

/// What `make test` builds.
const SAMPLE: usize = 12;

/// The canaries found in each machine's files, and those found elsewhere.
#[derive(Default)]
struct Found {
    of_machines: BTreeMap<String, BTreeSet<Canary>>,
    elsewhere: Vec<String>,
}

impl Found {
    /// A line for everything that is not as it was granted.
    fn faults(&self, granted: &BTreeMap<String, BTreeSet<Canary>>) -> Vec<String> {
        let mut faults = self.elsewhere.clone();
        for (machine, granted) in granted {
            let nothing = BTreeSet::new();
            let found = self.of_machines.get(machine).unwrap_or(&nothing);
            let told = |what: &str, canary: &Canary| format!("{machine} {what} {canary:?}");
            faults.extend(found.difference(granted).map(|it| told("was not granted", it)));
            faults.extend(granted.difference(found).map(|it| told("has not got", it)));
        }
        faults
    }
}

#[test]
fn each_canary_is_where_it_was_granted_and_nowhere_else() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seed = number("CREDIMG_SEED").unwrap_or(18);
    let machines = number("CREDIMG_FLEET_MACHINES").map_or(SAMPLE, |it| it as usize);
    let plan = Plan::new(&mut Random::new(seed), machines);
    let host = Host::empty();
    plan.write_sources(&host);
    for directory in ["tmp", "out", "keys"] {
        fs::create_dir(host.path(directory)).unwrap();
    }

    let mut outputs = vec![checked(&host, &plan)];
    outputs.extend(VARIANTS.iter().map(|variant| built(&host, &plan, variant)));
    let mut found = searched(&host);
    for (index, output) in outputs.iter().enumerate() {
        for (stream, bytes) in [("output", &output.stdout), ("messages", &output.stderr)] {
            let leaked = search::canaries(bytes);
            found
                .elsewhere
                .extend(leaked.iter().map(|it| format!("run {index}, {stream}: {it:?}")));
        }
    }
    let faults = found.faults(&plan.granted());
    let grants = plan.granted().values().map(BTreeSet::len).sum::<usize>();
    println!("seed {seed}: {machines} machines, {} canaries, {grants} grants", plan.canaries());
    assert!(
        faults.is_empty(),
        "seed {seed}, {} faults: {:?}",
        faults.len(),
        &faults[..faults.len().min(20)]
    );

    // The judge itself notices a canary too many, and one too few.
    let (machine, canaries) = plan.granted().pop_first().unwrap();
    let mut fewer = plan.granted();
    fewer.get_mut(&machine).unwrap().remove(canaries.first().unwrap());
    assert_eq!(found.faults(&fewer).len(), 1);
    found.of_machines.get_mut(&machine).unwrap().pop_first();
    assert_eq!(found.faults(&plan.granted()).len(), 1);
}

/// The program, with the variables that are sources.
fn credimg(host: &Host, plan: &Plan) -> Command {
    let mut command = host.credimg();
    command.envs(plan.variables()).env("TMPDIR", host.path("tmp"));
    command
}

/// The matrix, for people and for programs.
fn checked(host: &Host, plan: &Plan) -> Output {
    let check = |options: &[&str]| {
        let mut command = credimg(host, plan);
        let output = command.args(["fleet", "check", "fleet.yaml"]).args(options).output().unwrap();
        assert_done(&output);
        output
    };
    let (mut table, json) = (check(&[]), check(&["--json", "--verbose"]));
    table.stdout.extend(json.stdout);
    table.stderr.extend(json.stderr);
    table
}

/// Builds the machines of one kind.
fn built(host: &Host, plan: &Plan, variant: &plan::Variant) -> Output {
    let mut command = credimg(host, plan);
    command.args(["fleet", "build", "fleet.yaml", "-o", "out/{machine}/disk", "--verbose"]);
    command.arg(format!("--only={}*", variant.name));
    command.arg(format!("--json=report-{}", variant.name));
    command.args(variant.options);
    let output = command.output().unwrap();
    assert_done(&output);
    output
}

/// Looks into every file of the host that is no source.
fn searched(host: &Host) -> Found {
    let sources = ["fleet.yaml", "sources", "keys"].map(|name| host.path(name));
    let mut files = Vec::new();
    let mut found = Found::default();
    for entry in walkdir::WalkDir::new(host.path("")) {
        let path = entry.unwrap().into_path();
        let is_source = sources.iter().any(|source| path.starts_with(source));
        let is_ours = path.starts_with(host.path("tmp")) && path != host.path("tmp");
        if is_ours {
            found.elsewhere.push(format!("{} is left", path.display()));
        }
        if path.is_file() && !is_source {
            files.push(path);
        }
    }
    let (next, found) = (AtomicUsize::new(0), Mutex::new(found));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    look_into(host, path, &found);
                }
            });
        }
    });
    found.into_inner().unwrap()
}

fn look_into(host: &Host, path: &Path, found: &Mutex<Found>) {
    let raw = search::canaries(&fs::read(path).unwrap());
    let Ok(inside) = path.strip_prefix(host.path("out")) else {
        let told = raw.iter().map(|it| format!("{}: {it:?}", path.display()));
        found.lock().unwrap().elsewhere.extend(told);
        return;
    };
    let machine = inside.iter().next().unwrap().to_str().unwrap().to_owned();
    let variant = plan::variant(&machine);
    let mut canaries = raw;
    if inside.file_name() == Some("disk".as_ref()) {
        // Nothing of an encrypted image can be read as it is.
        if variant.is_closed && !canaries.is_empty() {
            found.lock().unwrap().elsewhere.push(format!("{machine}: the image is open"));
        }
        let key = host.path(format!("keys/{machine}"));
        let tree = open::extracted(path, &key, variant);
        for entry in walkdir::WalkDir::new(tree.path()) {
            let file = entry.unwrap().into_path();
            if file.is_file() {
                canaries.extend(search::canaries(&fs::read(&file).unwrap()));
            }
        }
    }
    found.lock().unwrap().of_machines.entry(machine).or_default().extend(canaries);
}
