//! What each command prints and writes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::*;

#[test]
fn a_build_prints_its_arguments_and_a_summary() {
    let host =
        Host::new("label: CHIMERA\nfiles:\n- {path: /a/b, text: hello}\n- {path: /c, text: x}\n");
    let output = host.build(&[]);
    assert_eq!(
        stdout(&output),
        "-drive if=none,id=credimg-chimera,file=out.erofs,format=raw,read-only=on \
         -device virtio-blk,addr=0x19,drive=credimg-chimera,serial=chimera,\
         logical_block_size=4096,physical_block_size=4096\n"
    );
    assert_eq!(stderr(&output), "wrote out.erofs: erofs, label CHIMERA, 2 files, 4 KiB\n");
    assert_eq!(output.status.code(), Some(0));

    let quiet = host.build(&["--quiet", "--args", "none"]);
    assert_eq!((stdout(&quiet), stderr(&quiet)), (String::new(), String::new()));
}

#[test]
fn the_json_report_is_for_programs() {
    let host =
        Host::new("label: CHIMERA\nfiles: [{path: /a/b, text: hello}, {path: /l, symlink: a}]\n");
    let output = host.build(&["--json", "--uuid", UUID, "--args", "none"]);
    assert_eq!(stderr(&output), "");
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let expected = serde_json::json!({
        "report_version": 1, "image": "out.erofs", "format": "erofs", "label": "CHIMERA", "uuid": UUID,
        "encryption": null, "root_hash": null, "hash_offset_bytes": null, "serial": "chimera",
        "drive_id": "credimg-chimera", "size_bytes": 4096,
        "files": 1, "directories": 2, "symlinks": 1,
        "losses": [], "credentials": [], "sidecars": [], "kernel_arguments": [], "warnings": [],
    });
    assert_eq!(report, expected);

    let output = host.build(&["--json=report.json", "--uuid", UUID]);
    // The arguments are printed besides.
    assert_eq!(stderr(&output), "");
    assert!(stdout(&output).starts_with("-drive "), "{output:?}");
    let report = fs::read(host.path("report.json")).unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&report).unwrap(), expected);

    for path in ["cafe\u{301}.erofs", "a\nb.erofs", "हिन्दी.erofs"] {
        let arguments = ["build", "secrets.yaml", "--format=erofs", "--json", "-o", path];
        let output = host.credimg().args(arguments).output().unwrap();
        let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(report.get("image"), Some(&path.into()));
    }
}

#[test]
fn what_a_report_cannot_hold_or_has_no_room_for_is_refused() {
    let host = Host::new("files: [{path: /a, shell: 'touch ran; echo x'}]\n");
    let arguments = ["build", "secrets.yaml", "--format=erofs", "--json", "-o"];
    let output = host.credimg().args(arguments).arg("-").output().unwrap();
    let said = "credimg: error: the image goes to standard output, so the report cannot go there\n\
                credimg: hint: write the report into a file with --json=FILE\n";
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(2), said));
    let name = OsStr::from_bytes(b"\xff.erofs");
    let output = host.credimg().args(arguments).arg(name).output().unwrap();
    let said = "credimg: error: the report cannot carry a path: it is not UTF-8\n\
                credimg: hint: use another path, or leave --json out\n";
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(2), said));
    assert!(!host.path("ran").exists());
    let arguments = ["build", "secrets.yaml", "--format=erofs", "--json=r", "-o", "-", "-q"];
    let output = host.credimg().args(arguments).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let report: serde_json::Value = serde_json::from_slice(&host.read("r")).unwrap();
    assert_eq!((&report["image"], output.stdout.len()), (&"-".into(), 4096));
}

