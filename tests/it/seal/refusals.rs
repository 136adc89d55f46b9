//! What is refused before anything is read or run: files that the guest would reach,
//! shares that the server cannot carry, manifests that want a disk.

use std::fs;
use std::os::unix::fs::symlink;

use crate::seal::BLOB;
use crate::support::host::{Host, stderr};

/// A host whose build would leave a trace.
fn host() -> Host {
    let host = Host::with_share("files: [{path: /a, shell: 'echo x; touch ran'}]\n");
    for directory in ["share/below", "outside"] {
        fs::create_dir(host.path(directory)).unwrap();
    }
    symlink("../share/below", host.path("outside/link")).unwrap();
    symlink("share", host.path("shared")).unwrap();
    symlink("../share/key", host.path("outside/key")).unwrap();
    host
}

#[track_caller]
fn assert_refused(host: &Host, arguments: &[&str], code: i32, message: &str) {
    let output = host.credimg().arg("seal").args(arguments).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(message), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty());
    assert!(!host.path("ran").exists(), "{arguments:?}");
    assert_eq!(host.temporaries(), [""; 0]);
}

#[test]
fn a_key_in_the_share_is_refused() {
    let host = host();
    let key = host.path("outside/link/key").display().to_string();
    for key in ["share/key", "share/below/key", "outside/link/key", "shared/key", &key] {
        for blob in [BLOB, "shared/chimera.tar.age"] {
            let arguments = ["secrets.yaml", "-o", blob, "--key-out", key];
            assert_refused(&host, &arguments, 5, "where the guest reads and writes");
        }
    }
    // A link whose target lies there, once it is there.
    fs::write(host.path("share/key"), "").unwrap();
    let arguments = ["secrets.yaml", "-o", BLOB, "--key-out", "outside/key"];
    assert_refused(&host, &arguments, 5, "the key file outside/key lies in the share");
    // The share may lie below the key's directory.
    let arguments = ["secrets.yaml", "-o", "share/below/blob", "--key-out", "key"];
    assert!(host.credimg().arg("seal").args(arguments).status().unwrap().success());
}

#[test]
fn what_the_guest_writes_is_never_run() {
    let host = host();
    let manifest = "files: [{path: /a, shell: 'echo x; touch ran'}]\n";
    fs::write(host.path("share/below/secrets.yaml"), manifest).unwrap();
    for manifest in ["share/below/secrets.yaml", "outside/link/secrets.yaml"] {
        let arguments = [manifest, "-o", BLOB, "--key-out", "key"];
        assert_refused(&host, &arguments, 5, "the manifest ");
    }
    fs::write(host.path("share/extra.pf"), "b f 400 0 0 touch ran; echo x\n").unwrap();
    let arguments = ["secrets.yaml", "-o", BLOB, "--key-out", "key"];
    let pseudo = [&arguments[..], &["--pseudo-file", "share/extra.pf"]].concat();
    assert_refused(&host, &pseudo, 5, "the pseudo file share/extra.pf lies in the share");
    fs::write(host.path("secrets.yaml"), "pseudo_files: [share/extra.pf]\n").unwrap();
    assert_refused(&host, &arguments, 5, "the pseudo file share/extra.pf lies in the share");
}

#[test]
fn the_structure_replaces_nothing_else() {
    let host = host();
    fs::copy(host.path("secrets.yaml"), host.path("k.smbios")).unwrap();
    let arguments = ["k.smbios", "-o", BLOB, "--key-out", "k"];
    assert_refused(
        &host,
        &arguments,
        2,
        "the manifest k.smbios has the name of the key's own file",
    );
    fs::create_dir(host.path("d.smbios")).unwrap();
    let arguments = ["secrets.yaml", "-o", BLOB, "--key-out", "d"];
    assert_refused(&host, &arguments, 7, "d.smbios: it is a directory");
}

#[test]
fn directories_that_the_server_cannot_share_are_refused() {
    let host = host();
    for (name, fault) in [
        ("a%U", "holds a percent sign"),
        ("a\nb", "holds control characters"),
        ("a\\", "ends in a backslash"),
        ("a ", "ends in a space"),
        ("a  b", "holds several spaces"),
    ] {
        fs::create_dir(host.path(name)).unwrap();
        let blob = format!("{name}/blob");
        let arguments = ["secrets.yaml", "-o", &blob, "--key-out", "key"];
        assert_refused(&host, &arguments, 2, fault);
        assert!(!host.path("key").exists());
    }
    let arguments = ["secrets.yaml", "-o", "missing/blob", "--key-out", "key"];
    assert_refused(&host, &arguments, 7, "cannot open the directory");
}

