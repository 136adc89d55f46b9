//! The program with `--target`, from the manifest to what it prints.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// The whole way: a manifest with credentials, for every target, and the same
/// again from the image alone. No target gets a value on its command line.
#[test]
fn a_build_gives_each_target_what_it_carries() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "label: CHIMERA\ncredentials:\n- {name: token, text: c4n4ry}\n\
                    - {name: large, text: c4n4ry, via: disk}\n";
    fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
    let image = directory.path().join("a.erofs");
    let image = image.to_str().unwrap();
    let credimg = |arguments: &[&str], target: &str, bus: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.args(arguments).args(["--target", target, "--bus", bus]);
        let output = command.current_dir(directory.path()).output().unwrap();
        assert!(output.status.success(), "{target}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let expected: [(&str, &str, Vec<String>); 4] = [
        ("libvirt", "virtio", vec![format!("file='{image}.fw_cfg.fstab.extra'")]),
        ("proxmox", "virtio", vec![format!(" -smbios file={image}.smbios'")]),
        (
            "vmspawn",
            "cdrom",
            vec![
                format!("--load-credential=token:{image}.credential.token "),
                format!("--load-credential=fstab.extra:{image}.credential.fstab.extra "),
                format!("--extra-drive=raw:scsi-cd:{image}"),
            ],
        ),
        (
            "cloud-hypervisor",
            "virtio",
            vec!["oem_strings=[io.systemd.credential.binary:fstab.extra=".to_owned()],
        ),
    ];
    for (target, bus, parts) in expected {
        let build = ["build", "secrets.yaml", "-o", "a.erofs", "--quiet"];
        let text = credimg(&build, target, bus);
        for part in parts {
            assert!(text.contains(&part), "{target}: {text}");
        }
        assert!(!text.contains("c4n4ry") && !text.contains("YzRuNHJ5"), "{target}: {text}");
        if target != "cloud-hypervisor" {
            // A credential in an argument has no file.
            assert_eq!(credimg(&["args", "a.erofs"], target, bus), text, "{target}");
        }
        assert_eq!(credimg(&[&build[..], &["--args", "none"]].concat(), target, bus), "");
    }
}

/// Files that were made for another target are given to the machine as a whole, or refused; nothing
/// is left out in silence.
#[test]
fn files_for_another_target_are_carried_whole_or_refused() {
    const ALL: [&str; 7] =
        ["qemu", "libvirt", "proxmox", "vmspawn", "cloud-hypervisor", "crosvm", "firecracker"];
    let directory = tempfile::tempdir().unwrap();
    let credimg = |arguments: &[&str], target: &str| {
        let bus = if target == "vmspawn" { "cdrom" } else { "virtio" };
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.args(arguments).args(["--target", target, "--bus", bus]);
        command.current_dir(&directory).output().unwrap()
    };
    for (built_for, via, takers) in [
        ("qemu", "smbios", &["qemu", "proxmox"][..]),
        ("qemu", "fw_cfg", &["qemu", "libvirt", "proxmox", "cloud-hypervisor", "crosvm"]),
        ("proxmox", "smbios", &["qemu", "proxmox"]),
        ("libvirt", "fw_cfg", &["qemu", "libvirt", "proxmox", "cloud-hypervisor", "crosvm"]),
        ("vmspawn", "smbios", &["vmspawn"]),
    ] {
        let manifest = format!("credentials: [{{name: token, text: x, via: {via}}}]\n");
        fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
        let build = ["build", "secrets.yaml", "-o", "a.erofs", "--label", "CHIMERA"];
        assert!(credimg(&build, built_for).status.success());
        let files: Vec<_> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("a.erofs.") && name != "a.erofs.sidecars")
            .collect();
        assert!(!files.is_empty());
        for target in ALL {
            let output = credimg(&["args", "a.erofs"], target);
            let (stdout, stderr) =
                (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
            let (stdout, stderr) = (stdout.unwrap(), stderr.unwrap());
            if takers.contains(&target) {
                assert_eq!(output.status.code(), Some(0), "{target}: {stderr}");
                assert!(files.iter().all(|file| stdout.contains(file)), "{target}: {stdout}");
            } else {
                assert_eq!((output.status.code(), &*stdout), (Some(2), ""), "{target}: {stderr}");
                let hint = format!("credimg: hint: build the image with --target {target}: ");
                assert!(stderr.contains(&hint), "{target}: {stderr}");
            }
        }
    }
    for style in ["shell", "lines", "json", "blockdev", "readconfig"] {
        let output = credimg(&["args", "a.erofs", "--args", style], "qemu");
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{style}");
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "credimg: error: qemu loads no credentials from files of their own\n\
             credimg: hint: build the image with --target qemu: `via: auto` then goes another way\n"
        );
    }
}

