//! `exec` with an initrd: the program inherits a file in memory that holds both parts.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::guests::{DRACUT, write};
use crate::support::host::{Host, stderr, stdout};
use crate::support::monitor::Qemu;

const MANIFEST: &str = "label: CHIMERA\ncredentials: [{name: a, text: hello, via: initrd}]\n";
/// Writes its arguments, one a line, and copies what the last `-initrd` or its own name says.
const PROGRAM: &str = "#!/bin/sh\nfor word; do\n  echo \"$word\"\n  case $word in \
                       /proc/self/fd/*) cat \"$word\" >copied ;; esac\ndone\n";

fn exec(host: &Host, options: &[&str], program: &[&str]) -> Command {
    let mut command = host.credimg();
    command.args(["exec", "secrets.yaml", "-q"]).args(options).arg("--").args(program);
    command
}

/// The arguments of a program with QEMU's name.
fn arguments(host: &Host, options: &[&str], arguments: &[&str]) -> Vec<String> {
    let program = host.write("qemu-system-x86_64", PROGRAM);
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let output = exec(host, options, &[&[program], arguments].concat()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).lines().map(str::to_owned).collect()
}

fn initrd_of(words: &[String]) -> Option<&str> {
    let at = words.iter().position(|word| word == "-initrd")?;
    words.get(at + 1).map(String::as_str)
}

#[test]
fn the_machines_own_initrd_is_replaced_where_credentials_go_by_it() {
    let host = Host::new(MANIFEST);
    let own = write(&host, DRACUT, &["zstd", "-qc"]);
    for (options, program) in [
        (&["--initrd", "guest.img"][..], &["-m", "1G"][..]),
        (&[], &["-initrd", "guest.img", "-m", "1G"]),
        (&["--initrd", "guest.img"], &["-initrd", "{initrd}"]),
    ] {
        let _ = fs::remove_file(host.path("copied"));
        let words = arguments(&host, options, program);
        let initrd = initrd_of(&words).unwrap();
        assert!(initrd.starts_with("/proc/self/fd/"), "{words:?}");
        assert_eq!(words.iter().filter(|word| *word == "-initrd").count(), 1, "{words:?}");
        assert_eq!(words.iter().filter(|word| word.contains("initrd")).count(), 1, "{words:?}");
        let copied = host.read("copied");
        assert!(copied.starts_with(&own) && copied.len() > own.len() + 100, "{words:?}");
        assert_eq!(host.read("guest.img"), own);
    }
}

/// On a PC all credentials go by SMBIOS, so the initrd that the arguments name stays as it is.
#[test]
fn an_initrd_by_which_nothing_goes_is_left_alone() {
    let host = Host::new("label: CHIMERA\ncredentials: [{name: a, text: hello}]\n");
    write(&host, &["init", "conf/initramfs.conf"], &["gzip", "-nc"]);
    for machine in ["q35", "microvm", "microvm,acpi=off"] {
        let words = arguments(&host, &[], &["-M", machine, "-initrd", "guest.img"]);
        assert_eq!(initrd_of(&words), Some("guest.img"), "{machine}");
    }
    // Then it does not matter that this program cannot unpack it.
    write(&host, DRACUT, &["bzip2", "-c"]);
    let program = host.path("qemu-system-x86_64");
    let words = [program.to_str().unwrap(), "-M", "q35", "-initrd", "guest.img"];
    assert_eq!(stderr(&exec(&host, &[], &words).output().unwrap()), "");
    // A machine without SMBIOS and fw_cfg gets the credentials by its initrd.
    write(&host, DRACUT, &["gzip", "-nc"]);
    let words = arguments(&host, &[], &["-M", "microvm,acpi=off", "-initrd", "guest.img"]);
    assert!(initrd_of(&words).unwrap().starts_with("/proc/self/fd/"), "{words:?}");
}

#[test]
fn two_initrds_and_none_are_refused() {
    let host = Host::new(MANIFEST);
    write(&host, DRACUT, &["zstd", "-qc"]);
    let program = ["/usr/bin/qemu-system-x86_64", "-initrd", "guest.img"];
    for (options, program, expected) in [
        (
            &["--initrd", "guest.img"][..],
            &program[..],
            "--initrd and the program's own -initrd name two initrds",
        ),
        (&[], &["true", "{initrd}"], "{initrd} stands for an initrd, and none is given"),
        (&[], &["true", "-initrd", "guest.img"], "cannot go by initrd"),
    ] {
        let output = exec(&host, options, program).output().unwrap();
        assert!(!output.status.success());
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

/// The words `{image}` and `{initrd}` in a monitor's own arguments are replaced, and nothing is
/// added.
#[test]
fn another_monitor_is_told_of_the_path() {
    // Both with `via: initrd` and with `via: auto`.
    for manifest in [MANIFEST, "label: CHIMERA\ncredentials: [{name: a, text: hello}]\n"] {
        let host = Host::new(manifest);
        write(&host, DRACUT, &["zstd", "-qc"]);
        for target in ["crosvm", "cloud-hypervisor"] {
            let options = ["--target", target, "--initrd", "guest.img"];
            let program = ["echo", "run", "--initrd={initrd}", "--block", "path={image},ro"];
            let output = exec(&host, &options, &program).output().unwrap();
            assert!(output.status.success(), "{target} {manifest} {}", stderr(&output));
            let words = stdout(&output);
            assert!(words.starts_with("run --initrd=/proc/self/fd/"), "{words}");
            assert!(!words.contains('{') && words.split_whitespace().count() == 4, "{words}");
        }
    }
}

#[test]
fn qemu_opens_what_it_inherits() {
    let host = Host::new(MANIFEST);
    write(&host, DRACUT, &["zstd", "-qc"]);
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/kernel/boot/vmlinux");
    let machine = "qemu-system-x86_64 -machine microvm -accel tcg -m 64 -nodefaults -S -display none \
                   -monitor none -qmp stdio -initrd guest.img -kernel";
    let mut program: Vec<_> = machine.split_whitespace().collect();
    program.push(kernel.to_str().unwrap());
    let qemu = Qemu::start(&mut exec(&host, &[], &program));
    assert!(qemu.inodes_below(&host.path("")).is_empty(), "it has opened a file in memory");
}
