//! Values that reach two machines by different sources, such as a password that was copied.

use std::process::Output;

use crate::support::host::{Host, assert_done, stderr};

const PASSWORD: &str = "correct horse battery";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/// A fleet of two machines with a password each: `one` is chimera's and `two` medusa's.
fn host(one: &str, two: &str) -> Host {
    let host = Host::empty();
    host.write(
        "fleet.yaml",
        format!(
            "machines: {{chimera: {{}}, medusa: {{}}}}\nfiles:\n  \
             - {{path: /chimera, to: chimera, text: a file of chimera}}\n  \
             - {{path: /medusa, to: medusa, text: a file of medusa}}\n{}{}",
            one.replace("WHO", "chimera"),
            two.replace("WHO", "medusa")
        ),
    );
    for (file, content) in [
        ("password", PASSWORD.to_owned()),
        ("copy", format!("{PASSWORD}\n")),
        ("tree/below/copy", PASSWORD.to_owned()),
        ("tree/other", "something else".to_owned()),
        ("definitions", "/defined f 400 0 0 cat copy\n".to_owned()),
        ("short", "hunter2".to_owned()),
        ("short-copy", "hunter2\n".to_owned()),
        ("ca.pem", CERTIFICATE.to_owned()),
        ("ca-copy.pem", CERTIFICATE.to_owned()),
        ("large", "large ".repeat(50_000)),
        ("large-copy", "large ".repeat(50_000)),
        ("empty", String::new()),
        ("empty-copy", String::new()),
    ] {
        host.write(file, content);
    }
    let tar = host.command("tar").args(["-cf", "tree.tar", "tree"]).status().unwrap();
    assert!(tar.success());
    host
}

fn build(host: &Host, options: &[&str]) -> Output {
    let mut command = host.credimg();
    command.args(["fleet", "build", "fleet.yaml", "-o", "{machine}.erofs"]).args(options);
    command.env("COPY", PASSWORD).output().unwrap()
}

/// The machines whose images exist.
fn images(host: &Host) -> Vec<&'static str> {
    let images = ["chimera.erofs", "medusa.erofs"];
    images.into_iter().filter(|image| host.path(image).exists()).collect()
}

const FILE: &str = "  - {path: /p, to: WHO, file: password}\n";
const LARGE: &str = "  - {path: /p, to: WHO, file: large}\n";

#[test]
fn a_copied_password_is_found_wherever_it_stands() {
    for (one, two) in [
        (FILE, "  - {path: /p, to: WHO, file: copy}\n"),
        (FILE, "  - {path: /p, to: WHO, command: [cat, copy]}\n"),
        (FILE, "  - {path: /p, to: WHO, shell: cat copy, trim: true}\n"),
        (FILE, "  - {path: /p, to: WHO, dir: tree}\n"),
        (FILE, "  - {path: /p, to: WHO, tar: tree.tar}\n"),
        (FILE, "  - {path: /p, to: WHO, env: COPY}\n"),
        (FILE, "  - {path: /p, to: WHO, text: correct horse battery}\n"),
        (FILE, "  - {path: /p, to: WHO, base64: Y29ycmVjdCBob3JzZSBiYXR0ZXJ5}\n"),
        (FILE, "credentials: [{name: c, to: WHO, via: smbios, file: copy}]\n"),
        (FILE, "credentials: [{name: c, to: WHO, via: fw_cfg, file: copy}]\n"),
        (FILE, "credentials: [{name: c, to: WHO, via: disk, file: copy}]\n"),
        (FILE, "fw_cfg: [{name: opt/org.example/c, to: WHO, file: copy}]\n"),
        (FILE, "pseudo: [{definition: /d f 400 0 0 cat copy, to: WHO}]\n"),
        (FILE, "pseudo: [{definition: /d l copy, to: WHO}]\n"),
        (FILE, "pseudo_files: [{file: definitions, to: WHO}]\n"),
        // Only one of the two entries is shared.
        ("  - {path: /p, to: WHO, file: password}\n", "  - {path: /p, to: WHO, file: copy}\n"),
        (LARGE, "  - {path: /p, to: WHO, file: large-copy}\n"),
    ] {
        let host = host(one, two);
        let checked = host.run("fleet check fleet.yaml");
        assert_done(&checked);
        let built = build(&host, &[]);
        let told = stderr(&built);
        assert_eq!(built.status.code(), Some(5), "{two}{told}");
        assert!(told.contains(": the value is also that of "), "{two}{told}");
        assert!(told.contains("--allow-equal"), "{two}{told}");
        assert!(!told.contains("horse"), "{two}{told}");
        assert_eq!(images(&host).len(), 1, "{two}{told}");

        let built = build(&host, &["--allow-equal"]);
        assert_done(&built);
        assert!(stderr(&built).contains(": the value is also that of "), "{two}{}", stderr(&built));
        assert_eq!(images(&host).len(), 2, "{two}");
    }
}

#[test]
fn what_is_equal_by_nature_is_nobody_s_secret() {
    for (one, two) in [
        // Fewer than eight bytes.
        ("  - {path: /p, to: WHO, file: short}\n", "  - {path: /p, to: WHO, file: short-copy}\n"),
        ("  - {path: /p, to: WHO, file: empty}\n", "  - {path: /p, to: WHO, file: empty-copy}\n"),
        ("  - {path: /p, to: WHO, file: ca.pem}\n", "  - {path: /p, to: WHO, file: ca-copy.pem}\n"),
        // One machine may have it twice.
        (FILE, "  - {path: /q, to: chimera, file: copy}\n"),
        ("  - {path: /p, symlink: copy}\n", ""),
        (
            "  - {path: /p, to: all, file: password, shared: true}\n",
            "  - {path: /q, to: WHO, file: copy}\n",
        ),
    ] {
        let host = host(one, two);
        let built = build(&host, &[]);
        assert_done(&built);
        assert!(!stderr(&built).contains("the value is also"), "{two}{}", stderr(&built));
        assert_eq!(images(&host).len(), 2, "{two}");
    }
}

/// A machine's values from an earlier run do not count as another machine's.
#[test]
fn a_second_run_finds_nothing_new() {
    let host = host(FILE, "  - {path: /p, to: WHO, text: another one}\n");
    for options in [&[][..], &["--if-changed"], &["--only", "medusa"], &["--verify"]] {
        assert_done(&build(&host, options));
    }
}
