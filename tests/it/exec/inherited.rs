//! Descriptors, arguments and environment of the program that takes the place.

use super::*;

const MANIFEST: &str = r#"
label: CHIMERA
files:
- {path: /token, text: demo}
- {path: /large, file: large}
- {path: /variable, env: CREDIMG_TEST_SECRET}
- {path: /printed, command: [echo, printed]}
credentials:
- {name: by.smbios, text: "first\n", via: smbios}
- {name: by.fw_cfg, base64: AAECAw==, via: fw_cfg}
- {name: by.auto, env: CREDIMG_TEST_OTHER}
"#;

/// Shrink, grow and write, and the seal on the seals (`F_SEAL_*`).
const SEALS: u64 = 1 | 2 | 4 | 8;
/// That nobody makes it a program, which Linux knows from 6.3 on.
const EXEC_SEAL: u64 = 32;

fn host() -> Host {
    let host = Host::new(MANIFEST);
    fs::write(host.path("large"), vec![b'l'; 300_000]).unwrap();
    host
}

/// What the probe tells.
fn probe(command: &mut Command) -> Value {
    command.env("CREDIMG_TEST_SECRET", "hidden").env("CREDIMG_TEST_OTHER", "hidden as well");
    serde_json::from_str(&succeed(command.env("SOURCE_DATE_EPOCH", "1700000000"))).unwrap()
}

/// The arguments as text.
fn arguments(told: &Value) -> Vec<String> {
    let text = |argument: &Value| String::from_utf8(bytes(argument)).unwrap();
    told["arguments"].as_array().unwrap().iter().map(text).collect()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// The descriptor that an argument `…fd=N…` or `…/proc/self/fd/N` names.
fn descriptor<'a>(argument: &'a str, before: &str) -> &'a str {
    let (_, rest) = argument.split_once(before).unwrap();
    rest.split(|character: char| !character.is_ascii_digit()).next().unwrap()
}

/// Exactly three descriptors more than without the program, each as sealed as
/// can be, and each with the bytes that a build writes into files.
#[test]
fn what_is_inherited_is_sealed_and_the_same_as_a_build() {
    for format in ["erofs", "squashfs", "iso9660"] {
        let host = host();
        // The others have no UUID of their own.
        let uuid: &[&str] = if format == "erofs" { &["--uuid", UUID] } else { &[] };
        let options = [&["--format", format], uuid].concat();
        let before = probe(Command::new("python3").arg(PROBE).current_dir(host.path("")));
        let after = probe(&mut host.exec(&[&options[..], &["-q"]].concat(), &["python3", PROBE]));

        let environment = [("SOURCE_DATE_EPOCH", "1700000000"), ("CREDIMG_TEST_SECRET", "hidden")];
        let built = host
            .credimg()
            .args(["build", "secrets.yaml", "-o", "out", "-q"])
            .args(&options)
            .envs(environment)
            .env("CREDIMG_TEST_OTHER", "hidden as well")
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", stderr(&built));

        let arguments = arguments(&after);
        let options: Vec<_> = arguments.iter().step_by(2).collect();
        assert_eq!(options, ["-add-fd", "-drive", "-device", "-smbios", "-fw_cfg"]);
        let values: Vec<_> = arguments.iter().skip(1).step_by(2).collect();
        let [added, file, _, structure, item] = values[..] else { panic!("{arguments:?}") };
        let image = descriptor(added, "fd=");
        let set = descriptor(added, "set=");
        assert_eq!(set.parse::<u32>().unwrap(), 1_000_000_000 + image.parse::<u32>().unwrap());
        assert!(
            file.contains(&format!(",file=/dev/fdset/{set},format=raw,read-only=on")),
            "{file}"
        );
        let path = "file=/proc/self/fd/";
        let passed = [
            (image, "out"),
            (descriptor(structure, path), "out.smbios"),
            (descriptor(item, path), "out.fw_cfg.by.fw_cfg"),
        ];

        let mut descriptors = after["descriptors"].as_object().unwrap().clone();
        for (number, file) in passed {
            let found = descriptors.remove(number).unwrap();
            assert_eq!(found["link"], "/memfd:credimg (deleted)");
            assert_eq!((&found["flags"], &found["mode"]), (&0.into(), &0o444.into()));
            assert_eq!(found["seals"].as_u64().unwrap() & !EXEC_SEAL, SEALS);
            for (change, outcome) in found["changes"].as_object().unwrap() {
                let refused = ["EPERM", "EBADF", "EINVAL"].map(Value::from);
                assert!(refused.contains(outcome), "{change}: {outcome}");
            }
            assert!(bytes(&found["content"]) == fs::read(host.path(file)).unwrap(), "{file}");
        }
        // Python's own descriptor of the directory is closed when it is asked about.
        let before = before["descriptors"].as_object().unwrap();
        assert!(descriptors.keys().eq(before.keys()), "{descriptors:?}\n{before:?}");
    }
}