/// The report has what is printed without it, in words or as a text.
#[test]
fn a_report_holds_the_arguments_of_every_target_and_style() {
    let host = Host::new(
        "label: CHIMERA\nfiles: [{path: /a, text: x}]\n\
         credentials: [{name: t, text: x, via: auto}]\n",
    );
    let shell = |line: &str| {
        let script = format!("for word in {}; do printf '%s\\0' \"$word\"; done", line.trim_end());
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let words = stdout(&output);
        words.split_terminator('\0').map(str::to_owned).collect::<Vec<_>>()
    };
    for (options, is_text) in [
        (&[][..], false),
        (&["--args=blockdev"], false),
        (&["--args=readconfig", "--machine=microvm,pcie=on"], true),
        (&["--target=libvirt"], true),
        (&["--target=firecracker"], true),
        (&["--target=firecracker", "--args=api"], true),
        (&["--target=proxmox"], false),
        (&["--target=vmspawn", "--bus=cdrom"], false),
        (&["--target=cloud-hypervisor"], false),
        (&["--target=cloud-hypervisor", "--args=api"], true),
        (&["--target=crosvm"], false),
    ] {
        let printed = stdout(&host.build(options));
        let output = host.build(&[options, &["--json"]].concat());
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let args = host.credimg().args(["args", "out.erofs", "--json"]).args(options).output();
        let again: serde_json::Value = serde_json::from_slice(&args.unwrap().stdout).unwrap();
        // Where the disk is mounted only the manifest knows.
        let tellers = ["--target=cloud-hypervisor", "--target=crosvm", "--args=api"];
        let knows_all = !options.iter().any(|option| tellers.contains(option));
        let attached = ["arguments", "configuration"].into_iter().filter(|_| knows_all);
        for name in attached.chain(["sidecars", "serial", "drive_id", "image"]) {
            assert_eq!(report[name], again[name], "{options:?} {name}");
        }
        if is_text {
            assert_eq!(report["configuration"], printed, "{options:?}");
            assert!(report["arguments"].is_null(), "{report}");
        } else {
            assert_eq!(report["arguments"], serde_json::json!(shell(&printed)), "{options:?}");
            assert!(report["configuration"].is_null(), "{report}");
        }
    }
    for style in ["lines", "json"] {
        let output = host.build(&["--json", "--args", style]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["arguments"], serde_json::json!(shell(&stdout(&host.build(&[])))));
    }
}

/// Absolute, and no link of it is resolved: it may be one that an administrator turns elsewhere.
#[test]
fn absolute_paths_are_those_that_were_given() {
    let host = Host::new("label: C\nfiles: []\ncredentials: [{name: t, text: x, via: smbios}]\n");
    host.private("key", "00112233445566778899aabbccddeeff0123456789abcdef0123456789ABCDEF");
    fs::create_dir(host.path("real")).unwrap();
    std::os::unix::fs::symlink("real", host.path("link")).unwrap();
    let build = "build secrets.yaml -o ./link/a.erofs --encrypt luks1 --key-file key";
    let relative = stdout(&host.run(build));
    let here = fs::canonicalize(host.path("")).unwrap();
    let place = |name: &str| format!("file={}", here.join(name).display());
    let expected = relative
        .replace("file=./link/a.erofs", &place("link/a.erofs"))
        .replace("file=key", &place("key"));
    assert_eq!(expected.matches(&format!("{}", here.display())).count(), 3, "{expected}");
    assert_eq!(stdout(&host.run(&format!("{build} --absolute"))), expected);
    let args = "args ./link/a.erofs --key-file key --absolute";
    assert_eq!(stdout(&host.run(args)), expected);
    let report: serde_json::Value =
        serde_json::from_slice(&host.run(&format!("{args} --json")).stdout).unwrap();
    let words = report["arguments"].as_array().unwrap();
    assert!(
        words.iter().any(|it| it.as_str().unwrap().contains(&place("link/a.erofs"))),
        "{report}"
    );
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_a_command_runs() {
    let host = Host::new("files: [{path: /a, shell: 'touch ran; echo x'}]\n");
    fs::create_dir(host.path("out.erofs")).unwrap();
    let output = host.build(&[]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert!(!host.path("ran").exists());
}

#[test]
fn a_stream_is_the_same_image_and_nothing_else() {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, text: hello}]\n");
    let fixed = ["--uuid", UUID, "--mtime", "5"];
    host.build(&fixed);
    let output = host
        .credimg()
        .args(["build", "secrets.yaml", "-o", "-", "--format", "erofs"])
        .args(fixed)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(output.stdout, fs::read(host.path("out.erofs")).unwrap());
}

