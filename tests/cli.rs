//! The program from outside: what it prints, what it leaves, how it ends.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const CANARY: &str = "c4n4ry-7f1e-do-not-show";
const UUID: &str = "12345678-9abc-4def-8012-3456789abcde";

#[test]
fn a_build_prints_its_arguments_and_a_summary() {
    let host =
        Host::new("label: CHIMERA\nfiles:\n- {path: /a/b, text: hello}\n- {path: /c, text: x}\n");
    let output = host.build(&[]);
    assert_eq!(
        stdout(&output),
        "-drive if=none,id=credimg-chimera,file=out.erofs,format=raw,read-only=on \
         -device virtio-blk,drive=credimg-chimera,serial=chimera\n"
    );
    assert_eq!(stderr(&output), "wrote out.erofs: erofs, label CHIMERA, 2 files, 4 KiB\n");
    assert_eq!(output.status.code(), Some(0));

    let quiet = host.build(&["--quiet", "--args", "none"]);
    assert_eq!((stdout(&quiet), stderr(&quiet)), (String::new(), String::new()));
}

#[test]
fn a_terminal_sees_progress_while_a_command_runs() {
    let host = Host::new("files: [{path: /a, shell: 'sleep 1.5; echo x'}]\n");
    let build = format!("{} build secrets.yaml -o out.erofs 2>&1", env!("CARGO_BIN_EXE_credimg"));
    for (command, is_seen) in [(build.clone(), true), (format!("{build} | cat"), false)] {
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).current_dir(host.path(""));
        let seen = stdout(&script.stdin(Stdio::null()).output().unwrap());
        assert_eq!(seen.contains("reading: entry 1 of 1, 0 made so far"), is_seen, "{seen:?}");
        assert!(!seen.contains("of 0 MiB"), "{seen:?}");
        // The summary stands alone on its line, and so does each later one.
        assert_eq!(seen.contains("\u{1b}[Kwrote out.erofs: "), is_seen, "{seen:?}");
    }
}

#[test]
fn the_json_report_is_for_programs() {
    let host =
        Host::new("label: CHIMERA\nfiles: [{path: /a/b, text: hello}, {path: /l, symlink: a}]\n");
    let output = host.build(&["--json", "--uuid", UUID, "--args", "none"]);
    let report: serde_json::Value = serde_json::from_str(&stderr(&output)).unwrap();
    let expected = serde_json::json!({
        "image": "out.erofs", "format": "erofs", "label": "CHIMERA", "uuid": UUID,
        "serial": "chimera", "drive_id": "credimg-chimera", "size_bytes": 4096,
        "files": 1, "directories": 2, "symlinks": 1,
    });
    assert_eq!(report, expected);

    let output = host.build(&["--json=report.json", "--uuid", UUID]);
    assert_eq!(stderr(&output), "");
    let report = fs::read(host.path("report.json")).unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&report).unwrap(), expected);

    for path in ["cafe\u{301}.erofs", "a\nb.erofs", "हिन्दी.erofs", "-"] {
        let arguments = ["build", "secrets.yaml", "--format=erofs", "--json", "-o", path];
        let output = host.credimg().args(arguments).output().unwrap();
        let report: serde_json::Value = serde_json::from_str(&stderr(&output)).unwrap();
        assert_eq!(report.get("image"), Some(&path.into()));
    }
}

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
fn the_owner_option_offers_nothing_that_it_refuses() {
    let host = Host::new("files: []\n");
    for owner in ["root:root", "keep", "0"] {
        let output = host.build(&["--owner", owner]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            stderr(&output),
            "credimg: error: --owner: expected UID:GID as two numbers of at most 4294967294\n\
             credimg: hint: `id -u NAME` and `id -g NAME` tell them\n"
        );
    }
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_a_command_runs() {
    let host = Host::new("files: [{path: /a, shell: 'touch ran; echo x'}]\n");
    fs::create_dir(host.path("out.erofs")).unwrap();
    let output = host.build(&[]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert!(!host.path("ran").exists());
}

#[test]
fn an_image_takes_in_or_destroys_nothing_of_its_own() {
    let cases: [(&str, &[&str], i32, &str); 5] = [
        ("dir: .", &[], 4, "the image would lie in"),
        ("file: out.erofs", &[], 4, "would replace its own source"),
        ("text: x", &["--json=out.erofs"], 2, "the report would replace the image"),
        ("text: x", &["--json=./secrets.yaml"], 2, "the report would replace the manifest"),
        ("tar: out.erofs", &[], 4, "would replace its own source"),
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
        assert!(commands.count() <= own * 10, "{trace}");
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
        assert_eq!(words.get(4..6), Some(&["0", "0"][..]), "{limit}");
    }
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
        let created = trace.lines().filter(|line| line.contains("O_CREAT")).collect::<Vec<_>>();
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
    let mut images = Vec::new();
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
        let script = format!(
            "umask {umask}; exec {} build secrets.yaml -o out.erofs --uuid {UUID}",
            env!("CARGO_BIN_EXE_credimg")
        );
        let output = Command::new("sh")
            .args(["-c", &script])
            .envs([("LC_ALL", locale), ("TZ", zone), ("SOURCE_DATE_EPOCH", "1700000000")])
            .current_dir(host.path(""))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        images.push(fs::read(host.path("out.erofs")).unwrap());
    }
    assert!(images.windows(2).all(|pair| pair.first() == pair.last()), "the images differ");
}

#[test]
fn a_stream_is_the_same_image_and_nothing_else() {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, text: hello}]\n");
    let fixed = ["--uuid", UUID, "--mtime", "5"];
    host.build(&fixed);
    let output = host
        .credimg()
        .args(["build", "secrets.yaml", "-o", "-", "--format", "erofs"])
        .args(fixed)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(output.stdout, fs::read(host.path("out.erofs")).unwrap());
}

