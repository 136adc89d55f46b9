//! Who may read the image file: `--owner`, `--mode` and `--reader`, judged by id(1) and by
//! the kernel, which lets a user read or not.

use std::os::unix::fs::MetadataExt;

use super::*;

/// What id(1) says of a user.
fn id(option: &str, user: &str) -> u32 {
    let output = Command::new("id").args([option, user]).output().unwrap();
    stdout(&output).trim().parse().unwrap()
}

/// Whether a user of this number, who is in no other group, may read the file, and write it.
fn may(host: &Host, user: u32, group: u32, file: &str) -> (bool, bool) {
    let ids = [format!("--reuid={user}"), format!("--regid={group}")];
    let can = |script: &str| {
        let mut command = Command::new("setpriv");
        command.args(&ids).args(["--clear-groups", "sh", "-c", script, "sh", file]);
        command.current_dir(host.path("")).output().unwrap().status.success()
    };
    (can("cat \"$1\""), can(": >>\"$1\""))
}

fn open_directory(host: &Host) {
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o711)).unwrap();
}

#[test]
fn names_of_this_host_are_what_id_says() {
    let host = Host::new("credentials: [{name: a, text: x}]\n");
    let (uid, gid) = (id("-u", "nobody"), id("-g", "nobody"));
    let daemon = id("-g", "daemon");
    for (owner, expected) in [
        ("nobody".to_owned(), (uid, gid)),
        ("nobody:daemon".to_owned(), (uid, daemon)),
        (format!("nobody:{daemon}"), (uid, daemon)),
        (format!("{uid}:daemon"), (uid, daemon)),
        (uid.to_string(), (uid, gid)),
        ("0".to_owned(), (0, 0)),
        ("4000000:4000001".to_owned(), (4_000_000, 4_000_001)),
    ] {
        let output = host.build(&["--owner", &owner, "--quiet", "--args=none"]);
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{owner}");
        for file in ["out.erofs", "out.erofs.smbios"] {
            let found = fs::metadata(host.path(file)).unwrap();
            assert_eq!((found.uid(), found.gid()), expected, "{owner}, {file}");
            assert_eq!(found.permissions().mode() & 0o7777, 0o600, "{owner}, {file}");
        }
    }
}

#[test]
fn names_that_this_host_does_not_know_are_an_error_before_anything_runs() {
    let host = Host::new("files: [{path: /a, shell: 'touch ran; echo x'}]\n");
    let forms = "--owner: expected USER, USER:GROUP or UID:GID";
    for (option, value, expected) in [
        ("--owner", "no-such-user", "--owner: this host has no user no-such-user"),
        ("--owner", "root:no-such-group", "--owner: this host has no group no-such-group"),
        ("--owner", "4000000", "--owner: this host has no user 4000000"),
        ("--owner", "4294967295:0", "--owner: expected numbers of at most 4294967294"),
        ("--owner", "0:99999999999", "--owner: expected numbers of at most 4294967294"),
        ("--owner", "", forms),
        ("--owner", ":", forms),
        ("--owner", "root:", forms),
        ("--owner", ":root", forms),
        ("--owner", "0:0:0", forms),
        ("--owner", "keep", "--owner: this host has no user keep"),
        ("--owner", "+0:0", "--owner: this host has no user +0"),
        ("--reader", "no-such-user", "--reader: this host has no user no-such-user"),
        ("--reader", "root:root", "--reader: expected USER or UID"),
        ("--reader", "", "--reader: expected USER or UID"),
    ] {
        let output = host.build(&[option, value]);
        let first = format!("credimg: error: {expected}\n");
        let stderr = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{value}: {stderr}");
        assert!(stderr.starts_with(&first), "{value}: {stderr}");
        assert!(!host.path("ran").exists() && !host.path("out.erofs").exists());
    }
}