#[test]
fn manifests_that_want_a_disk_are_refused() {
    for (manifest, message) in [
        (
            "files: []\ncredentials:\n  - {name: token, text: c4n4ry-5ea1-do-not-show}\n",
            "secrets.yaml:3:5: credentials[0]: credentials go with a disk",
        ),
        ("files: []\nmount: /run/secrets\n", "secrets.yaml: `mount` goes with a disk"),
    ] {
        let host = Host::with_share(manifest);
        let output = host.seal(&[]);
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
    // What is of no use to a share does no harm.
    let host = Host::with_share("label: CHIMERA\nformat: iso9660\nfiles: []\n");
    host.sealed(&[]);
}

#[test]
fn a_socket_is_an_error_that_names_it() {
    let host = Host::with_share("pseudo: ['/run/socket i 600 0 0 s']\n");
    let output = host.seal(&[]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let said = "error: /run/socket: tar has no sockets\n";
    assert!(stderr(&output).contains(said), "{}", stderr(&output));
    assert!(!host.path("key").exists() && !host.path(BLOB).exists());
}

#[test]
fn a_blob_takes_in_nothing_of_its_own() {
    // Whatever lies in the share may be a link of the guest's to a file of the host.
    for source in ["dir: share", "file: share/x", "tar: share/x", "file: link/x"] {
        let host = Host::with_share(&format!("files: [{{path: /a, {source}}}]\n"));
        symlink("share", host.path("link")).unwrap();
        symlink("/etc/hostname", host.path("share/x")).unwrap();
        let output = host.seal(&[]);
        assert_eq!(output.status.code(), Some(5), "{source}: {}", stderr(&output));
        assert!(stderr(&output).contains("lies in the share"), "{}", stderr(&output));
    }
    let host = Host::with_share("files: []\n");
    fs::create_dir(host.path("tree")).unwrap();
    fs::write(host.path("token"), "x").unwrap();
    symlink("key.smbios", host.path("far")).unwrap();
    let news = "the key's own file would replace the source";
    for (make, source, key, message) in [
        (None, "file: key.smbios", "key", format!("{news} key.smbios")),
        (None, "tar: ./tree/../key.smbios", "key", format!("{news} ./tree/../key.smbios")),
        (None, "file: far", "key", format!("{news} far")),
        // A link of this name is replaced as well.
        (Some("../token"), "file: tree/key.smbios", "tree/key", format!("{news} tree/key.smbios")),
        (None, "dir: tree", "tree/key", "the key's own file would lie in tree".to_owned()),
    ] {
        let manifest = format!("files: [{{path: /a, {source}}}]\n");
        fs::write(host.path("secrets.yaml"), manifest).unwrap();
        fs::write(host.path("key.smbios"), "x").unwrap();
        match make {
            Some(target) => symlink(target, host.path("tree/key.smbios")).unwrap(),
            None => drop(fs::remove_file(host.path("tree/key.smbios"))),
        }
        let arguments = ["seal", "secrets.yaml", "-o", BLOB, "--key-out", key];
        let output = host.credimg().args(arguments).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{source}: {said}");
        assert!(said.contains(&format!("files[0] (/a): {message}")), "{said}");
        assert_eq!(fs::read(host.path("key.smbios")).unwrap(), b"x");
        assert!(!host.path(BLOB).exists());
    }
}

#[test]
fn no_refusal_of_a_blob_speaks_of_an_image() {
    let host = Host::with_share("files: [{path: /a, text: hello}]\n");
    fs::create_dir(host.path("share/dir")).unwrap();
    for (output, options, code) in [
        (BLOB, &["--max-size", "1"][..], 4),
        (BLOB, &["--mode", "0644"], 5),
        ("share/dir", &[], 7),
        ("missing/blob", &[], 7),
    ] {
        let mut seal = host.credimg();
        seal.args(["seal", "secrets.yaml", "-o", output, "--key-out", "key"]).args(options);
        let output = seal.output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{options:?}: {said}");
        assert!(!said.contains("image"), "{options:?}: {said}");
    }
}
