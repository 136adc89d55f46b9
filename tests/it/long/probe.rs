//! `credimg probe` on every machine that it knows, beside the one of `tests/it/probe/`: boots of
//! three to ten seconds each.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Output, Stdio};

use crate::probe::CACHE;
use crate::support::host::{Host, stderr, stdout};

const MANIFEST: &str = "\
label: CHIMERA
files: [{path: /a, text: a file}]
credentials:
- {name: api.token, text: a token, via: smbios}
- {name: db.password, text: a password, via: fw_cfg}
";
const VIRT: &str = "qemu-system-aarch64 -machine virt -cpu cortex-a57 -m 512";
const UEFI: &str = "-bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd";

/// Probes a machine of x86-64, with a kernel of the cache.
fn of_x86(host: &Host, options: &str, machine: &str) -> Output {
    let kernel = format!("{CACHE}/kernel/boot/vmlinux");
    probe(host, &format!("--kernel {kernel} {options}"), machine)
}

/// Probes a machine of Arm, with the kernel of the guest and the program that `scripts/probe-init`
/// makes.
fn of_arm(host: &Host, options: &str, machine: &str) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/probe-init");
    let made = host.command(script).args(["aarch64", "init"]).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    let boot = fs::read_dir(format!("{CACHE}/arm64-guest/kernel/boot")).unwrap();
    let mut kernels = boot.map(|entry| entry.unwrap().path().display().to_string());
    let kernel = kernels.find(|path| path.contains("/vmlinuz-")).unwrap();
    probe(host, &format!("--init init --kernel {kernel} {options}"), machine)
}

fn probe(host: &Host, options: &str, machine: &str) -> Output {
    let mut command = host.credimg();
    command.args(["probe", "-q", "--timeout", "300"]).args(options.split_whitespace());
    command.arg("--").args(machine.split_whitespace()).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn assert_tells(output: &Output, code: i32, expected: &str) {
    assert_eq!(stdout(output), expected, "{}", stderr(output));
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
}

#[test]
fn a_pc_gets_everything_on_every_bus() {
    let host = Host::new(MANIFEST);
    for board in ["pc", "q35"] {
        for bus in ["virtio", "scsi", "usb", "nvme", "cdrom"] {
            let machine = format!("qemu-system-x86_64 -machine {board} -m 256");
            let output = of_x86(&host, &format!("secrets.yaml --bus {bus}"), &machine);
            assert_tells(&output, 0, "3 sent, 3 arrived\n");
        }
    }
}

/// QEMU opens a LUKS1 image itself, and the guest sees what is in it.
#[test]
fn encrypted_disks_arrive_with_their_keys() {
    let host = Host::new(MANIFEST);
    let machine = "qemu-system-x86_64 -machine q35 -m 256";
    for (version, sent) in [("luks1", 3), ("luks2", 6)] {
        let options = format!("secrets.yaml --args blockdev --encrypt {version} --key-out key");
        let output = of_x86(&host, &options, machine);
        assert_tells(&output, 0, &format!("{sent} sent, {sent} arrived\n"));
    }
}

/// The kernel of the probe is an item that the machine itself does not have.
#[test]
fn as_many_items_arrive_as_are_ever_planned() {
    let mut manifest = "credentials:\n".to_owned();
    for index in 10..27 {
        writeln!(manifest, "- {{name: name-{index}, text: value {index}, via: fw_cfg}}").unwrap();
    }
    let host = Host::new(&manifest);
    for board in ["q35", "microvm"] {
        let machine = format!("qemu-system-x86_64 -machine {board} -m 256");
        assert_tells(&of_x86(&host, "secrets.yaml", &machine), 0, "18 sent, 18 arrived\n");
    }
}

#[test]
fn arms_board_gets_smbios_tables_by_uefi_alone() {
    let host = Host::new(MANIFEST);
    let built = host.build(&["-q", "--args", "shell"]);
    assert!(built.status.success(), "{}", stderr(&built));
    let image = stdout(&built);
    let output = of_arm(&host, "", &format!("{VIRT} {image}"));
    let expected = "3 sent, 2 arrived\n\
                    lost: api.token, by smbios (virt: without UEFI it has no SMBIOS tables)\n";
    assert_tells(&output, 1, expected);
    let output = of_arm(&host, "", &format!("{VIRT} {UEFI} {image}"));
    assert_tells(&output, 0, "3 sent, 3 arrived\n");
}

/// The kernel of the Arm guest is for clouds, and has no driver for USB.
#[test]
fn a_kernel_without_the_driver_does_not_say_that_a_disk_is_lost() {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, text: a file}]\n");
    let output = of_arm(&host, "secrets.yaml --bus usb", VIRT);
    let expected = "1 sent, 0 arrived\nnot looked at: chimera, by disk (this kernel has no module \
                    xhci_pci: --kernel takes another one)\n";
    assert_tells(&output, 1, expected);
}

