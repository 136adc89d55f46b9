//! What `--verbose` tells.

use super::*;

/// The lines that are told, without how long each step took.
fn told(output: &Output) -> Vec<String> {
    let said = stderr(output);
    let lines = said.lines().filter_map(|line| line.strip_prefix("credimg: info: "));
    lines.map(|line| line.split(", in ").next().unwrap().to_owned()).collect()
}

#[test]
fn each_step_of_a_build_is_told_and_no_value() {
    let manifest = format!(
        "label: CHIMERA\nmount: /run/chimera\n\
         files:\n- {{path: /text, text: {CANARY}}}\n- {{path: /file, file: key}}\n\
         - {{path: /shell, shell: 'echo {CANARY}'}}\n- {{path: /env, env: CREDIMG_TEST_KEY}}\n\
         credentials:\n- {{name: token, command: [echo, {CANARY}]}}\n"
    );
    let host = Host::new(&manifest);
    host.write("key", CANARY);
    let arguments = ["build", "secrets.yaml", "-o", "out.erofs", "--verify", "--jobs", "1"];
    let build = |verbose: &[&str]| {
        let mut command = host.credimg();
        command.args(arguments).args(verbose).env("CREDIMG_TEST_KEY", CANARY).output().unwrap()
    };
    let output = build(&["-v"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!stderr(&output).contains(CANARY), "{}", stderr(&output));
    let size = fs::metadata(host.path("out.erofs")).unwrap().len();
    assert_eq!(
        told(&output),
        [
            "read the manifest secrets.yaml: entries 4, credentials and items 1",
            "the format is erofs, by the image's name",
            "the image has label CHIMERA, is not encrypted, and goes to qemu with the serial \
             chimera",
            "/text: inline",
            "/file: file key",
            "/shell: shell",
            "ran the shell command for /shell",
            "/env: env CREDIMG_TEST_KEY",
            "/credstore/token: command",
            "ran echo for /credstore/token",
            "read all sources: 5 inodes, 93 bytes of content",
            "the credential token goes by smbios: it fits an OEM string",
            &format!("wrote the image: {size} bytes"),
            "read the image back: it holds what it was made of",
            "put out.erofs in place, on the disk",
        ]
    );
    assert_eq!(told(&build(&[])), [""; 0]);
}

#[test]
fn other_commands_tell_their_steps_as_well() {
    let host = Host::new("files: [{path: /a, text: hello}]\n");
    host.build(&[]);
    fs::copy(host.path("out.erofs"), host.path("new.erofs")).unwrap();
    fs::create_dir(host.path("scripts")).unwrap();
    host.write("scripts/run.sh", "true\n");
    let opened = "opened out.erofs: erofs, 4096 bytes";
    for (words, expected) in [
        ("verify out.erofs", &[opened, "checked every record of out.erofs"][..]),
        (
            "diff out.erofs new.erofs",
            &[opened, "opened new.erofs: erofs, 4096 bytes", "compared out.erofs with new.erofs"],
        ),
        ("extract out.erofs to", &[opened, "extracted from out.erofs"]),
        ("audit scripts", &["looked at 1 files, passed over 0"]),
    ] {
        let output = host.run(&format!("{words} -v"));
        assert_eq!(output.status.code(), Some(0), "{words}: {}", stderr(&output));
        assert_eq!(told(&output), expected, "{words}");
    }
}

#[test]
fn a_command_is_not_both_verbose_and_quiet() {
    let host = Host::new("files: []\n");
    for words in [
        "-v build secrets.yaml -o a.erofs -q",
        "fleet build -v secrets.yaml -o {machine} -q",
        "verify a.erofs --quiet --verbose",
    ] {
        let output = host.run(words);
        assert_eq!(output.status.code(), Some(2), "{words}");
        let expected = "credimg: error: --verbose and --quiet ask for opposite things\n\
                        credimg: hint: leave one of them out\n";
        assert_eq!(stderr(&output), expected, "{words}");
    }
    assert!(!host.path("a.erofs").exists());
}
