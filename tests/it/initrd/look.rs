//! The look into the guest's own initrd: which ones take credentials, and what is said of others.

use std::fs;

use super::guests::{DRACUT, PACKERS, archive, filtered, write};
use crate::support::host::{Host, stderr, stdout};

const MANIFEST: &str = "label: CHIMERA\ncredentials: [{name: a, text: hello, via: initrd}]\n";

/// The exit code, and what is said.
fn build(host: &Host, options: &[&str]) -> (i32, String) {
    let output = host.build(&[&["-q", "--initrd", "guest.img"], options].concat());
    (output.status.code().unwrap(), stderr(&output))
}

#[test]
fn an_initrd_is_looked_into_however_it_is_packed() {
    let host = Host::new(MANIFEST);
    for packer in PACKERS {
        write(&host, DRACUT, packer);
        assert_eq!(build(&host, &[]), (0, String::new()), "{packer:?}");

        let tools = ["init", "conf/initramfs.conf", "scripts/init-top/ORDER", "usr/bin/busybox"];
        write(&host, &tools, packer);
        let (code, message) = build(&host, &[]);
        let expected = "credimg: error: no credentials can go by the initrd guest.img: it is made \
                        by initramfs-tools, which starts no systemd in it\n";
        assert!(code == 4 && message.starts_with(expected), "{packer:?} {code} {message}");
        assert!(message.contains("dracut") && message.contains("`via: disk`"), "{message}");
    }
}

#[test]
fn an_initrd_without_what_is_needed_is_refused() {
    let host = Host::new(MANIFEST);
    for (names, options, reason) in [
        (&["init"][..], &[][..], "it holds no systemd-tmpfiles, which would put them in place"),
        (
            &["usr/bin/systemd-tmpfiles", "usr/lib/systemd/libsystemd-shared-252.31-2.so"],
            &[],
            "systemd 252 takes no credentials from an initrd, 254 does",
        ),
        (
            DRACUT,
            &["--guest", "systemd=253"],
            "systemd 253 takes no credentials from an initrd, 254 does",
        ),
    ] {
        write(&host, names, &["zstd", "-qc"]);
        let (code, message) = build(&host, options);
        let expected =
            format!("credimg: error: no credentials can go by the initrd guest.img: {reason}\n");
        assert!(code == 4 && message.starts_with(&expected), "{code} {message}");
    }
    fs::remove_file(host.path("guest.img")).unwrap();
    let (code, message) = build(&host, &[]);
    let expected = "credimg: error: cannot read guest.img: no such file or directory\n";
    assert_eq!((code, message.as_str()), (4, expected));
}

/// An initrd that cannot be looked into is accepted, with a warning.
#[test]
fn an_initrd_that_cannot_be_looked_into_is_taken_with_a_warning() {
    let host = Host::new(MANIFEST);
    let main = archive(&host, DRACUT);
    // Entries of no content and of one that is longer than anything, behind a small name.
    let entry = "070701000000010000000000000000000000000000000000000000FFFFFFFF\
                 0000000000000000000000000000000000000002000000006\0\0";
    let bomb = [entry.as_bytes(), &vec![0; 1 << 20]].concat();
    for (image, reason) in [
        (filtered(&host.path("packing"), &["bzip2", "-c"], &main), "it is packed by bzip2"),
        (bomb, "it is larger than 1 GiB unpacked"),
    ] {
        fs::write(host.path("guest.img"), image).unwrap();
        let expected = format!(
            "credimg: warning: whether guest.img takes credentials is not known for certain: \
             {reason}\n"
        );
        assert_eq!(build(&host, &[]), (0, expected));
    }
    // A few bytes that unpack to gigabytes cost no more than the first of them.
    let zeros = ["sh", "-c", "head -c 3G /dev/zero | zstd -qc"];
    fs::write(host.path("guest.img"), filtered(&host.path("packing"), &zeros, b"")).unwrap();
    let (code, message) = build(&host, &[]);
    assert!(code == 0 && message.ends_with("it is larger than 1 GiB unpacked\n"), "{message}");
}

