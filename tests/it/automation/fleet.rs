//! Machines of a fleet before they boot: the hook, the unit's command and Make take those for
//! which there is no manifest of their own.

use std::os::unix::fs::MetadataExt;

use super::hooks::{call, hook_with, libvirt_with, mode};
use super::*;
use crate::support::host::stdout;

const FLEET: &str = "\
machines:
  chimera: {owner: '990:991'}
  '10[1-2]': {}
  hydra: {target: libvirt}
files: [{path: /key, to: all, file: '../keys/{machine}'}]
credentials: [{name: token, to: hydra, file: ../keys/token}]
";

fn host() -> Host {
    let host = Host::empty();
    host.write("etc/fleet.yaml", FLEET);
    for name in ["chimera", "101", "102", "hydra", "medusa", "token"] {
        host.write(format!("keys/{name}"), name);
    }
    host.write("etc/medusa.yaml", "files: [{path: /key, file: ../keys/medusa}]\n");
    host
}

fn libvirt(host: &Host, name: &str, operation: &str, step: &str) -> Output {
    libvirt_with(host, [name, operation, step, "-"])
}

fn key_in(host: &Host, machine: &str) -> String {
    stdout(&host.run(&format!("cat run/{machine}/disk.erofs /key")))
}

#[test]
fn the_hook_takes_machines_of_the_fleet() {
    let host = host();
    for name in ["chimera", "101", "hydra", "medusa"] {
        assert_done(&libvirt(&host, name, "prepare", "begin"));
        assert_eq!(key_in(&host, name), name);
    }
    assert_done(&hook_with(&host, &["102", "pre-start"], &[]));
    assert_eq!(key_in(&host, "102"), "102");
    let owners = |name: &str| {
        let found = fs::metadata(host.path(format!("run/{name}/disk.erofs"))).unwrap();
        (found.uid(), found.gid())
    };
    assert_eq!((owners("chimera"), owners("101")), ((990, 991), (0, 0)));
    // libvirt puts OEM strings on a command line, so the token goes another way.
    assert!(host.path("run/hydra/disk.erofs.fw_cfg.fstab.extra").exists());

    // Its own manifest wins, and options come beside it as ever.
    host.write("etc/101.yaml", "files: [{path: /key, text: own}]\n");
    host.write("etc/chimera.env", "CREDIMG_OPTIONS=\"--owner 993:994 --machine-type q35\"\n");
    for name in ["101", "chimera"] {
        assert_done(&libvirt(&host, name, "prepare", "begin"));
    }
    assert_eq!((key_in(&host, "101"), owners("chimera")), ("own".to_owned(), (993, 994)));
    for name in ["chimera", "101"] {
        assert_done(&libvirt(&host, name, "release", "end"));
        assert!(!host.path(format!("run/{name}")).exists(), "{name}");
    }
}

#[test]
fn machines_that_are_of_no_fleet_are_left_alone() {
    let host = host();
    let long = "m".repeat(300);
    for name in ["cerberus", "chimer", "10", &long, "*", "all", "chimera\nhydra", ".", "-rf"] {
        for step in [["prepare", "begin"], ["started", "begin"], ["release", "end"]] {
            assert_done(&libvirt(&host, name, step[0], step[1]));
        }
    }
    assert!(!host.path("run").exists());
    // A manifest of that name that is of one machine only.
    host.write("etc/fleet.yaml", "files: [{path: /key, text: x}]\n");
    assert_done(&libvirt(&host, "cerberus", "prepare", "begin"));
    assert!(!host.path("run").exists());
    assert_done(&libvirt(&host, "fleet", "prepare", "begin"));
    assert_eq!(key_in(&host, "fleet"), "x");
}

