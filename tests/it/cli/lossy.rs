//! `--lossy` and `xattrs: none`: extended attributes that a format cannot hold.

use std::collections::BTreeMap;
use std::process::Output;

use base64::Engine as _;
use tar::{EntryType, Header};

use super::*;

/// What bsdtar of macOS adds to a file, in its own way and in the usual one.
const APPLE: &[(&str, &[u8])] = &[
    ("LIBARCHIVE.xattr.com.apple.provenance", b"AQAA"),
    ("SCHILY.xattr.com.apple.provenance", b"c4n4ry-7f1e-do-not-show"),
];

fn record(keyword: &str, value: &[u8]) -> Vec<u8> {
    let rest = keyword.len() + value.len() + 3;
    let digits = (1..9).find(|digits| (rest + digits).to_string().len() == *digits).unwrap();
    [format!("{} {keyword}=", rest + digits).as_bytes(), value, b"\n"].concat()
}

/// Adds a member, and before it its extended attributes.
fn add(archive: &mut Vec<u8>, name: &str, kind: EntryType, records: &[(&str, &[u8])]) {
    let mut member = |name: &str, kind: EntryType, content: &[u8]| {
        let mut header = Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        if kind == EntryType::Symlink {
            header.set_link_name(".").unwrap();
        }
        header.set_cksum();
        archive.extend(header.as_bytes());
        archive.extend(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    };
    let records: Vec<u8> =
        records.iter().flat_map(|(keyword, value)| record(keyword, value)).collect();
    if !records.is_empty() {
        member("pax", EntryType::XHeader, &records);
    }
    member(name, kind, b"");
}

/// A directory with this archive and a manifest that takes it in.
fn host(mut archive: Vec<u8>, more: &str) -> Host {
    let host = Host::new(&format!("files: [{{path: /, tar: a.tar{more}}}]\n"));
    archive.extend([0; 1024]);
    fs::write(host.path("a.tar"), archive).unwrap();
    host
}

impl Host {
    fn build_as(&self, format: &str, options: &[&str]) -> Output {
        let arguments = ["build", "secrets.yaml", "-o", "out.img", "--args", "none", "--quiet"];
        let output =
            self.credimg().args(arguments).args(["--format", format]).args(options).output();
        let output = output.unwrap();
        assert!(!stderr(&output).contains(CANARY), "{}", stderr(&output));
        output
    }

    /// What other programs say of the extended attributes of a file in the image.
    fn shown_xattrs(&self, format: &str, path: &str) -> String {
        let image = self.path("out.img");
        let mut command = if format == "erofs" {
            let mut command = Command::new("dump.erofs");
            command.args(["--path", path]).arg(image);
            command
        } else {
            let mut command = Command::new("rdsquashfs");
            command.args(["--xattr", path]).arg(image);
            command
        };
        let output = command.output().expect("the reader starts");
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    }
}

#[test]
fn attributes_of_macos_are_refused_or_left_out() {
    let mut archive = Vec::new();
    add(&mut archive, "apple", EntryType::Regular, APPLE);
    let both = [APPLE, &[("SCHILY.xattr.user.kept", b"kept value")]].concat();
    add(&mut archive, "both", EntryType::Regular, &both);
    for (format, prefixes) in [
        (
            "erofs",
            "EROFS holds extended attributes named user.*, trusted.*, security.*, \
             system.posix_acl_access and system.posix_acl_default only",
        ),
        (
            "squashfs",
            "SquashFS holds extended attributes named user.*, trusted.* and security.* only",
        ),
    ] {
        let host = host(archive.clone(), "");
        fs::write(host.path("out.img"), "old").unwrap();
        let refused = host.build_as(format, &[]);
        assert_eq!(refused.status.code(), Some(4));
        assert_eq!(
            stderr(&refused),
            format!(
                "credimg: error: /apple: {prefixes}\n\
                 credimg: hint: macOS adds such attributes by itself: pack the archive with `tar \
                 --no-xattrs` and COPYFILE_DISABLE=1, leave out all that it has with `xattrs: \
                 none`, or leave out with --lossy what {format} cannot hold; the old image is \
                 unchanged\n"
            )
        );
        assert_eq!(fs::read(host.path("out.img")).unwrap(), b"old");
        let built = host.build_as(format, &["--lossy"]);
        assert_eq!(
            stderr(&built),
            format!(
                "credimg: warning: /apple, /both: extended attributes are left out: {prefixes}\n"
            )
        );
        assert!(built.status.success());
        let (apple, both) =
            (host.shown_xattrs(format, "/apple"), host.shown_xattrs(format, "/both"));
        if format == "erofs" {
            // The header, and one entry of a name of 4 bytes and a value of 10.
            assert!(apple.contains("Xattr size: 0\n"), "{apple}");
            assert!(both.contains("Xattr size: 32\n"), "{both}");
        } else {
            assert_eq!((apple.trim(), both.trim()), ("", "user.kept=kept value"));
        }
    }
}

#[test]
fn an_archive_s_attributes_are_left_out_where_the_manifest_says_so() {
    let mut archive = Vec::new();
    let both = [APPLE, &[("SCHILY.xattr.user.own", b"own value")]].concat();
    add(&mut archive, "x", EntryType::Regular, &both);
    let host = host(archive, ", xattrs: none");
    for format in ["erofs", "squashfs", "iso9660"] {
        let built = host.build_as(format, &[]);
        assert_eq!((stderr(&built).as_str(), built.status.success()), ("", true));
    }
    let built = host.build_as("squashfs", &[]);
    assert!(built.status.success());
    assert_eq!(host.shown_xattrs("squashfs", "/x").trim(), "");
}

#[test]
fn attributes_that_linux_would_hide_are_refused_or_left_out() {
    let mut archive = Vec::new();
    let user: &[(&str, &[u8])] =
        &[("SCHILY.xattr.user.a", b"hidden"), ("SCHILY.xattr.trusted.b", b"seen")];
    add(&mut archive, "link", EntryType::Symlink, user);
    for format in ["erofs", "squashfs"] {
        let host = host(archive.clone(), "");
        let refused = host.build_as(format, &[]);
        assert_eq!(refused.status.code(), Some(4));
        assert_eq!(
            stderr(&refused),
            format!(
                "credimg: error: /link: a symbolic link cannot have `user.` attributes\n\
                 credimg: hint: leave out with `xattrs: none` what an archive has, or leave out \
                 with --lossy what {format} cannot hold\n"
            )
        );
        let built = host.build_as(format, &["--lossy"]);
        assert_eq!(
            stderr(&built),
            "credimg: warning: /link: extended attributes are left out: a symbolic link cannot \
             have `user.` attributes\n"
        );
        assert!(built.status.success());
    }
    let host = host(archive, "");
    assert!(host.build_as("squashfs", &["--lossy"]).status.success());
    assert_eq!(host.shown_xattrs("squashfs", "/link").trim(), "trusted.b=seen");
}

#[test]
fn the_first_losses_are_named_and_the_others_counted() {
    let mut archive = Vec::new();
    for number in 0..25 {
        add(&mut archive, &format!("{number:02}"), EntryType::Regular, APPLE);
    }
    let host = host(archive, "");
    let left_out = "extended attributes are left out: EROFS holds extended attributes named \
                    user.*, trusted.*, security.*, system.posix_acl_access and \
                    system.posix_acl_default only";
    let built = host.build_as("erofs", &["--lossy"]);
    assert!(built.status.success());
    let expected =
        format!("credimg: warning: /00, /01, /02, /03, /04 and others, 25 in all: {left_out}\n");
    assert_eq!(stderr(&built), expected);
    // The report tells the same, also of an image that is kept.
    for options in
        [&["--lossy", "--json=report"][..], &["--lossy", "--json=report", "--if-changed"]]
    {
        assert_eq!(stderr(&host.build_as("erofs", options)), expected);
        let report = fs::read(host.path("report")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        let losses = serde_json::json!([{
            "kind": "xattrs", "what": left_out, "count": 25,
            "paths": ["/00", "/01", "/02", "/03", "/04"],
        }]);
        assert_eq!(report.get("losses"), Some(&losses));
    }
}

/// Whatever is linked where: what one name loses, others need not.
#[test]
fn a_lost_name_is_told_at_that_name() {
    let long = |end: &str| format!("{}{end}", "n".repeat(253));
    let (tail, other) = (long("a"), long("b"));
    let mut archive = Vec::new();
    add(&mut archive, "a/short", EntryType::Regular, &[("mtime", b"4000000000")]);
    for name in [tail.as_str(), "b", "c/d:d", "c/\u{1}", other.as_str()] {
        let name = if name.contains('/') { name.to_owned() } else { format!("b/{name}") };
        let records: &[(&str, &[u8])] = &[("path", name.as_bytes()), ("linkpath", b"a/short")];
        add(&mut archive, "link", EntryType::Link, records);
    }
    let named = host(archive.clone(), "").build_as("iso9660", &[]);
    assert!(stderr(&named).starts_with(&format!("credimg: error: /b/{tail}: a name")), "{named:?}");
    let host = host(archive, ", mtime: keep");
    let refused = host.build_as("iso9660", &[]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(stderr(&refused).starts_with("credimg: error: /a/short: the time"), "{refused:?}");
    let built = host.build_as("iso9660", &["--lossy", "--joliet", "--json=report"]);
    assert!(built.status.success(), "{}", stderr(&built));
    let report = fs::read(host.path("report")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let mut found = BTreeMap::new();
    for loss in report.get("losses").and_then(|losses| losses.as_array()).unwrap() {
        let paths = loss["paths"].as_array().unwrap();
        let mut paths: Vec<_> = paths.iter().map(|path| path.as_str().unwrap()).collect();
        paths.sort_unstable();
        assert_eq!(loss["count"], paths.len());
        found.insert(loss["kind"].as_str().unwrap(), paths.join(" "));
    }
    let expected = BTreeMap::from([
        ("entry", "\"/c/\\u{1}\"".to_owned()),
        ("joliet-character", "\"/c/\\u{1}\" /c/d:d".to_owned()),
        ("joliet-length", format!("/b/{tail} /b/{other}")),
        ("name-end", format!("/b/{tail} /b/{other}")),
        ("time", "/a/short".to_owned()),
    ]);
    assert_eq!(found, expected);
}

#[test]
fn check_foresees_what_wants_lossy() {
    let acl = "files: [{path: /a, text: x, mode: \"0440\", xattrs: {system.posix_acl_access: \
               {base64: AgAAAAEABAD/////AgAEAOgDAAAEAAQA/////xAABAD/////IAAAAP////8=}}}]\n";
    let labels = "defaults: {xattrs: {security.selinux: a}}\nfiles: [{path: /a, text: x}]\n";
    let late = "files: [{path: /a, text: x, mtime: 4000000000}, {path: /b, text: x}]\n";
    let long = format!("/{}", "n".repeat(254));
    let named = format!("files: [{{path: {long}, text: x}}]\n");
    let joliet = "joliet: true\nfiles: [{path: \"/a:b\", text: x}]\n";
    let squashfs = "extended attributes are left out: SquashFS holds extended attributes named \
                    user.*, trusted.* and security.* only";
    let iso9660 = "extended attributes are left out: ISO 9660 holds none";
    let end = "Linux shows the first 253 bytes of the name";
    let lacking = "Joliet has another name, without the characters that it cannot hold";
    for (manifest, format, expected) in [
        (acl, "erofs", &[][..]),
        (acl, "squashfs", &[("/a", squashfs)]),
        (acl, "iso9660", &[("/a", iso9660)]),
        (labels, "squashfs", &[]),
        (labels, "iso9660", &[("/, /a", iso9660)]),
        (late, "erofs", &[]),
        (
            late,
            "iso9660",
            &[("/a", "Linux reads another time, as it takes those from 1901 to January 2038 only")],
        ),
        (&named, "squashfs", &[]),
        (&named, "iso9660", &[(&long, end)]),
        (joliet, "iso9660", &[("/a:b", lacking)]),
    ] {
        let host = Host::new(manifest);
        let check = ["check", "secrets.yaml", "--format", format];
        let output = host.credimg().args(check).output().unwrap();
        let line = |(path, what): &(&str, &str)| {
            format!("credimg: warning: {path}: {what}; a build without --lossy fails\n")
        };
        let expected: String = expected.iter().map(line).collect();
        assert_eq!(stderr(&output), expected, "{manifest} {format}");
        assert_eq!(host.build_as(format, &[]).status.success(), expected.is_empty(), "{format}");
        assert!(host.build_as(format, &["--lossy"]).status.success(), "{format}");
    }
}

/// Whatever source they come from: an archive's can be left out, the manifest's are wrong.
#[test]
fn attributes_that_no_inode_of_linux_has_are_refused_or_left_out() {
    let capability = "Linux does not show this `security.capability`: expected 20 bytes of version \
                      2, or 24 of version 3 with a root that is not 0";
    let empty_list = "an access control list is malformed";
    let name = format!("user.{}", "n".repeat(251));
    let value = vec![b'v'; 65_537];
    let cases: [(&str, &[u8], &str); 4] = [
        ("security.capability", &[1, 0, 0, 2], capability),
        ("system.posix_acl_access", &[2, 0, 0, 0], empty_list),
        ("user.long", &value, "an extended attribute's value is longer than 65536 bytes"),
        (&name, b"x", "an extended attribute's name is longer than 255 bytes"),
    ];
    for (name, value, fault) in cases {
        let record = format!("SCHILY.xattr.{name}");
        let mut archive = Vec::new();
        add(&mut archive, "x", EntryType::Regular, &[(&record, value)]);
        let host = host(archive, "");
        let refused = host.build_as("erofs", &[]);
        assert_eq!(refused.status.code(), Some(4));
        assert!(stderr(&refused).starts_with(&format!("credimg: error: /x: {fault}\n")), "{fault}");
        let built = host.build_as("erofs", &["--lossy"]);
        let expected = format!("credimg: warning: /x: extended attributes are left out: {fault}\n");
        assert_eq!((stderr(&built), built.status.success()), (expected, true));

        let text = base64::engine::general_purpose::STANDARD.encode(value);
        let entry = format!("xattrs: {{{name}: {{base64: {text}}}}}");
        for manifest in [
            format!("files: [{{path: /x, text: y, {entry}}}]\n"),
            format!("defaults: {{{entry}}}\nfiles: [{{path: /x, text: y}}]\n"),
            format!("files: [{{path: /x, text: y}}]\npseudo: ['x x {name}=0s{text}']\n"),
        ] {
            if manifest.contains("pseudo") && value.len() > 10_000 {
                // A line has no room for it.
                continue;
            }
            let host = Host::new(&manifest);
            for options in [&[][..], &["--lossy"]] {
                let refused = host.build_as("squashfs", options);
                assert_eq!(refused.status.code(), Some(3), "{name}");
                let said = stderr(&refused);
                let is_name = name.len() > 255 && said.contains("a name of at most 255 bytes");
                assert!(said.contains(fault) || is_name, "{said}");
            }
        }
    }
}

/// More than Linux lists of one inode: those that come last by name do not fit.
#[test]
fn attributes_that_do_not_fit_together_are_left_out_from_the_end() {
    let names: Vec<_> = (0..258).map(|index| format!("SCHILY.xattr.user.{index:0>250}")).collect();
    let records: Vec<_> = names.iter().map(|name| (name.as_str(), b"v".as_slice())).collect();
    let mut archive = Vec::new();
    add(&mut archive, "x", EntryType::Regular, &records);
    let host = host(archive, "");
    let fault = "the names of its extended attributes take more than 65536 bytes, Linux lists no \
                 more";
    let refused = host.build_as("squashfs", &[]);
    assert!(stderr(&refused).starts_with(&format!("credimg: error: /x: {fault}\n")));
    let built = host.build_as("squashfs", &["--lossy"]);
    let expected = format!("credimg: warning: /x: extended attributes are left out: {fault}\n");
    assert_eq!(stderr(&built), expected);
    let shown = host.shown_xattrs("squashfs", "/x");
    assert_eq!(shown.lines().count(), 256);
    assert!(shown.contains(&format!("user.{:0>250}=v", 255)), "{shown}");
}
