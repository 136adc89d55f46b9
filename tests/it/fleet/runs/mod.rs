//! Runs of fleets: each machine has its image, whatever becomes of the others.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Output;

use serde_json::Value;

use crate::support::host::Host;

/// Three machines, with a file of each, one of all and a credential of one.
const FLEET: &str = "\
machines:
  chimera-[1-2]: {vars: {uid: \"990\"}}
  medusa: {format: squashfs, vars: {uid: \"991\"}}
label: \"{machine}\"
files:
  - {path: /key, to: all, file: \"keys/{machine}\", owner: \"{vars.uid}:0\"}
  - {path: /ca, to: all, file: ca, shared: true}
  - {path: /name, to: \"chimera-*\", shell: 'printf %s-%s \"$CREDIMG_MACHINE\" \"$CREDIMG_VAR_UID\"', shared: false}
credentials:
  - {name: token, to: medusa, text: \"token of medusa\", via: smbios}
";
const MACHINES: [&str; 3] = ["chimera-1", "chimera-2", "medusa"];

fn host() -> Host {
    let host = Host::empty();
    host.write("fleet.yaml", FLEET);
    host.write("ca", "the authority");
    for machine in MACHINES {
        host.write(format!("keys/{machine}"), format!("the key of {machine}"));
    }
    host
}

fn run(host: &Host, options: &[&str]) -> Output {
    let arguments = ["fleet", "build", "fleet.yaml", "-o", "out/{machine}/disk.erofs"];
    host.credimg().args(arguments).args(options).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What each machine's member of the report says.
fn report(output: &Output) -> BTreeMap<String, Value> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let machines = report["machines"].as_array().unwrap();
    machines.iter().map(|it| (it["name"].as_str().unwrap().to_owned(), it.clone())).collect()
}

/// What the image of a machine holds at `path`; nothing where it is not there.
fn content(host: &Host, machine: &str, path: &str) -> Option<String> {
    let output = host.run(&format!("cat out/{machine}/disk.erofs {path}"));
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// SquashFS holds no label, from which the serial of its drive is made.
#[test]
fn the_arguments_of_a_machine_are_those_that_its_build_reports() {
    let host = host();
    let built = report(&run(&host, &["--json"]));
    for machine in MACHINES {
        let options = "--fleet fleet.yaml -o out/{machine}/disk.erofs --json";
        let told = host.run(&format!("fleet args {machine} {options}"));
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        assert_eq!(told["serial"], machine);
        assert_eq!(told["arguments"], built[machine]["arguments"], "{machine}");
    }
}

#[test]
fn each_machine_has_what_it_is_granted_and_nothing_else() {
    let host = host();
    let output = run(&host, &["--json"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stderr(&output), "wrote 3 images\n");
    for machine in MACHINES {
        let of = |path| content(&host, machine, path);
        assert_eq!(of("/key").unwrap(), format!("the key of {machine}"));
        assert_eq!(of("/ca").unwrap(), "the authority");
        let is_chimera = machine != "medusa";
        assert_eq!(of("/name"), is_chimera.then(|| format!("{machine}-990")));
        let listed =
            String::from_utf8(host.run(&format!("ls -l out/{machine}/disk.erofs /key")).stdout);
        let owner = if is_chimera { "990" } else { "991" };
        assert!(listed.as_ref().unwrap().contains(owner), "{listed:?}");
        let directory = fs::metadata(host.path(format!("out/{machine}"))).unwrap();
        assert_eq!(directory.permissions().mode() & 0o7777, 0o700);
        let sidecar = host.path(format!("out/{machine}/disk.erofs.smbios"));
        assert_eq!(sidecar.exists(), !is_chimera);
    }
    let report = report(&output);
    let medusa = &report["medusa"];
    assert_eq!(medusa["result"], "new");
    assert_eq!(medusa["output"], "out/medusa/disk.erofs");
    assert_eq!(medusa["sidecars"][0], "out/medusa/disk.erofs.smbios");
    let arguments = host.run("args out/medusa/disk.erofs --args json --serial medusa");
    let arguments: Value = serde_json::from_slice(&arguments.stdout).unwrap();
    assert_eq!(medusa["arguments"], arguments);
}

#[test]
fn the_failure_of_one_machine_leaves_the_others() {
    let host = host();
    assert!(run(&host, &["-q"]).status.success());
    let old = host.read("out/chimera-2/disk.erofs");
    for machine in MACHINES {
        host.write(format!("keys/{machine}"), format!("another key of {machine}"));
    }
    fs::remove_file(host.path("keys/chimera-2")).unwrap();
    // A second failure of another kind, in a later machine.
    let fleet = FLEET.replace("text: \"token of medusa\"", "command: [\"false\"]");
    host.write("fleet.yaml", fleet);
    let output = run(&host, &["--json"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let said = stderr(&output);
    let first = "credimg: error: chimera-2: files[0] (/key): cannot read keys/chimera-2";
    assert!(said.contains(first), "{said}");
    assert!(said.contains("credimg: error: medusa: credentials[0]"), "{said}");
    assert!(said.ends_with("wrote 1 image, 2 failed\n"), "{said}");
    assert_eq!(content(&host, "chimera-1", "/key").unwrap(), "another key of chimera-1");
    assert!(host.read("out/chimera-2/disk.erofs") == old);
    assert_eq!(content(&host, "medusa", "/key").unwrap(), "the key of medusa");
    let report = report(&output);
    let results = MACHINES.map(|machine| report[machine]["result"].as_str().unwrap());
    assert_eq!(results, ["new", "failed", "failed"]);
    assert_eq!(
        (&report["chimera-2"]["exit_code"], &report["medusa"]["exit_code"]),
        (&4.into(), &6.into())
    );
}

#[test]
fn images_that_would_be_the_same_are_kept_on_request() {
    let host = host();
    assert!(run(&host, &[]).status.success());
    let number =
        |machine| fs::metadata(host.path(format!("out/{machine}/disk.erofs"))).unwrap().ino();
    let before = MACHINES.map(number);
    host.write("keys/chimera-1", "another key");
    let output = run(&host, &["--if-changed", "--json"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stderr(&output), "wrote 1 image, 2 kept\n");
    assert_eq!(report(&output)["medusa"]["result"], "kept");
    let after = MACHINES.map(number);
    assert_eq!((after[0] == before[0], &after[1..]), (false, &before[1..]));
}

#[test]
fn only_those_machines_are_built_that_are_named() {
    let host = host();
    let output = run(&host, &["--only", "chimera-*", "--only=medusa", "--depfile=out/{machine}.d"]);
    assert!(output.status.success(), "{output:?}");
    let depfile = String::from_utf8(host.read("out/chimera-2.d")).unwrap();
    assert_eq!(
        depfile.lines().take(4).collect::<Vec<_>>(),
        ["out/chimera-2/disk.erofs: \\", "  fleet.yaml \\", "  keys/chimera-2 \\", "  ca"]
    );
    fs::remove_dir_all(host.path("out")).unwrap();
    fs::create_dir(host.path("out")).unwrap();
    assert!(run(&host, &["--only", "medusa"]).status.success());
    let names = fs::read_dir(host.path("out")).unwrap().map(|it| it.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["medusa"]);
    // The whole fleet is checked all the same.
    host.write("fleet.yaml", FLEET.replace("shared: true", "shared: false"));
    assert_eq!(run(&host, &["--only", "medusa"]).status.code(), Some(3));
    host.write("fleet.yaml", FLEET);
    assert_eq!(run(&host, &["--only", "nobody"]).status.code(), Some(2));
}

#[test]
fn each_machine_has_a_key_of_its_own() {
    let host = host();
    fs::create_dir(host.path("keys.out")).unwrap();
    let options = ["--encrypt=luks1", "--key-out=keys.out/{machine}"];
    let output = run(&host, &options);
    assert!(output.status.success(), "{output:?}");
    let keys = MACHINES.map(|machine| host.read(&format!("keys.out/{machine}")));
    assert!(keys[0] != keys[1] && keys[1] != keys[2]);
    for machine in MACHINES {
        let cat = format!("cat out/{machine}/disk.erofs /key --key-file keys.out/{machine}");
        assert_eq!(host.run(&cat).stdout, format!("the key of {machine}").as_bytes());
    }
    let one = run(&host, &["--encrypt=luks1", "--key-out=keys.out/one"]);
    assert_eq!(one.status.code(), Some(2), "{one:?}");
}

#[test]
fn what_is_each_machine_s_own_is_no_option_of_all() {
    let host = host();
    for option in
        ["--label=A", "--uuid=00000000-0000-4000-8000-000000000001", "--serial=a", "--id=a"]
    {
        let output = run(&host, &[option]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(": all machines would have the same one\n"), "{output:?}");
    }
    let output = run(&host, &["--machine=chimera"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("hint: `--only NAME` builds one of them"), "{output:?}");
    let output = host.run("fleet build fleet.yaml");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("fleet.yaml does not say where the images go"), "{output:?}");
    for wrong in ["out/one.erofs", "out/{name}.erofs", "out/{machine"] {
        let output = host.run(&format!("fleet build fleet.yaml -o {wrong}"));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    assert!(!host.path("out").exists());
}

/// Fifty machines that lack the same thing need no fifty hints.
#[test]
fn a_hint_that_several_machines_need_is_told_once() {
    let host = host();
    for machine in MACHINES {
        fs::remove_file(host.path(format!("keys/{machine}"))).unwrap();
    }
    let output = run(&host, &[]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let said = stderr(&output);
    let count = |word: &str| said.lines().filter(|line| line.starts_with(word)).count();
    assert_eq!((count("credimg: error: "), count("credimg: hint: ")), (3, 1), "{said}");
}

/// A shared command runs once, however many machines have it and whichever is built first.
#[test]
fn a_shared_command_runs_once_and_learns_of_no_machine() {
    let host = Host::empty();
    host.write(
        "fleet.yaml",
        "machines:\n  m[1-9]: {}\nfiles:\n  - path: /a\n    to: all\n    shared: true\n    shell: 'echo \
         ran >>runs; printf \"[%s]\" \"$CREDIMG_MACHINE\"'\n  - {path: /own, to: all, command: [echo, \
         \"own of {machine}\"]}\n  - {path: /failed, to: m1, shared: true, shell: 'echo failed >>fails; \
         exit 1'}\n  - {path: /failed, to: m2, shared: true, shell: 'echo failed >>fails; exit 1'}\n",
    );
    fs::create_dir(host.path("out")).unwrap();
    let output = run(&host, &[]);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(stderr(&output).ends_with("wrote 7 images, 2 failed\n"), "{output:?}");
    assert_eq!(host.read("runs"), b"ran\n");
    assert_eq!(host.read("fails"), b"failed\n");
    assert_eq!(content(&host, "m9", "/a").unwrap(), "[]");
    assert_eq!(content(&host, "m9", "/own").unwrap(), "own of m9\n");
}

#[test]
fn no_more_commands_run_at_a_time_than_are_allowed() {
    let host = Host::empty();
    host.write(
        "fleet.yaml",
        "machines:\n  m[01-12]: {}\nfiles:\n  - path: /a\n    to: all\n    shell: 'mkdir run.$$; ls -d \
         run.* | wc -l >>counts; sleep 0.05; rmdir run.$$; echo $CREDIMG_MACHINE'\n",
    );
    fs::create_dir(host.path("out")).unwrap();
    for (jobs, most) in [("--jobs=1", 1), ("--jobs=3", 3)] {
        assert!(run(&host, &["-q", jobs]).status.success());
        let counts = String::from_utf8(host.read("counts")).unwrap();
        let counts: Vec<usize> = counts.lines().map(|it| it.trim().parse().unwrap()).collect();
        assert_eq!(counts.len(), 12);
        assert!(*counts.iter().max().unwrap() <= most, "{jobs}: {counts:?}");
        fs::remove_file(host.path("counts")).unwrap();
    }
}

/// A small file that is shared is opened once, one of a machine's own for that machine.
#[test]
fn a_shared_file_is_read_once() {
    let host = host();
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-qq", "-o", "trace", "-e", "trace=openat,openat2"]);
    command.arg(crate::support::host::CREDIMG).args(["fleet", "build", "fleet.yaml", "-q"]);
    command.args(["-o", "out/{machine}/disk.erofs"]).current_dir(host.path(""));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let trace = String::from_utf8(host.read("trace")).unwrap();
    let opened = |name: &str| trace.lines().filter(|line| line.contains(name)).count();
    assert_eq!(opened("\"ca\""), 1);
    assert_eq!(opened("\"keys/medusa\""), 1);
}

/// As on a terminal: how many are done, how many have failed, of how many, and how long it takes.
#[test]
fn a_line_on_the_terminal_tells_how_far_it_is() {
    let host = Host::empty();
    host.write(
        "fleet.yaml",
        "machines:\n  bad: {}\n  m[01-60]: {}\nfiles:\n  - {path: /a, to: \"m*\", shell: 'sleep 0.2; echo \
         $CREDIMG_MACHINE'}\n  - {path: /a, to: bad, command: [\"false\"]}\n",
    );
    fs::create_dir(host.path("out")).unwrap();
    let told = |options: &str| {
        let command = format!(
            "{} fleet build fleet.yaml -o 'out/{{machine}}/disk.erofs'{options}",
            crate::support::host::CREDIMG
        );
        let mut script = host.command("script");
        script.args(["-qec", &command, "/dev/null"]).env("TERM", "xterm");
        String::from_utf8(script.output().unwrap().stdout).unwrap()
    };
    let said = told("");
    assert!(said.contains(" done, 1 failed of 61 machines, "), "{said}");
    assert!(said.contains(" s left"), "{said}");
    assert!(said.contains("bad: files[1] (/a): "), "{said}");
    assert!(said.ends_with("wrote 60 images, 1 failed\r\n"), "{said}");
    assert!(!told(" -q").contains(" left"));
}

/// Batches are as large as the limit of open files allows.
#[test]
fn few_files_may_be_open_and_many_machines_are_built() {
    let host = Host::empty();
    let fleet = "machines: {'m[01-90]': {}}\nfiles:\n  - {path: /k, to: all, text: '{machine}'}\n\
                 credentials:\n  - {name: c, to: all, text: '{machine}'}\n";
    host.write("fleet.yaml", fleet);
    fs::create_dir(host.path("out")).unwrap();
    let script = "ulimit -n 64; exec \"$1\" fleet build fleet.yaml -o 'out/{machine}/d.erofs'";
    let mut command = host.command("sh");
    command.args(["-c", script, "sh"]).arg(host.credimg().get_program());
    let output = command.output().unwrap();
    assert_eq!(stderr(&output), "wrote 90 images\n");
}

/// Somebody who may rename a machine's directory puts another one in its place during the build.
#[test]
fn nothing_is_written_in_a_directory_that_was_exchanged() {
    let host = Host::empty();
    let fleet = "machines: {a: {}, b: {}}\nfiles:\n  \
                 - {path: /k, to: a, shell: 'mv out/a out/was && ln -s ../other out/a && echo of-a'}\n  \
                 - {path: /k, to: b, text: of b}\n";
    host.write("fleet.yaml", fleet);
    fs::create_dir(host.path("out")).unwrap();
    host.write("other/disk.erofs", "another image");
    let output = run(&host, &["--depfile", "out/{machine}/disk.erofs.d"]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(5), "{told}");
    assert!(
        told.contains("a: the directory out/a was exchanged while the image was made"),
        "{told}"
    );
    assert!(told.ends_with("wrote 1 image, 1 failed\n"), "{told}");
    let left: Vec<_> =
        fs::read_dir(host.path("other")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["disk.erofs"]);
    assert_eq!(host.read("other/disk.erofs"), b"another image");
}

/// The disk has room for the old images and a few new ones, so images that wait would fill it.
#[test]
fn a_nearly_full_disk_takes_one_image_after_the_other() {
    let host = Host::empty();
    let fleet = "machines: {'m[01-20]': {}}\nfiles:\n  - {path: /k, to: all, file: 'keys/{machine}'}\n\
                 credentials:\n  - {name: c, to: all, text: '{machine}'}\n";
    host.write("fleet.yaml", fleet);
    for number in 1..=20 {
        host.write(format!("keys/m{number:02}"), format!("{number:04}").repeat(7_500));
    }
    fs::create_dir(host.path("out")).unwrap();
    let script = "mount -t tmpfs -o size=1m none out || exit 99
        for run in 1 2; do \"$1\" fleet build fleet.yaml -o 'out/{machine}/d.erofs' || exit; done
        \"$1\" cat out/m20/d.erofs /k | head -c 4";
    let mut command = host.command("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(host.credimg().get_program());
    let output = command.output().unwrap();
    assert_eq!(stderr(&output), "wrote 20 images\nwrote 20 images\n");
    assert_eq!(output.stdout, b"0020");
}