/// A monitor without a place for such an argument still attaches the disk, and warns. crosvm's
/// arguments and the JSON of Firecracker's API hold the words for the kernel's command line.
#[test]
fn a_guest_without_firmware_mounts_the_disk_by_its_kernel_line() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "label: CHIMERA\ncredentials: [{name: token, text: x}]\n";
    fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
    let warning = "credimg: warning: no firmware of this machine tells the guest to mount the disk: \
                   put this on the guest's kernel command line (`boot_args` of the boot source, as \
                   --args api prints it), or install what `credimg guest-unit` prints: \
                   systemd.mount-extra=";
    let word = "systemd.mount-extra=LABEL=CHIMERA:/run/secrets:erofs:ro,nosuid,nodev,noexec";
    for (target, style, is_printed) in
        [("crosvm", "shell", true), ("firecracker", "shell", false), ("firecracker", "api", true)]
    {
        let credimg = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
            command.args(arguments).args(["--target", target, "--args", style]);
            let output = command.current_dir(&directory).output().unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (output.status.code(), text(output.stdout), text(output.stderr))
        };
        // The plan says so before anything is built, and shows no credential for it.
        let (code, stdout, stderr) = credimg(&["check", "secrets.yaml", "--strict"]);
        assert_eq!(code, if is_printed { Some(0) } else { Some(5) }, "{target}: {stderr}");
        assert!(!stdout.contains("fstab.extra"), "{target}");
        assert_eq!(stderr.starts_with(warning), !is_printed, "{target}: {stderr}");
        for image in ["a.erofs", "a.sqfs"] {
            let (code, stdout, stderr) = credimg(&["build", "secrets.yaml", "-o", image]);
            assert_eq!(code, Some(0), "{target}: {stderr}");
            assert!(stdout.contains(image), "{target}");
            // No file of the guest names the disk by a serial that the monitor makes up.
            let is_lost = target == "firecracker" && image == "a.sqfs";
            let lost = "as firecracker makes up its serial: use a format with a label\n";
            let is_told = stderr.contains(warning);
            assert_eq!((is_told, stderr.contains(lost)), (!is_printed && !is_lost, is_lost));
            assert_eq!(stdout.contains("systemd.mount-extra="), is_printed && !is_lost, "{stdout}");
            let has_word = stdout.contains(word);
            assert_eq!(has_word, is_printed && image == "a.erofs", "{stdout}");
            assert_eq!(stdout.contains("by-id"), target == "crosvm" && image == "a.sqfs");
        }
    }
}

