//! Volumes that guests look for by label: what is said of user-data, judged by cloud-init's
//! own code, of labels, and of what is missing.

use std::io::Write as _;

use super::*;

/// What cloud-init takes user-data for, a line each; stdin has it in hexadecimal digits.
const JUDGE: &str = r#"
import sys
from cloudinit import handlers, user_data, util
for line in sys.stdin:
    data = bytes.fromhex(line)
    message = user_data.convert_string(data)
    kind = message.get_content_type()
    if kind in user_data.TYPE_NEEDED:
        payload = util.fully_decoded_payload(message)
        kind = handlers.type_from_starts_with(payload) if payload else "nothing"
    print(kind)
"#;

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

/// User-data, and why it is passed over; nothing where it is not.
fn table() -> Vec<(Vec<u8>, &'static str)> {
    const MARK: &str = "begins with a byte order mark";
    const DASHES: &str = "begins with `---`";
    const UNKNOWN: &str = "begins with a line that it does not know";
    const BINARY: &str = "is neither text in UTF-8 nor gzip of such a text";
    let mime = "Content-Type: multipart/mixed; boundary=\"b\"\nMIME-Version: 1.0\n\n--b\n\
                Content-Type: text/cloud-config\n\nhostname: x\n--b--\n";
    let plain = "MIME-Version: 1.0\nContent-Type: text/plain\n\nhostname: x\n";
    let rows: [(&str, &str); 47] = [
        ("", ""),
        ("#cloud-config\nhostname: x\n", ""),
        ("#cloud-config", ""),
        ("#Cloud-Config\nhostname: x\n", ""),
        ("#cloud-config # comment\n", ""),
        ("#cloud-configuration\n", ""),
        ("\n\n  #cloud-config\n", ""),
        ("\u{a0}\u{85}\u{1c}#cloud-config\n", ""),
        ("\r\n#cloud-config\r\n", ""),
        ("#!/bin/sh\n", ""),
        ("#!\n", ""),
        ("#include\nhttps://example.org/\n", ""),
        ("#include https://example.org/\n", ""),
        ("#include-once\nhttps://example.org/\n", ""),
        ("#part-handler\n", ""),
        ("#cloud-boothook\n", ""),
        ("#cloud-config-archive\n", ""),
        ("#cloud-config-jsonp\n", ""),
        ("## template: jinja\n#cloud-config\n", ""),
        ("text/x-shellscript-per-boot\n", ""),
        (mime, ""),
        ("From nobody\nMIME-Version: 1.0\n", ""),
        ("MIME-Version: 1.0\n\n#!/bin/sh\n", ""),
        ("MIME-Version: 1.0\nContent-Type: text/x-shellscript\n\nx\n", ""),
        ("#cloud-config\n# MIME-Version: 1.0\n", ""),
        ("# a mail\n# MIME-Version: 1.0\n", UNKNOWN),
        ("MIME-Version: 1.0\n\nhostname: x\n", UNKNOWN),
        (plain, UNKNOWN),
        ("\u{feff}#cloud-config\nhostname: x\n", MARK),
        ("\n\u{feff}#cloud-config\n", MARK),
        ("---\n#cloud-config\nhostname: x\n", DASHES),
        ("\n---\nhostname: x\n", DASHES),
        ("# cloud-config\nhostname: x\n", UNKNOWN),
        ("#cloud-init\n", UNKNOWN),
        ("# comment\n#cloud-config\n", UNKNOWN),
        ("hostname: x\n", UNKNOWN),
        ("cloud-config\n", UNKNOWN),
        ("#upstart-job\n", UNKNOWN),
        ("##template: jinja\n", UNKNOWN),
        ("Content-Type: text/cloud-config\n\nhostname: x\n", UNKNOWN),
        ("\u{200b}#cloud-config\n", UNKNOWN),
        ("{\"hostname\": \"x\"}", UNKNOWN),
        ("-----BEGIN AGE ENCRYPTED FILE-----\n", DASHES),
        ("I2Nsb3VkLWNvbmZpZwo=\n", UNKNOWN),
        ("x", UNKNOWN),
        (" \n", UNKNOWN),
        ("rem\n", UNKNOWN),
    ];
    let texts = rows.iter().map(|(text, fault)| (text.as_bytes().to_vec(), *fault));
    let far = format!("a: {}\nMIME-Version: 1.0\nContent-Type: x/y\n", "x".repeat(4080));
    let near = far.replacen("xx", "x", 1);
    let mut broken = gzip("#cloud-config\n");
    broken.truncate(broken.len() - 3);
    let others = [
        (near.into_bytes(), ""),
        (far.into_bytes(), UNKNOWN),
        (gzip("#cloud-config\n"), ""),
        (gzip(mime), ""),
        (gzip("hostname: x\n"), UNKNOWN),
        (gzip("\u{feff}#cloud-config\n"), MARK),
        ([gzip("#cloud-"), gzip("config\n")].concat(), ""),
        (broken, BINARY),
        (gzip(""), ""),
        (b"#cloud-config\n# \xff\n".to_vec(), ""),
        (b"\xff#cloud-config\n".to_vec(), BINARY),
        ("#cloud-config\n".encode_utf16().flat_map(u16::to_be_bytes).collect(), UNKNOWN),
        ("\u{feff}#cloud-config\n".encode_utf16().flat_map(u16::to_le_bytes).collect(), BINARY),
    ];
    texts.chain(others).collect()
}

