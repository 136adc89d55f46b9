//! What is promised of secrets, of the old image and of reproducible bytes.

use super::*;

#[test]
fn every_kind_of_failure_has_its_exit_code_and_leaves_the_old_image() {
    let entry = |entry: &str| format!("label: CHIMERA\nfiles:\n- {{path: /a, {entry}}}\n");
    let cases = [
        (entry("text: x"), vec!["--serial", "123456789012345678901"], 2, "at most 20"),
        (entry("text: x"), vec!["--mode", "0644"], 5, "not for every user"),
        (entry("txt: x"), vec![], 3, "secrets.yaml:3:14: files[0]: unknown key"),
        (entry("file: missing"), vec![], 4, "files[0] (/a): cannot read missing: no such file"),
        (entry("env: CREDIMG_UNSET"), vec![], 4, "files[0] (/a)"),
        (entry("command: ['false']"), vec![], 6, "files[0] (/a): false exited with status 1"),
        (entry("command: ['true']"), vec![], 6, "printed nothing"),
        (
            entry("command: [sleep, '60']"),
            vec!["--command-timeout", "1"],
            6,
            "sleep did not finish within 1s",
        ),
    ];
    for (manifest, options, code, message) in cases {
        let host = Host::new(&manifest);
        fs::write(host.path("out.erofs"), "old image").unwrap();
        let output = host.build(&options);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{manifest}{said}");
        assert!(said.starts_with("credimg: error: ") && said.contains(message), "{manifest}{said}");
        assert_eq!(stdout(&output), "", "{manifest}");
        assert_eq!(fs::read(host.path("out.erofs")).unwrap(), b"old image", "{manifest}");
        assert!(said.contains("the old image is unchanged") || code < 4 || code == 5, "{said}");
        assert_eq!(host.leftovers(), 0, "{manifest}");
    }
}

#[test]
fn an_image_takes_in_or_destroys_nothing_of_its_own() {
    let cases: [(&str, &[&str], i32, &str); 5] = [
        ("dir: .", &[], 2, "the image would lie in"),
        ("file: out.erofs", &[], 2, "the image would replace the source"),
        ("text: x", &["--json=out.erofs"], 2, "the report would replace the image"),
        ("text: x", &["--json=./secrets.yaml"], 2, "the report would replace the manifest"),
        ("tar: out.erofs", &[], 2, "the image would replace the source"),
    ];
    for (source, options, code, message) in cases {
        let host = Host::new(&format!("files: [{{path: /a, {source}}}]\n"));
        fs::write(host.path("out.erofs"), "old").unwrap();
        let output = host.build(options);
        assert_eq!(output.status.code(), Some(code), "{source}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{source}: {}", stderr(&output));
        assert_eq!(fs::read(host.path("out.erofs")).unwrap(), b"old");
    }
}

/// The only copy of a secret may be what a report with a mistyped name would replace.
#[test]
fn what_is_told_of_a_build_destroys_nothing_that_it_reads() {
    let host = Host::new("files: [{path: /a, file: token}, {path: /b, tar: b.tar}]\n");
    std::os::unix::fs::symlink("token", host.path("link")).unwrap();
    let inputs = [("token", "hunter2"), ("b.tar", "hunter2"), ("a.pf", "/d d 500 0 0\n")];
    for (option, what) in [("--json", "report"), ("--depfile", "dependency file")] {
        for (name, input) in [
            ("token", "source"),
            ("./token", "source"),
            ("link", "source"),
            ("b.tar", "source"),
            ("a.pf", "pseudo file"),
        ] {
            for (name, content) in inputs {
                host.write(name, content);
            }
            let option = format!("{option}={name}");
            for image in ["out.erofs", "-"] {
                if image == "-" && what != "report" {
                    continue;
                }
                let mut build = host.credimg();
                build.args(["build", "secrets.yaml", "--pseudo-file", "a.pf", "--format", "erofs"]);
                let output = build.args(["-o", image, &option]).output().unwrap();
                let expected = format!(
                    "credimg: error: the {what} would replace the {input} {name}\n\
                     credimg: hint: give each a name of its own\n"
                );
                assert_eq!((output.status.code(), stderr(&output)), (Some(2), expected));
                assert_eq!(stdout(&output), "");
                for (name, content) in inputs {
                    assert_eq!(host.read(name), content.as_bytes(), "{option}");
                }
            }
        }
    }
}

#[test]
fn limits_and_signals_of_the_parent_do_no_harm() {
    let host = Host::new("files: [{path: /a, command: [head, -c, '900000', /dev/zero]}]\n");
    let credimg = env!("CARGO_BIN_EXE_credimg");
    for (prefix, code) in [("ulimit -f 8;", 7), ("exec env --ignore-signal=CHLD", 0)] {
        let script = format!("{prefix} {credimg} build secrets.yaml -o out.erofs");
        let output = Command::new("bash").args(["-c", &script]).current_dir(host.path("")).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(code), "{prefix}: {}", stderr(&output));
        assert_eq!(host.leftovers(), 0, "{prefix}");
    }
}

