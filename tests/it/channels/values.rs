//! Values arrive byte for byte by every channel, and show nowhere else.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;

const CANARY: &[u8] = b"zK7canaryQ2";

/// What is odd about values: nothing, commas, newlines, zeros, every byte.
fn values() -> Vec<(&'static str, Vec<u8>)> {
    let every: Vec<u8> = (0..=255).collect();
    vec![
        ("comma", b",a,,b=c,".to_vec()),
        ("newlines", b"\na\r\nb\n\n".to_vec()),
        ("zeros", b"\0a\0\0".to_vec()),
        ("every byte, twice", [&every[..], &every].concat()),
        ("not utf-8", b"\xff\xfe\x80".to_vec()),
        ("empty", Vec::new()),
        ("quote'\"$x`%s\\", b"'\"$HOME`id`%s\\".to_vec()),
    ]
}

fn manifest_by(via: &str) -> String {
    manifest(values().iter().map(|(name, value)| credential(name, value, via)))
}

#[test]
fn values_arrive_by_one_structure() {
    let host = Host::new(&manifest_by("smbios"));
    let arguments = stdout(&host.build(&[]));
    assert!(arguments.ends_with(" -smbios file=out.erofs.smbios\n"), "{arguments}");
    let strings = oem_strings(&fs::read(host.path("out.erofs.smbios")).unwrap());
    let expected = values().into_iter().map(|(name, value)| (name.to_owned(), value));
    assert_eq!(imported(&strings), expected.collect());
}

#[test]
fn values_arrive_by_one_file_a_string() {
    let host = Host::new(&manifest_by("smbios"));
    let report = built(&host, &["--smbios", "path"]);
    assert_eq!(report["sidecars"].as_array().unwrap().len(), values().len());
    for (name, value) in values() {
        let string = fs::read(host.path(format!("out.erofs.smbios.{name}"))).unwrap();
        assert_eq!(imported(&[string]), [(name.to_owned(), value)].into());
    }
    let arguments = host.credimg().args(["args", "out.erofs", "--args", "lines"]).output().unwrap();
    let comma = "-smbios\ntype=11,path=out.erofs.smbios.every byte,, twice\n";
    assert!(stdout(&arguments).contains(comma), "{}", stdout(&arguments));
}

#[test]
fn values_arrive_by_fw_cfg() {
    let host = Host::new(&manifest_by("fw_cfg"));
    let output = host.build(&["--args", "json"]);
    let arguments: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    for (name, value) in values() {
        assert_eq!(fs::read(host.path(format!("out.erofs.fw_cfg.{name}"))).unwrap(), value);
        let escaped = name.replace(',', ",,");
        let item =
            format!("name=opt/io.systemd.credentials/{escaped},file=out.erofs.fw_cfg.{escaped}");
        assert!(arguments.contains(&item), "{arguments:?}");
    }
}

#[test]
fn values_arrive_on_the_disk() {
    for (mount, store) in [("", "credstore/"), ("mount: /run/credstore\n", "")] {
        let host = Host::new(&(manifest_by("disk") + mount));
        assert_eq!(channels(&built(&host, &[])), [("disk".to_owned(), 7)].into());
        let extracted = host.path("extracted");
        let option = format!("--extract={}", extracted.display());
        let image = host.path("out.erofs");
        let fsck = Command::new("fsck.erofs").arg(option).arg(image).output().unwrap();
        assert!(fsck.status.success(), "{}", stderr(&fsck));
        for (name, value) in values() {
            let path = extracted.join(format!("{store}{name}"));
            assert_eq!(fs::read(&path).unwrap(), value, "{name}");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o400);
        }
        let strings = oem_strings(&fs::read(host.path("out.erofs.smbios")).unwrap());
        let fstab = String::from_utf8(imported(&strings)["fstab.extra"].clone()).unwrap();
        let expected = match store {
            "" => "LABEL=CHIMERA /run/credstore erofs ro,nosuid,nodev,noexec 0 0\n",
            _ => {
                "LABEL=CHIMERA /run/secrets erofs ro,nosuid,nodev,noexec 0 0\n\
                 /run/secrets/credstore /run/credstore none bind 0 0\n"
            }
        };
        assert_eq!(fstab, expected);
        // The store is closed, whatever the manifest's defaults are.
        if !store.is_empty() {
            let closed = fs::metadata(extracted.join("credstore")).unwrap().permissions().mode();
            assert_eq!(closed & 0o7777, 0o500);
        }
    }
}

