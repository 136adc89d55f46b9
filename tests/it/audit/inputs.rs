//! Where the program reads from: standard input, processes and directories; and the
//! comments that let a finding pass.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{credimg, texts};

#[test]
fn standard_input_and_a_real_process_are_read() {
    let mut child = credimg(&["-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"sshpass -pletmein ssh host\n").unwrap();
    let (stdout, _) = texts(&child.wait_with_output().unwrap());
    assert!(stdout.starts_with("standard input:1:11: sshpass: "), "{stdout}");
}

/// A shell that waits for its input, under another name and with words that a shell
/// does not look at.
fn process(name: &str, words: &[&str]) -> Child {
    let mut process = Command::new("sh")
        .arg0(name)
        .args(["-c", "echo started; read -r _", "sh"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdout.as_mut().unwrap().read_exact(&mut [0; 8]).unwrap();
    process
}

fn end(mut process: Child) {
    drop(process.stdin.take());
    process.wait().unwrap();
}

#[test]
fn running_processes_are_looked_at() {
    let leak = ["-object", "secret,id=s,data=letmein"];
    let monitor = process("/usr/bin/qemu-system-x86_64", &leak);
    let starter = process("sudo", &["qemu-system-aarch64", "-object", "secret,id=s,data=letmein"]);
    let other = process("sh", &leak);
    let path = |process: &Child| format!("/proc/{}/cmdline", process.id());

    let output = credimg(&[&path(&other)]).output().unwrap();
    let (stdout, _) = texts(&output);
    assert!(stdout.starts_with(&format!("{}:6:18: secret-data: ", path(&other))), "{stdout}");

    // Monitors of others may run on this host as well.
    let output = credimg(&["--running"]).output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(stdout.contains(&format!("{}:6:18: secret-data: ", path(&monitor))), "{stdout}");
    assert!(stdout.contains(&format!("{}:7:18: secret-data: ", path(&starter))), "{stdout}");
    assert!(!stdout.contains(&path(&other)), "{stdout}");
    assert!(!stdout.contains("letmein") && !stderr.contains("letmein"), "{stdout}{stderr}");

    let ids = [&monitor, &other].map(|process| process.id().to_string());
    let output =
        credimg(&["--json", "--pid", &ids[0], &ids[1], "--pid", &ids[0]]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["files"], 3);
    let files: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["file"].as_str().unwrap())
        .collect();
    assert_eq!(files, [path(&monitor), path(&other), path(&monitor)]);
    for process in [monitor, starter, other] {
        end(process);
    }

    let output = credimg(&["--pid", "1", "start-vm.sh"]).output().unwrap();
    let expected = "expected the number of a process; files stand in front of --pid";
    assert_eq!((output.status.code(), texts(&output).1.contains(expected)), (Some(2), true));
    let output = credimg(&["--pid", "4194305"]).output().unwrap();
    let expected = "credimg: error: no process has the id 4194305\n";
    assert_eq!((texts(&output).1.as_str(), output.status.code()), (expected, Some(4)));
    assert_eq!(credimg(&[]).output().unwrap().status.code(), Some(2));
}

#[test]
fn directories_are_walked_and_comments_counted() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let leak = "sshpass -p letmein ssh host\n";
    let write = |path: &str, text: &[u8]| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("outside/leak.sh", leak.as_bytes());
    for path in ["vms/b/z.sh", "vms/b/a.sh", "vms/c.sh", "vms/a.sh", "vms/.hidden/x"] {
        write(path, leak.as_bytes());
    }
    write("vms/disk.img", &[b"sshpass -p letmein\n\x7fELF\x02\x01", &[0; 64][..]].concat());
    write("vms/qemu.cmdline", b"sshpass\0-p\0letmein\0");
    write("vms/d.sh", format!("# credimg: ignore -- a test\n{leak}{leak}").as_bytes());
    symlink(root.join("outside"), root.join("vms/link")).unwrap();
    symlink(root.join("outside/leak.sh"), root.join("vms/link.sh")).unwrap();
    symlink(root.join("vms"), root.join("vms/loop")).unwrap();
    mknodat(CWD, root.join("vms/fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    symlink("vms", root.join("top")).unwrap();

    for top in ["vms", "top"] {
        let output = credimg(&["--json", top]).current_dir(root).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = |finding: &serde_json::Value| {
            format!("{}:{}", finding["file"].as_str().unwrap(), finding["line"])
        };
        let found: Vec<String> = report["findings"].as_array().unwrap().iter().map(found).collect();
        let expected =
            [".hidden/x:1", "a.sh:1", "b/a.sh:1", "b/z.sh:1", "c.sh:1", "d.sh:3", "qemu.cmdline:3"];
        assert_eq!(found, expected.map(|path| format!("{top}/{path}")));
        assert_eq!((&report["files"], &report["ignored"]), (&7.into(), &1.into()));
        assert_eq!(report["skipped"], 1);
        let (_, stderr) = texts(&output);
        assert!(stderr.contains("1 finding ignored, as comments want it"), "{stderr}");
    }

    // What cannot be read, or is too large a text, does not keep the others from it.
    let big = fs::File::create(root.join("vms/0.log")).unwrap();
    (&big).write_all(&vec![b'a'; (16 << 20) + 1]).unwrap();
    let output = credimg(&["vms"]).current_dir(root).output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!((stdout.lines().count(), output.status.code()), (7, Some(5)));
    assert!(stderr.contains("vms/0.log is too large"), "{stderr}");
}

#[test]
fn a_comment_lets_a_finding_pass() {
    let leak = "sshpass -p letmein ssh host";
    let url = "curl https://me:letmein@host/";
    for (text, expected) in [
        (format!("{leak} # credimg: ignore sshpass -- a test"), 0),
        (format!("{leak} # credimg: ignore"), 0),
        (format!("{leak} # credimg: ignore url-password"), 1),
        (format!("{leak} # credimg: ignore url-password sshpass"), 0),
        (format!("# credimg: ignore sshpass\n{leak}\n"), 0),
        (format!("# credimg: ignore sshpass\n# another comment\n{leak}\n"), 0),
        (format!("# credimg: ignore sshpass\n{url}\n"), 1),
        (format!("# credimg: ignore sshpass\n# credimg: ignore url-password\n{leak}; {url}\n"), 0),
        (format!("# credimg: ignore sshpass\n\n{leak}\n"), 1),
        (format!("# credimg: ignore sshpass\ntrue \\\n{leak}\n"), 0),
        (format!("# credimg: ignore sshpass\ntrue\n{leak}\n"), 1),
        (format!("true # credimg: ignore\n{leak}\n"), 1),
        (format!("# credimg: ignored\n{leak}\n"), 1),
        (format!("echo 'credimg: ignore'; {leak}\n"), 1),
        (format!("{leak}; {leak} # credimg: ignore\n"), 0),
        (
            "<a>\n <!-- credimg: ignore display-password -->\n <graphics passwd='letmein'/>\n</a>"
                .to_owned(),
            0,
        ),
        ("<a>\n <graphics passwd='letmein'/> <!-- credimg: ignore -->\n</a>".to_owned(), 0),
        ("[Service]\n; credimg: ignore environment\nEnvironment=TOKEN=letmein\n".to_owned(), 0),
        ("sshpass\0-p\0letmein\0# credimg: ignore\0".to_owned(), 1),
    ] {
        let judgement = credimg::audit::audit(text.as_bytes());
        assert_eq!(judgement.findings.len(), expected, "{text}");
        assert!(judgement.unknown_rules.is_empty(), "{text}");
    }
    let directory = tempfile::tempdir().unwrap();
    // Names that are known count all the same.
    for (rules, code) in [
        (" sshpas -- why", 5),
        (": sshpass", 0),
        (":", 5),
        (" sshpass, url-password", 5),
        ("-all", 5),
    ] {
        let text = format!("true\n{leak} # credimg: ignore{rules}\n");
        fs::write(directory.path().join("a.sh"), text).unwrap();
        let output = credimg(&["a.sh"]).current_dir(directory.path()).output().unwrap();
        let (_, stderr) = texts(&output);
        let warning = "credimg: warning: a.sh:2: the comment holds what is no rule's name\n";
        assert!(stderr.starts_with(warning), "{rules}: {stderr}");
        assert_eq!(output.status.code(), Some(code), "{rules}");
    }
}

/// What was not read is not clean: `hidepid=` of proc(5) keeps other users' arguments away.
#[test]
fn processes_that_are_hidden_are_told() {
    let script = "mount -t proc -o \"$0\" proc /proc && \
                  exec setpriv --reuid 65534 --regid 65534 --clear-groups /proc/self/fd/3 \
                  audit --running 3<\"$1\"";
    for (option, expected) in [("hidepid=1", true), ("hidepid=2", true), ("hidepid=0", false)] {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, option, env!("CARGO_BIN_EXE_credimg")]);
        let output = command.output().unwrap();
        let stderr = texts(&output).1;
        let told = stderr.contains("cannot read the arguments of other users' processes");
        assert_eq!(told, expected, "{option}: {stderr}");
        assert!(!expected || matches!(output.status.code(), Some(4 | 5)), "{option}: {output:?}");
    }
}
