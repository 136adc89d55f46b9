//! The machine type in libvirt's description of a domain, which decides about the channels of
//! credentials: the hook hands it on. libvirt's own tool lays the description out.

use super::hooks::{call, host, options_among, program_that_prints_its_arguments};
use super::*;

/// What stands in `<os …>` and `<features>`, and the machine type that the program is given.
const MACHINES: [(&str, &str, Option<&str>); 11] = [
    ("<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>", "<acpi/>", Some("pc-q35-7.2")),
    (
        "<os><type arch='x86_64' machine='pc-i440fx-rhel7.6.0'>hvm</type></os>",
        "<acpi/>",
        Some("pc-i440fx-rhel7.6.0"),
    ),
    (
        "<os><type arch='x86_64' machine='pc-q35-noble'>hvm</type></os>",
        "<apic/>",
        Some("pc-q35-noble,acpi=off"),
    ),
    ("<os><type arch='x86_64' machine='microvm'>hvm</type></os>", "", Some("microvm,acpi=off")),
    (
        "<os><type arch='aarch64' machine='virt-9.1'>hvm</type></os>",
        "<gic version='3'/>",
        Some("virt-9.1"),
    ),
    (
        "<os><type arch='aarch64' machine='virt-9.1'>hvm</type>\
         <loader readonly='yes' type='pflash'>/usr/share/AAVMF/AAVMF_CODE.fd</loader></os>",
        "<acpi/>",
        Some("virt-uefi"),
    ),
    (
        "<os firmware='efi'><type arch='aarch64' machine='virt'>hvm</type></os>",
        "<acpi/>",
        Some("virt-uefi"),
    ),
    (
        "<os><type arch='s390x' machine='s390-ccw-virtio-9.1'>hvm</type></os>",
        "",
        Some("s390-ccw-virtio-9.1"),
    ),
    ("<os><type arch='ppc64le' machine='pseries-9.1'>hvm</type></os>", "", Some("pseries-9.1")),
    ("<os><type arch='armv7l' machine='raspi2b'>hvm</type></os>", "", None),
    ("<os><type arch='x86_64'>hvm</type></os>", "<acpi/>", None),
];

#[test]
fn libvirts_machine_type_becomes_an_option() {
    let host = host();
    for (os, features, expected) in MACHINES {
        let found = options(&host, &description(&host, os, features));
        let expected: Vec<_> = expected.iter().flat_map(|name| ["--machine-type", name]).collect();
        assert_eq!(found, expected, "{os}");
        // The program knows all of them.
        if let Some(name) = expected.last() {
            let target = "check etc/chimera.yaml --target libvirt --machine";
            assert_done(&host.run(&format!("{target} {name}")));
        }
    }
}

/// The user's own word wins.
#[test]
fn a_machine_type_in_the_options_is_the_only_one() {
    let host = host();
    let (os, features, _) = MACHINES[0];
    let description = description(&host, os, features);
    for own in [
        "--machine pc",
        "--machine=pc",
        "--machine-type pc",
        "--machine-type=pc",
        "--guest systemd=252,machine=pc",
    ] {
        host.write("etc/chimera.env", format!("CREDIMG_OPTIONS=--lossy {own}\n"));
        assert_eq!(options(&host, &description).join(" "), format!("--lossy {own}"));
    }
}

/// The options that the hook gives to the program for a domain of this description.
fn options(host: &Host, description: &str) -> Vec<String> {
    let program = program_that_prints_its_arguments(host);
    let arguments = ["chimera", "prepare", "begin", "-"];
    let output = call(host, &arguments, &[("CREDIMG", &program)], description.as_bytes());
    assert_done(&output);
    options_among(&output)
}

/// The description of a domain with these elements, as libvirt hands it to hooks. What a
/// user adds as metadata stands before them and looks alike.
fn description(host: &Host, os: &str, features: &str) -> String {
    let metadata = "<x:a xmlns:x='x:'><os><type machine='pc-1.0'>hvm</type></os></x:a>";
    let domain = format!(
        "<domain type='test'><name>chimera</name><metadata>{metadata}</metadata>\
         <memory>8192</memory>{os}<features>{features}</features></domain>"
    );
    host.write("chimera.xml", domain);
    let mut virsh = host.command("virsh");
    virsh.args(["--quiet", "--connect", "test:///default"]);
    let output = virsh.arg("define chimera.xml; dumpxml chimera").output();
    let output = output.expect("virsh starts; `make setup` installs it");
    assert_done(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    text[text.find("<domain ").unwrap()..].to_owned()
}
