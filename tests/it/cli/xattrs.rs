//! Labels for guests with `SELinux`: one way for a whole disk, and none that is forgotten.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use super::*;

const ETC: &str = "system_u:object_r:etc_t:s0";
const CERT: &str = "system_u:object_r:cert_t:s0";

/// The attributes of every inode, as Linux shows them.
fn attributes(host: &Host, format: &str) -> BTreeMap<String, String> {
    let (image, root) = (host.path("out.erofs"), host.path("mnt"));
    fs::create_dir_all(&root).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", format, "-o", "loop,ro"]).arg(image).arg(&root);
    assert!(mount.status().unwrap().success(), "{format}");
    let find = Command::new("find").arg(".").current_dir(&root).output();
    let mut getfattr = Command::new("getfattr");
    getfattr.args(["-R", "-P", "-h", "-d", "-m", "-", "."]).current_dir(&root);
    let output = getfattr.output();
    assert!(Command::new("umount").arg(&root).status().unwrap().success());
    // What has no attribute is there as well.
    let find = stdout(&find.unwrap());
    let mut all: BTreeMap<_, _> =
        find.lines().map(|path| (path.to_owned(), String::new())).collect();
    for part in stdout(&output.unwrap()).split("\n\n").filter(|part| !part.is_empty()) {
        let mut lines = part.lines();
        let path = lines.next().unwrap().strip_prefix("# file: ").unwrap();
        let path = if path == "." { path.to_owned() } else { format!("./{path}") };
        let values: Vec<_> = lines.collect();
        *all.get_mut(&path).unwrap() = values.join(" ").replace('"', "");
    }
    all
}

/// A directory with one of each, and an archive of it.
fn host(manifest: &str) -> Host {
    let host = Host::new(manifest);
    fs::create_dir_all(host.path("d/sub")).unwrap();
    fs::write(host.path("d/sub/key"), "k").unwrap();
    symlink("sub/key", host.path("d/link")).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-cf", "d.tar", "-C", "d", "sub", "link"]).current_dir(host.path(""));
    assert!(tar.status().unwrap().success());
    host
}

#[test]
fn a_whole_disk_is_labelled_by_the_defaults() {
    let host = host(&format!(
        "label: A\ndefaults: {{xattrs: {{security.selinux: {ETC}, user.note: x}}}}\nfiles:\n\
         - {{path: /d, dir: d}}\n- {{path: /in/plied/t, tar: d.tar}}\n\
         - {{path: /c, dir: d, xattrs: {{security.selinux: {CERT}}}, xattrs_recursive: true}}\n\
         - {{path: /text, text: x, xattrs: {{user.own: y}}}}\n- {{path: /s, symlink: text}}\n\
         credentials: [{{name: c, text: x, via: disk}}]\n\
         pseudo: ['p i 600 0 0 f', 'in d 700 0 0', 'q/r d 700 0 0', 'q x security.selinux={CERT}']\n"
    ));
    let expected = |path: &str| {
        let (label, below) = (if path.starts_with("./c/") { CERT } else { ETC }, &path[1..]);
        let label = if matches!(below, "/c" | "/q") { CERT } else { label };
        let note = match below {
            "/s" | "/p" => "",
            "/text" => " user.note=x user.own=y",
            _ if below.ends_with("/link") => "",
            _ => " user.note=x",
        };
        format!("security.selinux={label}{note}")
    };
    for format in ["erofs", "squashfs"] {
        let built = host.build(&["--format", format, "--serial", "a"]);
        assert!(built.status.success(), "{}", stderr(&built));
        let found = attributes(&host, format);
        assert_eq!(found.len(), 22, "{found:?}");
        for (path, attributes) in &found {
            assert_eq!(*attributes, expected(path), "{format} {path}");
        }
    }
    // ISO 9660 has none: that is said, not passed over.
    let iso = host.build(&["--format", "iso9660"]);
    assert_eq!(iso.status.code(), Some(4), "{}", stderr(&iso));
    assert!(stderr(&iso).contains("/: ISO 9660 holds no extended attributes"), "{}", stderr(&iso));
}

#[test]
fn labels_of_a_directory_alone_bring_a_warning() {
    for source in ["dir: d", "tar: d.tar"] {
        let manifest = |recursive: &str| {
            let xattrs = format!("xattrs: {{security.selinux: {ETC}}}{recursive}");
            format!("label: A\nfiles:\n- {{path: /d, {source}, {xattrs}}}\n")
        };
        let host = host(&manifest(""));
        let check = || host.credimg().args(["check", "secrets.yaml", "--strict"]).output().unwrap();
        let warning = "credimg: warning: files[0] (/d): its xattrs are the directory's own, and \
                       nothing below it has them: `xattrs_recursive: true` gives them to \
                       everything, `false` says that this is meant\n";
        let built = host.build(&["--quiet"]);
        assert_eq!((stderr(&built).as_str(), built.status.code()), (warning, Some(0)));
        assert!(stderr(&check()).starts_with(warning));
        assert_eq!(check().status.code(), Some(5));
        for (recursive, below) in
            [("true", format!("security.selinux={ETC}")), ("false", String::new())]
        {
            let manifest = manifest(&format!(", xattrs_recursive: {recursive}"));
            fs::write(host.path("secrets.yaml"), manifest).unwrap();
            assert_eq!(stderr(&host.build(&["--quiet"])), "");
            assert_eq!((stderr(&check()).as_str(), check().status.code()), ("", Some(0)));
            let found = attributes(&host, "erofs");
            assert_eq!(found.len(), 5);
            assert_eq!(found.get("./d"), Some(&format!("security.selinux={ETC}")));
            for path in ["./d/sub", "./d/sub/key", "./d/link"] {
                assert_eq!(found.get(path), Some(&below), "{recursive} {path}");
            }
        }
    }
}
