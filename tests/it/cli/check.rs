//! `check` foresees what a build would refuse, and whom directories keep out.

use super::*;

/// A program sees what people see in the tables, and a build after it would tell.
#[test]
fn the_report_holds_the_plan_and_the_warnings_and_no_value() {
    let host = Host::new(
        "label: CHIMERA\nmount: /run/secrets\nfiles:\n\
         - {path: /api/token, shell: 'touch ran; echo hunter2', mode: 0440, owner: '7:8'}\n\
         - {path: /tree, dir: missing, mtime: keep}\n\
         - {path: /link, symlink: hunter2}\n\
         pseudo: [/api/token m 400 0 0]\n\
         credentials: [{name: db, text: hunter2}, {name: tls, command: [hunter2]}]\n",
    );
    let options = ["check", "secrets.yaml", "--guest", "systemd=252", "--strict", "--json"];
    let output = host.credimg().args(options).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let shown = stdout(&output);
    assert!(!shown.contains("hunter2") && !host.path("ran").exists(), "{shown}");
    let report: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let entries = serde_json::json!([
        {"path": "/api/token", "kind": "file", "source": "shell", "mode": "0440", "owner": "7:8",
         "mtime": "build"},
        {"path": "/tree", "kind": "tree", "source": "dir", "mode": "0400", "dir_mode": "0500",
         "owner": "0:0", "mtime": "keep"},
        {"path": "/link", "kind": "symlink", "source": "symlink", "mode": "0777", "owner": "0:0",
         "mtime": "build"},
        {"path": "/api/token", "kind": null, "source": "pseudo m", "mode": "0400", "owner": "0:0",
         "mtime": null},
    ]);
    assert_eq!(report["entries"], entries);
    let credentials = report["credentials"].as_array().unwrap();
    let told = |name: &str| credentials.iter().find(|it| it["name"] == name).unwrap();
    assert_eq!((&told("db")["size_bytes"], &told("db")["channel"]), (&7.into(), &"smbios".into()));
    assert_eq!(
        (&told("tls")["size_bytes"], &told("tls")["source"]),
        (&().into(), &"command".into())
    );
    assert_eq!(told("fstab.extra")["source"], "mount");
    let limits = report["limits"].as_array().unwrap();
    let label = serde_json::json!({"name": "label, bytes", "used": 7, "most": 15});
    assert!(limits.contains(&label), "{report}");
    // Each warning stands on standard error as well.
    let warnings = report["warnings"].as_array().unwrap();
    let lines = warnings.iter().map(|it| format!("credimg: warning: {}\n", it.as_str().unwrap()));
    let error = "credimg: error: --strict: a warning counts as an error\n".to_owned();
    assert!(!warnings.is_empty(), "{report}");
    assert_eq!(stderr(&output), lines.chain([error]).collect::<String>());
    // And the tables have no more rows than the report.
    let table = host.credimg().args(&options[..5]).output().unwrap();
    let rows = stdout(&table).lines().filter(|line| !line.is_empty()).count();
    let counts = ["entries", "credentials", "limits"];
    let counts = counts.map(|name| report[name].as_array().unwrap().len());
    assert_eq!(rows, counts.iter().sum::<usize>() + 3, "{}", stdout(&table));
}

/// Whether it is an option's, the label's or known to a build alone, and whether or not something
/// depends on it.
#[test]
fn the_report_has_the_serial_that_a_build_gives() {
    for (label, options, serial) in [
        ("label: CHIMERA\n", &[][..], Some("chimera")),
        ("label: CHIMERA\n", &["--serial", "own"], Some("own")),
        ("label: NONE\n", &[], Some("none")),
        ("", &["--serial", "own"], Some("own")),
        ("", &[], None),
        // Nothing else stands in its way, so that a build with --serial goes.
        ("label: a+b\n", &[], None),
    ] {
        for more in ["", "mount: /run/secrets\n"] {
            let host = Host::new(&format!("{label}{more}files: [{{path: /a, text: x}}]\n"));
            let mut check = host.credimg();
            let output = check.args(["check", "secrets.yaml", "--json"]).args(options).output();
            let output = output.unwrap();
            if label.contains('+') && !more.is_empty() {
                assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
                continue;
            }
            assert!(output.status.success(), "{label}{}", stderr(&output));
            let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
            assert_eq!(report["serial"].as_str(), serial, "{label}{more}{options:?}");
        }
    }
    let host = Host::new("files: [{path: /a, text: x}]\n");
    let output = host.credimg().args(["check", "secrets.yaml", "--serial", "a b"]).output();
    assert_eq!(output.unwrap().status.code(), Some(2));
}

