//! Commands that are no builds of a file.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Runs a command to its end with this exit code.
fn dumps(host: &Host, arguments: &str, input: &[u8], code: i32) -> Dumps {
    let dumps = take(&credimg(host, arguments), input);
    assert_eq!(dumps.outcome.code(), Some(code), "{arguments}: {}", dumps.outcome.stderr());
    dumps
}

#[test]
fn no_command_leaves_a_key_or_a_secret_in_memory() {
    let host = host();
    let mut needles = known();
    let check = |needles: &Needles, arguments: &str, input: &[u8], code: i32| {
        let dumps = dumps(&host, arguments, input, code);
        dumps.assert_clean(arguments, needles);
        dumps
    };
    for (arguments, key) in [("genkey one", "one"), ("genkey --luks two", "two")] {
        let dumps = dumps(&host, arguments, b"", 0);
        let text = fs::read(host.path(key)).unwrap();
        needles.key(arguments, &text);
        match STANDARD.decode(&text) {
            Ok(key) if key.len() == 32 => needles.cipher(arguments, &key),
            _ => needles.raw(arguments, &from_hex(std::str::from_utf8(&text).unwrap())),
        }
        assert!(dumps.count() >= 2 && dumps.holds(&needles, arguments), "{arguments}");
        dumps.assert_clean(arguments, &needles);
    }
    for arguments in ["genkey -", "genkey --luks -"] {
        let dumps = dumps(&host, arguments, b"", 0);
        let mut needles = needles.clone();
        needles.key(arguments, &dumps.outcome.stdout);
        dumps.assert_clean(arguments, &needles);
    }
    let secret = CONTENTS[0].as_bytes();
    let wrapped = check(&needles, "secret wrap --id a --master-key master", secret, 0);
    let wrapped = wrapped.outcome.stdout;
    check(&needles, "secret unwrap --master-key master", &wrapped, 0);
    let json = check(&needles, "secret wrap --id a --master-key master --json", secret, 0);
    check(&needles, "secret unwrap --master-key master", &json.outcome.stdout, 0);
    check(&needles, "secret unwrap --master-key random", &wrapped, 4);

    let script =
        format!("#!/bin/sh\nqemu-system-x86_64 -object secret,id=a,data={}\n", CONTENTS[1]);
    let audit = check(&needles, "audit -", script.as_bytes(), 5);
    assert!(!audit.outcome.stdout.is_empty());
    fs::write(host.path("script"), script).unwrap();
    check(&needles, "audit script", b"", 5);

    let build = "build secrets.yaml -o old.erofs --encrypt luks1 --key-file random";
    dumps(&host, build, b"", 0);
    check(&needles, "inspect old.erofs --key-file random", b"", 0);
    check(&needles, "inspect old.erofs --key-file passphrase", b"", 4);
    check(&needles, "args old.erofs --key-file random --master-key master", b"", 0);
    check(&needles, "ls -lR old.erofs --key-file random", b"", 0);
    check(&needles, "extract old.erofs out --key-file random", b"", 0);
    for format in ["erofs", "squashfs", "iso"] {
        let image = format!("look.{format}");
        dumps(
            &host,
            &format!("build secrets.yaml -o {image} --encrypt luks1 --key-file random"),
            b"",
            0,
        );
        let found = fs::read_dir(host.path("out")).unwrap().map(|entry| entry.unwrap());
        let files = found.filter(|entry| entry.file_type().unwrap().is_file());
        for file in files.map(|entry| entry.file_name().into_string().unwrap()) {
            check(&needles, &format!("cat {image} {file} --key-file random"), b"", 0);
        }
        check(&needles, &format!("extract {image} {image}.out --key-file random"), b"", 0);
    }
}

