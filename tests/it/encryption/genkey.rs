//! `credimg genkey`: a private file, made once.

use std::os::unix::fs::symlink;

use rustix::fs::{CWD, Mode, mkfifoat};

use super::*;

#[test]
fn a_key_is_private_under_any_umask() {
    for (options, length, umask) in
        [("", 44, "000"), ("--luks", 64, "022"), ("", 44, "077"), ("--luks", 64, "777")]
    {
        let host = Host::new("");
        let script = format!("umask {umask}; exec \"$0\" genkey new {options}");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_credimg")]).current_dir(host.path(""));
        let output = command.output().unwrap();
        assert_done(&output);
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        assert_eq!(mode(&host, "new"), 0o600, "umask {umask}");
        let key = fs::read_to_string(host.path("new")).unwrap();
        assert_eq!(key.len(), length);
        assert_eq!(entries(&host).len(), 2, "a temporary is left");
        match options {
            "--luks" => assert!(key.bytes().all(|digit| b"0123456789abcdef".contains(&digit))),
            _ => assert!(key.ends_with('=') && !key.contains('\n')),
        }
    }
}

#[test]
fn a_key_on_standard_output_is_the_bytes_of_its_file() {
    let host = Host::new("");
    let keys: Vec<_> = ["genkey - --luks", "genkey -", "genkey - --luks"]
        .map(|arguments| stdout(&run(&host, arguments)))
        .into();
    assert_eq!(keys.iter().map(String::len).collect::<Vec<_>>(), [64, 44, 64]);
    assert_ne!(keys[0], keys[2]);
    assert_eq!(entries(&host).len(), 1);
}

#[test]
fn nothing_is_ever_replaced() {
    let host = Host::new("");
    fs::write(host.path("file"), "x").unwrap();
    fs::write(host.path("empty"), "").unwrap();
    symlink("file", host.path("link")).unwrap();
    symlink("nowhere", host.path("dangling")).unwrap();
    fs::create_dir(host.path("directory")).unwrap();
    mkfifoat(CWD, host.path("fifo"), Mode::RUSR).unwrap();
    let before = entries(&host);
    for options in ["", " --luks"] {
        for name in ["file", "empty", "link", "dangling", "directory", "fifo", "/dev/null"] {
            let output = run(&host, &format!("genkey {name}{options}"));
            let message = format!("{name} is there already: a key is never replaced");
            assert_refused(&output, 7, &message, Some("give the new key another name"));
        }
        let output = run(&host, &format!("genkey missing/key{options}"));
        let message = "cannot write missing/key: cannot open the directory missing/: no such file or directory";
        let hint = "the directory must exist, and be readable and writable";
        assert_refused(&output, 7, message, Some(hint));
        assert!(entries(&host) == before);
    }
}
