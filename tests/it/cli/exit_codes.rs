//! One kind of fault has one exit code, whichever command meets it.

use std::os::unix::fs::PermissionsExt;

use credimg::report::Exit;
use rustix::fs::FileType;

use super::*;

const KEY: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789ABCDEF";

/// What a file is to a command: the commands, with `@` for the file, and each fault with its code.
type Role = (&'static str, &'static [&'static str], &'static [(&'static str, Exit)]);

const ROLES: [Role; 9] = [
    (
        "a manifest",
        &[
            "build @ -o o.erofs -q",
            "exec @ -q -- true",
            "check @",
            "check @ --json",
            "seal @ -o share/b --key-out age -q",
            "guest-unit @",
            "verify i.erofs --manifest @",
        ],
        &[
            ("nope", Exit::Manifest),
            ("dir", Exit::Manifest),
            ("text", Exit::Manifest),
            ("bad.yaml", Exit::Manifest),
            ("text/below", Exit::Manifest),
            // Standard input, which is closed.
            ("-", Exit::Manifest),
        ],
    ),
    (
        "the manifest of a source",
        &[
            "build @ -o o.erofs -q",
            "build @ -o o.iso -q --json",
            "exec @ -q -- true",
            "seal @ -o share/b --key-out age -q",
            "verify i.erofs --manifest @ -q",
        ],
        &[
            ("no-file.yaml", Exit::Source),
            ("directory.yaml", Exit::Source),
            ("no-variable.yaml", Exit::Source),
            ("no-archive.yaml", Exit::Source),
            ("no-command.yaml", Exit::Command),
            ("fails.yaml", Exit::Command),
        ],
    ),
    (
        "a pseudo file",
        &[
            "build m.yaml -o o.erofs -q --pseudo-file @",
            "exec m.yaml -q --pseudo-file @ -- true",
            "check m.yaml --pseudo-file @",
            "seal m.yaml -o share/b --key-out age -q --pseudo-file @",
            "verify i.erofs --manifest m.yaml --pseudo-file @",
        ],
        &[("nope", Exit::Source), ("dir", Exit::Source), ("text", Exit::Manifest)],
    ),
    (
        "an image",
        &[
            "args @",
            "inspect @",
            "ls @",
            "cat @ a",
            "extract @ out",
            "verify @",
            "diff @ i.erofs",
            "diff i.erofs @",
            "dump @",
        ],
        &[
            ("nope", Exit::Image),
            ("dir", Exit::Image),
            ("fifo", Exit::Image),
            ("text", Exit::Image),
            ("text/below", Exit::Image),
        ],
    ),
    (
        "the key of a new image",
        &[
            "build m.yaml -o o.erofs -q --encrypt luks1 --key-file @",
            "build m.yaml -o o.erofs -q --encrypt luks2 --key-file @",
            "exec m.yaml -q --encrypt luks2 --key-file @ -- true",
        ],
        &[
            ("nope", Exit::Source),
            ("dir", Exit::Source),
            ("fifo", Exit::Source),
            ("empty", Exit::Source),
            ("open", Exit::Policy),
        ],
    ),
    (
        "the key of an image",
        &[
            "args l.erofs --key-file @",
            "inspect l.erofs --key-file @",
            "ls l.erofs --key-file @",
            "cat l.erofs a --key-file @",
            "extract l.erofs out --key-file @",
            "verify l.erofs --key-file @",
            "diff l.erofs l.erofs --key-file @",
            "dump l.erofs --key-file @",
        ],
        &[
            ("nope", Exit::Source),
            ("dir", Exit::Source),
            ("fifo", Exit::Source),
            ("empty", Exit::Source),
            ("wrong", Exit::Source),
            ("open", Exit::Policy),
        ],
    ),
    (
        "a master key",
        &[
            "build m.yaml -o o.erofs -q --encrypt luks1 --key-file key --master-key @",
            "args l.erofs --key-file key --master-key @",
            "secret wrap --id a --master-key @",
            "secret unwrap --master-key @",
        ],
        &[
            ("nope", Exit::Source),
            ("dir", Exit::Source),
            ("key", Exit::Source),
            ("open", Exit::Policy),
        ],
    ),
    (
        "an output",
        &[
            "build m.yaml --format erofs -q -o @",
            "build m.yaml -o o.erofs -q --json=@",
            "build m.yaml -o o.erofs -q --depfile @",
            "seal m.yaml --key-out age -q -o @",
            "genkey @",
            "genkey --luks --json @",
        ],
        &[
            ("nope/o", Exit::Output),
            ("dir", Exit::Output),
            ("fifo", Exit::Output),
            ("/dev/full", Exit::Output),
            ("text/below", Exit::Output),
        ],
    ),
    (
        "an option",
        &["@"],
        &[
            ("build m.yaml -o o.erofs --place 17", Exit::Usage),
            ("build m.yaml -o o.erofs --mode 9", Exit::Usage),
            ("seal m.yaml -o share/b --key-out age --mode 9", Exit::Usage),
            ("build m.yaml -o o.erofs --mode 0666", Exit::Policy),
            ("seal m.yaml -o share/b --key-out age --mode 0666", Exit::Policy),
            ("build m.yaml -o o.erofs --owner nobody-there", Exit::Usage),
            ("seal m.yaml -o share/b --key-out age --owner nobody-there", Exit::Usage),
            ("check m.yaml --guest x=1", Exit::Usage),
            ("exec m.yaml --guest x=1 -- true", Exit::Usage),
            ("args i.erofs --serial 123456789012345678901", Exit::Usage),
            ("build m.yaml -o o.erofs --serial 123456789012345678901", Exit::Usage),
            ("inspect i.erofs --key-file key", Exit::Usage),
            ("ls l.erofs", Exit::Usage),
            ("build m.yaml -o - --format erofs --json", Exit::Usage),
            ("seal m.yaml -o - --key-out age --json", Exit::Usage),
            ("genkey - --json", Exit::Usage),
            ("completions tcsh", Exit::Usage),
            // A program that cannot be started is one, be it `exec`'s or the manifest's.
            ("exec m.yaml -- no-such-program", Exit::Command),
            ("exec m.yaml -- ./text", Exit::Command),
            ("exec m.yaml -q -- ./broken", Exit::Command),
        ],
    ),
];

fn host() -> Host {
    let host = Host::empty();
    host.write("m.yaml", "label: CHIMERA\nfiles: [{path: /a, text: x}]\n");
    host.write("bad.yaml", "files: [{path: /a}]\n");
    for (name, source) in [
        ("no-file", "file: nope"),
        ("directory", "file: dir"),
        ("no-variable", "env: CREDIMG_NOPE"),
        ("no-archive", "tar: text"),
        ("no-command", "command: [no-such-program]"),
        ("fails", "shell: 'exit 3'"),
    ] {
        host.write(format!("{name}.yaml"), format!("files: [{{path: /a, {source}}}]\n"));
    }
    host.write("text", "text\n");
    host.write("open", KEY);
    for name in ["dir", "share"] {
        fs::create_dir(host.path(name)).unwrap();
    }
    host.node("fifo", FileType::Fifo);
    host.write("broken", "#!/no/such/interpreter\n");
    fs::set_permissions(host.path("broken"), PermissionsExt::from_mode(0o755)).unwrap();
    for (name, key) in [("key", KEY), ("wrong", &KEY.replace('0', "f")), ("empty", "")] {
        host.private(name, key);
    }
    for build in ["i.erofs", "l.erofs --encrypt luks1 --key-file key"] {
        let output = host.run(&format!("build m.yaml --args none -o {build}"));
        assert!(output.status.success(), "{}", stderr(&output));
    }
    host
}

#[test]
fn a_kind_of_fault_has_one_exit_code_in_every_command() {
    let host = host();
    let mut faults = Vec::new();
    let mut count = 0;
    for (role, commands, expected) in ROLES {
        for (file, exit) in expected {
            for command in commands {
                let arguments = command.replace('@', file);
                let script = format!("exec timeout 20 \"$0\" {arguments} <&-");
                let mut shell = Command::new("sh");
                shell.args(["-c", &script, env!("CARGO_BIN_EXE_credimg")]);
                let output = shell.current_dir(host.path("")).output().unwrap();
                if output.status.code() != Some(*exit as i32) {
                    faults.push(format!(
                        "{role}: {arguments}: expected {}, got {:?}: {}",
                        *exit as i32,
                        output.status.code(),
                        stderr(&output)
                    ));
                }
                count += 1;
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(count, 261);
}

/// What a caller may not read or write has the code of what is not there.
#[test]
fn a_permission_that_is_missing_is_a_file_that_cannot_be_read_or_written() {
    let host = host();
    fs::set_permissions(host.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(host.path("key"), PermissionsExt::from_mode(0o600)).unwrap();
    crate::support::host::copy_program(host.path("credimg"));
    host.private("locked", "label: CHIMERA\nfiles: []\n");
    host.write("source.yaml", "files: [{path: /a, file: locked}]\n");
    for (arguments, exit) in [
        ("check locked", Exit::Manifest),
        ("guest-unit locked", Exit::Manifest),
        ("exec source.yaml -q -- true", Exit::Source),
        ("check m.yaml --pseudo-file locked", Exit::Source),
        ("audit locked", Exit::Source),
        ("inspect locked", Exit::Image),
        ("args locked", Exit::Image),
        ("inspect l.erofs --key-file key", Exit::Image),
        ("exec m.yaml -q --encrypt luks2 --key-file key -- true", Exit::Source),
        ("secret unwrap --master-key key", Exit::Source),
        ("build m.yaml -o o.erofs", Exit::Output),
        ("extract i.erofs dir", Exit::Image),
        ("genkey new", Exit::Output),
        ("man dir", Exit::Output),
    ] {
        let mut nobody = host.command("setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "./credimg"]);
        let output = nobody.args(arguments.split(' ')).output().unwrap();
        assert_eq!(output.status.code(), Some(exit as i32), "{arguments}: {}", stderr(&output));
    }
}
