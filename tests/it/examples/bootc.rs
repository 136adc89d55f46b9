//! The bootc guest: its Containerfile is carried out over the root of a guest, which
//! `boots::systemd_guest` then boots with its disk.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use super::*;

/// Prints the instructions of the Containerfile on standard input.
const PARSE: &str = "
import io, json, sys
from dockerfile_parse import DockerfileParser
parser = DockerfileParser(fileobj=io.BytesIO(sys.stdin.buffer.read()))
print(json.dumps([[part['instruction'], part['value']] for part in parser.structure]))
";

/// The example with the key that its README makes.
pub(crate) fn copy() -> Host {
    let host = super::copy("bootc-guest");
    host.private("app.key", "demo-key\n");
    host
}

/// Builds the disk; returns the arguments that attach it beside another one.
pub(crate) fn build(host: &Host) -> String {
    let image = host.path("app.erofs");
    let output = host
        .credimg()
        .args(["build", "secrets.yaml", "--place", "2", "-o"])
        .arg(&image)
        .output()
        .unwrap();
    assert_done(&output);
    stdout(&output).trim_end().to_owned()
}

/// Does in `tree`, which is laid over a guest's root, what the Containerfile says.
pub(crate) fn carry_out(tree: &Path) {
    let mut done = Vec::new();
    for (instruction, value) in instructions() {
        let words: Vec<_> = value.split(' ').collect();
        match (&instruction[..], &words[..]) {
            ("COMMENT", _) => continue,
            ("FROM", [image]) => assert!(image.contains("bootc:"), "{image}"),
            ("COPY", [from, to]) => {
                let from = examples().join("bootc-guest").join(from).join(".");
                let to = tree.join(to.trim_start_matches('/'));
                assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
            }
            ("RUN", ["systemctl", "enable", unit]) => {
                let mut systemctl = Command::new("systemctl");
                let output = systemctl.arg("--root").arg(tree).args(["enable", unit]).output();
                assert_done(&output.expect("systemctl starts; `make setup` installs it"));
            }
            // It looks at a whole root, which there is none of here.
            ("RUN", ["bootc", "container", "lint"]) => {}
            other => panic!("the Containerfile says {other:?}"),
        }
        done.push(instruction);
    }
    assert_eq!(done, ["FROM", "COPY", "RUN", "RUN"]);
}

fn instructions() -> Vec<(String, String)> {
    let mut python = Command::new("python3")
        .args(["-c", PARSE])
        .env("PYTHONPATH", linters())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = fs::read(examples().join("bootc-guest/Containerfile")).unwrap();
    python.stdin.take().unwrap().write_all(&text).unwrap();
    let output = python.wait_with_output().unwrap();
    assert_done(&output);
    let parts: Vec<Vec<Value>> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    parts.iter().map(|part| (text(&part[0]), text(&part[1]))).collect()
}

/// The disk is labelled for `SELinux` as a whole, and `guest-unit` prints the unit that the
/// guest has for it.
#[test]
fn the_disk_is_what_the_guest_expects() {
    let host = copy();
    build(&host);
    // The root's and the file's.
    let dump = stdout(&host.run("dump app.erofs"));
    assert_eq!(
        dump.matches(
            "e_name: selinux
"
        )
        .count(),
        2,
        "{dump}"
    );

    let manifest = String::from_utf8(host.read("secrets.yaml")).unwrap();
    host.write("mounted.yaml", format!("{manifest}mount: /etc/credstore\n"));
    let printed = stdout(&host.run("guest-unit mounted.yaml"));
    let mount = printed.split("[Mount]\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let unit = host.read("guest/usr/lib/systemd/system/etc-credstore.mount");
    let unit = String::from_utf8(unit).unwrap();
    assert_eq!(unit.split("[Mount]\n").nth(1).unwrap().trim_end(), mount);
}

#[test]
fn the_containerfile_puts_the_service_into_the_guest() {
    let root = tempfile::tempdir().unwrap();
    carry_out(root.path());
    let link = root.path().join("etc/systemd/system/multi-user.target.wants/app.service");
    let unit = fs::read_link(link).unwrap();
    assert!(root.path().join(unit.strip_prefix("/").unwrap()).exists(), "{unit:?}");
}

#[test]
fn systemd_accepts_the_units_of_the_guest() {
    let host = copy();
    let units = host.path("guest/usr/lib/systemd/system");
    let mut analyze = host.command("systemd-analyze");
    analyze.args(["verify", "--man=no"]).env("SYSTEMD_UNIT_PATH", format!("{}:", units.display()));
    let unit = fs::read_to_string(units.join("app.service")).unwrap();
    let program = host.path("guest/usr/libexec/app");
    let unit = unit.replace("/usr/libexec/app", program.to_str().unwrap());
    fs::write(units.join("app.service"), unit).unwrap();
    let output = analyze.arg(units.join("app.service")).output();
    let output = output.expect("systemd-analyze starts; `make setup` installs it");
    assert_done(&output);
    // This machine's systemd may be older than the guest's.
    let text = stderr(&output);
    let other = text.lines().filter(|line| !line.contains("ImportCredential"));
    assert_eq!(other.collect::<Vec<_>>(), [""; 0]);
}