/// The variables that are sources are not handed on; everything else is.
#[test]
fn the_environment_is_the_callers_without_the_secrets() {
    let host = host();
    let before = probe(Command::new("python3").arg(PROBE).current_dir(host.path("")));
    let after = probe(&mut host.exec(&[], &["python3", PROBE]));
    let mut expected = before["environment"].as_object().unwrap().clone();
    for variable in ["CREDIMG_TEST_SECRET", "CREDIMG_TEST_OTHER"] {
        assert!(expected.remove(variable).is_some());
    }
    let found = after["environment"].as_object().unwrap();
    assert_eq!(found, &expected);
}

#[test]
fn the_program_is_the_same_process_and_its_end_is_its_own() {
    let host = Host::new("files: [{path: /a, text: x}]\n");
    let child = host.exec(&[], &["python3", PROBE]).stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["pid"], pid);

    let code = run(&mut host.exec(&[], &["sh", "-c", "exit 37"])).status.code();
    assert_eq!(code, Some(37));
    let signal = run(&mut host.exec(&[], &["sh", "-c", "kill -KILL $$"])).status.signal();
    assert_eq!(signal, Some(Signal::KILL.as_raw()));
}

/// The program's name is what was typed, wherever it was found.
#[test]
fn the_program_sees_the_name_that_was_typed() {
    let host = Host::new("files: [{path: /a, text: x}]\n");
    for (name, directory) in [("sh", "/"), ("./sh", "/bin"), ("/bin/sh", "/"), ("bin/sh", "/")] {
        let mut command = host.credimg();
        let script = "tr '\\0' '\\n' </proc/$$/cmdline";
        command.arg("exec").arg(host.path("secrets.yaml")).args(["--", name, "-c", script]);
        let told = succeed(command.current_dir(directory));
        assert_eq!(told.lines().next(), Some(name));
    }
    // An empty item of PATH is the working directory.
    fs::copy("/bin/echo", host.path("own-echo")).unwrap();
    let told = succeed(host.exec(&["-q"], &["own-echo", "{image}"]).env("PATH", "/nowhere::"));
    assert!(told.starts_with("/proc/self/fd/"), "{told}");
}

/// Words reach the program byte for byte: no shell, no encoding.
#[test]
fn words_arrive_byte_for_byte() {
    let host = Host::new("files: [{path: /a, text: x}]\n");
    let words: [&[u8]; 12] = [
        b"",
        b" ",
        b"a b",
        b"new\nline\n",
        b"\xff\xfe",
        b"it's \"$HOME\" `id` \\",
        b"{",
        b"{ }",
        b"a{}b",
        b"{image",
        b"--",
        b"--quiet",
    ];
    let program: Vec<_> = ["python3", PROBE]
        .map(str::as_bytes)
        .into_iter()
        .chain(words)
        .map(OsStr::from_bytes)
        .collect();
    let told = probe(&mut host.exec(&[], &program));
    let found: Vec<_> = told["arguments"].as_array().unwrap().iter().map(bytes).collect();
    let (own, attached) = found.split_at(words.len());
    assert_eq!(own, words);
    assert_eq!(attached.len(), 6, "{attached:?}");
}

