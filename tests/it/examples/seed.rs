//! The Debian cloud image: cloud-init's own schema judges its user-data. In `boots::cloud_init`
//! a guest takes the seed.

use super::*;

#[test]
fn cloud_init_knows_every_key_of_the_user_data() {
    let host = copy("debian-cloud-image");
    assert_eq!(judged(&host), (true, "Valid cloud-config: user-data\n".to_owned()));
    let text = String::from_utf8(host.read("user-data")).unwrap();
    host.write("user-data", text.replace("permissions:", "permission:"));
    assert!(!judged(&host).0);

    // The schema takes any word at the top: each has to be one that it tells of.
    let schema = cloud_init().join("usr/lib/python3/dist-packages/cloudinit/config/schemas");
    let schema = fs::read_to_string(schema.join("schema-cloud-config-v1.json")).unwrap();
    let is_top = |line: &&str| line.starts_with(|letter: char| letter.is_ascii_alphabetic());
    let keys: Vec<_> =
        text.lines().filter(is_top).filter_map(|line| line.split(':').next()).collect();
    assert_eq!(keys, ["ssh_pwauth", "write_files", "runcmd"]);
    for key in keys {
        assert!(schema.contains(&format!("\"{key}\": {{")), "{key}");
    }
}

/// cloud-init with its Python, as `scripts/setup-tools` unpacked it.
fn cloud_init() -> PathBuf {
    let tree = crate::support::cache().join("cloud-init").canonicalize();
    tree.expect("cloud-init is unpacked; `make setup` does that")
}

fn judged(host: &Host) -> (bool, String) {
    let tree = cloud_init();
    let libraries = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"]
        .map(|path| tree.join(path).display().to_string());
    let output = host
        .command(tree.join("lib64/ld-linux-x86-64.so.2"))
        .env("PYTHONHOME", tree.join("usr"))
        .arg("--library-path")
        .arg(libraries.join(":"))
        .arg(tree.join("usr/bin/python3"))
        .arg(tree.join("usr/bin/cloud-init"))
        .args(["schema", "--config-file", "user-data"])
        .output()
        .unwrap();
    (output.status.success(), stdout(&output))
}

/// The credentials go where the README says: one by the firmware, one on the disk.
#[test]
fn the_secrets_are_beside_the_seed() {
    let host = copy("debian-cloud-image");
    host.private("api.token", "demo-token\n");
    host.private("api.key", "demo-key\n");
    let output =
        host.run("build secrets.yaml --place 2 --guest os=debian-13 --strict -o chimera.erofs");
    assert_done(&output);
    assert!(stdout(&output).contains("-smbios file=chimera.erofs.smbios"), "{output:?}");
    assert_eq!(host.run("cat chimera.erofs /credstore/api.key").stdout, b"demo-key\n");
}