/// Every source delivers a credential as it delivers a file.
#[test]
fn every_source_delivers_a_credential() {
    let host = Host::new(
        "label: CHIMERA\ncredentials:\n\
         - {name: file, file: value}\n\
         - {name: text, text: \"a\\n\"}\n\
         - {name: base64, base64: AAEC}\n\
         - {name: command, command: [printf, 'c\\n'], trim: true}\n\
         - {name: shell, shell: printf s}\n\
         - {name: env, env: CREDIMG_TEST_VALUE}\n",
    );
    fs::write(host.path("value"), "f\n").unwrap();
    let build = ["build", "secrets.yaml", "-o", "out.erofs"];
    let output = host.credimg().args(build).env("CREDIMG_TEST_VALUE", "e").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).ends_with(", 6 credentials by the firmware\n"), "{}", stderr(&output));
    let strings = oem_strings(&fs::read(host.path("out.erofs.smbios")).unwrap());
    let expected: [(&str, &[u8]); 6] = [
        ("file", b"f\n"),
        ("text", b"a\n"),
        ("base64", b"\0\x01\x02"),
        ("command", b"c"),
        ("shell", b"s"),
        ("env", b"e"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_vec()));
    assert_eq!(imported(&strings), expected.into());
}

/// Neither the printed arguments nor messages hold a value in any form, in
/// success and in failure.
#[test]
fn no_value_is_shown() {
    let encoded = STANDARD.encode(CANARY);
    for via in ["auto", "disk", "smbios", "fw_cfg"] {
        let good = manifest([credential("a", CANARY, via)]);
        let bad = format!("{good}- {{name: b, shell: 'exit 1'}}\n");
        for (manifest, code) in [(good, 0), (bad, 6)] {
            let host = Host::new(&manifest);
            for style in ["shell", "lines", "json", "blockdev"] {
                let output = host.build(&["--args", style, "--json"]);
                assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
                let check = host.credimg().args(["check", "secrets.yaml"]).output().unwrap();
                let unit = host.credimg().args(["guest-unit", "secrets.yaml"]).output().unwrap();
                for output in [output, check, unit] {
                    let all = stdout(&output) + &stderr(&output);
                    assert!(!all.contains("canary") && !all.contains(&encoded), "{all}");
                }
            }
            for entry in fs::read_dir(host.path("")).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(!name.contains("canary"), "{name}");
            }
        }
    }
}

#[test]
fn a_name_on_the_disk_and_by_the_firmware_is_refused() {
    let manifest = manifest([credential("a", b"v", "smbios")]) + "files: [{path: /, dir: tree}]\n";
    let host = Host::new(&manifest);
    fs::create_dir_all(host.path("tree/credstore")).unwrap();
    fs::write(host.path("tree/credstore/a"), "w").unwrap();
    let expected = "secrets.yaml:3:3: credentials[0] (/credstore/a): the disk holds a credential \
                    of this name as well";
    assert_eq!(refused(&host.build(&[])), (3, expected.to_owned()));
}

#[test]
fn what_is_put_into_the_store_otherwise_collides() {
    let manifest =
        manifest([credential("a", b"v", "disk")]) + "pseudo: ['/credstore/a f 400 0 0 echo x']\n";
    let expected = "secrets.yaml:4:10: pseudo[0] (/credstore/a): /credstore/a (line 4) is taken \
                    already by credentials[0] (line 3)";
    assert_eq!(refused(&Host::new(&manifest).build(&[])), (3, expected.to_owned()));
}

#[test]
fn commands_of_credentials_are_commands() {
    let host = Host::new("credentials: [{name: a, command: [id]}]\n");
    let expected = "credentials[0] (/credstore/a): runs a command, which --no-commands forbids";
    assert_eq!(refused(&host.build(&["--no-commands"])), (5, expected.to_owned()));
}
