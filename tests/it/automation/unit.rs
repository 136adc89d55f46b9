//! The systemd unit that builds before a machine boots, as `systemd-analyze` sees it; in
//! tests/boots a guest's systemd runs it.

use std::os::unix::fs::PermissionsExt;

use super::hooks::{host, mode};
use super::*;

/// The unit with the program's own path: systemd looks for it in the system's
/// directories, where a test installs nothing.
fn unit(host: &Host) -> String {
    let unit = fs::read_to_string(preboot("credimg@.service")).unwrap();
    assert!(unit.contains("\nExecStart=credimg build "));
    let unit = unit.replace("ExecStart=credimg ", &format!("ExecStart={CREDIMG} "));
    host.write("credimg@.service", &unit);
    unit
}

#[test]
fn systemd_accepts_the_unit() {
    let host = Host::empty();
    unit(&host);
    let mut analyze = host.command("systemd-analyze");
    let output = analyze.args(["verify", "--man=no", "./credimg@.service"]).output();
    let output = output.expect("systemd-analyze starts; `make setup` installs it");
    assert_done(&output);
    assert_eq!(stderr(&output), "");

    // With the drop-in it is one as well, as it is shipped and with all of it wanted.
    let loose = fs::read_to_string(preboot("credimg-commands.conf")).unwrap();
    let is_setting = |line: &&str| !line.starts_with(' ') && line.contains(['[', '=']);
    let all = loose.lines().map(|line| line.trim_start_matches('#')).filter(is_setting);
    let all = all.collect::<Vec<_>>().join("\n") + "\n";
    assert!(all.contains("PrivateDevices=no") && !all.contains('`'), "{all}");
    for text in [&loose, &all] {
        host.write("credimg@.service.d/commands.conf", text);
        let mut analyze = host.command("systemd-analyze");
        let output = analyze.args(["verify", "--man=no", "./credimg@.service"]).output().unwrap();
        assert_done(&output);
        assert_eq!(stderr(&output), "");
    }

    // It finds mistakes, if there are any.
    host.write("broken@.service", unit(&host).replace("Type=oneshot", "Type=onesht"));
    let mut analyze = host.command("systemd-analyze");
    let output = analyze.args(["verify", "--man=no", "./broken@.service"]).output().unwrap();
    assert!(stderr(&output).contains("onesht"), "{output:?}");
}

/// Its command line, taken apart at white space as systemd does, for one instance.
#[test]
fn the_units_command_builds_the_image() {
    let host = host();
    let unit = unit(&host);
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let line = line
        .replace("/etc/credimg", host.path("etc").to_str().unwrap())
        .replace("/run/credimg", host.path("run").to_str().unwrap())
        .replace("%i", "chimera")
        .replace("$CREDIMG_OPTIONS", "--owner 0:0");
    fs::create_dir_all(host.path("run/chimera")).unwrap();
    fs::set_permissions(host.path("run"), PermissionsExt::from_mode(0o711)).unwrap();
    let mut words = line.split_whitespace();
    let mut command = host.command(words.next().unwrap());
    let output = command.args(words).output().unwrap();
    assert_done(&output);
    assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()));
    assert_eq!(mode(&host, "run/chimera/disk.erofs"), 0o600);
}

/// What systemd thinks of the rights of the unit, in tenths: an exit code of 1 says that it
/// has more than `tenths`.
fn exposure(host: &Host, unit: &str, tenths: &str) -> Output {
    let mut analyze = host.command("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager", "--threshold", tenths, unit]);
    analyze.output().unwrap()
}

#[test]
fn the_unit_has_few_rights() {
    let host = Host::empty();
    let text = unit(&host);
    let output = exposure(&host, "./credimg@.service", "30");
    assert_done(&output);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("Overall exposure level for credimg@"), "{table}");
    // The measure can fail: without a part of it, and with one of its own of 1.0.
    host.write(
        "open@.service",
        text.replace("\nSystemCallFilter=", "\n#").replace("\nCapab", "\n#"),
    );
    assert_eq!(exposure(&host, "./open@.service", "30").status.code(), Some(1));
    assert_eq!(exposure(&host, "./credimg@.service", "10").status.code(), Some(1));
}