#[test]
fn pseudo_definitions_of_the_command_line_are_built_and_checked() {
    let host = Host::new("label: CHIMERA\npseudo: [/a f 400 0 0 echo hello]\n");
    fs::write(host.path("nodes.pf"), "/null c 666 0 0 1 3\n/fifo i 600 0 0 f\n").unwrap();
    fs::write(host.path("more.pf"), "/again L fifo\n").unwrap();
    let files = ["--pseudo-file", "nodes.pf", "--pseudo-file", "more.pf"];
    let allowed = [&files[..], &["--allow-devices"]].concat();
    let output = host.build(&allowed);
    assert_eq!(stderr(&output), "wrote out.erofs: erofs, label CHIMERA, 1 file, 4 KiB\n");

    let check = |options: &[&str]| {
        host.credimg().args(["check", "secrets.yaml"]).args(options).output().unwrap()
    };
    let expected = "PATH    SOURCE    MODE  OWNER\n/a      pseudo f  0400  0:0\n\
                    /null   pseudo c  0666  0:0\n/fifo   pseudo i  0600  0:0\n\
                    /again  pseudo L  -     -\n";
    assert_eq!(stdout(&check(&allowed)), expected);

    let forbidden = [&allowed[..], &["--no-commands"]].concat();
    for (options, message) in [
        (&files[..], "nodes.pf:1 (/null): device nodes are made on request only"),
        (&forbidden[..], "pseudo[0] (/a): runs a command, which --no-commands forbids"),
    ] {
        for output in [host.build(options), check(options)] {
            assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
            assert!(stderr(&output).contains(message), "{}", stderr(&output));
        }
    }

    // An image is no pseudo file, not even one that is given in its place.
    fs::rename(host.path("more.pf"), host.path("out.erofs")).unwrap();
    let output =
        host.build(&["--pseudo-file", "nodes.pf", "--pseudo-file", "out.erofs", "--allow-devices"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("the image would replace the source"));
    assert_eq!(fs::read(host.path("out.erofs")).unwrap(), b"/again L fifo\n");
}

#[test]
fn a_squashfs_image_is_found_by_its_serial() {
    let host = Host::new(
        "label: CHIMERA\nformat: squashfs\ncompression: zstd:3\n\
         files: [{path: /a, text: hello, owner: '7:8'}]\n",
    );
    let build = |options: &[&str]| {
        host.credimg().args(["build", "secrets.yaml", "-o"]).args(options).output().unwrap()
    };
    let output = build(&["out.img", "--mtime", "5"]);
    assert_eq!(
        stderr(&output),
        "a SquashFS image has no label: the drive's serial stands for it\n\
         wrote out.img: squashfs, /dev/disk/by-id/virtio-chimera, 1 file, 4 KiB\n"
    );
    assert!(stdout(&output).contains(",serial=chimera,"), "{}", stdout(&output));
    let listing = Command::new("unsquashfs")
        .args(["-lln", "-UTC"])
        .arg(host.path("out.img"))
        .output()
        .expect("unsquashfs starts; `make setup` installs it");
    let listing = stdout(&listing);
    assert!(
        listing.contains("-r-------- 7/8                       5 1970-01-01 00:00 squashfs-root/a"),
        "{listing}"
    );

    let warned = build(&["out.img", "--uuid", UUID, "--compression", "none"]);
    assert!(stderr(&warned).contains("--uuid has no effect"), "{}", stderr(&warned));
    build(&["out.img", "--mtime", "5"]);
    let streamed = build(&["-", "--mtime", "5", "--quiet"]);
    assert_eq!(stderr(&streamed), "");
    assert!(streamed.stdout == fs::read(host.path("out.img")).unwrap(), "another image");
    let compressed = build(&["out.img", "--format", "erofs"]);
    assert_eq!(compressed.status.code(), Some(2), "{}", stderr(&compressed));
}

#[test]
fn check_runs_and_reads_nothing() {
    let host = Host::new(
        "files:\n- {path: /a, shell: 'touch ran; echo x'}\n- {path: /b, dir: missing}\n- {path: /c, env: UNSET}\n",
    );
    let output = host.credimg().args(["check", "secrets.yaml"]).output().unwrap();
    assert_eq!(
        stdout(&output),
        "PATH  SOURCE  MODE       OWNER\n/a    shell   0400       0:0\n\
         /b    dir     0400/0500  0:0\n/c    env     0400       0:0\n"
    );
    assert!(!host.path("ran").exists());
}

#[test]
fn args_tells_the_arguments_of_an_image_that_exists() {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, text: hello}]\n");
    let built = host.build(&["--bus", "nvme"]);
    let args = host.credimg().args(["args", "out.erofs", "--bus", "nvme"]).output().unwrap();
    assert_eq!(stdout(&args), stdout(&built));

    let args = host.credimg().args(["args", "secrets.yaml"]).output().unwrap();
    assert_eq!(args.status.code(), Some(8));
    let expected = "credimg: error: secrets.yaml: not an image: neither a superblock of EROFS or \
                    SquashFS nor a volume of ISO 9660 or LUKS\n";
    assert!(stderr(&args).starts_with(expected), "{}", stderr(&args));

    // There is no manifest that a hint could speak of.
    let missing = host.credimg().args(["args", "missing.erofs"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(8));
    let expected = "credimg: error: cannot read missing.erofs: no such file or directory\n";
    assert_eq!(stderr(&missing), expected);
    let directory = host.credimg().args(["args", "."]).output().unwrap();
    let expected = "credimg: error: . is a directory, expected a regular file\n";
    assert_eq!(stderr(&directory), expected);
}

