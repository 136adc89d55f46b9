//! The image and the files beside it: private, replaced together, and whole
//! where a build fails.

use std::collections::BTreeSet;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use super::*;

/// The directory's files with what they hold.
fn files(host: &Host) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(host.path("")).unwrap().map(|entry| entry.unwrap().path());
    let pair = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let content = if path.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        (name, content)
    };
    let mut files: BTreeMap<_, _> = entries.map(pair).collect();
    files.remove("secrets.yaml");
    files
}

fn names(host: &Host) -> Vec<String> {
    files(host).into_keys().collect()
}

fn rewrite(host: &Host, manifest: &str) {
    fs::write(host.path("secrets.yaml"), manifest).unwrap();
}

#[test]
fn files_of_the_old_image_go_with_it_and_nothing_else_does() {
    let both = [credential("a", b"v", "smbios"), credential("b", b"v", "fw_cfg")];
    let host = Host::new(&manifest(both));
    let foreign = ["out.erofs.bak", "out.erofs.fw_cfg.x:y", "other.erofs.smbios"];
    for name in foreign {
        fs::write(host.path(name), "foreign").unwrap();
    }
    assert!(host.build(&[]).status.success());
    let made: BTreeSet<_> = names(&host).into_iter().collect();
    let kept: BTreeSet<_> = foreign.into_iter().map(str::to_owned).collect();
    let set = ["out.erofs", "out.erofs.fw_cfg.b", "out.erofs.sidecars", "out.erofs.smbios"];
    let set = set.map(str::to_owned);
    assert_eq!(made, set.into_iter().chain(kept.clone()).collect());

    assert!(host.build(&["--smbios", "path"]).status.success());
    let set = ["out.erofs", "out.erofs.fw_cfg.b", "out.erofs.sidecars", "out.erofs.smbios.a"];
    let set = set.map(str::to_owned);
    assert_eq!(files(&host)["out.erofs.sidecars"], b"fw_cfg.b\nsmbios.a\n");
    assert_eq!(
        names(&host).into_iter().collect::<BTreeSet<_>>(),
        set.into_iter().chain(kept.clone()).collect()
    );

    rewrite(&host, "files: [{path: /a, text: x}]\n");
    assert!(host.build(&[]).status.success());
    let alone = kept.into_iter().chain(["out.erofs".to_owned()]).collect::<BTreeSet<_>>();
    assert_eq!(names(&host).into_iter().collect::<BTreeSet<_>>(), alone);
}

#[test]
fn a_failing_build_leaves_the_old_set_whole() {
    let old = [credential("a", b"old", "smbios"), credential("b", b"old", "fw_cfg")];
    let host = Host::new(&manifest(old));
    assert!(host.build(&[]).status.success());
    let before = files(&host);
    let new = || manifest([credential("a", b"new", "smbios"), credential("c", b"new", "fw_cfg")]);
    let failing = [
        (new() + "- {name: d, shell: 'exit 1'}\n", 6),
        (new() + "- {name: d, file: missing}\n", 4),
        (new() + &credential("n", &vec![7; 70_000], "smbios"), 3),
        (
            new()
                + "files: [{path: /a, file: secrets.yaml, xattrs: {user.a: x}}, {path: /b, tar: secrets.yaml}]\n",
            4,
        ),
    ];
    for (manifest, code) in failing {
        rewrite(&host, &manifest);
        let output = host.build(&[]);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(files(&host) == before, "{}", stderr(&output));
    }
    // A name that cannot be taken is found before the first one is.
    rewrite(&host, &new());
    fs::create_dir(host.path("out.erofs.fw_cfg.c")).unwrap();
    let before = files(&host);
    let output = host.build(&[]);
    let (code, message) = refused(&output);
    assert!((code, message.ends_with("it is a directory")) == (5, true), "{message}");
    assert!(files(&host) == before);
}