#[test]
fn no_blob_leaves_a_key_or_a_secret_in_memory() {
    let host = host();
    for (key, input) in [("identity", "the identity"), ("made", "the new identity")] {
        let arguments = format!("seal plain.yaml -o share/a.tar.age --key-out {key}");
        let dumps = dumps(&host, &arguments, b"", 0);
        let text = fs::read_to_string(host.path(key)).unwrap();
        let line = text.lines().find(|line| line.starts_with("AGE-")).unwrap();
        let mut needles = known();
        needles.key("the new identity", line.as_bytes());
        needles.raw("the new identity's scalar", &needles::scalar(line));
        needles.blob(&fs::read(host.path("share/a.tar.age")).unwrap(), line);
        dumps.assert_clean(&arguments, &needles);
        assert!(dumps.count() >= 4 && dumps.holds(&needles, input), "{arguments}");
    }
}

/// The monitor gets none of it, but in the files that it inherits.
#[test]
fn nothing_is_left_where_the_monitor_takes_over() {
    let host = host();
    for arguments in [
        "exec secrets.yaml -- true",
        "exec secrets.yaml --encrypt luks1 --key-file random -- true",
        "exec secrets.yaml --encrypt luks2 --key-file passphrase -- true",
        "exec plain.yaml --encrypt luks1 --key-file random --master-key master -- true",
    ] {
        let dumps = dumps(&host, arguments, b"", 0);
        dumps.assert_clean(arguments, &known());
    }
}

/// A machine that says nothing before it ends, and one that says that it has looked: what was read
/// of what is sent is gone, also where it was read from files beside an image.
#[test]
fn no_probe_leaves_a_key_or_a_secret_in_memory() {
    let host = host();
    let build = "build secrets.yaml -o a.erofs --encrypt luks2 --key-file random --target qemu \
                 --initrd guest.img --machine microvm --args lines -q";
    let printed = credimg(&host, build).output().unwrap();
    assert!(printed.status.success(), "{}", stderr(&printed));
    let words = String::from_utf8(printed.stdout).unwrap();
    let options = "probe -q --kernel guest.img --init guest.img --initrd guest.img";
    for (says, code) in [("true", 6), ("echo '@credimg round'; exec sleep 60", 1)] {
        let qemu = host.write("qemu-system-x86_64", format!("#!/bin/sh\n{says}\n"));
        fs::set_permissions(&qemu, PermissionsExt::from_mode(0o755)).unwrap();
        let own = format!("{options} -- ./qemu-system-x86_64 {}", words.trim_end());
        for arguments in [
            own.replace('\n', " ").replace("--initrd guest.img ", ""),
            options.replace("probe", "probe secrets.yaml --encrypt luks2 --key-file random")
                + " -- ./qemu-system-x86_64 -machine microvm",
        ] {
            let dumps = dumps(&host, &arguments, b"", code);
            dumps.assert_clean(&arguments, &known());
        }
    }
}

/// The search finds what programs have that do not care: when they end, and when they
/// start another.
#[test]
fn a_program_that_keeps_a_secret_is_caught() {
    let host = host();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "read -r key < passphrase; env true; :"]).current_dir(host.path(""));
    let faults = take(&command, b"").faults(&known());
    for stop in ["exit_group, ", "execve of a command, "] {
        let is_it =
            |fault: &String| fault.starts_with(stop) && fault.contains("the passphrase at ");
        assert!(faults.iter().any(is_it), "{stop}: {faults:?}");
    }
}

/// Where no memory may be locked, one warning says so, and everything is done.
#[test]
fn a_limit_of_locked_memory_brings_one_warning() {
    let host = host();
    let mut command = Command::new("setpriv");
    // Root alone is bound by no limit.
    command.args(["--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "prlimit", "--memlock=0"]);
    command.arg(env!("CARGO_BIN_EXE_credimg")).current_dir(host.path(""));
    let arguments =
        "build plain.yaml -o a.erofs --encrypt luks2 --key-out made --args none --quiet";
    let output = command.args(arguments.split(' ')).output().unwrap();
    let warning = "credimg: warning: keys may go to the swap: the limit of locked memory (ulimit -l) \
                   is too low\n";
    assert_eq!(stderr(&output), warning);
    assert!(output.status.success() && host.path("a.erofs").exists());
}
