//! Runs of a fleet that are killed, interrupted, or not alone: each machine has its old image or
//! its new one, with the sidecars of that image, and the next run completes.
//!
//! `CREDIMG_FLEET_KILLS` is how many runs are killed; `make test-fleets` asks for 500.

mod order;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::host::{CREDIMG, Host, stderr};

/// How many machines a run has.
const MACHINES: usize = 200;
/// How many runs are killed where nobody says otherwise.
const KILLS: usize = 12;

/// A fleet of which every secret says whose it is and of which version.
struct Fleet(Host);

/// What a machine has: the versions in its image and in its sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Has {
    image: u32,
    sidecar: u32,
}

impl Fleet {
    /// On a file system in memory, as is usual for secrets.
    fn new() -> Self {
        let host = Host::within("/dev/shm");
        fs::create_dir(host.path("out")).unwrap();
        Self(host)
    }

    fn name(number: usize) -> String {
        format!("machine-{number:03}")
    }

    fn secret(number: usize, kind: &str, version: u32) -> String {
        format!("<{kind} of {}, version {version:06}>", Self::name(number))
    }

    /// Every source becomes that of this version, and so does the manifest of this name.
    fn write(&self, manifest: &str, version: u32, of_token: &str) {
        let last = MACHINES - 1;
        let text = format!(
            "machines:\n  machine-[000-{last}]: {{}}\nfiles:\n  - {{path: /key, to: all, file: \
             \"{version}/{{machine}}\"}}\ncredentials:\n  - {{name: token, to: all, {of_token}, \
             via: fw_cfg}}\n"
        );
        self.0.write(manifest, text);
        for number in 0..MACHINES {
            let key = Self::secret(number, "key", version);
            self.0.write(format!("{version}/{}", Self::name(number)), key);
        }
    }

    fn token(version: u32) -> String {
        format!("text: \"<token of {{machine}}, version {version:06}>\"")
    }

