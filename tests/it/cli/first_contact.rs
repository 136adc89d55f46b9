//! What somebody is told who takes one kind of file for another.

use super::*;

#[track_caller]
fn assert_told(host: &Host, arguments: &str, code: i32, expected: &str) {
    let output = host.run(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments}");
    assert_eq!(stdout(&output), "", "{arguments}");
    let lines: Vec<_> =
        expected.lines().map(|line| format!("credimg: {}\n", line.trim())).collect();
    assert_eq!(stderr(&output), lines.concat(), "{arguments}");
}

#[test]
fn an_image_is_no_manifest_and_a_manifest_no_image() {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, text: hello}]\n");
    for name in ["a.erofs", "a.sqfs", "a.iso"] {
        let output = host.run(&format!("build secrets.yaml -q -o {name}"));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let expected = format!(
            "error: {name}: an image where the manifest is expected
             hint: `credimg inspect {name}` says what it is, `credimg ls {name}` lists it"
        );
        assert_told(&host, &format!("build {name} -o b.erofs"), 3, &expected);
    }
    let expected = "error: secrets.yaml: not an image: neither a superblock of EROFS or SquashFS \
                    nor a volume of ISO 9660 or LUKS
                    hint: a manifest is looked at by `credimg check`, and built by `credimg build`";
    assert_told(&host, "inspect secrets.yaml", 8, expected);
    assert_told(&host, "ls secrets.yaml", 8, expected);
}

#[test]
fn a_manifest_that_is_not_there_is_shown() {
    let host = Host::empty();
    let expected = "error: missing.yaml: cannot read the manifest: no such file or directory
         hint: a file with the line `files: [{path: /greeting, text: hello}]` is a whole manifest";
    assert_told(&host, "check missing.yaml", 3, expected);
    // So it is.
    host.write("missing.yaml", "files: [{path: /greeting, text: hello}]\n");
    assert_eq!(host.run("check missing.yaml").status.code(), Some(0));

    fs::create_dir(host.path("directory")).unwrap();
    let expected = "error: directory: cannot read the manifest: is a directory
                    hint: name the file itself";
    assert_told(&host, "check directory", 3, expected);
    let expected = "error: directory is a directory
                    hint: name an image in it, as in directory/IMAGE.erofs";
    assert_told(&host, "build missing.yaml -o directory", 2, expected);
}