/// Linux stops at the first thing that it cannot unpack: what lies behind that is lost in silence.
#[test]
fn an_initrd_that_linux_does_not_unpack_to_its_end_is_refused() {
    let host = Host::new(MANIFEST);
    let main = archive(&host, &["init"]);
    let packed = filtered(&host.path("packing"), &["zstd", "-qc"], &main);
    let plain = archive(&host, DRACUT);
    let dracut = filtered(&host.path("packing"), &["zstd", "-qc"], &plain);
    let boot_config = b"kernel.trace = 1\n\0\0\0\x14\0\0\0\x93\x06\0\0#BOOTCONFIG\n";
    let damaged = "it is damaged, and Linux unpacks nothing behind that";
    let unknown = "it is no initrd, or holds what Linux cannot unpack";
    let last = "a boot configuration is behind it, which has to be the last";
    for (image, reason, hint) in [
        (b"MZ no initrd".to_vec(), unknown, "unharmed"),
        ([&main[..], b"behind it"].concat(), unknown, "unharmed"),
        ([&packed[..], b"behind it"].concat(), unknown, "unharmed"),
        (dracut[..dracut.len() / 2].to_vec(), damaged, "unharmed"),
        (plain[..plain.len() / 2].to_vec(), damaged, "unharmed"),
        ([&dracut[..], boot_config].concat(), last, "`bootconfig -d`"),
        ([&dracut[..], boot_config, b"\0\0\0"].concat(), last, "`bootconfig -d`"),
    ] {
        fs::write(host.path("guest.img"), image).unwrap();
        let (code, message) = build(&host, &[]);
        let expected =
            format!("credimg: error: no credentials can go by the initrd guest.img: {reason}\n");
        assert!(code == 4 && message.starts_with(&expected), "{code} {message}");
        assert!(message.contains(hint), "{message}");
        assert!(!host.path("out.erofs").exists());
    }
}

/// Blocks of lz4 that hold nothing cost next to nothing. Each once cost as much as a full one.
#[test]
fn empty_blocks_are_passed_over_at_once() {
    let host = Host::new(MANIFEST);
    let packed = filtered(&host.path("packing"), &["lz4", "-qlc"], &archive(&host, DRACUT));
    let (mark, block) = packed.split_at(4);
    let empty = [1, 0, 0, 0, 0].repeat(50_000);
    fs::write(host.path("guest.img"), [mark, &empty, block].concat()).unwrap();
    assert_eq!(build(&host, &[]), (0, String::new()));
}

/// The version of systemd in the initrd decides, unless `--guest` names an older one.
#[test]
fn the_form_follows_the_systemd_that_is_there() {
    let host = Host::new(MANIFEST);
    let newer = [DRACUT[0], DRACUT[1], DRACUT[2], "usr/lib/systemd/libsystemd-shared-262.1-1.so"];
    for (names, options, is_extra) in [
        (DRACUT, &[][..], false),
        (DRACUT, &["--guest", "systemd=262"], false),
        (&DRACUT[..3], &["--guest", "systemd=262"], true),
        (&DRACUT[..3], &["--guest", "systemd=261"], false),
        (&newer, &[], true),
        (&newer, &["--guest", "systemd=257"], false),
    ] {
        let own = write(&host, names, &["gzip", "-nc"]);
        assert_eq!(build(&host, options), (0, String::new()));
        let made = host.read("out.erofs.initrd");
        let text = String::from_utf8_lossy(&made[own.len()..]).into_owned();
        assert_eq!(text.contains(".extra/system_credentials/a.cred"), is_extra, "{options:?}");
        assert_eq!(text.contains("usr/lib/tmpfiles.d/credimg.conf"), !is_extra, "{options:?}");
    }
    // A command that writes nothing supposes that the build is given an initrd.
    let check = host.credimg().args(["check", "secrets.yaml"]).output().unwrap();
    assert!(check.status.success() && stdout(&check).contains("initrd"), "{}", stderr(&check));
}