    fn begin(&self, manifest: &str, options: &[&str]) -> Child {
        // Tests that run in the background ignore SIGINT, and the program would inherit that.
        let mut command = self.0.command("env");
        command.args(["--default-signal=INT,TERM", CREDIMG, "fleet", "build", manifest]);
        command.args(["-o", "out/{machine}/disk.erofs"]);
        command.args(options).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    #[track_caller]
    fn run(&self, manifest: &str) {
        let output = self.begin(manifest, &["-q"]).wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// The version in a file, which holds one secret, whole.
    #[track_caller]
    fn version(path: &Path, number: usize, kind: &str) -> u32 {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let secrets: Vec<_> =
            bytes.windows(11).filter_map(|it| it.strip_prefix(b", version ")).collect();
        assert_eq!(secrets.len(), 1, "{}", path.display());
        let text = String::from_utf8_lossy(&bytes);
        let (_, version) = text.split_once(", version ").unwrap();
        let version = version[..6].parse().unwrap();
        assert!(text.contains(&Self::secret(number, kind, version)), "{}", path.display());
        assert!(kind == "token" || bytes.len() == 4096, "{}", path.display());
        version
    }

    /// What the machine of this number has.
    #[track_caller]
    fn has(&self, number: usize) -> Has {
        let place = self.0.path(format!("out/{}", Self::name(number)));
        let index = fs::read_to_string(place.join("disk.erofs.sidecars")).unwrap();
        assert_eq!(index, "fw_cfg.token\n");
        Has {
            image: Self::version(&place.join("disk.erofs"), number, "key"),
            sidecar: Self::version(&place.join("disk.erofs.fw_cfg.token"), number, "token"),
        }
    }

    #[track_caller]
    fn all(&self) -> Vec<Has> {
        (0..MACHINES).map(|number| self.has(number)).collect()
    }

    /// Every machine has this version, and nothing else lies beside it.
    #[track_caller]
    fn assert_complete(&self, version: u32) {
        for (number, has) in self.all().into_iter().enumerate() {
            assert_eq!(has, Has { image: version, sidecar: version }, "{number}");
            let place = self.0.path(format!("out/{}", Self::name(number)));
            let mut names: Vec<_> =
                fs::read_dir(place).unwrap().map(|it| it.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["disk.erofs", "disk.erofs.fw_cfg.token", "disk.erofs.sidecars"]);
        }
    }
}

/// A number that looks random, of a seed.
fn random(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_add(1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 11
}

/// Only a machine whose turn it is may have a new sidecar under its old image: one of each worker.
const WORKERS: usize = 2;

#[test]
fn a_killed_run_leaves_each_image_old_or_new_and_the_next_completes() {
    let kills = std::env::var("CREDIMG_FLEET_KILLS").map_or(KILLS, |it| it.parse().unwrap());
    let fleet = Fleet::new();
    fleet.write("fleet.yaml", 1, &Fleet::token(1));
    fleet.run("fleet.yaml");
    fleet.assert_complete(1);
    // Up to somewhat longer than the last run took, so that a few are killed at their very end.
    let timed_run = || {
        let begun = Instant::now();
        fleet.run("fleet.yaml");
        begun.elapsed().as_micros() * 11 / 10
    };
    let mut most = timed_run();
    let (mut old, mut both) = (1, 0);
    // More than so many where a busy host has let all of them miss the middle of a run.
    for kill in 0..20 * kills {
        if kill >= kills && both > 0 {
            break;
        }
        let new = old + 1;
        fleet.write("fleet.yaml", new, &Fleet::token(new));
        let mut child = fleet.begin("fleet.yaml", &["-q"]);
        let after = u128::from(random(kill as u64)) % most;
        std::thread::sleep(Duration::from_micros(u64::try_from(after).unwrap()));
        child.kill().unwrap();
        child.wait().unwrap();
        let all = fleet.all();
        let under_way = all.iter().filter(|has| **has == Has { image: old, sidecar: new }).count();
        assert!(under_way <= WORKERS, "{kill}: {all:?}");
        for (number, has) in all.iter().enumerate() {
            let is_whole = has.image == has.sidecar && [old, new].contains(&has.image);
            let is_under_way = *has == Has { image: old, sidecar: new };
            assert!(is_whole || is_under_way, "{kill}: {number}: {has:?}");
        }
        let news = all.iter().filter(|has| has.image == new).count();
        both += usize::from(0 < news && news < MACHINES);
        most = timed_run();
        fleet.assert_complete(new);
        old = new;
        fs::remove_dir_all(fleet.0.path((old - 1).to_string())).unwrap();
    }
    assert!(both > 0, "no run of {kills} was killed in its middle");
}

#[test]
fn of_two_runs_at_once_each_machine_has_the_whole_set_of_one() {
    let fleet = Fleet::new();
    for version in [1, 2] {
        fleet.write(&format!("{version}.yaml"), version, &Fleet::token(version));
    }
    fleet.run("1.yaml");
    for _ in 0..2 {
        let both = [fleet.begin("1.yaml", &["-q"]), fleet.begin("2.yaml", &["-q"])];
        for child in both {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
        }
        for (number, has) in fleet.all().into_iter().enumerate() {
            assert_eq!(has.image, has.sidecar, "{number}");
        }
    }
    fleet.run("2.yaml");
    fleet.assert_complete(2);
}

/// A fleet whose commands wait is interrupted in the middle of its run.
#[test]
fn a_signal_ends_a_run_in_order() {
    let fleet = Fleet::new();
    fleet.write("old.yaml", 1, &Fleet::token(1));
    fleet.run("old.yaml");
    // The run cannot end before the signal, however late that comes.
    let slow = "shell: 'touch started; case $CREDIMG_MACHINE in *1??) sleep 60;; esac; \
                printf \"<token of $CREDIMG_MACHINE, version 000002>\"'";
    fleet.write("fleet.yaml", 2, slow);
    for (signal, name) in [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM")] {
        let child = fleet.begin("fleet.yaml", &["--json=report"]);
        while !fleet.0.path("started").exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(300));
        kill_process(Pid::from_child(&child), signal).unwrap();
        let group = child.id();
        let output = child.wait_with_output().unwrap();
        fs::remove_file(fleet.0.path("started")).unwrap();
        assert_eq!(output.status.signal(), Some(signal.as_raw()), "{output:?}");
        let said = stderr(&output);
        assert!(said.ends_with(&format!("credimg: error: interrupted by {name}\n")), "{said}");
        let report: serde_json::Value = serde_json::from_slice(&fleet.0.read("report")).unwrap();
        let machines = report["machines"].as_array().unwrap();
        assert_eq!(machines.len(), MACHINES);
        assert!(report["not_begun"].as_u64().unwrap() > 0, "{said}");
        for (number, machine) in machines.iter().enumerate() {
            let is_new = machine["result"] == "new";
            let expected = if is_new { 2 } else { 1 };
            let has = fleet.has(number);
            assert_eq!(has.image, has.sidecar);
            // What an earlier round has put in place stays.
            assert!(has.image >= expected, "{number}: {has:?}");
        }
        let children = Command::new("pgrep").args(["-P", &group.to_string()]).output().unwrap();
        assert!(children.stdout.is_empty(), "{children:?}");
    }
    fleet.write("fleet.yaml", 3, &Fleet::token(3));
    fleet.run("fleet.yaml");
    fleet.assert_complete(3);
}
