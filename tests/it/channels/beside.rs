//! What lies beside an image under the name of one of its files, but is not taken for it: it is never
//! taken for a credential, never followed, and never replaced.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Command;

use super::*;

const STYLES: [&str; 5] = ["shell", "lines", "json", "blockdev", "readconfig"];
/// A file of each kind that a build makes.
const NAMES: [&str; 5] = [
    "out.erofs.smbios",
    "out.erofs.smbios.token",
    "out.erofs.fw_cfg.token",
    "out.erofs.fw_cfg.opt:com.coreos:config",
    "out.erofs.credential.token",
];
/// What makes a file of each of these names.
const MAKERS: [(&str, &[&str]); 5] = [
    ("credentials: [{name: token, text: x, via: smbios}]\n", &[]),
    ("credentials: [{name: token, text: x, via: smbios}]\n", &["--smbios", "path"]),
    ("credentials: [{name: token, text: x, via: fw_cfg}]\n", &[]),
    ("fw_cfg: [{name: opt/com.coreos/config, text: x}]\n", &[]),
    ("credentials: [{name: token, text: x}]\n", &["--target", "vmspawn", "--bus", "cdrom"]),
];
/// Somebody else than root.
const OTHER: u32 = 65534;

fn plain_host() -> Host {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, text: x}]\n");
    assert!(host.build(&[]).status.success());
    host
}

fn set_mode(path: impl AsRef<std::path::Path>, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// An access control list that lets this user read besides, with the bits of mode 0640
/// (`linux/posix_acl_xattr.h`: version 2; tag, permissions and id of each entry).
fn let_read(path: &std::path::Path, user: u32) {
    let entries = [(1, 6, u32::MAX), (2, 4, user), (4, 0, u32::MAX), (16, 4, u32::MAX)];
    let mut list = Vec::from(2_u32.to_le_bytes());
    for (tag, permissions, id) in entries.into_iter().chain([(32, 0, u32::MAX)]) {
        list.extend(u16::to_le_bytes(tag));
        list.extend(u16::to_le_bytes(permissions));
        list.extend(id.to_le_bytes());
    }
    let name = "system.posix_acl_access";
    rustix::fs::setxattr(path, name, &list, rustix::fs::XattrFlags::empty()).unwrap();
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o640);
}

fn args(host: &Host, options: &[&str]) -> Output {
    host.credimg().args(["args", "out.erofs"]).args(options).output().unwrap()
}

/// The refusal with its hint.
fn assert_refused(output: &Output, message: &str, hint: &str) {
    assert_eq!(refused(output), (5, message.to_owned()));
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = stderr(output);
    assert!(said.contains(&format!("credimg: hint: {hint}")), "{said}");
}

/// A thing that is no file of ours, and what is said of it.
type Plant = (fn(&std::path::Path), &'static str);

const NO_FILES: [Plant; 5] = [
    (|path| symlink("/etc/shadow", path).unwrap(), "it is a symbolic link"),
    (|path| symlink("missing", path).unwrap(), "it is a symbolic link"),
    (|path| fs::create_dir(path).unwrap(), "it is a directory"),
    (|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()), "it is a FIFO"),
    (|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()), "it is a socket"),
];

#[test]
fn what_is_no_regular_file_is_never_taken_for_one_of_the_images() {
    for (index, name) in NAMES.into_iter().enumerate() {
        let host = plain_host();
        let (plant, what) = NO_FILES[index];
        plant(&host.path(name));
        let message = format!(
            "{name} has the name of a file that belongs to out.erofs, but is not taken for it: {what}"
        );
        let hint = "remove it or give it another name";
        for style in STYLES {
            assert_refused(&args(&host, &["--args", style]), &message, hint);
        }
        for target in ["libvirt", "proxmox", "cloud-hypervisor", "crosvm", "firecracker"] {
            assert_refused(&args(&host, &["--target", target]), &message, hint);
        }
        let vmspawn = ["--target", "vmspawn", "--bus", "cdrom"];
        assert_refused(&args(&host, &vmspawn), &message, hint);

        // A build that would replace it touches neither it nor the old image.
        let (manifest, own) = MAKERS[index];
        let runs = "files: [{path: /a, shell: 'touch ran; echo y'}]\n";
        fs::write(host.path("secrets.yaml"), format!("{manifest}{runs}")).unwrap();
        let old = fs::read(host.path("out.erofs")).unwrap();
        let wishes = [&[][..], &["--if-changed"], &["--owner", "990:990"]];
        for options in wishes {
            let output = host.build(&[own, options].concat());
            let said = stderr(&output);
            // Warnings about QEMU's version come first.
            let told = format!("credimg: error: {message}\ncredimg: hint: {hint}");
            assert!(said.contains(&told), "{said}");
            assert_eq!((output.status.code(), stdout(&output)), (Some(5), String::new()));
        }
        // Where the old image has such a file, nothing is run before.
        fs::remove_file(host.path("ran")).unwrap();
        fs::write(host.path("secrets.yaml"), runs).unwrap();
        let suffix = name.strip_prefix("out.erofs.").unwrap();
        fs::write(host.path("out.erofs.sidecars"), format!("{suffix}\n")).unwrap();
        for options in wishes {
            assert_refused(&host.build(options), &message, hint);
        }
        assert!(fs::read(host.path("out.erofs")).unwrap() == old);
        assert!(!host.path("ran").exists());
        // Nobody else needs the name.
        fs::remove_file(host.path("out.erofs.sidecars")).unwrap();
        assert!(host.build(&[]).status.success());
        assert!(fs::symlink_metadata(host.path(name)).is_ok(), "{name}");
    }
}

