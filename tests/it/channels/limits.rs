//! Each limit to its last byte, and one beyond it: refused where the manifest
//! insists, planned otherwise where it does not, always with the reason.

use super::*;

/// What a structure may have beside the strings of one credential named `a`:
/// its own six bytes, then the string's prefix, name, equals sign and zero.
const STRUCTURE_ROOM: usize = 57_343 - 6 - 32;

/// The refusal of a build, which must leave nothing behind.
fn refusal(manifest: &str, options: &[&str]) -> (i32, String) {
    let host = Host::new(manifest);
    let refused = refused(&host.build(options));
    let names: Vec<_> =
        fs::read_dir(host.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["secrets.yaml"]);
    refused
}

fn numbered(count: usize, value: &[u8], via: &str) -> String {
    manifest((0..count).map(|index| credential(&format!("n{index}"), value, via)))
}

#[test]
fn oem_strings_beyond_255_are_refused_or_go_onto_the_disk() {
    let expected = "secrets.yaml:258:3: credentials[255]: cannot go by smbios: all 255 OEM \
                    strings are taken";
    assert_eq!(refusal(&numbered(300, b"v", "smbios"), &[]), (3, expected.to_owned()));

    let host = Host::new(&numbered(300, b"v", "auto"));
    let report = built(&host, &[]);
    // One string tells the guest of the disk that holds the rest.
    let expected = [("disk".to_owned(), 46), ("smbios".to_owned(), 254)];
    assert_eq!(channels(&report), expected.into());
    let strings = oem_strings(&fs::read(host.path("out.erofs.smbios")).unwrap());
    assert_eq!(strings.len(), 255);
    assert!(imported(&strings).contains_key("fstab.extra"));

    let check = host.credimg().args(["check", "secrets.yaml"]).output().unwrap();
    let table = stdout(&check);
    assert!(
        table.contains("\nn254         inline  1      disk     all 255 OEM strings are taken\n"),
        "{table}"
    );
    assert!(table.contains("\nOEM strings                          255      255\n"), "{table}");
}

#[test]
fn a_structure_is_filled_to_its_last_byte_and_not_beyond() {
    let bytes = STRUCTURE_ROOM / 4 * 3;
    let host = Host::new(&manifest([credential("a", &vec![7; bytes], "smbios")]));
    built(&host, &[]);
    let structure = fs::read(host.path("out.erofs.smbios")).unwrap();
    assert_eq!(structure.len(), 6 + 32 + STRUCTURE_ROOM / 4 * 4);
    assert!(structure.len() > 57_343 - 4);

    let beyond = credential("a", &vec![7; bytes + 1], "smbios");
    let expected = format!(
        "secrets.yaml:3:3: credentials[0]: cannot go by smbios: its OEM string is {} bytes long, \
         and of the 57343 bytes of the SMBIOS structure 57337 are left",
        32 + STRUCTURE_ROOM / 4 * 4 + 4
    );
    assert_eq!(refusal(&manifest([beyond]), &[]), (3, expected));
    let host = Host::new(&manifest([credential("a", &vec![7; bytes + 1], "auto")]));
    assert_eq!(channels(&built(&host, &[])), [("disk".to_owned(), 1)].into());
}

#[test]
fn fw_cfg_ends_at_17_items_of_28_characters() {
    let expected = "secrets.yaml:20:3: credentials[17]: cannot go by fw_cfg: all 17 items of \
                    fw_cfg are taken";
    assert_eq!(refusal(&numbered(20, b"v", "fw_cfg"), &[]), (3, expected.to_owned()));
    let long = "n".repeat(29);
    let expected = "secrets.yaml:3:3: credentials[0]: cannot go by fw_cfg: its name has 29 \
                    characters, and a fw_cfg item has room for 28";
    let refused = refusal(&manifest([credential(&long, b"v", "fw_cfg")]), &[]);
    assert_eq!(refused, (3, expected.to_owned()));
    let host = Host::new(&manifest([credential(&long, b"v", "auto")]));
    assert_eq!(channels(&built(&host, &[])), [("smbios".to_owned(), 1)].into());

    let longest = |index| credential(&format!("{index:0>28}"), b"v", "fw_cfg");
    let host = Host::new(&manifest((0..17).map(longest)));
    let output = host.build(&[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output).matches("-fw_cfg").count(), 17);
    assert!(stderr(&output).contains("credimg: warning: 17 items of fw_cfg: "));
}