/// What cloud-init itself says of each.
fn judged(contents: &[Vec<u8>]) -> Vec<String> {
    let tree = crate::support::cache().join("cloud-init");
    let libraries =
        ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"].map(|path| tree.join(path));
    let libraries = libraries.map(|path| path.display().to_string()).join(":");
    let mut python = Command::new(tree.join("lib64/ld-linux-x86-64.so.2"));
    python.arg("--library-path").arg(libraries).arg(tree.join("usr/bin/python3"));
    python.args(["-c", JUDGE]).env("PYTHONHOME", tree.join("usr"));
    python.env("PYTHONPATH", tree.join("usr/lib/python3/dist-packages"));
    python.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().expect("cloud-init is unpacked; `make setup` does that");
    let mut stdin = python.stdin.take().unwrap();
    for content in contents {
        for byte in content {
            write!(stdin, "{byte:02x}").unwrap();
        }
        writeln!(stdin).unwrap();
    }
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn passes_over(path: &str, fault: &str) -> String {
    format!(
        "credimg: warning: cloud-init passes over {path} in silence, as it {fault}: begin it with \
         `#cloud-config`, `#!/bin/sh` or another beginning that cloud-init knows\n"
    )
}

#[test]
fn user_data_that_cloud_init_passes_over_is_warned_of() {
    let table = table();
    let contents: Vec<_> = table.iter().map(|(content, _)| content.clone()).collect();
    let verdicts = judged(&contents);
    assert_eq!(verdicts.len(), table.len());
    for ((content, fault), verdict) in table.iter().zip(verdicts) {
        let shown = String::from_utf8_lossy(content);
        assert_eq!(verdict == "None", !fault.is_empty(), "cloud-init says {verdict} of {shown:?}");
        let expected =
            if fault.is_empty() { String::new() } else { passes_over("/user-data", fault) };
        let content = base64(content);
        let manifest = format!(
            "label: cidata\nformat: iso9660\nfiles:\n- {{path: /user-data, base64: '{content}'}}\n\
             - {{path: /meta-data, text: ''}}\n- {{path: /network-config, text: 'version: 2'}}\n\
             - {{path: /vendor-data, text: 'x: y'}}\n"
        );
        let host = Host::new(&manifest);
        let build = host.build(&["--quiet", "--args=none"]);
        assert_eq!((build.status.code(), stderr(&build)), (Some(0), expected.clone()), "{shown:?}");
        let check = host.credimg().args(["check", "secrets.yaml"]).output().unwrap();
        assert_eq!((check.status.code(), stderr(&check)), (Some(0), expected), "{shown:?}");
    }
}

#[test]
fn every_source_whose_content_is_at_hand_is_looked_at() {
    let host = Host::new("");
    fs::create_dir(host.path("d")).unwrap();
    for file in ["user-data", "d/user-data"] {
        fs::write(host.path(file), "hostname: x\n").unwrap();
    }
    fs::write(host.path("d/meta-data"), "").unwrap();
    let meta = "{path: /meta-data, text: ''}";
    let unknown = "begins with a line that it does not know";
    for (label, files, expected) in [
        ("CIDATA", format!("{{path: /user-data, file: user-data}}, {meta}"), "/user-data"),
        ("cidata", format!("{{path: /user-data, shell: echo x}}, {meta}"), "/user-data"),
        ("cidata", format!("{{path: /user-data, env: HOME}}, {meta}"), "/user-data"),
        ("cidata", "{path: /, dir: d}".to_owned(), "/user-data"),
        // Scripts for Windows and configurations of Ignition come the same way.
        ("cidata", format!("{{path: /user-data, text: '#ps1_sysnative'}}, {meta}"), ""),
        (
            "cidata",
            format!(
                "{{path: /user-data, text: '{{\"ignition\": {{\"version\": \"3.4.0\"}}}}'}}, {meta}"
            ),
            "",
        ),
        ("OTHER", "{path: /user-data, text: x}".to_owned(), ""),
        (
            "config-2",
            "{path: /openstack/latest/meta_data.json, text: x}, \
             {path: /openstack/latest/user_data, text: x}"
                .to_owned(),
            "/openstack/latest/user_data",
        ),
    ] {
        let manifest = format!("label: {label}\nformat: iso9660\nfiles: [{files}]\n");
        fs::write(host.path("secrets.yaml"), manifest).unwrap();
        let expected =
            if expected.is_empty() { String::new() } else { passes_over(expected, unknown) };
        let output = host.build(&["--quiet", "--args=none"]);
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), expected), "{files}");
    }
}

