//! `--lossy` and `xattrs: none`: extended attributes that a format cannot hold.

use std::process::Output;

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
        let left_out = format!("1 extended attribute that {format} cannot hold is left out");
        assert_eq!(
            stderr(&built),
            format!("credimg: warning: /apple: {left_out}\ncredimg: warning: /both: {left_out}\n")
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
            format!(
                "credimg: warning: /link: 1 extended attribute that {format} cannot hold is left \
                 out\n"
            )
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
    let built = host(archive, "").build_as("erofs", &["--lossy"]);
    assert!(built.status.success());
    let said = stderr(&built);
    let lines: Vec<&str> = said.lines().collect();
    let left_out = "1 extended attribute that erofs cannot hold is left out";
    let mut expected: Vec<_> =
        (0..20).map(|number| format!("credimg: warning: /{number:02}: {left_out}")).collect();
    expected.push("credimg: warning: and 5 more such losses".to_owned());
    assert_eq!(lines, expected);
}

#[test]
fn check_foresees_what_wants_lossy() {
    let acl = "files: [{path: /a, text: x, mode: \"0440\", xattrs: {system.posix_acl_access: \
               {base64: AgAAAAEABAD/////AgAEAOgDAAAEAAQA/////xAABAD/////IAAAAP////8=}}}]\n";
    let labels = "defaults: {xattrs: {security.selinux: a}}\nfiles: [{path: /a, text: x}]\n";
    for (manifest, format, path) in [
        (acl, "erofs", None),
        (acl, "squashfs", Some("/a")),
        (acl, "iso9660", Some("/a")),
        (labels, "squashfs", None),
        (labels, "iso9660", Some("/")),
    ] {
        let host = Host::new(manifest);
        let check = ["check", "secrets.yaml", "--format", format];
        let output = host.credimg().args(check).output().unwrap();
        let expected = path.map(|path| {
            format!(
                "credimg: warning: {path}: {format} cannot hold its extended attributes, so that a \
                 build without --lossy fails\n"
            )
        });
        assert_eq!(stderr(&output), expected.unwrap_or_default(), "{manifest} {format}");
        assert_eq!(host.build_as(format, &[]).status.success(), path.is_none(), "{format}");
        assert!(host.build_as(format, &["--lossy"]).status.success(), "{format}");
    }
}