#[test]
fn completions_and_manual_pages_are_made() {
    let host = Host::new("");
    for shell in ["bash", "zsh", "fish"] {
        let output = host.credimg().args(["completions", shell]).output().unwrap();
        assert!(stdout(&output).contains("credimg"), "{shell}");
    }
    let missing = host.credimg().args(["man", "man"]).output().unwrap();
    let expected = "credimg: error: cannot write man/credimg.1: no such file or directory\n\
                    credimg: hint: the directory must exist\n";
    assert_eq!((stderr(&missing).as_str(), missing.status.code()), (expected, Some(7)));
    fs::create_dir(host.path("man")).unwrap();
    assert!(host.credimg().args(["man", "man"]).status().unwrap().success());
    for page in ["credimg.1", "credimg-build.1", "credimg-check.1", "credimg-args.1"] {
        assert!(fs::read_to_string(host.path("man").join(page)).unwrap().contains(".TH"), "{page}");
    }
    for command in [&[][..], &["build"], &["check"], &["args"], &["completions"], &["man"]] {
        let output = host.credimg().args(command).arg("--help").output().unwrap();
        assert!(stdout(&output).contains("Example"), "{command:?}");
    }
}

#[test]
fn what_is_special_to_no_group_stands_before_the_groups_in_help() {
    let host = Host::new("");
    for command in ["build", "exec", "check", "seal", "args", "verify"] {
        let help = stdout(&host.credimg().args([command, "-h"]).output().unwrap());
        let heads = ["\nEncryption:", "\nSources:", "\nAttachment:"];
        let first = heads.iter().filter_map(|heading| help.find(heading)).min().unwrap();
        let groups = &help[first..];
        for option in ["--json", "--quiet", "--strict", "--max-size", "--output", "--help"] {
            // A line begins with six blanks, or with a short option.
            let is_listed = [format!("\n      {option}"), format!(", {option}")];
            assert!(!is_listed.iter().any(|line| groups.contains(line)), "{command} {option}");
        }
    }
}

#[test]
fn the_helps_example_starts_no_machine_after_a_failed_build() {
    let host = Host::new("files: [{path: /a, file: missing}]\n");
    let help = stdout(&host.credimg().arg("--help").output().unwrap());
    let example = help.split("Example:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    fs::write(host.path("qemu-system-x86_64"), "#!/bin/sh\necho started\n").unwrap();
    fs::set_permissions(host.path("qemu-system-x86_64"), PermissionsExt::from_mode(0o755)).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_credimg")).parent().unwrap();
    let rest = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{rest}", host.path("").display(), program.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", example]).current_dir(host.path("")).env("PATH", path);
    let output = shell.output().unwrap();
    assert_eq!((stdout(&output), output.status.code()), (String::new(), Some(4)));
}

/// A build for development names no commit, a release does.
#[test]
fn the_version_names_commit_and_features() {
    let host = Host::empty();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(stdout(&host.run("-V")), format!("credimg {version}\n"));
    let commit = option_env!("CREDIMG_COMMIT").unwrap_or("unknown commit");
    let features = if cfg!(feature = "seal") { "leases seal" } else { "leases" };
    let expected = format!("credimg {version} ({commit}, features: {features})\n");
    assert_eq!(stdout(&host.run("--version")), expected);
}