#[test]
fn words_for_systemd_arrive_and_others_stay_away() {
    let host = Host::empty();
    let words = "systemd.mount-extra=LABEL=CHIMERA:/run/credstore:erofs:ro";
    let mut command = host.credimg();
    let kernel = format!("{CACHE}/kernel/boot/vmlinux");
    command.args(["probe", "--json", "--timeout", "300", "--kernel", &kernel, "--"]);
    command.args(["qemu-system-x86_64", "-machine", "microvm", "-m", "256", "-kernel", "missing"]);
    command.args(["-append", &format!("root=/dev/vda rdinit=/bin/sh panic=0 {words}")]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let expected = r#""things":[{"name":"systemd.mount-extra","channel":"kernel line","#;
    assert!(stdout(&output).contains(expected), "{}", stdout(&output));
}

/// Behind an initrd of the guest's own stands an archive as credimg writes it.
#[test]
fn files_behind_an_initrd_arrive() {
    let host = Host::empty();
    for number in 0..400 {
        let name = format!("{}.{number}", "long".repeat(40));
        host.write(format!(".extra/system_credentials/{name}.cred"), "hunter2");
    }
    let script = "printf packed >own && truncate -s 12 own && \
                  find .extra | cpio --quiet -o -H newc >tail && cat own tail >initrd";
    let made = host.command("sh").args(["-c", script]).status().unwrap();
    assert!(made.success());
    let machine = "qemu-system-x86_64 -machine microvm -m 256 -kernel missing -initrd initrd";
    assert_tells(&of_x86(&host, "", machine), 0, "400 sent, 400 arrived\n");
}

/// The other machine has locked its root disk and its variables of UEFI, which are not touched.
#[test]
fn a_machine_that_runs_is_not_disturbed() {
    let host = Host::new(MANIFEST);
    let variables = fs::read("/usr/share/OVMF/OVMF_VARS_4M.fd").unwrap();
    host.write("VARS.fd", &variables);
    host.write("root.img", vec![7; 1 << 20]);
    let built = host.build(&["-q", "--args", "shell"]);
    assert!(built.status.success(), "{}", stderr(&built));
    let machine = format!(
        "qemu-system-x86_64 -machine q35 -m 256 -drive file=root.img,format=raw,if=virtio \
         -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
         -drive if=pflash,format=raw,file=VARS.fd -display none -monitor none \
         -qmp unix:qmp,server=on,wait=off -pidfile pid {}",
        stdout(&built)
    );
    let mut words = machine.split_whitespace();
    let mut running = Command::new(words.next().unwrap());
    running.args(words).arg("-S").current_dir(host.path("")).stdin(Stdio::null());
    let mut running = running.spawn().unwrap();
    crate::support::wait::wait_for(|| fs::exists(host.path("pid")).unwrap().then_some(()));
    // By UEFI the kernel starts as Debian packs it.
    let boot = fs::read_dir(format!("{CACHE}/kernel/boot")).unwrap();
    let mut kernels = boot.map(|entry| entry.unwrap().path().display().to_string());
    let kernel = kernels.find(|path| path.contains("/vmlinuz-")).unwrap();
    let output = probe(&host, &format!("--kernel {kernel}"), &machine);
    let is_alive = running.try_wait().unwrap().is_none();
    let has_socket = fs::exists(host.path("qmp")).unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    assert_tells(&output, 0, "3 sent, 3 arrived\n");
    assert!(is_alive && has_socket);
    assert_eq!((host.read("VARS.fd"), host.read("root.img")), (variables, vec![7; 1 << 20]));
}
