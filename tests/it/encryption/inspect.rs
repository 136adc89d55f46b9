//! `credimg inspect`: what it says of our images and of those of others, exactly; and of
//! what is no image, quickly and without a word of it to the terminal.

use std::time::{Duration, Instant};

use super::*;

const EPOCH: &str = "1700000000";

fn text(host: &Host, arguments: &str) -> String {
    let output = run(host, arguments);
    assert_done(&output);
    assert!(output.stderr.is_empty(), "{output:?}");
    stdout(&output)
}

/// What the program prints, with every UUID replaced.
fn golden(host: &Host, arguments: &str) -> String {
    let mut text = text(host, arguments);
    let is_uuid = |word: &str| {
        word.len() == 36 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    let separators = [' ', '"', '\n'];
    let uuids: Vec<_> =
        text.split(separators).filter(|it| is_uuid(it)).map(str::to_owned).collect();
    for uuid in uuids {
        text = text.replace(&uuid, "<uuid>");
    }
    text
}

const ENCRYPTED: [(&str, &str, &str, &str); 3] = [
    (
        "a.erofs",
        "luks1",
        "\
format    luks1
uuid      <uuid>
size      2101248 bytes
cipher    aes-xts-plain64, a key of 512 bits, sha256
sectors   512 bytes
payload   from byte 2097152 on
key slot  0: pbkdf2 sha256, 1000 iterations
",
        "\
inside
  format    erofs
  label     CHIMERA
  uuid      <uuid>
  size      4096 bytes
  built     2023-11-14T22:13:20Z
  blocks    4096 bytes
  features  sb_csum, mtime
  holds     1 file, 1 directory
  content   5 bytes, stored in 5; metadata and padding 4091
  times     2023-11-14T22:13:20Z
",
    ),
    (
        "a.squashfs",
        "luks2",
        "\
format    luks2
label     CHIMERA-LUKS
uuid      <uuid>
size      1052672 bytes
cipher    aes-xts-plain64, a key of 512 bits, sha256
sectors   4096 bytes
payload   from byte 1048576 on
key slot  0: pbkdf2 sha256, 1000 iterations
",
        "\
inside
  format    squashfs
  size      4096 bytes
  built     2023-11-14T22:13:20Z
  blocks    131072 bytes
  features  fragments, duplicates, exportable, uncompressed-inodes, uncompressed-data, uncompressed-fragments, uncompressed-xattrs, uncompressed-ids
  holds     1 file, 1 directory
  content   5 bytes, stored in 5; metadata and padding 254
  times     2023-11-14T22:13:20Z
",
    ),
    (
        "a.iso",
        "luks2",
        "\
format    luks2
label     CHIMERA-LUKS
uuid      <uuid>
size      1097728 bytes
cipher    aes-xts-plain64, a key of 512 bits, sha256
sectors   512 bytes
payload   from byte 1048576 on
key slot  0: pbkdf2 sha256, 1000 iterations
",
        "\
inside
  format    iso9660
  label     CHIMERA
  uuid      2023-11-14-22-13-20-00
  size      49152 bytes
  built     2023-11-14T22:13:20Z
  blocks    2048 bytes
  features  rock-ridge
  holds     1 file, 1 directory
  content   5 bytes, stored in 5; metadata and padding 49147
  times     2023-11-14T22:13:20Z
",
    ),
];

#[test]
fn our_encrypted_images_are_told_exactly() {
    let host = host(MANIFEST);
    for (image, version, outside, inside) in ENCRYPTED {
        let build = format!(
            "build secrets.yaml -o {image} --encrypt {version} --key-file key --mtime {EPOCH}"
        );
        assert_done(&run(&host, &build));
        assert_eq!(golden(&host, &format!("inspect {image}")), outside);
        let opened = golden(&host, &format!("inspect {image} --key-file key"));
        assert_eq!(opened, format!("{outside}{inside}"));
    }
    let expected = r#"{"report_version":1,"format":"luks2","label":"CHIMERA-LUKS","uuid":"<uuid>","size_bytes":1052672,"header":{"cipher":"aes-xts-plain64","key_bits":512,"hash":"sha256","sector_bytes":4096,"payload_offset_bytes":1048576,"slots":[{"index":0,"kdf":"pbkdf2 sha256, 1000 iterations"}]},"inside":{"format":"squashfs","label":null,"uuid":null,"size_bytes":4096,"build_time_seconds":1700000000,"block_bytes":131072,"used_bytes":259,"compression":null,"features":["fragments","duplicates","exportable","uncompressed-inodes","uncompressed-data","uncompressed-fragments","uncompressed-xattrs","uncompressed-ids"],"files":1,"directories":1,"symlinks":0,"devices":0,"fifos":0,"sockets":0,"further_names":0,"content_bytes":5,"stored_bytes":5,"metadata_bytes":254,"oldest_seconds":1700000000,"newest_seconds":1700000000}}"#;
    let json = golden(&host, "inspect a.squashfs --key-file key --json");
    assert_eq!(json, format!("{expected}\n"));
    let expected = r#"{"report_version":1,"format":"luks1","label":null,"uuid":"<uuid>","size_bytes":2101248,"header":{"cipher":"aes-xts-plain64","key_bits":512,"hash":"sha256","sector_bytes":512,"payload_offset_bytes":2097152,"slots":[{"index":0,"kdf":"pbkdf2 sha256, 1000 iterations"}]}}"#;
    assert_eq!(golden(&host, "inspect a.erofs --json"), format!("{expected}\n"));
}

#[test]
fn a_passphrase_costs_more_than_a_random_key() {
    let host = host(MANIFEST);
    host.private("passphrase", "correct horse");
    let build = "build secrets.yaml -o a.erofs --key-file passphrase --encrypt";
    assert_done(&run(&host, &format!("{build} luks2")));
    let slot = |host: &Host| text(host, "inspect a.erofs").lines().last().unwrap().to_owned();
    assert_eq!(slot(&host), "key slot  0: argon2id, 3 passes, 64 MiB, 4 lanes");
    assert_done(&run(&host, &format!("{build} luks1")));
    assert_eq!(slot(&host), "key slot  0: pbkdf2 sha256, 1000000 iterations");
}

#[test]
fn our_plain_images_are_told_exactly() {
    let host = host(MANIFEST);
    for (image, lines, json) in [
        (
            "a.erofs",
            format!("\
format    erofs
label     CHIMERA
uuid      {UUID}
size      4096 bytes
built     2023-11-14T22:13:20Z
blocks    4096 bytes
features  sb_csum, mtime
holds     1 file, 1 directory
content   5 bytes, stored in 5; metadata and padding 4091
times     2023-11-14T22:13:20Z
"),
            format!(r#"{{"report_version":1,"format":"erofs","label":"CHIMERA","uuid":"{UUID}","size_bytes":4096,"build_time_seconds":1700000000,"block_bytes":4096,"used_bytes":4096,"compression":null,"features":["sb_csum","mtime"],"files":1,"directories":1,"symlinks":0,"devices":0,"fifos":0,"sockets":0,"further_names":0,"content_bytes":5,"stored_bytes":5,"metadata_bytes":4091,"oldest_seconds":1700000000,"newest_seconds":1700000000}}"#),
        ),
        (
            "a.squashfs",
            "\
format    squashfs
size      4096 bytes
built     2023-11-14T22:13:20Z
blocks    131072 bytes
features  fragments, duplicates, exportable, uncompressed-inodes, uncompressed-data, uncompressed-fragments, uncompressed-xattrs, uncompressed-ids
holds     1 file, 1 directory
content   5 bytes, stored in 5; metadata and padding 254
times     2023-11-14T22:13:20Z
".to_owned(),
            r#"{"report_version":1,"format":"squashfs","label":null,"uuid":null,"size_bytes":4096,"build_time_seconds":1700000000,"block_bytes":131072,"used_bytes":259,"compression":null,"features":["fragments","duplicates","exportable","uncompressed-inodes","uncompressed-data","uncompressed-fragments","uncompressed-xattrs","uncompressed-ids"],"files":1,"directories":1,"symlinks":0,"devices":0,"fifos":0,"sockets":0,"further_names":0,"content_bytes":5,"stored_bytes":5,"metadata_bytes":254,"oldest_seconds":1700000000,"newest_seconds":1700000000}"#.to_owned(),
        ),
        (
            "a.iso",
            "\
format    iso9660
label     CHIMERA
uuid      2023-11-14-22-13-20-00
size      49152 bytes
built     2023-11-14T22:13:20Z
blocks    2048 bytes
features  rock-ridge
holds     1 file, 1 directory
content   5 bytes, stored in 5; metadata and padding 49147
times     2023-11-14T22:13:20Z
".to_owned(),
            r#"{"report_version":1,"format":"iso9660","label":"CHIMERA","uuid":"2023-11-14-22-13-20-00","size_bytes":49152,"build_time_seconds":1700000000,"block_bytes":2048,"used_bytes":49152,"compression":null,"features":["rock-ridge"],"files":1,"directories":1,"symlinks":0,"devices":0,"fifos":0,"sockets":0,"further_names":0,"content_bytes":5,"stored_bytes":5,"metadata_bytes":49147,"oldest_seconds":1700000000,"newest_seconds":1700000000}"#
                .to_owned(),
        ),
    ] {
        let build = format!("build secrets.yaml -o {image} --uuid {UUID} --mtime {EPOCH}");
        assert_done(&run(&host, &build));
        assert_eq!(text(&host, &format!("inspect {image}")), lines);
        assert_eq!(text(&host, &format!("inspect {image} --json")), format!("{json}\n"));
        let output = run(&host, &format!("inspect {image} --key-file key"));
        let message = "--key-file has no meaning for an image that is not encrypted";
        assert_refused(&output, 2, message, None);
    }
}

#[test]
fn images_of_cryptsetup_and_qemu_are_told_exactly() {
    let host = host(MANIFEST);
    let cryptsetup = |image: &str, megabytes: u64, options: &[&str]| {
        File::create(host.path(image)).unwrap().set_len(megabytes << 20).unwrap();
        let mut command = Command::new("cryptsetup");
        command.args(["luksFormat", "-q", "--pbkdf-force-iterations", "1000"]);
        let output = command.args(options).args([image, "key"]).current_dir(host.path("")).output();
        assert_done(&output.expect("cryptsetup must be installed"));
    };
    cryptsetup("one", 4, &["--type", "luks1", "--hash", "sha512", "--key-size", "256"]);
    let label = "\u{1b}[31m\u{202e}X";
    let luks2 = ["--type", "luks2", "--pbkdf", "pbkdf2", "--sector-size", "512", "--label", label];
    cryptsetup("two", 17, &luks2);
    // QEMU measures the processor's speed, and fails where a busy host's clock of CPU time
    // stood still meanwhile.
    let script = "for _ in $(seq 20); do
        qemu-img create -q -f luks --object secret,id=s,file=key \\
            -o key-secret=s,iter-time=10 qemu 1M 2>error && exit
        grep -q 'Unable to get accurate CPU usage' error || break
    done
    cat error >&2
    exit 1";
    let output = Command::new("sh").args(["-c", script]).current_dir(host.path("")).output();
    assert_done(&output.expect("qemu-img must be installed"));
    for (image, expected) in [
        (
            "one",
            "\
format    luks1
uuid      <uuid>
size      4194304 bytes
cipher    aes-xts-plain64, a key of 256 bits, sha512
sectors   512 bytes
payload   from byte 2097152 on
key slot  0: pbkdf2 sha512, 1000 iterations
",
        ),
        (
            "two",
            "\
format    luks2
label     \"\\u{1b}[31m\\u{202e}X\"
uuid      <uuid>
size      17825792 bytes
cipher    aes-xts-plain64, a key of 512 bits, sha256
sectors   512 bytes
payload   from byte 16777216 on
key slot  0: pbkdf2 sha256, 1000 iterations
",
        ),
    ] {
        assert_eq!(golden(&host, &format!("inspect {image}")), expected);
        let output = run(&host, &format!("inspect {image} --key-file key"));
        let message = format!(
            "{image}: not an image: neither a superblock of EROFS or SquashFS nor a volume of ISO \
             9660 or LUKS (inside the encryption)"
        );
        assert_refused(&output, 8, &message, None);
    }
    // Its iterations are as many as the machine does in that time.
    let told = golden(&host, "inspect qemu");
    let (told, iterations) = told.split_once("key slot  0: pbkdf2 sha256, ").unwrap();
    assert!(iterations.ends_with(" iterations\n"), "{iterations}");
    let expected = "\
format    luks1
uuid      <uuid>
size      3117056 bytes
cipher    aes-xts-plain64, a key of 512 bits, sha256
sectors   512 bytes
payload   from byte 2068480 on
";
    assert_eq!(told, expected);
}

/// Labels are anybody's text.
#[test]
fn labels_drive_no_terminal() {
    let host = host(MANIFEST);
    assert_done(&run(&host, &format!("build secrets.yaml -o a.erofs --uuid {UUID}")));
    assert_done(&run(&host, "build secrets.yaml -o a.iso"));
    for (image, offset) in [("a.erofs", 1024 + 64), ("a.iso", 32768 + 40)] {
        for (label, shown) in [
            ("\u{1b}]0;x\u{7}", r#""\u{1b}]0;x\u{7}""#),
            ("a\nformat x", r#""a\nformat x""#),
            ("\u{202e}abc", r#""\u{202e}abc""#),
            ("\u{9b}31m", r#""\u{9b}31m""#),
        ] {
            let mut bytes = fs::read(host.path(image)).unwrap();
            bytes[offset..offset + 16].fill(if image == "a.iso" { b' ' } else { 0 });
            bytes[offset..offset + label.len()].copy_from_slice(label.as_bytes());
            fs::write(host.path("hostile"), bytes).unwrap();
            let output = run(&host, "inspect hostile");
            assert_done(&output);
            // The superblock of EROFS has a checksum.
            let warning = "credimg: warning: hostile: what it holds is not told: ";
            let said = stderr(&output);
            assert_eq!(said.starts_with(warning), image == "a.erofs", "{said}");
            assert!(!said.trim_end().contains(|letter: char| letter.is_control()), "{said:?}");
            let told = stdout(&output);
            assert_eq!(told.lines().nth(1), Some(&*format!("label     {shown}")), "{image}");
            let json = stdout(&run(&host, "inspect hostile --json"));
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(json["label"], label);
        }
    }
}

/// Marsaglia's xorshift: the same bytes in every run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x5eed_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn what_is_no_image_is_refused_quickly() {
    let host = host(MANIFEST);
    let mut hostile = vec![
        Vec::new(),
        vec![b'L'],
        b"LUKS\xba\xbe".to_vec(),
        b"LUKS\xba\xbe\0\x01".to_vec(),
        b"LUKS\xba\xbe\0\x02".to_vec(),
        b"LUKS\xba\xbe\0\x03".to_vec(),
        vec![0; 1 << 20],
        noise(3 << 20),
        [b"LUKS\xba\xbe\0\x01", &noise(3 << 20)[..]].concat(),
        [b"LUKS\xba\xbe\0\x02", &noise(3 << 20)[..]].concat(),
        [b"LUKS\xba\xbe\0\x02", &b"\x1b[31m".repeat(10_000)[..]].concat(),
    ];
    for version in ["luks1", "luks2"] {
        let build = format!("build secrets.yaml -o a.erofs --key-file key --encrypt {version}");
        assert_done(&run(&host, &build));
        let image = fs::read(host.path("a.erofs")).unwrap();
        // The header's own end: of LUKS1 one record, of LUKS2 the JSON behind it.
        let ends = if version == "luks1" { [8, 100, 591] } else { [591, 4095, 5000] };
        hostile.extend(ends.map(|length| image[..length].to_vec()));
        // Cut behind the header: only the key shows it.
        fs::write(host.path("cut"), &image[..100_000]).unwrap();
        let output = run(&host, "inspect cut --key-file key");
        assert_eq!(output.status.code(), Some(8), "{output:?}");
    }
    for bytes in &hostile {
        fs::write(host.path("hostile"), bytes).unwrap();
        for arguments in [
            "inspect hostile",
            "inspect hostile --key-file key --json",
            "args hostile --key-file key",
        ] {
            let start = Instant::now();
            let output = run(&host, arguments);
            let context = format!("{arguments}: {} bytes: {output:?}", bytes.len());
            assert_eq!(output.status.code(), Some(8), "{context}");
            assert!(start.elapsed() < Duration::from_secs(5), "{context}");
            let message = stderr(&output);
            assert!(message.starts_with("credimg: error: hostile: "), "{context}");
            assert!(message.lines().all(|line| !line.chars().any(char::is_control)), "{context}");
            assert!(output.stdout.is_empty(), "{context}");
        }
    }
}

#[test]
fn what_cannot_be_opened_has_its_message() {
    let host = host(MANIFEST);
    fs::create_dir(host.path("directory")).unwrap();
    for (arguments, message) in [
        ("inspect missing", "cannot read missing: no such file or directory"),
        ("inspect directory", "directory is a directory, expected a regular file"),
        ("inspect /dev/zero", "/dev/zero is a character device, expected a regular file"),
        ("args missing --key-file key", "cannot read missing: no such file or directory"),
    ] {
        assert_refused(&run(&host, arguments), 8, message, None);
    }
    for version in ["luks1", "luks2"] {
        let build = format!("build secrets.yaml -o a.erofs --key-file key --encrypt {version}");
        assert_done(&run(&host, &build));
        host.private("other", KEY.replace("00", "10"));
        let message = "the key in other does not open a.erofs";
        let hint = Some("take the key that the image was built with");
        for command in ["inspect", "args"] {
            let output = run(&host, &format!("{command} a.erofs --key-file other"));
            assert_refused(&output, 4, message, hint);
        }
    }
    // What cryptsetup makes of LUKS1 keeps its short digest.
    assert_done(&run(&host, "build secrets.yaml -o a.erofs --key-file key --encrypt luks1"));
    let mut convert = Command::new("cryptsetup");
    convert.args(["convert", "-q", "--type", "luks2"]).arg(host.path("a.erofs"));
    assert!(convert.status().unwrap().success());
    let told = stdout(&run(&host, "inspect a.erofs --key-file key"));
    assert!(told.contains("luks2") && told.contains("CHIMERA"), "{told}");
    for arguments in
        ["inspect", "inspect a b", "inspect a.erofs --key-file", "inspect a --keyfile k"]
    {
        let output = run(&host, arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty());
    }
}
