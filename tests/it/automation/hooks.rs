//! The hook as libvirt and Proxmox VE call it.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;

use super::*;

/// More than a pipe holds: a hook that does not read it keeps libvirt waiting.
const XML_BYTES: usize = 1 << 20;

pub(crate) fn host() -> Host {
    let host = Host::empty();
    host.write("etc/chimera.yaml", "label: CHIMERA\nfiles: [{path: /a, file: ../key}]\n");
    host.write("etc/101.yaml", "label: VM101\nfiles: [{path: /a, file: ../key}]\n");
    host.write("key", "k");
    host
}

/// Calls the hook with these arguments and variables, as root's daemon does: nothing but
/// PATH in the environment, but for the directories.
pub(crate) fn call(
    host: &Host,
    arguments: &[&str],
    variables: &[(&str, &str)],
    stdin: &[u8],
) -> Output {
    let mut command = host.command(preboot("credimg-hook"));
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("CREDIMG", CREDIMG).env("CREDIMG_MANIFESTS", host.path("etc"));
    command.env("CREDIMG_IMAGES", host.path("run"));
    command.env("CREDIMG_LIBVIRT", host.path("libvirt"));
    command.env("CREDIMG_PROXMOX", host.path("proxmox"));
    command.envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let written = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(written.is_ok(), "standard input was not read: {output:?}");
    output
}

/// A program in credimg's place, which prints what it is given.
pub(crate) fn program_that_prints_its_arguments(host: &Host) -> String {
    host.write("program", "#!/bin/sh\nprintf '%s\\0' \"$@\"\n");
    fs::set_permissions(host.path("program"), PermissionsExt::from_mode(0o755)).unwrap();
    host.path("program").to_str().unwrap().to_owned()
}

/// The words that it has printed, behind those that it is always given.
pub(crate) fn options_among(output: &Output) -> Vec<String> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let words: Vec<_> = text.split_terminator('\0').map(str::to_owned).collect();
    let fixed = words.iter().position(|word| word == "none").unwrap() + 1;
    words[fixed..].to_vec()
}

/// Calls it as Proxmox VE does, with these variables besides.
pub(crate) fn hook_with(host: &Host, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    call(host, arguments, variables, b"")
}

/// Calls it as libvirt does, with the domain's description on standard input.
pub(crate) fn libvirt_with(host: &Host, arguments: [&str; 4]) -> Output {
    let (name, filler) = (arguments[0], " ".repeat(XML_BYTES));
    let xml = format!("<domain><name>{name}</name>{filler}</domain>");
    call(host, &arguments, &[], xml.as_bytes())
}

fn libvirt(host: &Host, domain: &str, operation: &str, step: &str) -> Output {
    libvirt_with(host, [domain, operation, step, "-"])
}

pub(crate) fn mode(host: &Host, name: &str) -> u32 {
    fs::metadata(host.path(name)).unwrap().mode() & 0o7777
}

#[test]
fn libvirt_prepares_the_disk_and_releases_it() {
    let host = host();
    let output = libvirt(&host, "chimera", "prepare", "begin");
    assert_done(&output);
    assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()));
    let image = "run/chimera/disk.erofs";
    assert_eq!((mode(&host, image), mode(&host, "run")), (0o600, 0o711));
    assert_eq!(mode(&host, "run/chimera"), 0o711);
    let first = host.read(image);

    for (operation, step) in
        [("start", "begin"), ("started", "begin"), ("stopped", "end"), ("reconnect", "begin")]
    {
        fs::write(host.path("key"), operation).unwrap();
        assert_done(&libvirt(&host, "chimera", operation, step));
        assert_eq!(host.read(image), first, "{operation}");
    }
    assert_done(&libvirt(&host, "chimera", "prepare", "begin"));
    assert_ne!(host.read(image), first);

    assert_done(&libvirt(&host, "chimera", "release", "end"));
    assert!(!host.path("run/chimera").exists());
}

#[test]
fn a_build_that_fails_keeps_the_machine_from_starting() {
    let host = host();
    assert_done(&libvirt(&host, "chimera", "prepare", "begin"));
    let first = host.read("run/chimera/disk.erofs");
    fs::remove_file(host.path("key")).unwrap();
    let output = libvirt(&host, "chimera", "prepare", "begin");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(stderr(&output).contains("the old image is unchanged"), "{output:?}");
    assert_eq!(host.read("run/chimera/disk.erofs"), first);
}

