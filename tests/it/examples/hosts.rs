//! Hosts that start a machine by systemd and by libvirt: what their files say of the disk is
//! what the program prints, systemd and libvirt accept the files, and the hook builds.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::automation::hooks;

/// The example with what its README installs, below `etc` and `run` of the host.
fn installed(name: &str, user: &str) -> Host {
    let host = copy(name);
    host.write("etc/tls/key.pem", "key");
    host.write("etc/token", "demo-token\n");
    let read = |name: &str| String::from_utf8(host.read(name)).unwrap();
    let manifest = read("chimera.yaml").replace("/etc/chimera", host.path("etc").to_str().unwrap());
    host.write("etc/chimera.yaml", manifest);
    let environment = read("chimera.env");
    assert!(environment.contains(user), "{environment}");
    // A user that every host has.
    host.write("etc/chimera.env", environment.replace(user, "daemon"));
    fs::create_dir_all(host.path("run/chimera")).unwrap();
    host
}

/// What the program prints for the image of the host, as if it lay below /run.
fn printed(host: &Host, target: &str) -> String {
    let image = host.path("run/chimera/disk.erofs");
    let output =
        host.credimg().arg("args").arg(&image).args(["--target", target]).output().unwrap();
    assert_done(&output);
    stdout(&output).replace(host.path("run").to_str().unwrap(), "/run/credimg")
}

fn build(host: &Host, options: &[&str]) {
    let mut credimg = host.credimg();
    credimg.args(["build", "etc/chimera.yaml", "-o", "run/chimera/disk.erofs"]);
    assert_done(&credimg.args(options).output().unwrap());
}

#[test]
fn the_unit_starts_qemu_with_what_is_printed() {
    let host = installed("systemd-unit", "chimera");
    build(&host, &[]);
    let unit = String::from_utf8(host.read("chimera.service")).unwrap();
    let command = unit.split("ExecStart=").nth(1).unwrap().split("\nExec").next().unwrap();
    let command = command.lines().filter(|line| !line.starts_with('#'));
    let command: String = command.map(|line| line.trim().trim_end_matches('\\')).collect();
    assert!(command.ends_with(printed(&host, "qemu").trim_end()), "{command}");

    // QEMU takes it, up to the first instruction of the machine.
    let root = host.path("root.qcow2");
    let made =
        host.command("qemu-img").args(["create", "-q", "-f", "qcow2", "root.qcow2", "1M"]).output();
    assert_done(&made.unwrap());
    let command = command
        .replace("/var/lib/chimera/root.qcow2", root.to_str().unwrap())
        .replace("/run/credimg", host.path("run").to_str().unwrap())
        .replace("kvm:tcg", "tcg")
        .replace("-serial stdio", "-serial none -S -monitor stdio");
    let output = host.command("sh").args(["-c", &format!("echo quit | {command}")]).output();
    let output = output.unwrap();
    assert_done(&output);
    assert_eq!(stderr(&output), "");
}

#[test]
fn systemd_accepts_the_unit_of_the_machine() {
    let host = copy("systemd-unit");
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/preboot/credimg@.service");
    let template = fs::read_to_string(template).unwrap();
    host.write(
        "credimg@.service",
        template.replace("ExecStart=credimg ", &format!("ExecStart={CREDIMG} ")),
    );
    let verify = || {
        let mut analyze = host.command("systemd-analyze");
        let path = format!("{}:", host.path("").display());
        analyze.env("SYSTEMD_UNIT_PATH", path).args(["verify", "--man=no", "./chimera.service"]);
        analyze.output().expect("systemd-analyze starts; `make setup` installs it")
    };
    let output = verify();
    assert_done(&output);
    assert_eq!(stderr(&output), "");
    // It misses the template where that is not there.
    fs::remove_file(host.path("credimg@.service")).unwrap();
    assert!(stderr(&verify()).contains("credimg@chimera.service"));
}

#[test]
fn libvirt_accepts_the_domain_and_its_hook_builds_the_disk() {
    let host = installed("libvirt-domain", "libvirt-qemu");
    fs::remove_dir_all(host.path("run")).unwrap();
    let domain = String::from_utf8(host.read("chimera.xml")).unwrap();
    let validate = host.command("virt-xml-validate").args(["chimera.xml", "domain"]).output();
    assert_done(&validate.expect("virt-xml-validate starts; `make setup` installs it"));

    // The test driver knows machines of its own type alone.
    host.write("test.xml", domain.replace("type='kvm'", "type='test'"));
    let mut virsh = host.command("virsh");
    virsh.args(["--quiet", "--connect", "test:///default"]);
    let output = virsh.arg("define --validate test.xml; dumpxml chimera").output().unwrap();
    assert_done(&output);
    let description = stdout(&output);
    let description = &description[description.find("<domain ").unwrap()..];

    let call = |operation, step| {
        hooks::call(&host, &["chimera", operation, step, "-"], &[], description.as_bytes())
    };
    assert_done(&call("prepare", "begin"));
    let image = fs::metadata(host.path("run/chimera/disk.erofs")).unwrap();
    assert_eq!((image.mode() & 0o7777, image.uid()), (0o600, 1));
    // Each line that is printed for libvirt stands in the domain, at whatever depth; but the
    // domain's own element has its type there.
    let lines: BTreeSet<_> = domain.lines().map(str::trim).chain(["<domain>"]).collect();
    let elements = printed(&host, "libvirt");
    assert!(elements.contains("fstab.extra") && elements.contains("<serial>chimera"), "{elements}");
    for line in elements.lines() {
        assert!(lines.contains(line.trim()), "{line} is missing");
    }
    assert_done(&call("release", "end"));
    assert!(!host.path("run/chimera").exists());
}
