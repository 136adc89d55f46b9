//! Files that a build writes besides the image, `--json=FILE` and `--depfile`: private,
//! whole or not there, and never something else than a file.

use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

const OPTIONS: [&str; 2] = ["--json", "--depfile"];

fn build(host: &Host, option: &str, file: &str) -> Output {
    host.build(&[&format!("{option}={file}"), "--quiet", "--args", "none"])
}

#[test]
fn a_report_is_private_and_never_written_through_a_link() {
    let host = Host::new("files: [{path: /a, text: hello}]\n");
    for option in OPTIONS {
        fs::write(host.path("victim"), "mine").unwrap();
        symlink("victim", host.path("report")).unwrap();
        let mut command = Command::new("sh");
        let script = "umask 000; exec \"$0\" build secrets.yaml -o out.erofs --args none \"$1\"";
        command.args(["-c", script, env!("CARGO_BIN_EXE_credimg"), &format!("{option}=report")]);
        let output = command.current_dir(host.path("")).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(fs::read(host.path("victim")).unwrap(), b"mine");
        let found = fs::symlink_metadata(host.path("report")).unwrap();
        assert_eq!((found.is_file(), found.mode() & 0o7777), (true, 0o600), "{option}");
        // A reader who has the old one open keeps it.
        let old = found.ino();
        assert!(build(&host, option, "report").status.success());
        assert_ne!(fs::metadata(host.path("report")).unwrap().ino(), old);
        fs::remove_file(host.path("report")).unwrap();
        assert_eq!(host.leftovers(), 0);
    }
}

#[test]
fn what_is_no_file_is_no_report_and_seen_before_a_command_runs() {
    let host = Host::new("files: [{path: /a, shell: 'touch ran; echo x'}]\n");
    fs::create_dir(host.path("directory")).unwrap();
    assert!(Command::new("mkfifo").arg(host.path("fifo")).status().unwrap().success());
    for (file, what) in [
        ("fifo", "it is a FIFO"),
        ("directory", "it is a directory"),
        ("/dev/full", "it is a device"),
        ("/dev/stdout", "it stands for an open descriptor"),
        ("/dev/fd/1", "it stands for an open descriptor"),
        ("/proc/self/fd/1", "it stands for an open descriptor"),
        ("missing/report", "cannot open the directory missing/: no such file or directory"),
    ] {
        for (option, hint) in [
            ("--json", "`--json` without a file writes it to standard output"),
            ("--depfile", "a dependency file is a regular file"),
        ] {
            let output = build(&host, option, file);
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(7), "{option} {file}: {said}");
            assert!(said.contains(&format!("cannot write {file}: {what}")), "{said}");
            let is_missing = file.starts_with("missing");
            assert_eq!(said.contains(&format!("hint: {hint}\n")), !is_missing, "{said}");
            assert_eq!(said.contains("hint: the directory must exist"), is_missing, "{said}");
            assert!(!host.path("ran").exists() && !host.path("out.erofs").exists(), "{file}");
        }
    }
}

/// A disk that is full for the report alone: the old one stays, and what is said is true.
#[test]
fn a_report_that_fails_leaves_the_old_one_and_the_new_image() {
    let host = Host::new("files: [{path: /a, text: hello}]\n");
    fs::create_dir(host.path("other")).unwrap();
    for option in OPTIONS {
        assert!(build(&host, option, "other/report").status.success());
        let old = fs::read(host.path("other/report")).unwrap();
        let image = fs::metadata(host.path("out.erofs")).unwrap().ino();
        let mut command = Command::new("strace");
        // The image's own rename is the first.
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat"]);
        command.args(["-e", "inject=renameat:error=ENOSPC:when=2", env!("CARGO_BIN_EXE_credimg")]);
        command.args(["build", "secrets.yaml", "-o", "out.erofs", "--quiet"]);
        command.arg(format!("{option}=other/report")).current_dir(host.path(""));
        let output = command.output().expect("strace must be installed");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(7), "{said}");
        assert!(said.contains("cannot replace other/report: no space left on device"), "{said}");
        assert!(said.ends_with("credimg: hint: the new image out.erofs is in place\n"), "{said}");
        assert!(stdout(&output).contains("file=out.erofs"), "{}", stdout(&output));
        assert_eq!(fs::read(host.path("other/report")).unwrap(), old);
        assert_ne!(fs::metadata(host.path("out.erofs")).unwrap().ino(), image);
    }
}