#[test]
fn another_users_file_is_never_taken_for_one_of_the_images() {
    let host = Host::new(&manifest([credential("token", b"v", "fw_cfg")]));
    assert!(host.build(&["--owner", "990:990"]).status.success());
    assert!(args(&host, &[]).status.success());
    let name = "out.erofs.smbios";
    fs::write(host.path(name), "planted").unwrap();
    set_mode(host.path(name), 0o600);
    chown(host.path(name), Some(OTHER), Some(OTHER)).unwrap();
    let message = format!(
        "{name} has the name of a file that belongs to out.erofs, but is not taken for it: the user {OTHER} \
         owns it, and the user 990 owns the image"
    );
    assert_refused(&args(&host, &[]), &message, "remove it, or give both one owner");
    // A build would remove it with the old image.
    fs::write(host.path("out.erofs.sidecars"), "fw_cfg.token\nsmbios\n").unwrap();
    let message = format!(
        "{name} has the name of a file that belongs to out.erofs, but is not taken for it: the user {OTHER} \
         owns it"
    );
    assert_refused(&host.build(&[]), &message, "remove it or give it another name");
    assert_eq!(fs::read(host.path(name)).unwrap(), b"planted");
    fs::remove_file(host.path(name)).unwrap();

    // Files of the old image's owner, of the new one's and of the caller are replaced: an
    // earlier build, which may have been killed half-way, has made them.
    for owner in [990, 991, 0] {
        fs::write(host.path(name), "old").unwrap();
        fs::write(host.path("out.erofs.sidecars"), "fw_cfg.token\nsmbios\n").unwrap();
        chown(host.path(name), Some(owner), Some(0)).unwrap();
        chown(host.path("out.erofs"), Some(990), Some(990)).unwrap();
        let output = host.build(&["--owner", "991:991"]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(!host.path(name).exists());
    }
}

#[test]
fn a_file_that_more_may_read_than_the_image_is_none_of_its_own() {
    let host = Host::new(&manifest([credential("token", b"v", "fw_cfg")]));
    assert!(host.build(&[]).status.success());
    let name = "out.erofs.fw_cfg.token";
    let start = format!(
        "{name} has the name of a file that belongs to out.erofs, but is not taken for it: "
    );
    let accepted = || {
        let output = args(&host, &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(String::from_utf8(output.stdout).unwrap().contains(name));
    };
    let hint = format!("`chmod 0600 {name}`, or build the image again");
    for mode in [0o640, 0o604, 0o620, 0o700] {
        set_mode(host.path(name), mode);
        let message = format!("{start}its mode {mode:04o} allows more than the image's 0600");
        assert_refused(&args(&host, &[]), &message, &hint);
    }
    set_mode(host.path(name), 0o400);
    accepted();

    // One mode, but the group is another one.
    for file in [name, "out.erofs"] {
        set_mode(host.path(file), 0o640);
    }
    accepted();
    chown(host.path(name), None, Some(OTHER)).unwrap();
    let message = format!("{start}the group {OTHER} may read it, and the image is the group 0's");
    let mend = "give both one group, or build the image again";
    assert_refused(&args(&host, &[]), &message, mend);
    chown(host.path(name), None, Some(0)).unwrap();

    // One mode, as stat(2) shows it, but a reader of its own.
    let_read(&host.path("out.erofs"), 990);
    let message = format!("{start}the group 0 may read it, and not the image");
    let mend = format!("`chmod g= {name}`, or build the image again");
    assert_refused(&args(&host, &[]), &message, &mend);
    let_read(&host.path(name), 990);
    accepted();
    let_read(&host.path(name), 991);
    let message =
        format!("{start}its access control list lets others read it than the image's does");
    let mend = format!("`setfacl -b {name}`, or build the image again");
    assert_refused(&args(&host, &[]), &message, &mend);

    // The next build mends all of that by itself.
    assert!(host.build(&[]).status.success());
    accepted();
}

/// What builds make is taken for what it is, whoever may read it.
#[test]
fn files_of_every_owner_mode_and_reader_are_the_images_own() {
    let host =
        Host::new(&manifest([credential("a", b"v", "smbios"), credential("b", b"v", "fw_cfg")]));
    for options in [
        &[][..],
        &["--mode", "0400"],
        &["--mode", "0770"],
        &["--owner", "990:991", "--mode", "0440"],
        &["--reader", "990"],
        &["--owner", "992:993", "--mode", "0640", "--reader", "990"],
        &["--smbios", "path"],
    ] {
        let built = host.build(options);
        assert!(built.status.success(), "{}", stderr(&built));
        let found = args(&host, &[]);
        assert_eq!(found.stdout, built.stdout, "{options:?}: {}", stderr(&found));
        assert!(host.build(&[options, &["--if-changed"]].concat()).status.success());
    }
}

/// A file of an earlier build of which the index was lost: it is not this image's, and is not
/// handed to a guest.
#[test]
fn a_file_that_the_index_does_not_name_is_none_of_the_images() {
    let host = Host::new(&manifest([credential("token", b"v", "fw_cfg")]));
    assert!(host.build(&[]).status.success());
    let (name, index) = ("out.erofs.fw_cfg.token", host.path("out.erofs.sidecars"));
    let listed = fs::read(&index).unwrap();
    assert_eq!(listed, b"fw_cfg.token\n");
    let message = format!(
        "{name} has the name of a file that belongs to out.erofs, but is not taken for it: \
         out.erofs.sidecars does not name it"
    );
    let hint = "remove it, or copy the index together with the image";
    // Lines that are no sidecar's name lead nowhere.
    for text in [None, Some("smbios\n"), Some("fw_cfg.token/\n../x\nfw_cfg.token.\n\u{1}")] {
        fs::remove_file(&index).unwrap();
        if let Some(text) = text {
            fs::write(&index, text).unwrap();
            set_mode(&index, 0o600);
        }
        assert_refused(&args(&host, &[]), &message, hint);
        fs::write(&index, &listed).unwrap();
    }
    set_mode(&index, 0o600);
    assert!(args(&host, &[]).status.success());
    // Nor does a build replace it, which makes it again once it is gone.
    fs::remove_file(&index).unwrap();
    let old = fs::read(host.path("out.erofs")).unwrap();
    let hint = format!("{hint}; the old image is unchanged");
    assert_refused(&host.build(&[]), &message, &hint);
    assert!(fs::read(host.path("out.erofs")).unwrap() == old);
    fs::remove_file(host.path(name)).unwrap();
    assert!(host.build(&[]).status.success());
    assert!(args(&host, &[]).status.success());
}

/// What has the index's own name is judged like the files that it names.
#[test]
fn what_is_no_index_is_never_taken_for_one() {
    let name = "out.erofs.sidecars";
    for (plant, what) in NO_FILES {
        let host = plain_host();
        plant(&host.path(name));
        let message = format!(
            "{name} has the name of a file that belongs to out.erofs, but is not taken for it: {what}"
        );
        let hint = "remove it or give it another name";
        assert_refused(&args(&host, &[]), &message, hint);
        assert_refused(&host.build(&[]), &message, hint);
        assert!(fs::symlink_metadata(host.path(name)).is_ok());
    }
}

/// A file of the index's name that no build has made, such as a list of somebody's own. A build
/// without sidecars would remove it, and one with sidecars replace it.
#[test]
fn what_is_no_list_of_sidecars_is_never_replaced() {
    let name = "out.erofs.sidecars";
    let message = format!(
        "{name} has the name of a file that belongs to out.erofs, but is not taken for it: it holds \
         other lines than names of such files"
    );
    let hint = "remove it or give it another name";
    let large = "smbios\n".repeat(200_000);
    let texts = ["hello", "smbios\nhello\n", "smbios", "smbios\n\nplatform\n", "../x\n", &large];
    for text in texts {
        let host = plain_host();
        fs::write(host.path(name), text).unwrap();
        for manifest in ["label: CHIMERA\nfiles: []\n", MAKERS[0].0] {
            fs::write(host.path("secrets.yaml"), manifest).unwrap();
            for options in [&[][..], &["--if-changed"]] {
                assert_refused(&host.build(options), &message, hint);
            }
        }
        assert_eq!(fs::read_to_string(host.path(name)).unwrap(), text);
    }
    // Of an index that is empty nothing is lost.
    let host = plain_host();
    fs::write(host.path(name), "").unwrap();
    assert!(host.build(&[]).status.success());
}

/// Names that no build gives are nobody's business.
#[test]
fn things_of_other_names_are_left_alone() {
    let host = plain_host();
    let plain = args(&host, &[]).stdout;
    for name in ["out.erofs.bak", "out.erofs.d", "out.erofs.fw_cfg.x:y", "other.erofs.smbios"] {
        symlink("/etc/shadow", host.path(name)).unwrap();
    }
    assert_eq!(args(&host, &[]).stdout, plain);
    assert!(host.build(&[]).status.success());
}