#[test]
fn pseudo_definitions_of_the_command_line_are_built_and_checked() {
    let host = Host::new("label: CHIMERA\npseudo: [/a f 400 0 0 echo hello]\n");
    fs::write(host.path("nodes.pf"), "/null c 666 0 0 1 3\n/fifo i 600 0 0 f\n").unwrap();
    fs::write(host.path("more.pf"), "/again L fifo\n").unwrap();
    let files = ["--pseudo-file", "nodes.pf", "--pseudo-file", "more.pf"];
    let allowed = [&files[..], &["--allow-devices"]].concat();
    let output = host.build(&allowed);
    assert_eq!(stderr(&output), "wrote out.erofs: erofs, label CHIMERA, 1 file, 4 KiB\n");

    let check = |options: &[&str]| {
        host.credimg().args(["check", "secrets.yaml"]).args(options).output().unwrap()
    };
    let expected = "PATH    SOURCE    MODE  OWNER\n/a      pseudo f  0400  0:0\n\
                    /null   pseudo c  0666  0:0\n/fifo   pseudo i  0600  0:0\n\
                    /again  pseudo L  -     -\n";
    assert_eq!(stdout(&check(&allowed)), expected);

    let forbidden = [&allowed[..], &["--no-commands"]].concat();
    for (options, message) in [
        (&files[..], "nodes.pf:1 (/null): device nodes are made on request only"),
        (&forbidden[..], "pseudo[0] (/a): runs a command, which --no-commands forbids"),
    ] {
        for output in [host.build(options), check(options)] {
            assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
            assert!(stderr(&output).contains(message), "{}", stderr(&output));
        }
    }

    // An image is no pseudo file, not even one that is given in its place.
    fs::rename(host.path("more.pf"), host.path("out.erofs")).unwrap();
    let output =
        host.build(&["--pseudo-file", "nodes.pf", "--pseudo-file", "out.erofs", "--allow-devices"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("the image would replace its own source"));
    assert_eq!(fs::read(host.path("out.erofs")).unwrap(), b"/again L fifo\n");
}

#[test]
fn a_squashfs_image_is_found_by_its_serial() {
    let host = Host::new(
        "label: CHIMERA\nformat: squashfs\ncompression: zstd:3\n\
         files: [{path: /a, text: hello, owner: '7:8'}]\n",
    );
    let build = |options: &[&str]| {
        host.credimg().args(["build", "secrets.yaml", "-o"]).args(options).output().unwrap()
    };
    let output = build(&["out.img", "--mtime", "5"]);
    assert_eq!(
        stderr(&output),
        "a SquashFS image has no label: the drive's serial stands for it\n\
         wrote out.img: squashfs, /dev/disk/by-id/virtio-chimera, 1 file, 4 KiB\n"
    );
    assert!(stdout(&output).ends_with("serial=chimera\n"), "{}", stdout(&output));
    let listing = Command::new("unsquashfs")
        .args(["-lln", "-UTC"])
        .arg(host.path("out.img"))
        .output()
        .expect("unsquashfs starts; `make setup` installs it");
    let listing = stdout(&listing);
    assert!(
        listing.contains("-r-------- 7/8                       5 1970-01-01 00:00 squashfs-root/a"),
        "{listing}"
    );

    let warned = build(&["out.img", "--uuid", UUID, "--compression", "none"]);
    assert!(stderr(&warned).contains("--uuid has no effect"), "{}", stderr(&warned));
    let streamed = build(&["-"]);
    assert_eq!((streamed.status.code(), streamed.stdout), (Some(2), Vec::new()));
    let compressed = build(&["out.img", "--format", "erofs"]);
    assert_eq!(compressed.status.code(), Some(2), "{}", stderr(&compressed));
}

#[test]
fn check_runs_and_reads_nothing() {
    let host = Host::new(
        "files:\n- {path: /a, shell: 'touch ran; echo x'}\n- {path: /b, dir: missing}\n- {path: /c, env: UNSET}\n",
    );
    let output = host.credimg().args(["check", "secrets.yaml"]).output().unwrap();
    assert_eq!(
        stdout(&output),
        "PATH  SOURCE  MODE       OWNER\n/a    shell   0400       0:0\n\
         /b    dir     0400/0500  0:0\n/c    env     0400       0:0\n"
    );
    assert!(!host.path("ran").exists());
}

#[test]
fn args_tells_the_arguments_of_an_image_that_exists() {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, text: hello}]\n");
    let built = host.build(&["--bus", "nvme"]);
    let args = host.credimg().args(["args", "out.erofs", "--bus", "nvme"]).output().unwrap();
    assert_eq!(stdout(&args), stdout(&built));

    let args = host.credimg().args(["args", "secrets.yaml"]).output().unwrap();
    assert_eq!(args.status.code(), Some(8));
    let expected =
        "credimg: error: secrets.yaml: not an image: no superblock of EROFS or SquashFS\n";
    assert_eq!(stderr(&args), expected);

    // There is no manifest that a hint could speak of.
    let missing = host.credimg().args(["args", "missing.erofs"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(8));
    let expected = "credimg: error: cannot read missing.erofs: no such file or directory\n";
    assert_eq!(stderr(&missing), expected);
    let directory = host.credimg().args(["args", "."]).output().unwrap();
    let expected = "credimg: error: . is a directory, expected a regular file\n";
    assert_eq!(stderr(&directory), expected);
}