#[test]
fn more_than_systemd_takes_is_refused_or_goes_onto_the_disk() {
    const MIB: usize = 1 << 20;
    let items = |bytes: u32| {
        let item = |index| {
            format!("- {{name: n{index}, shell: head -c {bytes} /dev/zero, via: fw_cfg}}\n")
        };
        manifest((0..16).map(item))
    };
    let host = Host::new(&items(1 << 16));
    assert_eq!(channels(&built(&host, &[])), [("fw_cfg".to_owned(), 16)].into());
    let expected = "secrets.yaml:19:3: credentials[16]: cannot go by fw_cfg: it is 1 bytes long, \
                    and of the 1048576 bytes that systemd takes from the firmware 0 are left";
    let one_more = items(1 << 16) + &credential("one", b"v", "fw_cfg");
    assert_eq!(refusal(&one_more, &[]), (3, expected.to_owned()));

    // 24,576 bytes are left, less the lines that tell the guest of the disk.
    let host = Host::new(&(items(64_000) + &credential("auto", &vec![7; 30_000], "auto")));
    let output = host.build(&["--json=report"]);
    let report = serde_json::from_slice(&fs::read(host.path("report")).unwrap()).unwrap();
    let expected = [("disk".to_owned(), 1), ("fw_cfg".to_owned(), 16)];
    assert_eq!(channels(&report), expected.into());
    let warning = "credimg: warning: the credentials have 1054042 bytes with their names: a service \
                   that imports all of them does not start, as systemd gives it 1048576 at most\n";
    assert!(stderr(&output).contains(warning), "{}", stderr(&output));

    // One credential that fills it, name and all, and one byte more.
    for (bytes, fits) in [(MIB - 3, true), (MIB - 2, false)] {
        let host = Host::new("label: CHIMERA\ncredentials: [{name: one, file: large}]\n");
        fs::write(host.path("large"), vec![7; bytes]).unwrap();
        if fits {
            assert_eq!(channels(&built(&host, &[])), [("disk".to_owned(), 1)].into());
        } else {
            let expected = "secrets.yaml:2:15: credentials[0]: the credential has 1048577 bytes \
                            with its name, and systemd takes 1048576";
            assert_eq!(refused(&host.build(&[])), (3, expected.to_owned()));
        }
    }
}

#[test]
fn names_that_an_oem_string_cannot_hold_go_onto_the_disk() {
    let expected = "secrets.yaml:3:3: credentials[0]: cannot go by smbios: its name holds `=`, \
                    where the name in an OEM string ends";
    let refused = refusal(&manifest([credential("a=b", b"v", "smbios")]), &[]);
    assert_eq!(refused, (3, expected.to_owned()));
    let host = Host::new(&manifest([credential("a=b", b"v", "auto")]));
    assert_eq!(channels(&built(&host, &[])), [("disk".to_owned(), 1)].into());
}

#[test]
fn a_serial_of_21_bytes_is_refused() {
    let expected = "the drive's serial is not usable: it is 21 bytes long, at most 20 are possible";
    let manifest = manifest([credential("a", b"v", "auto")]);
    let refused = refusal(&manifest, &["--serial", "123456789012345678901"]);
    assert_eq!(refused, (2, expected.to_owned()));
}

#[test]
fn channels_that_the_arguments_close_are_said_to_be_closed() {
    let smbios = manifest([credential("a", b"v", "smbios")]);
    let expected = "secrets.yaml:3:3: credentials[0]: cannot go by smbios: QEMU ignores SMBIOS in \
                    a file for -readconfig";
    assert_eq!(refusal(&smbios, &["--args", "readconfig"]), (3, expected.to_owned()));
    let host = Host::new(&manifest([credential("a", b"v", "auto")]));
    let output = host.build(&["--args", "readconfig"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let fstab = fs::read_to_string(host.path("out.erofs.fw_cfg.fstab.extra")).unwrap();
    assert!(fstab.starts_with("LABEL=CHIMERA /run/secrets erofs "), "{fstab}");
    let mut group = "\n[fw_cfg]\n  name = \"opt/io.systemd.credentials/fstab.extra\"\n".to_owned();
    writeln!(group, "  file = \"out.erofs.fw_cfg.fstab.extra\"").unwrap();
    assert!(stdout(&output).ends_with(&group), "{}", stdout(&output));

    let stream = ["build", "secrets.yaml", "--format", "erofs", "-o", "-"];
    let output = host.credimg().args(stream).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let host = Host::new(&smbios);
    let output = host.credimg().args(stream).output().unwrap();
    let expected = "secrets.yaml:3:3: credentials[0]: cannot go by smbios: an image on standard \
                    output has no private files beside it";
    assert_eq!(refused(&output), (3, expected.to_owned()));
}
