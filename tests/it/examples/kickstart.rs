//! The seed for kickstart, which pykickstart judges: it is what Anaconda reads the file with.

use super::*;

fn validate(host: &Host, version: &str) -> std::process::Output {
    let linters = linters();
    let mut python = host.command("python3");
    python.env("PYTHONPATH", &linters).arg(linters.join("bin/ksvalidator"));
    python.args(["-e", "-v", version, "ks.cfg"]).output().unwrap()
}

#[test]
fn the_kickstart_file_is_one_of_each_release() {
    let host = copy("kickstart-seed");
    for version in ["RHEL8", "RHEL9", "RHEL10", "F43"] {
        assert_done(&validate(&host, version));
    }
    let text = String::from_utf8(host.read("ks.cfg")).unwrap();
    host.write("ks.cfg", text.replace("rootpw --lock", "rootpw --lok"));
    assert_eq!(validate(&host, "RHEL9").status.code(), Some(1));
}

/// Linux sees the names that the file and Anaconda use, without Joliet.
#[test]
fn the_seed_has_the_label_and_the_names() {
    let host = copy("kickstart-seed");
    host.private("ssh_host_ed25519_key", "key");
    let output = host.run("build seed.yaml -o seed.iso");
    assert_done(&output);
    assert_eq!(stderr(&output), "wrote seed.iso: iso9660, label OEMDRV, 2 files, 48 KiB\n");
    let text = String::from_utf8(host.read("ks.cfg")).unwrap();
    let listed = stdout(&host.run("ls seed.iso"));
    for name in ["ssh_host_ed25519_key", "ks.cfg"] {
        assert!(listed.contains(name), "{listed}");
    }
    assert!(text.contains("LABEL=OEMDRV") && text.contains("/tmp/seed/ssh_host_ed25519_key"));
}
