//! libvirt's own validation and parser judge the elements for it.

use credimg::monitors::libvirt;

use super::*;

/// All odd paths stand in one domain, each as an item of `fw_cfg` and as a disk's image.
#[test]
fn libvirt_accepts_the_elements_and_reads_the_same_paths() {
    let carried: Vec<_> = odd_paths()
        .into_iter()
        .filter(|path| libvirt::render(&with_disk(path, Bus::Virtio)).is_ok())
        .collect();
    assert_eq!(odd_paths().len() - carried.len(), 6, "refused paths");
    let mut machine = Machine::default();
    let item = |(index, file): (usize, &PathBuf)| FwCfgItem {
        name: format!("opt/io.systemd.credentials/{index}.-_@#,;=%"),
        file: file.clone(),
    };
    machine.firmware.fw_cfg = carried.iter().enumerate().map(item).collect();
    machine.firmware.public = vec![fstab()];
    let sysinfo = String::from_utf8(libvirt::render(&machine).unwrap()).unwrap();
    let disk = |(index, path): (usize, &PathBuf)| {
        let bus = if index % 2 == 0 { Bus::Virtio } else { Bus::Usb };
        let disk = String::from_utf8(libvirt::render(&with_disk(path, bus)).unwrap()).unwrap();
        // A domain has each place once.
        disk.replace("dev='vdz'", &format!("dev='vda{index}'"))
            .replace("dev='sdz'", &format!("dev='sda{index}'"))
    };
    let disks: String = carried.iter().enumerate().map(disk).collect();

    let seen = libvirt_reads(&sysinfo, &disks);
    let paths: Vec<_> = carried.iter().map(|path| path.to_str().unwrap()).collect();
    let disks = seen["disks"].as_array().unwrap();
    let files: Vec<_> = disks.iter().map(|disk| disk["file"].as_str().unwrap()).collect();
    assert_eq!(sorted(files), sorted(paths.clone()));
    for disk in disks {
        assert_eq!(disk["serial"], "chimera");
        assert_eq!((&disk["readonly"], &disk["type"]), (&true.into(), &"raw".into()));
    }
    let entries = seen["entries"].as_array().unwrap();
    let (last, entries) = entries.split_last().unwrap();
    assert_eq!(last[0], "opt/io.systemd.credentials/fstab.extra");
    assert_eq!(last[2], fstab().value);
    assert_eq!(entries.iter().map(|entry| entry[1].as_str().unwrap()).collect::<Vec<_>>(), paths);
    for (entry, item) in entries.iter().zip(&machine.firmware.fw_cfg) {
        assert_eq!(entry[0], item.name.as_str());
    }
}

/// The elements as they are printed, for one drive on each bus.
#[test]
fn libvirt_accepts_what_is_printed() {
    for bus in [Bus::Virtio, Bus::Usb] {
        let disk = libvirt::render(&with_disk("/vm/chimera.erofs", bus)).unwrap();
        let seen = libvirt_reads("", std::str::from_utf8(&disk).unwrap());
        assert_eq!(seen["disks"][0]["file"], "/vm/chimera.erofs");
    }
}

#[test]
fn libvirt_gets_no_name_that_it_would_store_wrongly() {
    let mut machine = Machine::default();
    for character in ['&', '<', '>', '\'', '"'] {
        let name = format!("opt/io.systemd.credentials/a{character}b");
        machine.firmware.fw_cfg = vec![FwCfgItem { name, file: "/vm/a".into() }];
        let failure = libvirt::render(&machine).unwrap_err();
        assert_eq!(
            failure.message,
            "libvirt cannot carry a fw_cfg item whose name holds one of & < > ' \""
        );
    }
}

fn sorted(mut paths: Vec<&str>) -> Vec<&str> {
    paths.sort_unstable();
    paths
}

/// Puts the elements into a whole domain, which libvirt validates and defines;
/// what it then holds.
fn libvirt_reads(sysinfo: &str, disks: &str) -> Value {
    let domain = format!(
        "<domain type='test'><name>chimera</name><memory>8192</memory>\
         <os><type arch='x86_64'>hvm</type></os>{sysinfo}<devices>{disks}</devices></domain>"
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chimera.xml");
    fs::write(&file, domain).unwrap();
    let output = Command::new("virt-xml-validate").arg(&file).arg("domain").output();
    let output = output.expect("virt-xml-validate starts; `make setup` installs it");
    assert!(output.status.success(), "{output:?}");

    let commands = format!("define --validate {}; dumpxml chimera", file.display());
    let mut virsh = Command::new("virsh");
    let output = virsh.args(["--quiet", "--connect", "test:///default", &commands]).output();
    let output = output.expect("virsh starts; `make setup` installs it");
    assert!(output.status.success(), "{output:?}");
    let start = output.stdout.windows(8).position(|window| window == b"<domain ").unwrap();
    let dump = directory.path().join("dump.xml");
    fs::write(&dump, &output.stdout[start..]).unwrap();
    let output = Command::new("python3").args(["-c", READ_DOMAIN]).arg(&dump).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

const READ_DOMAIN: &str = "
import json, sys, xml.etree.ElementTree as tree
domain = tree.parse(sys.argv[1]).getroot()
print(json.dumps({
    'disks': [{
        'file': disk.find('source').get('file'),
        'type': disk.find('driver').get('type'),
        'serial': disk.find('serial').text,
        'readonly': disk.find('readonly') is not None,
    } for disk in domain.findall('devices/disk')],
    'entries': [[e.get('name'), e.get('file'), e.text] for e in domain.findall('sysinfo/entry')],
}))";
