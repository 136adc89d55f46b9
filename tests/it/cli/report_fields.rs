//! The tables of reports, of which the reference is made, name each member that reports have, with
//! its type, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use credimg::report::json::{FIELDS, Field, VERSION, VERSION_NAME};
use serde_json::Value;

use crate::support::host::Host;

const MANIFEST: &str = "\
label: CHIMERA
files:
  - {path: /token, text: hunter2, xattrs: {user.note: x}}
  - {path: /link, symlink: token}
  - {path: /tree, dir: tree}
pseudo: [/null c 0644 0 0 1 3]
credentials: [{name: token, text: hunter2}]
";
const FLEET: &str = "\
machines: {a: {}, b: {}, c: {}}
files: [{path: /a, text: x, to: a}, {path: /b, text: y, to: all, shared: true}]
credentials: [{name: c, file: missing, to: c}, {name: b, text: z, to: b}]
";
const KEY: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789ABCDEF";

/// Commands whose reports have every member that there is, each once at least; in order, as the
/// later ones look at what the earlier ones have made.
const RUNS: [&str; 39] = [
    "build m.yaml --allow-devices -o a.erofs --json=report --if-changed",
    "build m.yaml --allow-devices -o l.erofs --json=report --encrypt luks1 --key-file key",
    "build m.yaml --allow-devices -o a.iso --json=report --lossy",
    "build m.yaml --allow-devices -o a.erofs --json",
    "build m.yaml --allow-devices -o a.erofs --json --target libvirt",
    "args a.erofs --json",
    "args a.erofs --json --target libvirt --bus usb",
    "check m.yaml --allow-devices --json",
    "check m.yaml --allow-devices --json --format squashfs --encrypt luks2",
    "check other.yaml --json",
    "check odd.yaml --json --machine s390-ccw-virtio --pseudo-file odd.pf",
    "fleet check fleet.yaml --json",
    "fleet build fleet.yaml -o fleet-{machine}.erofs --json=report",
    "fleet build fleet.yaml -o fleet-{machine}.erofs --json --target libvirt",
    "seal other.yaml -o share/blob --key-out age.key --json",
    "genkey master --json",
    "genkey --luks luks --json",
    "guest-unit m.yaml --encrypt luks2 --json",
    "extract a.erofs out --json",
    "inspect a.erofs --json",
    "inspect z.sqfs --json",
    "inspect l.erofs --json",
    "inspect l.erofs --json --key-file key",
    "build m.yaml --allow-devices -o v.erofs --json --verity",
    "fleet build fleet.yaml -o fleet-{machine}.erofs --json --verity",
    "args v.erofs --json",
    "inspect v.erofs --json",
    "verify v.erofs --json",
    "ls a.erofs --json -R",
    "verify a.erofs --json",
    "verify a.erofs --json --manifest other.yaml",
    "verify damaged --json",
    "verify l.erofs --json",
    "diff a.erofs a.iso --json",
    "diff empty.erofs a.erofs --json",
    "probe --kernel kernel --timeout 300 --json -- qemu-system-x86_64 -m 256 -M pc,acpi=off \
     -smbios type=11,value=x -fw_cfg name=opt/x,string=x",
    "audit a.sh --json",
    "audit b.sh --json",
    "audit --json .",
];

fn host() -> Host {
    let host = Host::empty();
    host.write("m.yaml", MANIFEST);
    host.write("fleet.yaml", FLEET);
    host.write("other.yaml", "label: CHIMERA\nfiles: []\n");
    host.write("odd.yaml", "label: ODD\nmount: /run/odd\nfiles: [{path: /a, env: A}]\n");
    host.write("odd.pf", b"/a m 400 1 2\n/b l key\n/\xff d 500 0 0\n");
    fs::create_dir(host.path("share")).unwrap();
    host.private("key", KEY);
    host.write("a.sh", "sshpass -p letmein ssh host\n");
    host.write("b.sh", "true\n");
    let kernel = concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/kernel/boot/vmlinux");
    std::os::unix::fs::symlink(kernel, host.path("kernel")).unwrap();
    host.write(OsStr::from_bytes(b"tree/\xff"), "x");
    std::os::unix::fs::symlink(OsStr::from_bytes(b"\xff"), host.path("tree/odd")).unwrap();
    for image in ["empty.erofs", "empty.iso", "z.sqfs --compression gzip"] {
        let built = host.run(&format!("build other.yaml -o {image} --args none"));
        assert!(built.status.success(), "{built:?}");
    }
    // Padding, which is to be zero.
    let mut bytes = host.read("empty.iso");
    *bytes.last_mut().unwrap() = 1;
    host.write("damaged", bytes);
    host
}