#[test]
fn files_are_private_under_any_umask_and_widened_together() {
    let both = [credential("a", b"v", "smbios"), credential("b", b"v", "fw_cfg")];
    let host = Host::new(&manifest(both));
    let modes = || {
        let modes = names(&host).into_iter().map(|name| {
            let found = fs::metadata(host.path(&name)).unwrap();
            (found.permissions().mode() & 0o7777, found.uid())
        });
        modes.collect::<Vec<_>>()
    };
    let script = "umask $0; exec \"$@\"";
    for umask in ["000", "022", "777"] {
        for (options, expected) in
            [(&[][..], (0o600, 0)), (&["--owner", "990:990", "--mode", "0440"], (0o440, 990))]
        {
            let status = Command::new("sh")
                .args(["-c", script, umask, env!("CARGO_BIN_EXE_credimg")])
                .args(["build", "secrets.yaml", "-o", "out.erofs", "--quiet"])
                .args(options)
                .current_dir(host.path(""))
                .output()
                .unwrap();
            assert!(status.status.success(), "{}", stderr(&status));
            assert_eq!(modes(), [expected; 4], "umask {umask}");
        }
    }
}

/// A kill between mode and name: nobody but root could open such a leftover for writing.
#[test]
fn leftovers_that_a_group_may_read_go_with_the_next_build() {
    let host = Host::new(&manifest([credential("a", b"v", "smbios")]));
    let own = "chmod 0777 . && chmod 0644 secrets.yaml && cp \"$0\" ./program && exec setpriv \
        --reuid 65534 --regid 65534 --clear-groups ./program build secrets.yaml -o out.erofs \
        --quiet --args none --mode 0440";
    let build = || {
        let mut command = Command::new("sh");
        command.args(["-c", own, env!("CARGO_BIN_EXE_credimg")]).current_dir(host.path(""));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    };
    build();
    let directory = host.path(".out.erofs.credimg-65534");
    let leftovers = [directory.join("abcdefghij"), host.path(".out.erofs.credimg-commitlock")];
    fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
    let nobodys = |path| std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    nobodys(&directory);
    for leftover in &leftovers {
        fs::copy(host.path("out.erofs"), leftover).unwrap();
        nobodys(leftover);
    }
    build();
    assert!(!directory.exists() && !leftovers[1].exists());
}

