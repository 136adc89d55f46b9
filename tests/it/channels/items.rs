//! Items of fw_cfg by whole names: what is refused, and the files that carry them. QEMU
//! takes them, and tests/it/boots/firmware.rs has a guest read one.

use std::process::Command;

use super::*;

const MANIFEST: &str = r#"label: CHIMERA
fw_cfg:
  - {name: opt/com.coreos/config, file: config.ign}
  - {name: opt/org.opensuse.combustion/script, shell: "echo hunter2", trim: true}
credentials: [{name: token, text: x, via: fw_cfg}]
"#;
const VALUE: &str = "{\"ignition\": {\"version\": \"3.4.0\"}}";

fn host() -> Host {
    let host = Host::new(MANIFEST);
    fs::write(host.path("config.ign"), VALUE).unwrap();
    host
}

fn files(host: &Host) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(host.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("out.erofs."))
        .map(|name| (name.clone(), fs::read_to_string(host.path(&name)).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn items_are_in_private_files_that_come_and_go_with_the_image() {
    let host = host();
    let output = host.build(&[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        stderr(&output),
        "wrote out.erofs: erofs, label CHIMERA, 0 files, 4 KiB, 1 credential by the firmware, 2 \
         items of fw_cfg\n"
    );
    let expected = [
        ("out.erofs.fw_cfg.opt:com.coreos:config", VALUE),
        ("out.erofs.fw_cfg.opt:org.opensuse.combustion:script", "hunter2"),
        ("out.erofs.fw_cfg.token", "x"),
        (
            "out.erofs.sidecars",
            "fw_cfg.opt:com.coreos:config\nfw_cfg.opt:org.opensuse.combustion:script\n\
             fw_cfg.token\n",
        ),
    ];
    assert_eq!(files(&host), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let arguments = stdout(&output);
    let part = " -fw_cfg name=opt/com.coreos/config,file=out.erofs.fw_cfg.opt:com.coreos:config";
    assert!(arguments.contains(part), "{arguments}");
    assert!(!arguments.contains("hunter2") && !arguments.contains("ignition"), "{arguments}");
    let args = host.credimg().args(["args", "out.erofs"]).output().unwrap();
    assert_eq!(stdout(&args), arguments);
    let report = built(&host, &["--if-changed"]);
    assert_eq!(report["changed"], Value::Bool(false), "{report}");
    let sidecars: Vec<_> = report["sidecars"].as_array().unwrap().iter().collect();
    assert_eq!(sidecars.len(), 3, "{report}");
    fs::write(host.path("secrets.yaml"), "label: CHIMERA\nfiles: []\n").unwrap();
    assert!(host.build(&[]).status.success());
    assert_eq!(files(&host), []);
}

/// QEMU starts with the arguments of each style, and says nothing.
#[test]
fn qemu_takes_items_in_every_style() {
    let host = host();
    for (style, options) in [
        ("shell", "eval exec qemu-system-x86_64 $0 \"$1\""),
        ("blockdev", "eval exec qemu-system-x86_64 $0 \"$1\""),
        (
            "readconfig",
            "printf %s \"$1\" >disk.cfg; exec qemu-system-x86_64 $0 -readconfig disk.cfg",
        ),
    ] {
        let built = host.build(&["--args", style, "--quiet"]);
        assert!(built.status.success(), "{}", stderr(&built));
        let text = stdout(&built);
        assert!(text.contains("opt/com.coreos/config"), "{text}");
        let mut qemu = Command::new("sh");
        qemu.args(["-c", &format!("echo quit | {{ {options}; }}")]);
        qemu.args(["-S -display none -nodefaults -monitor stdio", &text]);
        let output = qemu.current_dir(host.path("")).output().unwrap();
        assert!(output.status.success(), "{style}: {}", stderr(&output));
        assert_eq!(stderr(&output), "", "{style}");
    }
}

#[test]
fn every_target_gets_items_or_refuses_them() {
    let host = Host::new("label: CHIMERA\nfw_cfg: [{name: opt/com.coreos/config, text: x}]\n");
    let place = "secrets.yaml:2:10: fw_cfg[0]: cannot go by fw_cfg: ";
    for (target, expected) in [
        ("libvirt", Ok("<entry name='opt/com.coreos/config' file='")),
        ("proxmox", Ok("-fw_cfg name=opt/com.coreos/config,file=")),
        ("vmspawn", Err("vmspawn: it passes on no items")),
        ("cloud-hypervisor", Err("cloud-hypervisor: colons part its items")),
        ("crosvm", Ok("--fw-cfg name=opt/com.coreos/config,path=/")),
        ("firecracker", Err("firecracker: ")),
    ] {
        let bus = if target == "vmspawn" { "cdrom" } else { "virtio" };
        let output = host.build(&["--target", target, "--bus", bus, "--quiet"]);
        match expected {
            Ok(part) => assert!(stdout(&output).contains(part), "{target}: {output:?}"),
            Err(reason) => {
                let message = format!("credimg: error: {place}{reason}");
                assert_eq!(output.status.code(), Some(3), "{target}");
                assert!(stderr(&output).contains(&message), "{}", stderr(&output));
                let check = ["check", "secrets.yaml", "--target", target];
                let check = host.credimg().args(check).output().unwrap();
                assert_eq!(check.status.code(), Some(3), "{target}");
                assert!(stderr(&check).starts_with(&message), "{}", stderr(&check));
            }
        }
    }
    let arguments = ["build", "secrets.yaml", "-o", "-", "--format=erofs"];
    let (code, said) = refused(&host.credimg().args(arguments).output().unwrap());
    assert_eq!(
        (code, said.as_str()),
        (3, &*format!("{place}an image on standard output has no private files beside it"))
    );
}

#[test]
fn names_and_sizes_that_cannot_be_are_refused() {
    let host = Host::new("");
    let build = |items: &str| {
        fs::write(host.path("secrets.yaml"), format!("fw_cfg:\n{items}")).unwrap();
        host.build(&["--quiet", "--args=none"])
    };
    let form = "expected a name as opt/com.coreos/config: `opt/`, then letters, digits and \
                `._+@-` between slashes";
    let credential = "this is where the guest's systemd takes credentials from";
    let long = format!("opt/{}", "x".repeat(52));
    for (name, expected) in [
        ("etc/table-loader", form),
        ("opt", form),
        ("opt/", form),
        ("opt//x", form),
        ("opt/../x", form),
        ("opt/a:b", form),
        ("opt/a,b", form),
        ("opt/a b", form),
        ("/opt/a", form),
        ("opt/io.systemd.credentials/x", credential),
        ("opt/io.systemd.credentials", credential),
        (long.as_str(), "expected a name of at most 55 characters, got 56"),
    ] {
        let (code, said) = refused(&build(&format!("- {{name: {name:?}, text: x}}\n")));
        let place = "secrets.yaml:2:10: fw_cfg[0].name: ";
        assert_eq!((code, said), (3, format!("{place}{expected}")), "{name}");
    }
    for (first, second) in [("opt/a", "opt/a"), ("opt/a", "opt/a/b"), ("opt/a/b", "opt/a")] {
        let items = format!("- {{name: {first}, text: x}}\n- {{name: {second}, text: x}}\n");
        let (code, said) = refused(&build(&items));
        let expected =
            "secrets.yaml:3:10: fw_cfg[1].name: the name is taken by fw_cfg[0] at line 2";
        assert_eq!((code, said.as_str()), (3, expected));
    }
    assert!(build("- {name: opt/a, text: x}\n- {name: opt/ab, text: x}\n").status.success());
    let longest = format!("- {{name: opt/{}, text: x}}\n", "x".repeat(51));
    assert!(build(&longest).status.success());

    let mut many = String::new();
    for index in 0..18 {
        writeln!(many, "- {{name: opt/{index}, text: x}}").unwrap();
    }
    let (code, said) = refused(&build(&many));
    let expected = "secrets.yaml:19:3: fw_cfg[17]: cannot go by fw_cfg: all 17 items of fw_cfg are \
                    taken";
    assert_eq!((code, said.as_str()), (3, expected));
    for (bytes, is_refused) in [(1 << 20, false), ((1 << 20) + 1, true)] {
        fs::write(host.path("large"), vec![b'x'; bytes]).unwrap();
        let output = build("- {name: opt/a, file: large}\n");
        assert_eq!(output.status.success(), !is_refused);
        assert_eq!(stderr(&output).contains("takes too long to read"), is_refused);
    }
    let (code, said) = refused(&build("- {name: opt/a, dir: x}\n"));
    assert_eq!(code, 3, "{said}");
}

#[test]
fn commands_and_sources_are_those_of_credentials() {
    let host = host();
    let output = host.build(&["--no-commands"]);
    let expected = "fw_cfg[1] (/opt/org.opensuse.combustion/script): runs a command, which \
                    --no-commands forbids";
    assert_eq!(refused(&output), (5, expected.to_owned()));
    fs::remove_file(host.path("config.ign")).unwrap();
    let (code, said) = refused(&host.build(&[]));
    let expected = "fw_cfg[0] (/opt/com.coreos/config): cannot read config.ign: ";
    assert!(code == 4 && said.starts_with(expected), "{said}");
    let check = host.credimg().args(["check", "secrets.yaml"]).output().unwrap();
    let text = stdout(&check);
    for line in [
        "opt/com.coreos/config               file    ?      fw_cfg   an item of this whole name\n",
        "fw_cfg items                           3       17\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let manifest = "fw_cfg: [{name: opt/a, text: x}]\n";
    fs::write(host.path("secrets.yaml"), manifest).unwrap();
    fs::create_dir(host.path("share")).unwrap();
    let seal = ["seal", "secrets.yaml", "-o", "share/a.age", "--key-out", "k"];
    let expected = "secrets.yaml:1:10: fw_cfg[0]: items of fw_cfg go with a disk, not with a share";
    assert_eq!(refused(&host.credimg().args(seal).output().unwrap()), (3, expected.to_owned()));
}

/// What `exec` starts inherits an item as a descriptor.
#[test]
fn exec_hands_items_on() {
    let host = Host::new("fw_cfg: [{name: opt/com.coreos/config, text: hunter2}]\n");
    let script = "for word; do case $word in name=opt/com.coreos/config,file=*) \
                  cat \"${word#*file=}\";; esac; done";
    let exec = ["exec", "secrets.yaml", "--quiet", "--", "sh", "-c", script, "sh", "{}"];
    let output = host.credimg().args(exec).output().unwrap();
    assert_eq!((stdout(&output), stderr(&output)), ("hunter2".to_owned(), String::new()));
    let left = fs::read_dir(host.path("")).unwrap().count();
    assert_eq!(left, 1, "the manifest alone");
}

/// libvirt's own schema judges the element, for which the document has a place.
#[test]
fn libvirt_takes_items() {
    let host = Host::new("label: CHIMERA\nfw_cfg: [{name: opt/com.coreos/config, text: x}]\n");
    let output = host.build(&["--target", "libvirt", "--quiet"]);
    let own = "<domain type='qemu'><name>x</name><memory>1</memory><os><type>hvm</type></os>";
    let domain = stdout(&output).replace("<domain>", own);
    assert!(domain.contains(own) && domain.contains("<sysinfo type='fwcfg'>"), "{domain}");
    fs::write(host.path("domain.xml"), domain).unwrap();
    let mut validate = Command::new("virt-xml-validate");
    validate.args(["domain.xml", "domain"]).current_dir(host.path(""));
    let output = validate.output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}
