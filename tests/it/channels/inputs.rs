//! What a build reads it neither replaces nor removes: not under a name that no index lists yet, and
//! not by another name of the same file.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

const IMAGE: &str = "out.erofs";
/// What follows the image's name in those of the files beside it.
const SUFFIXES: [&str; 9] = [
    "smbios",
    "smbios.other",
    "fw_cfg.other",
    "fw_cfg.opt:org.example:other",
    "credential.other",
    "platform",
    "initrd",
    "sidecars",
    "smbios.a.b",
];
const PRECIOUS: &[u8] = b"the only copy";
const NEWS: &str = "has the name of a file that comes and goes with the image";
const HINT: &str = "write the image to another directory; the old image is unchanged";

/// A host with an old image, of which a build takes a source and makes files beside the image.
fn host(source: &str) -> Host {
    let host = Host::new("");
    rewrite(&host, source);
    fs::write(host.path(IMAGE), "old").unwrap();
    host
}

fn rewrite(host: &Host, source: &str) {
    let manifest = format!(
        "label: CHIMERA\nfiles: [{{path: /a, {source}}}, {{path: /b, shell: 'touch ran; echo x'}}]\n\
         credentials: [{{name: a, text: x, via: smbios}}, {{name: b, text: x, via: fw_cfg}}]\n"
    );
    fs::write(host.path("secrets.yaml"), manifest).unwrap();
}

fn names(host: &Host) -> BTreeSet<std::ffi::OsString> {
    let entries = fs::read_dir(host.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    // A command has made this one.
    entries.filter(|name| name != "ran").collect()
}

/// The build is refused, and has not changed what `file` holds.
#[track_caller]
fn assert_kept(host: &Host, options: &[&str], file: &str, message: &str, hint: &str) {
    let (before, there) = (fs::read(host.path(file)).unwrap(), names(host));
    for more in [&[][..], &["--if-changed"], &["--owner", "990:990"]] {
        let output = host.build(&[options, more].concat());
        let said = stderr(&output);
        let told = format!("credimg: error: {message}\ncredimg: hint: {hint}\n");
        assert!(said.ends_with(&told), "{said}");
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()), "{said}");
    }
    assert_eq!(fs::read(host.path(IMAGE)).unwrap(), b"old");
    assert!(fs::read(host.path(file)).unwrap() == before, "{file}");
    assert_eq!(names(host), there);
}

#[test]
fn no_source_has_the_name_of_a_file_beside_the_image() {
    let host = host("text: x");
    fs::create_dir(host.path("below")).unwrap();
    for suffix in SUFFIXES {
        let name = format!("{IMAGE}.{suffix}");
        fs::write(host.path(&name), PRECIOUS).unwrap();
        let absolute = host.path(&name).display().to_string();
        for path in [&name, &format!("below/../{name}"), &absolute] {
            for key in ["file", "tar"] {
                rewrite(&host, &format!("{key}: {path:?}"));
                let message = format!("files[0] (/a): its source {path} {NEWS}");
                assert_kept(&host, &[], &name, &message, HINT);
                assert!(!host.path("ran").exists());
            }
        }
        let value =
            format!("files: [{{path: /a, text: x}}]\nfw_cfg: [{{name: opt/x, file: {name}}}]\n");
        fs::write(host.path("secrets.yaml"), value).unwrap();
        let message = format!("fw_cfg[0] (/opt/x): its source {name} {NEWS}");
        assert_kept(&host, &[], &name, &message, HINT);
        fs::remove_file(host.path(&name)).unwrap();
    }
}

/// A name that another file than the image's own has is nobody's business.
#[test]
fn sources_of_other_names_and_places_are_taken() {
    let host = host("text: x");
    fs::create_dir(host.path("below")).unwrap();
    for name in
        ["out.erofs.bak", "out.erofs.fw_cfg.x:y", "other.erofs.smbios", "below/out.erofs.smbios"]
    {
        fs::write(host.path(name), PRECIOUS).unwrap();
        rewrite(&host, &format!("file: {name}"));
        let output = host.build(&[]);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        assert_eq!(fs::read(host.path(name)).unwrap(), PRECIOUS);
    }
}