#[test]
fn nothing_shows_a_secret() {
    let manifest = format!(
        "label: CHIMERA\nfiles:\n- {{path: /t, text: {CANARY}}}\n- {{path: /e, env: SECRET}}\n\
         - {{path: /f, file: key}}\n- {{path: /d, dir: tree}}\n- {{path: /c, command: [cat, key]}}\n\
         - {{path: /x, text: y, xattrs: {{user.k: {CANARY}}}}}\n- {{path: /s, symlink: {CANARY}}}\n"
    );
    let failing = [
        format!("- {{path: /bad, command: [sh, -c, exit 3, '{CANARY}']}}\n"),
        format!("- {{path: /bad, shell: 'echo {CANARY} >&2; echo {CANARY}; exit 3'}}\n"),
        format!("- {{path: /bad, text: {CANARY}, mode: {CANARY}}}\n"),
        format!("- {{path: /t, text: {CANARY}}}\n"),
        format!("- {{path: /bad, base64: {CANARY}}}\n"),
        format!("- {{path: /bad, text: \"{CANARY}\n"),
    ];
    // A program is looked for in each of these.
    let directories = std::env::var("PATH").unwrap().split(':').count();
    for end in std::iter::once(String::new()).chain(failing) {
        let host = Host::new(&format!("{manifest}{end}"));
        fs::write(host.path("key"), CANARY).unwrap();
        fs::create_dir(host.path("tree")).unwrap();
        fs::write(host.path("tree/key"), CANARY).unwrap();
        let trace = host.path("trace");
        let output = Command::new("strace")
            .args([
                "-f",
                "-s",
                "65536",
                "-e",
                "trace=execve,openat,rename,renameat,renameat2",
                "-o",
            ])
            .arg(&trace)
            .arg(env!("CARGO_BIN_EXE_credimg"))
            .args(["build", "secrets.yaml", "-o", "out.erofs", "--json"])
            .env("SECRET", CANARY)
            .current_dir(host.path(""))
            .output()
            .expect("strace starts; `make setup` installs it");
        assert_eq!(output.status.success(), end.is_empty(), "{}", stderr(&output));
        assert!(!stdout(&output).contains(CANARY), "{}", stdout(&output));
        assert!(!stderr(&output).contains(CANARY), "{}", stderr(&output));
        // What the manifest itself puts into a command's arguments is the user's own doing.
        let trace = fs::read_to_string(trace).unwrap();
        let leaks = trace.lines().filter(|line| line.contains(CANARY) && !line.contains("execve("));
        assert_eq!(leaks.count(), 0, "{trace}");
        let commands =
            trace.lines().filter(|line| line.contains("execve(") && line.contains(CANARY));
        let own = usize::from(end.contains("command") || end.contains("shell"));
        assert!(commands.count() <= own * directories, "{trace}");
    }
}

#[test]
fn neither_the_program_nor_its_commands_dump_core() {
    let host =
        Host::new("files: [{path: /a, shell: 'cat /proc/$PPID/limits /proc/self/limits'}]\n");
    let output = host
        .credimg()
        .args(["build", "secrets.yaml", "--format=erofs", "-o", "-", "--mtime=0"])
        .output()
        .unwrap();
    let image = String::from_utf8_lossy(&output.stdout);
    let limits: Vec<&str> = image.lines().filter(|line| line.contains("Max core file")).collect();
    assert_eq!(limits.len(), 2, "{}", stderr(&output));
    for limit in limits {
        let words: Vec<&str> = limit.split_whitespace().collect();
        // At one byte the kernel dumps neither into a file nor into a program.
        assert_eq!(words.get(4..6), Some(&["1", "1"][..]), "{limit}");
    }
}

