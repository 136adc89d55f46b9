//! The program with `--target`, from the manifest to what it prints.

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
            // Credentials that are an argument are in no file.
            assert_eq!(credimg(&["args", "a.erofs"], target, bus), text, "{target}");
        }
        assert_eq!(credimg(&[&build[..], &["--args", "none"]].concat(), target, bus), "");
    }
}

/// What another target was given is given as well, whole, or refused: never left out in silence.
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
        ("qemu", "fw_cfg", &["qemu", "libvirt", "proxmox"]),
        ("proxmox", "smbios", &["qemu", "proxmox"]),
        ("libvirt", "fw_cfg", &["qemu", "libvirt", "proxmox"]),
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

/// What has no place for an argument gets the disk all the same, and people are told.
#[test]
fn a_target_that_cannot_tell_the_guest_where_to_mount_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "label: CHIMERA\ncredentials: [{name: token, text: x}]\n";
    fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
    for target in ["crosvm", "firecracker"] {
        let warning = "credimg: warning: no firmware of this machine tells the guest to mount the \
                       disk: put this on the guest's kernel command line, or install what \
                       `credimg guest-unit` prints: systemd.mount-extra=";
        // The plan says so before anything is built, and shows no credential for it.
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.args(["check", "secrets.yaml", "--strict", "--target", target]);
        let output = command.current_dir(&directory).output().unwrap();
        assert_eq!(output.status.code(), Some(5), "{target}: {output:?}");
        assert!(!String::from_utf8(output.stdout).unwrap().contains("fstab.extra"), "{target}");
        assert!(String::from_utf8(output.stderr).unwrap().starts_with(warning), "{target}");
        for (image, told) in
            [("a.erofs", ""), ("a.sqfs", "makes up the disk's serial, and the image has no label")]
        {
            let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
            command.args(["build", "secrets.yaml", "-o", image, "--target", target]);
            let output = command.current_dir(&directory).output().unwrap();
            assert!(output.status.success(), "{target}: {output:?}");
            assert!(String::from_utf8(output.stdout).unwrap().contains(image), "{target}");
            let text = String::from_utf8(output.stderr).unwrap();
            // Nothing names a disk by a serial that is not its own.
            let is_lost = target == "firecracker" && image == "a.sqfs";
            let lost = "as firecracker makes up its serial: use a format with a label\n";
            assert_eq!(
                (text.contains(warning), text.contains(lost)),
                (!is_lost, is_lost),
                "{text}"
            );
            assert_eq!(text.contains("by-id"), target == "crosvm" && image == "a.sqfs", "{text}");
            assert!(target == "crosvm" || text.contains(told), "{text}");
        }
    }
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
            format!("credimg: error: the styles of --args are not those of {target}")
        );
        assert!(!directory.path().join("a.erofs").exists(), "{target}");
    }
}