#[test]
fn an_interrupt_leaves_neither_temporary_nor_command() {
    let host = Host::new("files: [{path: /a, shell: 'echo $$ > pid; sleep 100 & sleep 100'}]\n");
    fs::write(host.path("out.erofs"), "old image").unwrap();
    let mut child = host
        .credimg()
        .args(["build", "secrets.yaml", "-o", "out.erofs", "--command-timeout", "90"])
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

#[test]
fn completions_and_manual_pages_are_made() {
    let host = Host::new("");
    for shell in ["bash", "zsh", "fish"] {
        let output = host.credimg().args(["completions", shell]).output().unwrap();
        assert!(stdout(&output).contains("credimg"), "{shell}");
    }
    fs::create_dir(host.path("man")).unwrap();
    assert!(host.credimg().args(["man", "man"]).status().unwrap().success());
    for page in ["credimg.1", "credimg-build.1", "credimg-check.1", "credimg-args.1"] {
        assert!(fs::read_to_string(host.path("man").join(page)).unwrap().contains(".TH"), "{page}");
    }
    for command in [&[][..], &["build"], &["check"], &["args"], &["completions"], &["man"]] {
        let output = host.credimg().args(command).arg("--help").output().unwrap();
        assert!(stdout(&output).contains("Example"), "{command:?}");
    }
}

#[test]
fn the_helps_example_starts_no_machine_after_a_failed_build() {
    let host = Host::new("files: [{path: /a, file: missing}]\n");
    let help = stdout(&host.credimg().arg("--help").output().unwrap());
    let example = help.split("Example:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    fs::write(host.path("qemu-system-x86_64"), "#!/bin/sh\necho started\n").unwrap();
    fs::set_permissions(host.path("qemu-system-x86_64"), PermissionsExt::from_mode(0o755)).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_credimg")).parent().unwrap();
    let rest = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{rest}", host.path("").display(), program.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", example]).current_dir(host.path("")).env("PATH", path);
    let output = shell.output().unwrap();
    assert_eq!((stdout(&output), output.status.code()), (String::new(), Some(4)));
}

/// A directory with a manifest, in which the program runs.
struct Host(TempDir);

impl Host {
    fn new(manifest: &str) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        fs::write(host.path("secrets.yaml"), manifest).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn credimg(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.current_dir(self.0.path()).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    fn build(&self, options: &[&str]) -> Output {
        let arguments = ["build", "secrets.yaml", "-o", "out.erofs"];
        self.credimg().args(arguments).args(options).output().unwrap()
    }

    /// How many temporaries there are.
    fn leftovers(&self) -> usize {
        let is_ours = |path: &Path| path.to_string_lossy().contains(".credimg-");
        fs::read_dir(self.0.path())
            .unwrap()
            .filter(|e| is_ours(&e.as_ref().unwrap().path()))
            .count()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Asks until there is an answer; a minute is more than any answer takes.
fn wait_for<T>(ask: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no answer within a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}
