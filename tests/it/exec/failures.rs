//! What cannot be: the program is never started, and no source is read in vain.

use super::*;

/// A program that leaves a trace.
const STARTED: [&str; 3] = ["sh", "-c", "touch started"];

/// Runs it, which must fail with `code`, before any program was started. Returns
/// what it said.
fn refused(host: &Host, options: &[&str], program: &[&str], code: i32) -> String {
    let output = run(&mut host.exec(options, program));
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{options:?} {program:?}: {said}");
    assert_eq!(stdout(&output), "");
    assert!(!host.path("started").exists(), "{options:?} {program:?}: {said}");
    said
}

/// Whatever the command line has wrong is told before a source is read.
#[test]
fn a_wrong_command_line_runs_nothing() {
    let manifest = "files: [{path: /a, shell: 'touch read; echo x'}]\n\
                    credentials: [{name: c, shell: 'touch read; echo x'}]\n";
    let host = Host::new(manifest);
    fs::write(host.path("plain"), "#!/bin/sh\n").unwrap();
    let cases: [(&[&str], &[&str], &str); 19] = [
        (&[], &["no-such-program", "x"], "cannot start no-such-program: there is no such file"),
        (&[], &["./no-such-program"], "cannot start ./no-such-program: there is no such file"),
        (&[], &[""], "cannot start : there is no such file"),
        (&[], &["{}"], "cannot start {}: there is no such file"),
        (&[], &["./plain"], "cannot start ./plain: it is no file that may be executed"),
        (&[], &["/"], "cannot start /: it is no file that may be executed"),
        (&[], &["touch", "started", "{}", "{}"], "{} can be there once"),
        (&[], &["touch", "started", "{image}"], "{image} attaches the disk alone"),
        (
            &["--encrypt", "luks1"],
            &["touch", "started", "{}", "{image}"],
            "{image} attaches the image as it is, and QEMU is to open this one",
        ),
        (
            &["--encrypt", "luks2", "--target", "crosvm"],
            &STARTED,
            "the key would be in this process alone, and does not reach the guest",
        ),
        (&["--args", "readconfig"], &STARTED, "arguments of --args shell and blockdev only"),
        (&["--args", "lines"], &STARTED, "arguments of --args shell and blockdev only"),
        (&["--args", "json"], &STARTED, "arguments of --args shell and blockdev only"),
        (&["--args", "none"], &STARTED, "arguments of --args shell and blockdev only"),
        (&["--target", "crosvm", "--args", "blockdev"], &STARTED, "of --args shell only"),
        (&["--target", "libvirt"], &STARTED, "libvirt cannot be given an image that is in memory"),
        (&["--target", "proxmox"], &STARTED, "proxmox cannot be given an image that is in memory"),
        (&["--target", "vmspawn"], &STARTED, "vmspawn cannot be given an image that is in memory"),
        (&["--target", "firecracker"], &STARTED, "firecracker cannot be given an image"),
    ];
    for (options, program, message) in cases {
        let code = if message.starts_with("cannot start") { 6 } else { 2 };
        let said = refused(&host, options, program, code);
        assert!(said.starts_with("credimg: error: ") && said.contains(message), "{said}");
        assert!(!host.path("read").exists(), "{options:?} {program:?}");
    }
    refused(&host, &["--target", "cloud-hypervisor", "--bus", "scsi"], &STARTED, 2);
    refused(&host, &["--serial", "123456789012345678901"], &STARTED, 2);
    refused(&host, &[], &[], 2);
    assert!(!host.path("read").exists());

    // Only a disk on which everything lies is attached by its path alone.
    for manifest in ["mount: /run/s\nfiles: []\n", "credentials: [{name: c, text: x, via: disk}]\n"]
    {
        let said = refused(&Host::new(manifest), &[], &["touch", "started", "{image}"], 2);
        assert!(said.contains("hint: write {} where the other arguments go"), "{said}");
    }
}

#[test]
fn every_kind_of_failure_has_its_exit_code_and_starts_nothing() {
    let cases = [
        ("files: [{path: /a, txt: x}]\n", 3, "unknown key"),
        ("files: [{path: /a, file: missing}]\n", 4, "cannot read missing: no such file"),
        ("files: [{path: /a, env: CREDIMG_UNSET}]\n", 4, "files[0] (/a)"),
        ("pseudo: ['/a b 600 0 0 1 1']\n", 5, "--allow-devices"),
        ("files: [{path: /a, command: ['false']}]\n", 6, "false exited with status 1"),
        ("files: [{path: /a, shell: 'touch read; exit 3'}]\n", 6, "exited with status 3"),
    ];
    for (manifest, code, message) in cases {
        let said = refused(&Host::new(manifest), &[], &STARTED, code);
        assert!(said.contains(message), "{said}");
    }
}

/// A file that looks like a program and is none: the system says so at the end.
#[test]
fn a_program_that_the_system_does_not_start_is_a_failed_command() {
    let host = Host::new("files: [{path: /a, text: x}]\n");
    fs::write(host.path("broken"), "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(host.path("broken"), Permissions::from_mode(0o755)).unwrap();
    let said = refused(&host, &[], &["./broken"], 6);
    assert_eq!(said, "credimg: error: cannot start ./broken: no such file or directory\n");
}

/// The limit of a file's size is that of memory files, too.
#[test]
fn an_image_that_finds_no_room_is_an_error_of_the_output() {
    let host = Host::new("files: [{path: /a, command: [head, -c, '900000', /dev/zero]}]\n");
    let credimg = env!("CARGO_BIN_EXE_credimg");
    let script = format!("ulimit -f 8; exec {credimg} exec secrets.yaml -- touch started");
    let output = run(Command::new("bash").args(["-c", &script]).current_dir(host.path("")));
    assert_eq!(output.status.code(), Some(7));
    let expected = "credimg: error: cannot write the image in memory: file too large\n";
    assert_eq!(stderr(&output), expected);
    assert!(!host.path("started").exists());
}

/// Each call that makes a memory file fails in its turn.
#[test]
fn a_memory_file_that_cannot_be_made_is_an_error_of_the_output() {
    let host = Host::new("files: [{path: /a, text: x}]\n");
    for (fault, what) in [
        ("memfd_create:error=ENFILE", "create"),
        ("fchmod:error=EIO", "set the mode of"),
        ("fcntl:error=EBUSY", "seal"),
    ] {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "trace", "-e", &format!("inject={fault}")]);
        command
            .arg(env!("CARGO_BIN_EXE_credimg"))
            .args(["exec", "secrets.yaml", "--"])
            .args(STARTED);
        let output = run(command.current_dir(host.path("")));
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(7), "{fault}: {said}");
        assert!(said.contains(&format!("error: cannot {what} the image in memory: ")), "{said}");
        assert!(!host.path("started").exists());
    }
    // Linux before 6.3 knows no seal against execution.
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "trace", "-e", "inject=memfd_create:error=EINVAL:when=1"]);
    command.arg(env!("CARGO_BIN_EXE_credimg")).args(["exec", "secrets.yaml", "--", "true"]);
    succeed(command.current_dir(host.path("")));
}