/// Cloud Hypervisor takes OEM strings by its API. No output holds a secret one.
#[test]
fn cloud_hypervisor_gets_secrets_in_a_private_file_for_its_api() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "label: CHIMERA\ncredentials: [{name: token, text: c4n4ry}]\n";
    fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
    let api = ["--target", "cloud-hypervisor", "--args", "api"];
    let credimg = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.args(arguments).current_dir(&directory).output().unwrap()
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let output = credimg(&[&["build", "secrets.yaml", "-o", "a.erofs"][..], &api].concat());
    assert!(output.status.success(), "{output:?}");
    let path = directory.path().canonicalize().unwrap().join("a.erofs");
    let disk = serde_json::json!({
        "path": path, "readonly": true, "serial": "chimera", "image_type": "Raw",
    });
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, serde_json::json!({ "disks": [disk] }));
    let secret = format!("{}{}", text(output.stdout.clone()), text(output.stderr));
    assert!(!secret.contains("c4n4ry") && !secret.contains("YzRuNHJ5"), "{secret}");
    let again = credimg(&[&["args", "a.erofs"][..], &api].concat());
    assert_eq!(text(again.stdout), text(output.stdout));

    let file = directory.path().join("a.erofs.platform");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let platform: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let strings = serde_json::json!(["io.systemd.credential.binary:token=YzRuNHJ5"]);
    assert_eq!(platform, serde_json::json!({ "platform": { "oem_strings": strings } }));
    for (target, message) in [
        ("cloud-hypervisor", "cloud-hypervisor takes these OEM strings by its API alone"),
        ("qemu", "qemu takes no OEM strings from a file of JSON"),
    ] {
        let output = credimg(&["args", "a.erofs", "--target", target]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(output.stderr).starts_with(&format!("credimg: error: {message}")));
    }
    // On Arm it has no SMBIOS tables.
    let check = ["check", "secrets.yaml", "--machine", "virt-uefi"];
    let table = text(credimg(&[&check[..], &api].concat()).stdout);
    let reason = "disk     cloud-hypervisor: it has SMBIOS tables on x86 alone";
    assert!(table.contains(reason), "{table}");
}

/// Items that the guest may not find go only if the manifest asks for fw_cfg, with a warning.
#[test]
fn crosvm_gets_items_of_fw_cfg_on_request() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "label: CHIMERA\ncredentials:\n- {name: asked, text: x, via: fw_cfg}\n\
                    - {name: auto, text: x}\nfw_cfg: [{name: opt/com.coreos/config, text: x}]\n";
    fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
    command.args(["build", "secrets.yaml", "-o", "a.erofs", "--target", "crosvm"]);
    let output = command.current_dir(&directory).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let image = directory.path().canonicalize().unwrap().join("a.erofs");
    let image = image.to_str().unwrap();
    for (name, suffix) in [
        ("opt/com.coreos/config", "fw_cfg.opt:com.coreos:config"),
        ("opt/io.systemd.credentials/asked", "fw_cfg.asked"),
    ] {
        let item = format!(" --fw-cfg name={name},path={image}.{suffix} ");
        assert!(text.contains(&item), "{text}");
    }
    assert!(!text.contains("auto"), "{text}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with(
            "credimg: warning: what goes by fw_cfg may be lost: crosvm: it has fw_cfg on x86 \
             alone, and the guest finds it where its kernel has CONFIG_FW_CFG_SYSFS_CMDLINE and \
             qemu_fw_cfg.ioport=4@0x510 on its command line\n"
        ),
        "{stderr}"
    );
}

#[test]
fn check_plans_for_the_target() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "label: CHIMERA\ncredentials: [{name: token, text: x}]\n";
    fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
    for (target, expected) in [
        ("qemu", ["smbios", "it fits an OEM string"]),
        ("proxmox", ["smbios", "it fits an OEM string"]),
        ("libvirt", ["disk", "libvirt: it puts OEM strings on QEMU's command line"]),
        ("firecracker", ["disk", "firecracker: it has no SMBIOS tables"]),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.args(["check", "secrets.yaml", "--target", target]);
        let output = command.current_dir(&directory).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.starts_with("token ")).unwrap();
        assert!(expected.iter().all(|part| line.contains(part)), "{target}: {line}");
    }
}

#[test]
fn styles_are_qemus_own() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("secrets.yaml"), "files: []\n").unwrap();
    for monitor in others() {
        let target = monitor.name();
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.args(["build", "secrets.yaml", "-o", "a.erofs", "--args", "json"]);
        command.args(["--bus", if target == "vmspawn" { "cdrom" } else { "virtio" }]);
        let output = command.args(["--target", target]).current_dir(&directory).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            text.lines().next().unwrap(),
            format!("credimg: error: {target} has no arguments of the style json")
        );
        assert!(!directory.path().join("a.erofs").exists(), "{target}");
    }
}