/// Programs need the path itself, and people one that drives no terminal, be it in a report.
#[test]
fn the_report_has_paths_as_they_are() {
    let host = Host::new("files: [{path: \"/a\\e[2J\", text: x}]\n");
    host.write("a.pf", b"/\xff d 500 0 0\n");
    let check = ["check", "secrets.yaml", "--pseudo-file", "a.pf"];
    let output = host.credimg().args(check).arg("--json").output().unwrap();
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let entries = report["entries"].as_array().unwrap();
    let paths: Vec<_> = entries.iter().map(|it| (&it["path"], &it["path_hex"])).collect();
    let (plain, odd) = ("/a\u{1b}[2J".into(), "/\u{fffd}".into());
    assert_eq!(paths, [(&plain, &().into()), (&odd, &"2fff".into())]);
    let table = stdout(&host.credimg().args(check).output().unwrap());
    assert!(table.contains("\"/a\\u{1b}[2J\" ") && table.contains("\"/\\xFF\" "), "{table}");
}

/// Pairs of entries and of definitions, and what is said of them; nothing where they go.
const TOGETHER: &[(&str, &str, &str)] = &[
    ("{path: /a, text: x}", "/b m 400 0 0", "no entry exists at this path"),
    ("{path: /a, text: x}", "/b M 0 400 0 0", "no entry exists at this path"),
    ("{path: /a, text: x}", "/a/b m 400 0 0", "no entry exists at this path"),
    ("{path: /a, text: x}", "/b x user.k=v", "no entry exists at this path"),
    ("{path: /a, text: x}", "/a m 400 0 0", ""),
    ("{path: /a, text: x}", "/ d 700 0 0", ""),
    ("{path: /a/b, text: x}", "/a m 700 0 0", ""),
    ("{path: /a/b, text: x}", "/a d 700 0 0", ""),
    ("{path: /a, text: x}", "/a x user.k=v", ""),
    ("{path: /a, symlink: x}", "/a x user.k=v", "a symbolic link cannot have `user.` attributes"),
    ("{path: /a, text: x}", "/a f 400 0 0 touch ran; echo x", "is taken already by files[0]"),
    ("{path: /a, text: x}", "/a/b f 400 0 0 touch ran; echo x", "/a (extra.pf:1) is taken already"),
    ("{path: /a, text: x}", "/a d 700 0 0", "to change what a source of the manifest made"),
    ("{path: /a, text: x}", "/b l secrets.yaml", ""),
    ("{path: /a, text: x}", "/a l secrets.yaml", "is taken already by files[0]"),
    ("{path: /a, dir: d}", "/a/inside m 400 0 0", ""),
    ("{path: /, dir: d}", "/inside m 400 0 0", ""),
    ("{path: /a, dir: d}", "/a/inside x user.k=v", ""),
    ("{path: /a, dir: d}", "/b m 400 0 0", "no entry exists at this path"),
];

#[test]
fn what_a_definition_cannot_do_is_an_error_of_check_and_of_a_build_before_it_runs_anything() {
    let host = Host::new("");
    fs::create_dir(host.path("d")).unwrap();
    fs::write(host.path("d/inside"), "x").unwrap();
    for (entry, definition, expected) in TOGETHER {
        let manifest = format!("files: [{{path: /first, shell: 'touch ran; echo x'}}, {entry}]\n");
        fs::write(host.path("secrets.yaml"), manifest).unwrap();
        fs::write(host.path("extra.pf"), format!("{definition}\n")).unwrap();
        let pseudo = ["--pseudo-file", "extra.pf"];
        let check = host.credimg().args(["check", "secrets.yaml"]).args(pseudo).output().unwrap();
        assert!(!host.path("ran").exists(), "{definition}");
        let build = host.build(&[&pseudo[..], &["--quiet", "--args=none"]].concat());
        let expected = expected.replace("files[0]", "files[1]");
        for output in [&check, &build] {
            let code = if expected.is_empty() { 0 } else { 3 };
            let stderr = stderr(output);
            assert_eq!(output.status.code(), Some(code), "{definition}: {stderr}");
            assert!(stderr.contains(&expected), "{definition}: {stderr}");
        }
        if !expected.is_empty() {
            assert_eq!(stderr(&check), stderr(&build), "{definition}");
        }
        assert_eq!(host.path("ran").exists(), expected.is_empty(), "{definition}");
        for left in ["ran", "out.erofs"] {
            let _ = fs::remove_file(host.path(left));
        }
    }
}

