//! `--key-out`: a key that is made once, kept for ever, and used by every build.

use super::*;

const BUILD: &str = "build secrets.yaml -o out.erofs --args none --quiet --key-out new --encrypt";

#[test]
fn a_key_is_made_once_and_then_used() {
    for (version, umask) in [("luks1", "000"), ("luks2", "022"), ("luks2", "077")] {
        let host = host(MANIFEST);
        let script = format!("umask {umask}; exec \"$0\" {BUILD} {version}");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_credimg")]).current_dir(host.path(""));
        assert_done(&command.output().unwrap());
        assert_eq!((mode(&host, "new"), mode(&host, "out.erofs")), (0o600, 0o600), "{umask}");
        let key = fs::read_to_string(host.path("new")).unwrap();
        assert!(key.len() == 64 && key.bytes().all(|digit| digit.is_ascii_hexdigit()), "{umask}");
        let image = fs::read(host.path("out.erofs")).unwrap();
        assert!(open(&image, &key).is_some());

        let before = entries(&host)["new"].clone();
        assert_done(&run(&host, &format!("{BUILD} {version}")));
        assert!(entries(&host)["new"] == before, "the key was made again");
        let again = fs::read(host.path("out.erofs")).unwrap();
        assert!(again != image && open(&again, &key).is_some());
        assert!(entries(&host).keys().all(|name| !name.contains(".credimg-")));
    }
}

/// The option comes before what the manifest says, and `generate` alone has no place.
#[test]
fn a_generated_key_of_the_manifest_goes_to_key_out() {
    let manifest = format!("{MANIFEST}encrypt: {{luks: 2, key: generate}}\n");
    let host = host(&manifest);
    let output = run(&host, "build secrets.yaml -o out.erofs");
    let hint = "name a file for it with --key-out, best on another disk than the image";
    assert_refused(&output, 2, "the generated key has no place to stay", Some(hint));
    assert!(!host.path("out.erofs").exists());
    assert_done(&run(&host, "build secrets.yaml -o out.erofs --key-out new"));
    let key = fs::read_to_string(host.path("new")).unwrap();
    assert!(open(&fs::read(host.path("out.erofs")).unwrap(), &key).is_some());
}

#[test]
fn parallel_builds_agree_on_one_key() {
    const BUILDS: usize = 20;
    let host = host(MANIFEST);
    let build = |index: usize| {
        let mut command = host.credimg();
        command.args(["build", "secrets.yaml", "--encrypt", "luks1", "--key-out", "new"]);
        command.args(["-o", &format!("{index}.erofs"), "--args", "none"]);
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..BUILDS).map(build).collect();
    for child in children {
        assert_done(&child.wait_with_output().unwrap());
    }
    let key = fs::read_to_string(host.path("new")).unwrap();
    assert_eq!(key.len(), 64);
    for index in 0..BUILDS {
        let image = fs::read(host.path(format!("{index}.erofs"))).unwrap();
        assert!(open(&image, &key).is_some(), "image {index} has another key");
    }
    // Manifest, key, master key and the new key; nothing is left of those who lost.
    assert_eq!(entries(&host).len(), BUILDS + 4);
}

#[test]
fn a_key_that_cannot_be_made_is_an_error_and_no_image_is() {
    let host = host(MANIFEST);
    let output = run(&host, "build secrets.yaml -o out.erofs --encrypt luks2 --key-out no/new");
    let message = "cannot write no/new: cannot open the directory no/: no such file or directory";
    let hint = "the directory must exist, and be readable and writable";
    assert_refused(&output, 7, message, Some(hint));
    assert_eq!(entries(&host).len(), 3);
}