#[test]
fn a_reader_reads_the_image_and_what_belongs_to_it_and_nobody_else_does() {
    let manifest = "label: A\ncredentials: [{name: a, text: x}]\nencrypt: {luks: 1}\n";
    let host = Host::new(manifest);
    open_directory(&host);
    let nobody = (id("-u", "nobody"), id("-g", "nobody"));
    let daemon = (id("-u", "daemon"), id("-g", "daemon"));
    let bin = (id("-u", "bin"), id("-g", "bin"));
    let read = (true, false);
    let no = (false, false);
    // Options; then what the reader, the owner or group that was named, and a stranger may do.
    for (options, expected) in [
        // Root's file, and the group's to read.
        (&["--reader=daemon"][..], [no, read, no]),
        (&["--reader=nobody", "--mode=0600"], [read, no, no]),
        (&["--reader=nobody", "--owner=daemon"], [read, (true, true), no]),
        (&["--reader=nobody", "--owner=root:daemon", "--mode=0640"], [read, read, no]),
        (&["--reader=nobody", "--owner=root:daemon", "--mode=0400"], [read, no, no]),
        (&["--reader=nobody", "--owner=nobody", "--mode=0400"], [read, no, no]),
        // The owner's bits are the owner's, whatever the list says of others.
        (&["--mode=0400"], [no, no, no]),
    ] {
        let common = ["--key-out=key", "--quiet", "--args=none"];
        let output = host.build(&[&common[..], options].concat());
        assert_eq!(
            (output.status.code(), stderr(&output)),
            (Some(0), String::new()),
            "{options:?}"
        );
        for file in ["out.erofs", "out.erofs.smbios", "key"] {
            let who = [nobody, daemon, bin];
            let found = who.map(|(user, group)| may(&host, user, group, file));
            assert_eq!(found, expected, "{options:?}, {file}");
            assert_eq!(fs::metadata(host.path(file)).unwrap().mode() & 0o007, 0, "{options:?}");
        }
        // The old key is never touched, and would keep its readers.
        fs::remove_file(host.path("key")).unwrap();
    }
}

#[test]
fn an_image_with_another_reader_is_made_anew() {
    let host = Host::new("label: A\ncredentials: [{name: a, text: x}]\n");
    open_directory(&host);
    let changed = |options: &[&str]| {
        let common = ["--if-changed", "--json=report", "--args=none"];
        let output = host.build(&[&common[..], options].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        // What is made is what is printed of, whoever may read it.
        assert!(host.run("args out.erofs").status.success(), "{options:?}");
        let report = fs::read(host.path("report")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        report.get("changed").unwrap().as_bool().unwrap()
    };
    let list = ["--reader=nobody", "--mode=0600"];
    for (options, expected) in [
        (&[][..], true),
        (&[], false),
        (&list, true),
        (&list, false),
        (&["--reader=daemon"], true),
        (&["--reader=daemon"], false),
        (&["--owner=root:daemon", "--mode=0440"], false),
        (&["--reader=bin"], true),
        (&["--reader=daemon", "--mode=0600"], true),
        (&["--reader=daemon", "--mode=0640"], true),
        (&["--reader=daemon", "--mode=0640"], false),
        (&["--reader=nobody", "--owner=nobody"], true),
        // Which is no reader beside the owner.
        (&["--owner=nobody"], false),
        (&[], true),
    ] {
        assert_eq!(changed(options), expected, "{options:?}");
    }
}

#[test]
fn a_file_system_without_access_lists_is_told_of() {
    for manifest in ["label: A\nfiles: []\n", "credentials: [{name: a, text: x}]\n"] {
        let host = Host::new(manifest);
        fs::write(host.path("out.erofs"), "old").unwrap();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-o", "/dev/null", "-e", "inject=fsetxattr:error=EOPNOTSUPP"]);
        strace.arg(env!("CARGO_BIN_EXE_credimg")).args(["build", "secrets.yaml", "--quiet"]);
        strace.args(["-o", "out.erofs", "--label", "A", "--reader", "nobody", "--mode", "0600"]);
        let output = strace.current_dir(host.path("")).output().unwrap();
        let file = if manifest.contains("credentials") { "out.erofs.smbios" } else { "out.erofs" };
        let stderr = stderr(&output);
        assert_eq!(output.status.code(), Some(7), "{stderr}");
        assert!(stderr.contains(&format!("cannot set the owner and mode of {file}: ")), "{stderr}");
        assert!(
            stderr.contains(
                "its file system has no access control lists, as --reader wants: give --owner; \
                 the old image is unchanged"
            ),
            "{stderr}"
        );
        assert_eq!(fs::read(host.path("out.erofs")).unwrap(), b"old");
    }
}

/// Rust's own parser of numbers takes a sign.
#[test]
fn a_mode_of_files_is_octal_digits_alone() {
    let host = Host::new("label: A\nfiles: [{path: /a, text: x}]\n");
    for mode in ["+600", "-600", "0o600", "", "6 0", "8", "1000"] {
        let output = host.build(&["--args=none", &format!("--mode={mode}")]);
        let message = "credimg: error: --mode: expected octal digits, at most 0770\n";
        assert_eq!((output.status.code(), &*stderr(&output)), (Some(2), message), "{mode:?}");
        assert!(!host.path("out.erofs").exists(), "{mode:?}");
    }
}