#[test]
fn credentials_that_may_be_on_the_disk_can_be_changed() {
    let host = Host::new("credentials: [{name: a, text: x}]\n");
    let check = |via: &str, definition: &str| {
        let manifest = format!("credentials: [{{name: a, text: x, via: {via}}}]\n");
        fs::write(host.path("secrets.yaml"), manifest).unwrap();
        fs::write(host.path("extra.pf"), format!("{definition}\n")).unwrap();
        let arguments = ["check", "secrets.yaml", "--pseudo-file", "extra.pf"];
        host.credimg().args(arguments).output().unwrap().status.code()
    };
    for (via, definition, code) in [
        ("auto", "/credstore/a m 400 0 0", 0),
        ("auto", "/credstore m 500 0 0", 0),
        ("auto", "/credstore d 500 0 0", 0),
        ("auto", "/credstore/b m 400 0 0", 3),
        ("disk", "/credstore/a m 400 0 0", 0),
        ("disk", "/credstore/a f 400 0 0 echo x", 3),
        ("smbios", "/credstore/a m 400 0 0", 3),
    ] {
        assert_eq!(check(via, definition), Some(code), "{via}, {definition}");
    }
}

#[test]
fn an_owner_who_cannot_pass_the_directories_above_a_file_is_warned_of() {
    let host = Host::new("");
    let check = |manifest: &str, options: &[&str]| {
        fs::write(host.path("secrets.yaml"), manifest).unwrap();
        host.credimg().args(["check", "secrets.yaml"]).args(options).output().unwrap()
    };
    let closed = |path: &str, reader: &str, directory: &str| {
        format!(
            "credimg: warning: {path}: {reader} cannot pass the directory {directory}: let \
             everybody pass, as with `defaults: {{dir_mode: \"0711\"}}`\n"
        )
    };
    let token = "{path: /api/token, text: x, owner: '990:990'}";
    let user = closed("/api/token", "the user 990", "/");
    for (manifest, expected) in [
        (format!("files: [{token}]"), user.clone()),
        (format!("defaults: {{dir_mode: '0711'}}\nfiles: [{token}]"), String::new()),
        (
            format!("defaults: {{dir_mode: '0500', owner: '990:990'}}\nfiles: [{token}]"),
            String::new(),
        ),
        // The owner of a directory counts as such, whatever others may do.
        (
            "defaults: {dir_mode: '0611', owner: '990:990'}\nfiles: [{path: /t, text: x}]".into(),
            closed("/t", "the user 990", "/"),
        ),
        // The user may be in the directory's group.
        (format!("defaults: {{dir_mode: '0710'}}\nfiles: [{token}]"), String::new()),
        (
            "files: [{path: /a, text: x, owner: '0:990', mode: '0440'}]".into(),
            closed("/a", "the group 990", "/"),
        ),
        ("files: [{path: /a, text: x, owner: '0:990'}]".into(), String::new()),
        ("files: [{path: /a, text: x, mode: '0444'}]".into(), String::new()),
        (
            format!("files: [{token}, {{path: /b, text: x, owner: '990:990'}}]"),
            closed("/api/token and 1 more", "the user 990", "/"),
        ),
        (
            "files: [{path: /tls, dir: d, owner: '990:990'}]".into(),
            closed("/tls", "the user 990", "/"),
        ),
        // What a source brings is not known.
        ("files: [{path: /tls, dir: d, owner: keep}]".into(), String::new()),
        (format!("files: [{{path: /, dir: d, dir_mode: keep}}, {token}]"), String::new()),
        (format!("files: [{{path: /, dir: d, dir_mode: '0711'}}, {token}]"), String::new()),
        ("files: [{path: /a, file: f, owner: keep}]".into(), String::new()),
        (
            format!("defaults: {{dir_mode: '0711'}}\nfiles: [{token}]\npseudo: [/api m 700 0 0]"),
            closed("/api/token", "the user 990", "/api"),
        ),
        (
            "defaults: {dir_mode: '0711'}\nfiles: [{path: /a/b, text: x}]\n\
             pseudo: [/a m 700 0 0, /a/c f 440 7 8 echo x]"
                .into(),
            closed("/a/c", "the user 7", "/a") + &closed("/a/c", "the group 8", "/a"),
        ),
    ] {
        let output = check(&manifest, &[]);
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), expected), "{manifest}");
    }
    let output = check(&format!("files: [{token}]"), &["--strict"]);
    assert_eq!(output.status.code(), Some(5));
    // The checkout may be another user's, and the tests run as root.
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/demo/secrets.yaml");
    let output =
        host.credimg().arg("check").arg(sample).args(["--strict", "--trust"]).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src/first-disk.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, sample) = page.split_once("```yaml\n").unwrap();
    let (sample, _) = sample.split_once("```").unwrap();
    let output = check(sample, &["--strict"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}