/// What a definition names is found when it is read, and nothing is written before.
#[test]
fn no_source_of_a_definition_has_the_name_of_a_file_beside_the_image() {
    let host = host("text: x");
    for suffix in SUFFIXES {
        let name = format!("{IMAGE}.{suffix}");
        // What is no index is refused before.
        let content = if suffix == "sidecars" { b"smbios\n" } else { PRECIOUS };
        fs::write(host.path(&name), content).unwrap();
        fs::write(host.path("x.pf"), format!("/c l {name}\n")).unwrap();
        let output = host.build(&["--pseudo-file", "x.pf"]);
        let said = stderr(&output);
        assert!(said.contains(&format!("its source {name} {NEWS}")), "{said}");
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(fs::read(host.path(&name)).unwrap(), content);
        assert_eq!(fs::read(host.path(IMAGE)).unwrap(), b"old");
        fs::remove_file(host.path(&name)).unwrap();
    }
}

/// A link, a second name and a mount lead to the file that would be replaced.
#[test]
fn no_source_leads_to_a_file_beside_the_image() {
    let name = "out.erofs.smbios";
    let host = host("text: x");
    fs::write(host.path(name), PRECIOUS).unwrap();
    fs::create_dir(host.path("tree")).unwrap();
    symlink(name, host.path("link")).unwrap();
    symlink("link", host.path("tree/../far")).unwrap();
    fs::hard_link(host.path(name), host.path("second")).unwrap();
    for path in ["link", "far", "second"] {
        rewrite(&host, &format!("file: {path}"));
        let message = format!("files[0] (/a): its source is {name}, which the image would replace");
        assert_kept(&host, &[], name, &message, HINT);
    }
    // Once an index names it, it is known from the beginning.
    fs::write(host.path("out.erofs.sidecars"), "smbios\n").unwrap();
    for path in ["link", "far", "second"] {
        rewrite(&host, &format!("file: {path}"));
        let message = format!("files[0] (/a): its source {path} {NEWS}");
        assert_kept(&host, &[], name, &message, HINT);
    }
}

