//! The hook where `AppArmor` confines libvirt's daemon: Debian's own profile, compiled by its
//! own parser, in a guest with Debian's kernel. `AppArmor` judges a program by its real path.
//! `make setup` unpacks the profile.

use std::process::Stdio;

use super::*;

/// What stands for the daemon is a shell that runs under the daemon's profile, by its name.
const PAYLOAD: &str = include_str!("apparmor/payload.sh");

#[test]
fn the_hook_runs_under_debians_profile_of_libvirt() {
    let host = Host::empty();
    compile(&host, "plain", "");
    let rule = fs::read_to_string(preboot("apparmor-libvirt")).unwrap();
    compile(&host, "with-rule", &rule);
    fs::copy(preboot("credimg-hook"), host.path("hook")).unwrap();
    host.write(
        "files.yaml",
        "label: FILES\nfiles: [{path: /plain, file: plain}, {path: /with-rule, file: with-rule}, \
         {path: /hook, file: hook, mode: '0755'}]\n",
    );
    let disk = host.run("build files.yaml -o files.erofs --quiet --args lines");
    assert_done(&disk);
    host.write("payload", format!("credimg={CREDIMG}\n{PAYLOAD}"));
    let disk = String::from_utf8(disk.stdout).unwrap();
    let guest = host
        .command(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-boot"))
        .args(["payload", "--"])
        .args(disk.lines())
        .env("GUEST_PROGRAMS", CREDIMG)
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&guest.stdout);
    let expected = "\
confined: libvirtd (enforce)
a link to /usr/local/share: 126
a copy, the program in /usr/local/bin: 126
a machine without a manifest: 0
a copy, the program in /usr/bin: 0, an image
the end: 0
a copy, the program in /usr/local/bin, with the rule: 0, an image
";
    assert!(guest.status.success(), "{report}\n{}", stderr(&guest));
    let lines: Vec<_> = report.lines().filter(|line| !line.starts_with("  ")).collect();
    assert_eq!(lines, expected.lines().collect::<Vec<_>>(), "{report}");
    assert!(report.contains("  credimg-hook: hint: where AppArmor confines libvirt"), "{report}");
}

/// Compiles the profile with `rule` as what is added locally, to the file `name`.
fn compile(host: &Host, name: &str, rule: &str) {
    let tree = crate::support::cache().join("libvirt");
    assert!(tree.exists(), "libvirt's profile is missing: run `make setup`");
    host.write(format!("{name}.d/local/usr.sbin.libvirtd"), rule);
    let output = host
        .command(tree.join("sbin/apparmor_parser"))
        // The first directory that holds an included file wins.
        .arg("-I")
        .arg(host.path(format!("{name}.d")))
        .arg("-I")
        .arg(tree.join("etc/apparmor.d"))
        .args(["--skip-kernel-load", "--skip-cache", "--skip-read-cache", "--stdout"])
        .args(["--subdomainfs", "/dev/null"])
        .arg(tree.join("etc/apparmor.d/usr.sbin.libvirtd"))
        .stdout(fs::File::create(host.path(name)).unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_done(&output);
}