#[test]
fn labels_that_guests_know_are_compared_with_what_they_look_for() {
    let host = Host::new("");
    let user_data = "{path: /user-data, text: '#cloud-config'}, {path: /meta-data, text: ''}";
    let ign = "{path: /ignition/config.ign, text: x}";
    let script = "{path: /combustion/script, text: x}";
    let other = |label: &str, labels: &str, name: &str| {
        format!(
            "credimg: warning: a volume with the label {label} is nothing to guests, which look \
             for {labels} as {name}\n"
        )
    };
    let lacks = |label: &str, name: &str, paths: &str| {
        format!(
            "credimg: warning: a volume with the label {label} is {name}: this one lacks {paths}\n"
        )
    };
    let both = "a configuration for Ignition or Combustion";
    let combustion = "a configuration for Combustion";
    for (label, files, expected) in [
        ("cidata", user_data, String::new()),
        ("Cidata", user_data, other("Cidata", "cidata or CIDATA", "a cloud-init seed")),
        ("CiDATA", "", other("CiDATA", "cidata or CIDATA", "a cloud-init seed")),
        ("Config-2", "", other("Config-2", "config-2 or CONFIG-2", "an OpenStack config drive")),
        ("oemdrv", "", other("oemdrv", "OEMDRV", "a kickstart volume")),
        ("ignition", ign, String::new()),
        ("ignition", script, String::new()),
        ("ignition", "", lacks("ignition", both, "/ignition/config.ign or /combustion/script")),
        ("Ignition", ign, other("Ignition", "ignition", both)),
        ("IGNITION", ign, lacks("IGNITION", combustion, "/combustion/script")),
        ("combustion", script, String::new()),
        ("COMBUSTION", script, String::new()),
        ("combustion", ign, lacks("combustion", combustion, "/combustion/script")),
        (
            "Combustion",
            script,
            other("Combustion", "combustion or COMBUSTION or IGNITION", combustion),
        ),
        ("CHIMERA", "", String::new()),
    ] {
        let manifest = format!("label: {label}\nformat: iso9660\nfiles: [{files}]\n");
        fs::write(host.path("secrets.yaml"), manifest).unwrap();
        let build = host.build(&["--quiet", "--args=none"]);
        assert_eq!((build.status.code(), stderr(&build)), (Some(0), expected.clone()), "{label}");
        let check = host.credimg().args(["check", "secrets.yaml"]).output().unwrap();
        assert_eq!((check.status.code(), stderr(&check)), (Some(0), expected), "{label}");
    }
    fs::write(host.path("secrets.yaml"), format!("label: ignition\nfiles: [{ign}]\n")).unwrap();
    let output = host.build(&["--quiet", "--args=none"]);
    let expected = format!(
        "credimg: warning: a volume with the label ignition is {both}: guests look for it on \
         iso9660, not erofs\n"
    );
    assert_eq!(stderr(&output), expected);
}
