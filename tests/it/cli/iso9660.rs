//! ISO 9660 images from the command line: labels, Joliet, what gets lost, seeds.

use std::process::Output;

use super::*;

const JOLIET: &str = "credimg: warning: a Joliet tree has no owners and modes: where it is \
                      mounted, every user may read every file\n";

impl Host {
    fn build_iso(&self, options: &[&str]) -> Output {
        let arguments = ["build", "secrets.yaml", "-o", "out.iso", "--args", "none"];
        self.credimg().args(arguments).args(options).output().unwrap()
    }

    /// A variable of blkid's for the image.
    fn blkid(&self, name: &str) -> String {
        let image = self.path("out.iso");
        let mut blkid = Command::new("blkid");
        let output = blkid.args(["-p", "-s", name, "-o", "value"]).arg(image).output();
        stdout(&output.expect("blkid starts")).trim_end().to_owned()
    }
}

/// What the program says without failing.
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    stderr(output)
}

/// What it says when it fails with this exit code.
fn refusal(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
    stderr(output)
}

#[test]
fn an_iso_9660_image_is_found_by_label_and_time() {
    let host = Host::new(
        "label: lower-and_UPPER.case+32#bytes:@x\nfiles: [{path: /a, text: hello, owner: '7:8'}]\n",
    );
    let long = host.build_iso(&[]);
    assert_eq!(
        refusal(&long, 2),
        "credimg: error: the drive's serial is not usable: it is 32 bytes long, at most 20 are \
         possible\ncredimg: hint: the serial comes from the volume label: give another one with \
         --serial\n"
    );
    let fixed = ["--mtime", "1709207999", "--serial", "chimera"];
    let built = host.build_iso(&[&fixed[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&stdout(&built)).unwrap();
    let time = "2024-02-29-11-59-59-00";
    let label = "lower-and_UPPER.case+32#bytes:@x";
    let size_bytes = fs::metadata(host.path("out.iso")).unwrap().len();
    let expected = serde_json::json!({
        "report_version": 1, "image": "out.iso", "format": "iso9660", "label": label, "uuid": time,
        "encryption": null, "root_hash": null, "hash_offset_bytes": null, "serial": "chimera",
        "drive_id": "credimg-chimera", "size_bytes": size_bytes,
        "files": 1, "directories": 1, "symlinks": 0, "losses": [],
        "credentials": [], "sidecars": [], "kernel_arguments": [], "warnings": [],
    });
    assert_eq!(report, expected);
    for (name, value) in [("TYPE", "iso9660"), ("LABEL", label), ("UUID", time)] {
        assert_eq!(host.blkid(name), value, "{name}");
    }

    let stream = ["build", "secrets.yaml", "--format=iso9660", "-o", "-", "--quiet"];
    let streamed = host.credimg().args(stream).args(fixed).output().unwrap();
    assert_eq!(said(&streamed), "");
    assert!(streamed.stdout == fs::read(host.path("out.iso")).unwrap(), "another image");

    let built = host.build_iso(&["--label", "CIDATA-2", "--uuid", UUID, "--mtime", "0"]);
    assert_eq!(
        said(&built),
        "credimg: warning: the UUID of an ISO 9660 image is its time: --uuid has no effect\n\
         wrote out.iso: iso9660, label CIDATA-2, 1 file, 48 KiB\n"
    );
    let args = host.credimg().args(["args", "out.iso"]).output().unwrap();
    let expected = "-drive if=none,id=credimg-cidata-2,file=out.iso,format=raw,read-only=on \
                    -device virtio-blk,addr=0x19,drive=credimg-cidata-2,serial=cidata-2,\
                    logical_block_size=2048,physical_block_size=2048\n";
    assert_eq!(stdout(&args), expected);
}

#[test]
fn the_format_says_how_long_a_label_may_be() {
    let host = Host::new("files: []\nlabel: sixteen-bytes-16\n");
    let build = |options: &[&str]| {
        let arguments = ["build", "secrets.yaml", "-o", "out.img", "--args", "none", "--quiet"];
        host.credimg().args(arguments).args(options).output().unwrap()
    };
    let in_manifest = "credimg: error: secrets.yaml:2:8: label: expected a label of at most 15 \
                       bytes for erofs, got 16\n";
    assert_eq!(refusal(&build(&["--format", "erofs"]), 3), in_manifest);
    assert_eq!(said(&build(&["--format", "squashfs"])), "");
    assert_eq!(said(&build(&["--format", "iso9660"])), "");
    assert_eq!(said(&build(&["--format", "iso9660", "--joliet"])), JOLIET);
    let label = ["--format", "iso9660", "--joliet", "--label", "seventeen-bytes-1"];
    assert_eq!(
        refusal(&build(&label), 2),
        "credimg: error: --label: expected a label of at most 16 bytes for iso9660 with Joliet, \
         got 17\n"
    );
    // Only where the manifest itself names the format can it be checked alone.
    let check = || host.credimg().args(["check", "secrets.yaml"]).output().unwrap();
    assert_eq!(said(&check()), "");
    fs::write(host.path("secrets.yaml"), "format: erofs\nlabel: sixteen-bytes-16\nfiles: []\n")
        .unwrap();
    assert_eq!(refusal(&check(), 3), in_manifest);
}

#[test]
fn joliet_is_for_iso_9660_and_comes_with_a_warning() {
    let host = Host::new("label: BOTH\njoliet: true\nfiles: [{path: /a, text: hello}]\n");
    let built = host.build_iso(&["--mtime", "0"]);
    let summary = "wrote out.iso: iso9660, label BOTH, 1 file, 56 KiB\n";
    assert_eq!(said(&built), format!("{JOLIET}{summary}"));
    assert_eq!(host.blkid("VERSION"), "Joliet Extension");
    let by_key = fs::read(host.path("out.iso")).unwrap();
    fs::write(host.path("secrets.yaml"), "label: BOTH\nfiles: [{path: /a, text: hello}]\n")
        .unwrap();
    assert_eq!(said(&host.build_iso(&["--mtime", "0", "--joliet"])), format!("{JOLIET}{summary}"));
    assert!(by_key == fs::read(host.path("out.iso")).unwrap(), "the option is not the key");
    for format in ["erofs", "squashfs"] {
        assert_eq!(
            refusal(&host.build_iso(&["--format", format, "--joliet"]), 2),
            format!(
                "credimg: error: {format} has no Joliet tree\n\
                 credimg: hint: only `format: iso9660` has one\n"
            )
        );
    }
}

#[test]
fn what_iso_9660_cannot_hold_is_refused_or_named() {
    let xattrs = "xattrs: {user.a: c4n4ry-7f1e-do-not-show}";
    let long = "n".repeat(255);
    let host = Host::new(&format!(
        "files: [{{path: /etc/id, text: x, {xattrs}}}, {{path: /{long}, text: x}},\n\
         {{path: /late, text: x, mtime: 2040-01-01T00:00:00Z}},\n\
         {{path: \"/\\x01\", text: x, mtime: 0}}]\n"
    ));
    assert_eq!(
        refusal(&host.build_iso(&[]), 4),
        "credimg: error: /\\x01: a name of one byte that is 0x01 or not of ASCII, which Linux \
         lists and does not find on ISO 9660\n\
         credimg: hint: use another format, or leave out with --lossy what iso9660 cannot hold\n"
    );
    assert!(!host.path("out.iso").exists());
    let built = host.build_iso(&["--lossy"]);
    assert_eq!(
        said(&built),
        format!(
            "credimg: warning: \"/\\u{{1}}\": Linux lists the name but cannot open it\n\
             credimg: warning: /etc/id: extended attributes are left out: ISO 9660 holds none\n\
             credimg: warning: /late: Linux reads another time, as it takes those from 1901 to January 2038 only\n\
             credimg: warning: /{long}: Linux shows the first 253 bytes of the name\n\
             wrote out.iso: iso9660, 4 files, 56 KiB\n"
        )
    );
    // What no option can mend gets no such hint.
    fs::write(host.path("secrets.yaml"), "files: [{path: /a, text: x, mtime: -9999999999}]\n")
        .unwrap();
    for options in [&[][..], &["--lossy"]] {
        assert_eq!(
            refusal(&host.build_iso(options), 4),
            "credimg: error: /a: the time is out of range: ISO 9660 holds those from 1900 to 2155\n\
             credimg: hint: change the manifest or the source so that iso9660 can hold it; the old \
             image is unchanged\n"
        );
    }

    let entry = |n| format!("- {{path: /{n:02}, text: x, {xattrs}}}\n");
    let many: String = (0..25).map(entry).collect();
    fs::write(host.path("secrets.yaml"), format!("files:\n{many}")).unwrap();
    let said = said(&host.build_iso(&["--lossy", "--quiet"]));
    let lines: Vec<&str> = said.lines().collect();
    let expected = "credimg: warning: /00, /01, /02, /03, /04 and others, 25 in all: extended \
                    attributes are left out: ISO 9660 holds none";
    assert_eq!(lines, [expected]);
    assert!(!said.contains(CANARY), "{said}");
    // Nothing is lost elsewhere.
    let erofs = host.build_iso(&["--lossy", "--quiet", "--format", "erofs"]);
    assert_eq!(stderr(&erofs), "");
}

/// Who mounts by Joliet must be able to tell a key from a certificate.
#[test]
fn names_that_joliet_cannot_hold_are_refused_or_named() {
    let digits = "a".repeat(64);
    let entries = format!(
        "joliet: true\nfiles:\n  - {{path: /{digits}.key.pem, text: x}}\n  \
         - {{path: /{digits}.crt.pem, text: y}}\n  - {{path: \"/a:b*c?\", text: z}}\n  \
         - {{path: /{digits}, text: held}}\n  - {{path: /a_b_c_, text: held}}\n"
    );
    let host = Host::new(&entries);
    fs::write(host.path("out.iso"), "old").unwrap();
    let character = "a name has a character that Joliet does not hold: one of `*:;?\\`, a control \
                     character, one outside of UCS-2, or a dot at its end";
    let hint = "credimg: hint: rename it, build without Joliet, or have another name there with \
                --lossy; the old image is unchanged\n";
    assert_eq!(
        refusal(&host.build_iso(&["--quiet"]), 4),
        format!("{JOLIET}credimg: error: /a:b*c?: {character}\n{hint}")
    );
    assert_eq!(fs::read(host.path("out.iso")).unwrap(), b"old");
    let built = host.build_iso(&["--lossy", "--quiet"]);
    let cut = "Joliet has another name, as this one has more characters than it holds";
    let lacking = "Joliet has another name, without the characters that it cannot hold";
    assert_eq!(
        said(&built),
        format!(
            "{JOLIET}credimg: warning: /a:b*c?: {lacking}\n\
             credimg: warning: /{digits}.crt.pem, /{digits}.key.pem: {cut}\n"
        )
    );
    let mut isoinfo = Command::new("isoinfo");
    let listed = isoinfo.args(["-J", "-f", "-i"]).arg(host.path("out.iso")).output().unwrap();
    let mut listed: Vec<_> = stdout(&listed).lines().map(str::to_owned).collect();
    listed.sort();
    let stem = "a".repeat(61);
    let expected = [
        "/a_b_c_;1".to_owned(),
        "/a_b_c__1;1".to_owned(),
        format!("/{}_1.pem;1", "a".repeat(52)),
        format!("/{stem}.pem;1"),
        format!("/{digits};1"),
    ];
    assert_eq!(listed, expected);
    // Rock Ridge holds them all.
    fs::write(host.path("secrets.yaml"), entries.replace("joliet: true\n", "")).unwrap();
    assert_eq!(said(&host.build_iso(&["--quiet"])), "");
    // What Joliet has not, it need not name: no links.
    let linked = format!("joliet: true\nfiles: [{{path: /{digits}{digits}, symlink: /}}]\n");
    fs::write(host.path("secrets.yaml"), linked).unwrap();
    assert!(said(&host.build_iso(&["--quiet"])).starts_with(JOLIET));
}

/// A character, on the other hand, is told as such.
#[test]
fn a_character_that_joliet_lacks_is_named() {
    let host = Host::new("joliet: true\nfiles: [{path: \"/sub:d/key\", text: x}]\n");
    assert_eq!(
        refusal(&host.build_iso(&["--quiet"]), 4),
        format!(
            "{JOLIET}credimg: error: /sub:d: a name has a character that Joliet does not hold: \
             one of `*:;?\\`, a control character, one outside of UCS-2, or a dot at its end\n\
             credimg: hint: rename it, build without Joliet, or have another name there with \
             --lossy\n"
        )
    );
}

#[test]
fn fractions_of_seconds_are_cut_off_with_a_warning() {
    let host = Host::new("files: [{path: /a, file: a, mtime: keep}]\n");
    fs::write(host.path("a"), "x").unwrap();
    let time = std::time::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
    fs::File::options().write(true).open(host.path("a")).unwrap().set_modified(time).unwrap();
    assert_eq!(
        said(&host.build_iso(&["--quiet"])),
        "credimg: warning: ISO 9660 holds whole seconds: the fractions of some times are cut off\n"
    );
}

#[test]
fn a_cloud_init_seed_without_its_files_is_refused() {
    let seed = |label: &str, files: &[&str]| {
        let entry = |path: &&str| format!("- {{path: {path}, text: ''}}\n");
        let entries: Vec<_> = files.iter().map(entry).collect();
        let entries = entries.concat();
        Host::new(&format!("label: {label}\nfiles:\n- {{path: /x, text: x}}\n{entries}"))
    };
    let complete = ["user-data", "meta-data"];
    for label in ["cidata", "CIDATA"] {
        for (files, lacking) in [
            (&complete[..1], "/meta-data"),
            (&["meta-data", "sub/user-data"], "/user-data"),
            (&["meta-data", "user-data/x"], "/user-data"),
            (&[], "/user-data and /meta-data"),
        ] {
            let host = seed(label, files);
            fs::write(host.path("out.iso"), "old").unwrap();
            assert_eq!(
                refusal(&host.build_iso(&[]), 3),
                format!(
                    "credimg: error: a volume with the label {label} is a cloud-init seed: this \
                     one lacks {lacking}\ncredimg: hint: guests pass over it in silence: add \
                     {lacking}, or change the label; the old image is unchanged\n"
                )
            );
            assert_eq!(fs::read(host.path("out.iso")).unwrap(), b"old");
        }
        assert_eq!(said(&seed(label, &complete).build_iso(&["--quiet"])), "");
        assert_eq!(
            said(&seed(label, &complete).build_iso(&["--quiet", "--format=erofs"])),
            format!(
                "credimg: warning: a volume with the label {label} is a cloud-init seed: guests \
                 look for it on iso9660, not erofs\n"
            )
        );
    }
}

/// The check says it before any source is read, and supposes the best of sources
/// that may hold what is missing.
#[test]
fn check_foresees_what_a_seed_lacks() {
    let check = |manifest: &str| {
        let host = Host::new(&format!("format: iso9660\n{manifest}"));
        host.credimg().args(["check", "secrets.yaml", "--strict"]).output().unwrap()
    };
    let refused = check("label: cidata\nfiles: [{path: user-data, text: ''}]\n");
    assert_eq!(
        refusal(&refused, 3),
        "credimg: error: a volume with the label cidata is a cloud-init seed: this one lacks \
         /meta-data\ncredimg: hint: guests pass over it in silence: add /meta-data, or change the \
         label\n"
    );
    let warned = check("label: OEMDRV\nfiles: []\n");
    assert_eq!(warned.status.code(), Some(5));
    for possible in [
        "label: cidata\nfiles: [{path: user-data, text: ''}, {path: meta-data, env: X}]\n",
        "label: cidata\nfiles: [{path: /, dir: seed}]\n",
        "label: cidata\nfiles: []\npseudo: ['/user-data f 400 0 0 true']\n",
        "label: config-2\nfiles: [{path: openstack/latest, tar: a.tar}]\n",
    ] {
        let output = check(possible);
        assert!(output.status.success(), "{possible}{output:?}");
    }
}

#[test]
fn other_labels_that_guests_know_bring_a_warning() {
    for (label, name, wanted) in [
        ("config-2", "an OpenStack config drive", "openstack/latest/meta_data.json"),
        ("OEMDRV", "a kickstart volume", "ks.cfg"),
    ] {
        let without = Host::new(&format!("label: {label}\nfiles: []\n"));
        assert_eq!(
            said(&without.build_iso(&["--quiet"])),
            format!(
                "credimg: warning: a volume with the label {label} is {name}: this one lacks \
                 /{wanted}\n"
            )
        );
        let with = format!("label: {label}\nfiles: [{{path: {wanted}, text: '{{}}'}}]\n");
        assert_eq!(said(&Host::new(&with).build_iso(&["--quiet"])), "");
    }
    // A link may stand for what is wanted, wherever it leads.
    let linked = "label: config-2\nfiles: [{path: /openstack/latest, symlink: 2018-08-27}]\n";
    assert_eq!(
        said(&Host::new(linked).build_iso(&["--quiet"])),
        "credimg: warning: 1 symbolic link leads to nothing that the disk holds (`links: \
         follow` at a `dir:` takes what they lead to): /openstack/latest\n"
    );
}