/// The report that a command makes.
fn report(host: &Host, arguments: &str) -> Value {
    let output = host.run(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = if arguments.contains("--json=report") {
        fs::read(host.path("report")).unwrap_or_else(|_| panic!("{arguments}: {said}"))
    } else {
        output.stdout
    };
    let report: Value = serde_json::from_slice(&text)
        .unwrap_or_else(|error| panic!("{arguments}: {error}: {said}"));
    let first = format!("{{\"{VERSION_NAME}\":{VERSION},");
    assert!(text.starts_with(first.as_bytes()), "{arguments}: {report}");
    assert_eq!(text.last(), Some(&b'\n'), "{arguments}");
    report
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The type of the member as a table says it, where `value` is of it.
fn is_of(field: &Field, value: &Value) -> bool {
    let declared = field.kind.strip_prefix("optional ").unwrap_or(field.kind);
    let (declared, may_be_null) = match declared.strip_suffix(" or null") {
        Some(declared) => (declared, true),
        None => (declared, false),
    };
    match (value, declared.strip_prefix("array of ")) {
        (Value::Null, _) => may_be_null,
        (Value::Array(items), Some(of)) => {
            items.iter().all(|item| format!("{}s", kind(item)) == of)
        }
        (_, Some(_)) => false,
        (_, None) => kind(value) == declared,
    }
}

/// Adds the members of an object that is at `place` to `seen`, and what is wrong to `faults`.
fn walk(
    fields: &BTreeMap<&str, &Field>,
    place: &str,
    object: &serde_json::Map<String, Value>,
    seen: &mut BTreeSet<String>,
    faults: &mut Vec<String>,
) {
    for (name, value) in object {
        let path = format!("{place}{name}");
        let Some(field) = fields.get(&*path) else {
            faults.push(format!("{path} has no row"));
            continue;
        };
        if !is_of(field, value) {
            faults.push(format!("{path} is no {}: {value}", field.kind));
        }
        match value {
            Value::Null => continue,
            // What is inside has the members of what is outside.
            Value::Object(inner) if name == "inside" => walk(fields, place, inner, seen, faults),
            Value::Object(inner) => walk(fields, &format!("{path}."), inner, seen, faults),
            Value::Array(items) => {
                for inner in items.iter().filter_map(Value::as_object) {
                    walk(fields, &format!("{path}[]."), inner, seen, faults);
                }
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        seen.insert(path);
    }
    for (path, field) in fields {
        let is_here = path.strip_prefix(place).is_some_and(|rest| !rest.contains('.'));
        let name = path.rsplit('.').next().unwrap();
        if is_here && !field.kind.starts_with("optional ") && !object.contains_key(name) {
            faults.push(format!("{path} is missing"));
        }
    }
}

/// The backslash and the accent that stands by itself are escaped in messages.
#[test]
fn reports_have_the_names_of_files_as_they_are() {
    const NAME: &str = "a\\e\u{301}";
    let host = Host::empty();
    let manifest = "credentials: [{name: token, text: x, via: smbios}]\n";
    host.write(NAME, manifest);
    host.write(format!("{NAME}.files"), "files: [{path: /a, text: x}]\n");
    host.private("key", KEY);
    fs::rename(host.path("key"), host.path(format!("{NAME}.key"))).unwrap();
    for directory in ["share", "out"] {
        fs::create_dir(host.path(format!("{NAME}.{directory}"))).unwrap();
    }
    for (command, expected) in [
        ("check N --json", &[("/manifest", "N")][..]),
        (
            "build N -o N.erofs --encrypt luks1 --key-file N.key --json",
            &[
                ("/image", "N.erofs"),
                ("/encryption/key_file", "N.key"),
                ("/sidecars/0", "N.erofs.smbios"),
            ],
        ),
        ("build N -o N.iso --json", &[("/image", "N.iso")]),
        ("args N.iso --json", &[("/image", "N.iso"), ("/sidecars/0", "N.iso.smbios")]),
        ("extract N.iso N.out --json", &[("/directory", "N.out")]),
        ("genkey N.new --json", &[("/key_file", "N.new")]),
        (
            "seal N.files -o N.share/N.blob --key-out N.age --json",
            &[("/key_file", "N.age"), ("/carrier", "N.age.smbios"), ("/blob", "N.share/N.blob")],
        ),
    ] {
        let mut credimg = host.credimg();
        credimg.args(command.split(' ').map(|word| word.replace('N', NAME)));
        let output = credimg.output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        for (member, name) in expected {
            let found = report.pointer(member).and_then(Value::as_str);
            assert_eq!(found, Some(name.replace('N', NAME).as_str()), "{command} {member}");
        }
    }
}

/// The command whose report it is: two words where it is a command of a command.
fn report_name(arguments: &str) -> &str {
    let is_it =
        |report: &&str| arguments.strip_prefix(*report).is_some_and(|it| it.starts_with(' '));
    FIELDS.iter().map(|field| field.report).filter(is_it).max_by_key(|name| name.len()).unwrap()
}

#[test]
fn the_tables_name_each_member_with_its_type_and_no_other() {
    let host = host();
    let reports: BTreeSet<&str> = FIELDS.iter().map(|field| field.report).collect();
    let mut faults = Vec::new();
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for arguments in RUNS {
        let name = report_name(arguments);
        let own = FIELDS.iter().filter(|field| field.report == name);
        let fields: BTreeMap<&str, &Field> = own.map(|field| (field.name, field)).collect();
        let mut report = report(&host, arguments);
        let report = report.as_object_mut().unwrap();
        report.remove(VERSION_NAME);
        let before = faults.len();
        walk(&fields, "", report, seen.entry(name).or_default(), &mut faults);
        for fault in &mut faults[before..] {
            *fault = format!("{arguments}: {fault}");
        }
    }
    for report in reports {
        let seen = seen.remove(report).unwrap_or_default();
        let own = FIELDS.iter().filter(|field| field.report == report);
        let unseen = own.filter(|field| !seen.contains(field.name));
        faults.extend(unseen.map(|field| format!("{report}: {} is in no report", field.name)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