#[test]
fn no_source_is_a_file_beside_the_image_by_a_mount() {
    let name = "out.erofs.smbios";
    let host = host("text: x");
    fs::write(host.path(name), PRECIOUS).unwrap();
    fs::write(host.path("file"), "").unwrap();
    fs::create_dir(host.path("place")).unwrap();
    for (path, what) in [
        ("file", format!("its source is {name}, which the image would replace")),
        ("place/out.erofs.smbios", format!("its source place/{name} {NEWS}")),
        ("place/out.erofs", "the image would replace the source place/out.erofs".to_owned()),
    ] {
        rewrite(&host, &format!("file: {path}"));
        let script = format!(
            "mount --bind {name} file && mount --bind . place && \"$1\" build secrets.yaml -o {IMAGE}"
        );
        let mut command = host.command("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(host.credimg().get_program());
        let output = command.output().unwrap();
        let said = stderr(&output);
        assert!(said.contains(&format!("credimg: error: files[0] (/a): {what}\n")), "{said}");
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(fs::read(host.path(name)).unwrap(), PRECIOUS);
        assert_eq!(fs::read(host.path(IMAGE)).unwrap(), b"old");
    }
}

/// Besides its sources a build reads the manifest, pseudo files, keys and the guest's own initrd.
#[test]
fn no_other_input_leads_to_a_file_beside_the_image() {
    let name = "out.erofs.smbios";
    let luks = ["--encrypt", "luks2", "--key-file", "second"];
    // Thirteen numbers behind a mark, then the name, padded to four bytes.
    let archive: String = ["usr/lib/systemd/systemd", "usr/bin/systemd-tmpfiles", "TRAILER!!!"]
        .map(|name| {
            let mut entry = format!("070701{:088}{:08x}{:08}{name}\0", 0, name.len() + 1, 0);
            entry.extend(std::iter::repeat_n('\0', entry.len().next_multiple_of(4) - entry.len()));
            entry
        })
        .concat();
    for (content, what, options) in [
        (&b"/x d 500 0 0\n"[..], "pseudo file", &["--pseudo-file", "second"][..]),
        (b"a key", "key file", &luks),
        (archive.as_bytes(), "guest's own initrd", &["--initrd", "second"]),
    ] {
        let host = host("text: x");
        fs::write(host.path(name), content).unwrap();
        fs::set_permissions(host.path(name), PermissionsExt::from_mode(0o600)).unwrap();
        fs::hard_link(host.path(name), host.path("second")).unwrap();
        let message = format!("the {what} second is {name}, which the image would replace");
        assert_kept(&host, options, name, &message, HINT);
    }
    let host = host("text: x");
    fs::hard_link(host.path("secrets.yaml"), host.path(name)).unwrap();
    let message = format!("the manifest secrets.yaml is {name}, which the image would replace");
    assert_kept(&host, &[], name, &message, HINT);
}

/// The image's own name is replaced, also where a link of this name leads to the source.
#[test]
fn no_source_has_the_name_of_the_image() {
    let host = host("file: out.erofs");
    let hint = "write the image to another directory; the old image is unchanged";
    let message = "files[0] (/a): the image would replace the source out.erofs";
    assert_kept(&host, &[], IMAGE, message, hint);
    fs::rename(host.path(IMAGE), host.path("token")).unwrap();
    symlink("token", host.path(IMAGE)).unwrap();
    assert_kept(&host, &[], "token", message, hint);
    assert!(fs::read_link(host.path(IMAGE)).is_ok());
    // A pseudo file is read like a source.
    rewrite(&host, "text: x");
    fs::write(host.path("token"), "/x d 500 0 0\n").unwrap();
    let output = host.build(&["--pseudo-file", IMAGE]);
    let expected = (2, format!("the image would replace the source {IMAGE}"));
    assert_eq!(refused(&output), expected);
}

/// A report or dependency file that lies in a source is a part of the next image, and is replaced
/// by the next build.
#[test]
fn no_source_holds_what_is_written_besides() {
    let host = host("dir: tree");
    fs::create_dir_all(host.path("tree/below")).unwrap();
    fs::write(host.path("tree/below/r"), PRECIOUS).unwrap();
    for (option, what) in [("--json", "report"), ("--depfile", "dependency file")] {
        for name in ["r", "new"] {
            let option = format!("{option}=tree/below/{name}");
            let message =
                format!("files[0] (/a): the {what} would lie in tree/below, which is a source");
            let hint = format!("write the {what} to another directory; the old image is unchanged");
            assert_kept(&host, &[&option], "tree/below/r", &message, &hint);
            if what == "report" {
                let mut build = host.credimg();
                build.args(["build", "secrets.yaml", "-o", "-", "--format=erofs", &option]);
                let refusal = refused(&build.output().unwrap());
                assert_eq!(refusal, (2, message));
            }
        }
    }
    // By a link that is followed.
    fs::write(host.path("r"), PRECIOUS).unwrap();
    fs::create_dir(host.path("links")).unwrap();
    symlink("../r", host.path("links/l")).unwrap();
    rewrite(&host, "dir: links, links: follow");
    let message = "files[0] (/a): the report would replace the source links/l";
    let hint = "write the report to another directory; the old image is unchanged";
    assert_kept(&host, &["--json=r"], "r", message, hint);
}

/// A file of such a name that no index lists is somebody else's, such as the image of another
/// build or what a command reads.
#[test]
fn what_no_index_names_is_never_replaced() {
    let host = host("shell: cat out.erofs.smbios");
    fs::write(host.path("out.erofs.smbios"), PRECIOUS).unwrap();
    let message = "out.erofs.smbios has the name of a file that belongs to out.erofs, but is not \
                   taken for it: out.erofs.sidecars does not name it";
    let hint = "remove it, or copy the index together with the image; the old image is unchanged";
    for index in [None, Some("fw_cfg.b\n")] {
        if let Some(text) = index {
            fs::write(host.path("out.erofs.sidecars"), text).unwrap();
        }
        for options in [&[][..], &["--if-changed"]] {
            let output = host.build(options);
            let said = stderr(&output);
            let told = format!("credimg: error: {message}\ncredimg: hint: {hint}\n");
            assert!(said.ends_with(&told), "{said}");
            assert_eq!(output.status.code(), Some(5), "{said}");
            assert_eq!(fs::read(host.path("out.erofs.smbios")).unwrap(), PRECIOUS);
            assert_eq!(fs::read(host.path(IMAGE)).unwrap(), b"old");
        }
    }
    assert!(host.build(&["--smbios", "path"]).status.success());
    assert_eq!(fs::read(host.path("out.erofs.smbios")).unwrap(), PRECIOUS);
}