/// Nobody can say whether the machine wants a disk, so none starts without.
#[test]
fn a_fleet_that_cannot_be_read_stops_machines_without_a_manifest() {
    let host = host();
    host.write("etc/fleet.yaml", "machines: [");
    let output = libvirt(&host, "cerberus", "prepare", "begin");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("whether cerberus is a machine of "), "{said}");
    assert_done(&libvirt(&host, "medusa", "prepare", "begin"));
    for step in [["started", "begin"], ["release", "end"]] {
        assert_done(&libvirt(&host, "cerberus", step[0], step[1]));
    }
    let missing = [("CREDIMG", "/nowhere/credimg")];
    let output = call(&host, &["cerberus", "prepare", "begin", "-"], &missing, b"<domain/>");
    assert_eq!(output.status.code(), Some(127), "{output:?}");
    assert!(stderr(&output).contains("cannot be run, which cerberus needs"), "{output:?}");
}

/// The unit names NAME.yaml, whatever there is.
#[test]
fn a_manifest_that_is_missing_is_that_of_a_machine_of_the_fleet_beside_it() {
    let host = host();
    fs::create_dir(host.path("run")).unwrap();
    let built = host.run("build etc/chimera.yaml -o run/c.erofs --depfile d --args none");
    assert_done(&built);
    let depfile = String::from_utf8(host.read("d")).unwrap();
    assert!(depfile.contains("etc/fleet.yaml") && depfile.contains("keys/chimera"), "{depfile}");
    assert!(!depfile.contains("chimera.yaml"), "{depfile}");
    assert_eq!(mode(&host, "run/c.erofs"), 0o600);
    assert_done(&host.run("check etc/101.yaml"));
    for (manifest, said) in [
        ("etc/cerberus.yaml", "etc/cerberus.yaml: cannot read the manifest: no such file"),
        ("etc/chimera.yml", "etc/chimera.yml: cannot read the manifest: no such file"),
        ("chimera.yaml", "chimera.yaml: cannot read the manifest: no such file"),
    ] {
        let output = host.run(&format!("check {manifest}"));
        assert_eq!(output.status.code(), Some(3));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    // Root takes none of either from other users.
    std::os::unix::fs::chown(host.path("etc/fleet.yaml"), Some(4242), None).unwrap();
    assert_eq!(host.run("check etc/101.yaml").status.code(), Some(5));
    assert_eq!(host.run("fleet list etc/fleet.yaml").status.code(), Some(5));
}

#[test]
fn the_names_and_arguments_of_machines_are_told() {
    let host = host();
    assert_eq!(stdout(&host.run("fleet list etc/fleet.yaml")), "chimera\n101\n102\nhydra\n");
    assert_eq!(stdout(&host.run("fleet list etc/fleet.yaml --only 10?")), "101\n102\n");
    assert_eq!(host.run("fleet list etc/fleet.yaml --only medusa").status.code(), Some(2));
    assert_eq!(stdout(&host.run("fleet list etc/medusa.yaml")), "");
    for name in ["chimera", "hydra"] {
        assert_done(&libvirt(&host, name, "prepare", "begin"));
    }
    let output = "--fleet etc/fleet.yaml -o run/{machine}/disk.erofs";
    let alone = |options: &str| stdout(&host.run(&format!("args run/{options}")));
    for (options, expected) in [
        ("chimera", alone("chimera/disk.erofs")),
        ("hydra", alone("hydra/disk.erofs --target libvirt")),
        ("hydra --target qemu --bus scsi", alone("hydra/disk.erofs --target qemu --bus scsi")),
    ] {
        let told = host.run(&format!("fleet args {options} {output}"));
        assert_done(&told);
        assert_eq!(stdout(&told), expected, "{options}");
        assert!(!expected.is_empty());
    }
    for (arguments, code) in [
        ("fleet args chimera --fleet etc/fleet.yaml", 2),
        ("fleet args medusa --fleet etc/fleet.yaml -o run/{machine}/disk.erofs", 2),
        ("fleet args chimera --fleet etc/medusa.yaml -o run/{machine}/disk.erofs", 3),
        ("fleet args 102 --fleet etc/fleet.yaml -o run/{machine}/disk.erofs", 8),
    ] {
        assert_eq!(host.run(arguments).status.code(), Some(code), "{arguments}");
    }
}