#[test]
fn arguments_stand_where_they_are_wanted() {
    let host = host();
    let told = |words: &[&str], options: &[&str]| {
        let program = [&["python3", PROBE], words].concat();
        arguments(&probe(&mut host.exec(options, &program)))
    };
    let at_end = told(&["-m", "16"], &[]);
    assert_eq!(at_end[..3], ["-m", "16", "-add-fd"]);
    let inside = told(&["-m", "{}", "16"], &[]);
    assert_eq!((&*inside[0], &*inside[1], &*inside[inside.len() - 1]), ("-m", "-add-fd", "16"));
    assert_eq!(inside.len(), at_end.len());
    // Where the image has its place, the rest is the firmware's.
    let both = told(&["path={image},ro", "{}", "{image}{image}"], &[]);
    let path = both[0].strip_prefix("path=").unwrap().strip_suffix(",ro").unwrap();
    assert!(path.starts_with("/proc/self/fd/"), "{path}");
    assert_eq!(both[5], format!("{path}{path}"));
    assert_eq!((&*both[1], &*both[3], both.len()), ("-smbios", "-fw_cfg", 6));
}

/// Other monitors get a path that leads to the image in their own process.
#[test]
fn other_monitors_find_the_image_by_its_path() {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, text: x}]\n");
    for (target, expected) in [
        ("cloud-hypervisor", ["--disk", "path=@,readonly=on,serial=chimera,image_type=raw"]),
        ("crosvm", ["--block", "path=@,ro,id=chimera"]),
    ] {
        let told = probe(&mut host.exec(&["--target", target], &["python3", PROBE]));
        let arguments = arguments(&told);
        let path = format!("/proc/self/fd/{}", descriptor(&arguments[1], "/proc/self/fd/"));
        assert_eq!(arguments, expected.map(|word| word.replace('@', &path)), "{target}");
        let content = bytes(&told["descriptors"][descriptor(&path, "fd/")]["content"]);
        assert_eq!(content.get(1024..1028), Some(&0xe0f5_e1e2_u32.to_le_bytes()[..]));
    }
    // Public credentials are arguments there, for which `{image}` alone leaves no room.
    let host = Host::new("label: CHIMERA\nmount: /run/s\nfiles: [{path: /a, text: x}]\n");
    let options = ["--target", "cloud-hypervisor"];
    let told = probe(&mut host.exec(&options, &["python3", PROBE, "{image}", "{}"]));
    let arguments = arguments(&told);
    assert_eq!(arguments[1], "--platform");
    assert_eq!(arguments.len(), 3);
}

/// A user without any right builds, and a monitor that has become one reads.
#[test]
fn no_right_is_needed_to_build_nor_to_read_what_is_inherited() {
    let host = Host::new("files: [{path: /a, text: x}]\n");
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let read =
        ["sh", "-c", "id -u; head -c 1028 \"$1\" | tail -c 4 | od -An -tx1", "sh", "{image}"];
    let expected = "65534\n e2 e1 f5 e0\n";
    assert_eq!(succeed(&mut host.exec(&[], &[&nobody[..], &read].concat())), expected);

    // Who has no right may not look into the directories of tests.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("credimg");
    crate::support::host::copy_program(&program);
    let mut command = Command::new(nobody[0]);
    command.args(&nobody[1..]).arg(program).args(["exec", "-", "--"]).args(read);
    command.stdin(fs::File::open(host.path("secrets.yaml")).unwrap());
    let output = command.output().unwrap();
    assert_eq!(stdout(&output), expected, "{}", stderr(&output));
}