/// As hosts have it whose limits.conf says `* hard core 0`: only root could lift that.
#[test]
fn a_user_who_may_not_dump_core_at_all_can_build() {
    let host = Host::new("files: [{path: /a, text: x}]\n");
    let own = "chmod 0777 . && chmod 0644 secrets.yaml && cp \"$0\" ./program && ulimit -c 0 && \
        exec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all \
        ./program build secrets.yaml -o out.erofs --quiet --args none";
    let mut command = Command::new("sh");
    command.args(["-c", own, env!("CARGO_BIN_EXE_credimg")]).current_dir(host.path(""));
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn the_image_and_its_temporary_are_private_under_every_umask() {
    for umask in ["000", "022", "077", "777"] {
        let host = Host::new("files: [{path: /a, text: x}]\n");
        let trace = host.path("trace");
        let script = format!(
            "umask {umask}; exec strace -f -o {} -e trace=openat,fchmod,chmod,fchmodat,renameat {} \
             build secrets.yaml -o out.erofs",
            trace.display(),
            env!("CARGO_BIN_EXE_credimg")
        );
        let output = Command::new("sh").args(["-c", &script]).current_dir(host.path("")).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let mode = host.path("out.erofs").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "umask {umask}");
        // Created 0600 in the first place, and never anything else until it has its name.
        let trace = fs::read_to_string(&trace).unwrap();
        let created = trace.lines().filter(|line| line.contains("O_TMPFILE")).collect::<Vec<_>>();
        assert!(!created.is_empty() && created.iter().all(|line| line.contains("0600")), "{trace}");
        let changed = trace.lines().filter(|line| line.contains("chmod")).collect::<Vec<_>>();
        assert!(
            !changed.is_empty() && changed.iter().all(|line| line.contains("0600)")),
            "{trace}"
        );
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let names: Vec<String> =
        (0..200).map(|index| format!("file-{}", index * 7919 % 1000)).collect();
    let manifest =
        "label: CHIMERA\nfiles:\n- {path: /t, dir: tree}\n- {path: /c, shell: 'echo x'}\n";
    let mut images = [const { Vec::new() }; 3];
    for (turn, (umask, locale, zone)) in [
        ("022", "C", "UTC"),
        ("077", "C.UTF-8", "Asia/Kathmandu"),
        ("000", "POSIX", "America/Caracas"),
    ]
    .into_iter()
    .enumerate()
    {
        let host = Host::new(manifest);
        fs::create_dir(host.path("tree")).unwrap();
        let mut order = names.clone();
        order.rotate_left(turn * 67);
        if turn == 1 {
            order.reverse();
        }
        for name in &order {
            fs::write(host.path("tree").join(name), name.repeat(50)).unwrap();
        }
        let options = [("erofs", "--uuid", UUID), ("squashfs", "--id", "a"), ("iso", "--id", "a")];
        for ((extension, option, value), images) in options.into_iter().zip(&mut images) {
            let script = format!(
                "umask {umask}; exec {} build secrets.yaml -o out.{extension} {option} {value}",
                env!("CARGO_BIN_EXE_credimg")
            );
            let output = Command::new("sh")
                .args(["-c", &script])
                .envs([("LC_ALL", locale), ("TZ", zone), ("SOURCE_DATE_EPOCH", "1700000000")])
                .current_dir(host.path(""))
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
            images.push(fs::read(host.path(format!("out.{extension}"))).unwrap());
        }
    }
    for images in images {
        assert!(images.windows(2).all(|pair| pair.first() == pair.last()), "the images differ");
    }
}

#[test]
fn uuid_label_and_serial_tell_nothing_of_the_content() {
    // Everything that is told of an image, but its paths: of one content and of another.
    let told = |content: &str, options: &[&str]| {
        let host = Host::new(&format!("label: CHIMERA\nfiles: [{{path: /a, text: {content}}}]\n"));
        let mut build = host.credimg();
        build.args(["build", "secrets.yaml", "-o", "out.erofs", "--json"]).args(options);
        let output = build.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let image = fs::read(host.path("out.erofs")).unwrap();
        // The superblock's UUID and label (erofs_fs.h).
        let (uuid, label) = image.split_at(1024 + 48).1.split_at(16);
        let label = label.split_at(16).0;
        (stdout(&output), uuid.to_vec(), label.to_vec())
    };
    let given = ["--uuid", UUID, "--mtime", "1700000000"];
    assert_eq!(told("hunter2", &given), told("swordfish", &given));
    // Without a given one the UUID is random: the same content gets another.
    let ((_, once, label), (_, again, same)) = (told("hunter2", &[]), told("hunter2", &[]));
    assert_ne!(once, again);
    assert_eq!(label, same);
}

#[test]
fn the_table_of_promises_names_tests_that_are_there() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(package.join("SECURITY.md")).unwrap();
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| ---");
    let rows: Vec<_> =
        text.lines().filter(is_row).filter(|row| !row.contains("proven by")).collect();
    assert_eq!(rows.len(), 56, "rows");
    for row in rows {
        let proof = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<_> = proof.split('`').skip(1).step_by(2).collect();
        let mut files = names.iter().filter(|name| name.contains('/')).peekable();
        assert!(files.peek().is_some(), "no test proves: {row}");
        for file in files {
            assert!(package.join(file).exists(), "{file} is not there: {row}");
        }
    }
}

#[test]
fn an_interrupt_leaves_neither_temporary_nor_command() {
    let host = Host::new(
        "files: [{path: /a, shell: \"cut -d' ' -f5 /proc/$$/stat > pid; sleep 100 & sleep 100\"}]\n",
    );
    fs::write(host.path("out.erofs"), "old image").unwrap();
    // A shell's background jobs, of which the tests may be one, ignore it.
    let mut child = Command::new("env")
        .args(["--default-signal=INT", env!("CARGO_BIN_EXE_credimg")])
        .args(["build", "secrets.yaml", "-o", "out.erofs", "--command-timeout", "90"])
        .current_dir(host.path(""))
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let group = wait_for(|| fs::read_to_string(host.path("pid")).ok()?.trim().parse::<i32>().ok());
    let group = rustix::process::Pid::from_raw(group).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    // Two at once, as `timeout` sends them.
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(2), "{status:?}");
    wait_for(|| rustix::process::test_kill_process_group(group).is_err().then_some(()));
    assert_eq!(fs::read(host.path("out.erofs")).unwrap(), b"old image");
    assert_eq!(host.leftovers(), 0);
}