/// Each builder has names of its own beside common ones: whoever comes last
/// leaves its own set, whole.
#[test]
fn of_racing_builders_one_set_wins_whole() {
    let host = Host::new("");
    let builders: Vec<String> = (0..4)
        .map(|builder| {
            let name = format!("secrets-{builder}.yaml");
            let value = format!("value of {builder}");
            let own = credential(&format!("own{builder}"), value.as_bytes(), "fw_cfg");
            let common = credential("common", value.as_bytes(), "smbios");
            fs::write(host.path(&name), manifest([own, common])).unwrap();
            name
        })
        .collect();
    for _ in 0..24 {
        let start = |name: &String| {
            let arguments = ["build", name, "-o", "set/out.erofs", "--quiet"];
            host.credimg().args(arguments).stdout(std::process::Stdio::null()).spawn().unwrap()
        };
        fs::create_dir_all(host.path("set")).unwrap();
        for mut builder in builders.iter().map(start).collect::<Vec<_>>() {
            assert!(builder.wait().unwrap().success());
        }
        let strings = oem_strings(&fs::read(host.path("set/out.erofs.smbios")).unwrap());
        let value = String::from_utf8(imported(&strings)["common"].clone()).unwrap();
        let winner = value.strip_prefix("value of ").unwrap();
        let mut left: Vec<_> = fs::read_dir(host.path("set"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let item = format!("out.erofs.fw_cfg.own{winner}");
        let [image, index, structure] =
            ["out.erofs", "out.erofs.sidecars", "out.erofs.smbios"].map(str::to_owned);
        assert_eq!(left, [image, item, index, structure]);
    }
}

/// A builder without files beside its image is stopped just before it puts the
/// image in place; another one with such a file comes between.
#[test]
fn an_image_without_files_takes_none_of_a_racing_builder() {
    let host = Host::new("label: ALONE\nfiles: [{path: /a, text: x}]\n");
    let both = manifest([credential("a", b"v", "smbios")]);
    fs::write(host.path("both.yaml"), both).unwrap();
    let mut alone = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=renameat:delay_enter=2000000"])
        .args([env!("CARGO_BIN_EXE_credimg"), "build", "secrets.yaml", "-o", "out.erofs"])
        .args(["--quiet", "--args", "none"])
        .current_dir(host.path(""))
        .spawn()
        .expect("strace must be installed");
    let has_temporary = || {
        let entries = fs::read_dir(host.path("")).unwrap();
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains(".credimg-"))
    };
    while !has_temporary() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    let between = ["build", "both.yaml", "-o", "out.erofs", "--quiet"];
    assert!(host.credimg().args(between).output().unwrap().status.success());
    assert!(alone.wait().unwrap().success());
    let left = names(&host);
    // Whoever came last has left its own set.
    let image = fs::read(host.path("out.erofs")).unwrap();
    let is_alone = image.windows(5).any(|window| window == b"ALONE");
    assert_eq!(left.contains(&"out.erofs.smbios".to_owned()), !is_alone, "{left:?}");
}

/// Files of these names come and go with the image: what is none of them must
/// not be lost that way.
#[test]
fn no_input_and_no_report_is_a_file_beside_the_image() {
    let entry = credential("a", b"v", "smbios");
    let host = Host::new(&manifest([entry]));
    let before = |name: &str| fs::read(host.path(name)).unwrap();
    let build = |arguments: &[&str]| {
        let output = host.credimg().arg("build").args(arguments).output().unwrap();
        refused(&output)
    };
    let news = "has the name of a file that comes and goes with the image";

    fs::copy(host.path("secrets.yaml"), host.path("web.smbios.yaml")).unwrap();
    symlink("web.smbios.yaml", host.path("link.yaml")).unwrap();
    fs::write(host.path("web.sidecars"), "smbios.yaml\n").unwrap();
    for name in ["web.smbios.yaml", "link.yaml"] {
        let refusal = build(&[name, "-o", "web", "--format", "erofs"]);
        assert_eq!(refusal, (2, format!("the manifest {name} {news}")));
    }
    assert_eq!(before("web.smbios.yaml"), before("secrets.yaml"));

    for (option, name) in [("--depfile", "dependency file"), ("--json", "report")] {
        for file in ["out.erofs.smbios", "./out.erofs.smbios.d"] {
            let option = format!("{option}={file}");
            let refusal = build(&["secrets.yaml", "-o", "out.erofs", &option]);
            assert_eq!(refusal, (2, format!("the {name} {file} {news}")));
        }
    }
    fs::write(host.path("out.erofs.fw_cfg.pf"), "").unwrap();
    let arguments = ["--pseudo-file", "out.erofs.fw_cfg.pf"];
    let refusal = build(&[&["secrets.yaml", "-o", "out.erofs"], &arguments[..]].concat());
    assert_eq!(refusal, (2, format!("the pseudo file out.erofs.fw_cfg.pf {news}")));

    fs::write(host.path("out.erofs.smbios.key"), "key").unwrap();
    fs::write(host.path("out.erofs.sidecars"), "smbios.key\n").unwrap();
    rewrite(&host, "credentials:\n- {name: key, file: out.erofs.smbios.key}\n");
    let refusal = refused(&host.build(&[]));
    let expected =
        format!("credentials[0] (/credstore/key): its source out.erofs.smbios.key {news}");
    assert_eq!(refusal, (2, expected));
    assert_eq!(before("out.erofs.smbios.key"), b"key");
    assert!(!host.path("out.erofs").exists());
}

/// What a build leaves, and what `args` finds there, are the same.
#[test]
fn arguments_name_no_stale_file() {
    let host = Host::new(&manifest([credential("a", b"old", "smbios")]));
    assert!(host.build(&[]).status.success());
    fs::hard_link(host.path("out.erofs.smbios"), host.path("kept")).unwrap();
    rewrite(&host, "label: CHIMERA\nfiles: [{path: /a, text: x}]\n");
    let built = host.build(&[]);
    assert!(built.status.success());
    let found = host.credimg().args(["args", "out.erofs"]).output().unwrap();
    assert_eq!(String::from_utf8(found.stdout), String::from_utf8(built.stdout));
    assert!(host.path("kept").exists());
}