#[test]
fn machines_without_a_manifest_are_left_alone() {
    let host = host();
    assert_done(&libvirt(&host, "medusa", "prepare", "begin"));
    assert_done(&libvirt(&host, "medusa", "release", "end"));
    assert_done(&hook_with(&host, &["102", "pre-start"], &[]));
    assert!(!host.path("run").exists());
    host.write("run/chimera/disk.erofs", "old");
    // Of names that no file can have either.
    let long = "m".repeat(300);
    for name in [&long, "-rf", "*", "$(id)", "a\nb"] {
        for step in [["prepare", "begin"], ["started", "begin"], ["release", "end"]] {
            assert_done(&libvirt(&host, name, step[0], step[1]));
        }
        assert_done(&hook_with(&host, &[name, "post-stop"], &[]));
    }
    host.write("etc/..yaml", "files: []\n");
    for name in ["", ".", "..", "../run", "a/b"] {
        for step in [["prepare", "begin"], ["release", "end"]] {
            assert_done(&libvirt(&host, name, step[0], step[1]));
        }
    }
    assert_eq!(host.read("run/chimera/disk.erofs"), b"old");
}

/// The hook is called for every machine of the host, and each failure keeps one from starting.
#[test]
fn without_the_program_only_machines_with_a_manifest_stop() {
    let host = host();
    let missing = [("CREDIMG", "/nowhere/credimg")];
    let call = |arguments: &[&str]| {
        // Proxmox VE writes nothing, and its calls may end before anything could be read.
        let stdin: &[u8] = if arguments.len() == 4 { b"<domain/>" } else { b"" };
        call(&host, arguments, &missing, stdin)
    };
    for arguments in [&["medusa", "prepare", "begin", "-"][..], &["102", "pre-start"]] {
        assert_done(&call(arguments));
    }
    for arguments in [&["chimera", "prepare", "begin", "-"][..], &["101", "pre-start"]] {
        let output = call(arguments);
        assert_eq!(output.status.code(), Some(127), "{output:?}");
        let message = format!("/nowhere/credimg cannot be run, which {} needs\n", arguments[0]);
        assert!(stderr(&output).contains(&message), "{output:?}");
    }
    host.write("etc/medusa.yaml", "label: [");
    assert_eq!(libvirt(&host, "medusa", "prepare", "begin").status.code(), Some(3));
    assert_done(&libvirt(&host, "chimera", "prepare", "begin"));
}

#[test]
fn proxmox_builds_before_the_start_and_removes_after_the_stop() {
    let host = host();
    // `qm` has the options in quotes, as the unit's environment file has them.
    host.write("etc/101.env", "CREDIMG_OPTIONS=\"--mode 0640 --label OTHER\"\n");
    for phase in ["post-start", "pre-stop"] {
        assert_done(&hook_with(&host, &["101", phase], &[]));
        assert!(!host.path("run").exists(), "{phase}");
    }
    let output = hook_with(&host, &["101", "pre-start"], &[]);
    assert_done(&output);
    assert_eq!(output.stdout, b"");
    assert_eq!(mode(&host, "run/101/disk.erofs"), 0o640);
    let args = host.run("args run/101/disk.erofs");
    assert!(String::from_utf8(args.stdout).unwrap().contains("serial=other"));
    assert_done(&hook_with(&host, &["101", "post-stop"], &[]));
    assert!(!host.path("run/101").exists());
}

/// Whoever gives a machine up may remove its manifest before it stops.
#[test]
fn the_disk_goes_where_the_manifest_is_gone_already() {
    let host = host();
    assert_done(&libvirt(&host, "chimera", "prepare", "begin"));
    fs::remove_file(host.path("etc/chimera.yaml")).unwrap();
    assert_done(&libvirt(&host, "chimera", "release", "end"));
    assert!(!host.path("run/chimera").exists());
    assert_done(&libvirt(&host, "chimera", "prepare", "begin"));
    assert!(!host.path("run/chimera").exists());
}
