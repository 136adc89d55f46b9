//! libvirt's own validation and parser judge the elements for it.

use credimg::monitors::{DriveKey, libvirt};

use super::*;

/// All odd paths stand in one domain, each as an item of `fw_cfg` and as a disk's image.
#[test]
fn libvirt_accepts_the_elements_and_reads_the_same_paths() {
    let carried: Vec<_> = odd_paths()
        .into_iter()
        .filter(|path| libvirt::render(&with_disk(path, Bus::Virtio), Style::Shell).is_ok())
        .collect();
    assert_eq!(odd_paths().len() - carried.len(), 6, "refused paths");
    let mut machine = Machine::default();
    let item = |(index, file): (usize, &PathBuf)| FwCfgItem {
        name: format!("opt/io.systemd.credentials/{index}.-_@#,;=%"),
        file: file.clone(),
    };
    machine.firmware.fw_cfg = carried.iter().enumerate().map(item).collect();
    machine.firmware.public = vec![fstab()];
    let sysinfo = text(&machine, Style::Sysinfo);
    let disk = |(index, path): (usize, &PathBuf)| {
        let bus = if index % 2 == 0 { Bus::Virtio } else { Bus::Usb };
        let disk = text(&with_disk(path, bus), Style::Shell);
        // Each disk of a domain needs a place of its own.
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
    for (bus, device) in [(Bus::Virtio, "disk"), (Bus::Usb, "disk"), (Bus::Sata, "cdrom")] {
        let disk = text(&with_disk("/vm/chimera.erofs", bus), Style::Shell);
        let seen = libvirt_reads("", &disk);
        assert_eq!(seen["disks"][0]["file"], "/vm/chimera.erofs");
        assert_eq!(seen["disks"][0]["device"], device);
        // The first SATA controller is on q35 anyway, and no other comes with the disk.
        let controllers = seen["controllers"].as_array().unwrap();
        assert!(controllers.len() < 2, "{controllers:?}");
    }
}

/// What is printed is one document by itself, of which each element can be had alone.
#[test]
fn libvirt_gets_one_document() {
    let mut machine = with_disk("/vm/a&b.erofs", Bus::Virtio);
    let disk = text(&machine, Style::Shell);
    assert_eq!(disk, text(&machine, Style::Disk));
    machine.firmware.public = vec![fstab()];
    machine.initrd = Some("/vm/a&b.initrd".into());
    let (all, sysinfo) = (text(&machine, Style::Shell), text(&machine, Style::Sysinfo));
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = format!(
        "<domain> <os> <initrd>/vm/a&amp;b.initrd</initrd> </os> {} <devices> {} </devices> \
         </domain>",
        plain(&sysinfo),
        plain(&disk)
    );
    assert_eq!(plain(&all), expected);
    assert_eq!(text(&machine, Style::Disk), disk);
    for document in [all, sysinfo, disk] {
        xmllint(&document, &[]);
    }
    assert_eq!(text(&machine, Style::Secret), "");
    assert_eq!(text(&Machine::default(), Style::Sysinfo), "");
}

/// The domain names the secret, which is private and in the daemon's memory alone.
#[test]
fn libvirt_opens_luks1_with_a_secret() {
    let mut machine = with_disk("/vm/a&b.erofs", Bus::Virtio);
    machine.drive.as_mut().unwrap().key = Some(DriveKey::File("/vm/it's a key".into()));
    let drive = machine.drive.clone().unwrap();
    let secret = text(&machine, Style::Secret);
    let uuid = xmllint(&secret, &["--xpath", "string(/secret/uuid)"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret.xml");
    fs::write(&file, &secret).unwrap();
    let output = Command::new("virt-xml-validate").arg(&file).arg("secret").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for (path, expected) in [
        ("string(/secret/usage/volume)", "/vm/a&b.erofs"),
        ("string(/secret/@ephemeral)", "yes"),
        ("string(/secret/@private)", "yes"),
    ] {
        assert_eq!(xmllint(&secret, &["--xpath", path]), expected);
    }
    // Version and variant of a UUID whose content is our own choice.
    assert_eq!((&uuid[14..15], "89ab".contains(&uuid[19..20])), ("8", true), "{uuid}");
    let seen = libvirt_reads("", &text(&machine, Style::Shell));
    assert_eq!(seen["disks"][0]["secret"], uuid);
    let note = Monitor::Libvirt.opening_note(&drive).unwrap().unwrap();
    let command = format!("`virsh secret-set-value {uuid} --plain --file '/vm/it'\\''s a key'`");
    assert!(note.ends_with(&command), "{note}");
    machine.drive.as_mut().unwrap().path = "/vm/other.erofs".into();
    assert!(!text(&machine, Style::Secret).contains(&uuid));
}

#[test]
fn libvirt_has_six_places_for_cdroms() {
    let mut machine = with_disk("/vm/a.erofs", Bus::Sata);
    let mut targets = Vec::new();
    for nth in 1..=6 {
        machine.drive.as_mut().unwrap().place = Place::Nth(nth);
        let disk = text(&machine, Style::Disk);
        targets.push(xmllint(&disk, &["--xpath", "string(/disk/target/@dev)"]));
    }
    assert_eq!(targets, ["sdf", "sde", "sdd", "sdc", "sdb", "sda"]);
    machine.drive.as_mut().unwrap().place = Place::Nth(7);
    let failure = libvirt::render(&machine, Style::Disk).unwrap_err();
    assert_eq!(failure.message, "libvirt has places for 6 images on the bus sata");
}

fn text(machine: &Machine, style: Style) -> String {
    String::from_utf8(libvirt::render(machine, style).unwrap()).unwrap()
}

/// What xmllint says of a document that is well-formed.
fn xmllint(document: &str, options: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("document.xml");
    fs::write(&file, document).unwrap();
    let output = Command::new("xmllint").args(options).arg(&file).output();
    let output = output.expect("xmllint starts; `make setup` installs it");
    assert!(output.status.success(), "{document}\n{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn libvirt_gets_no_name_that_it_would_store_wrongly() {
    let mut machine = Machine::default();
    for character in ['&', '<', '>', '\'', '"'] {
        let name = format!("opt/io.systemd.credentials/a{character}b");
        machine.firmware.fw_cfg = vec![FwCfgItem { name, file: "/vm/a".into() }];
        let failure = libvirt::render(&machine, Style::Shell).unwrap_err();
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
        'device': disk.get('device'),
        'secret': next((s.get('uuid') for s in disk.iter('secret')), None),
    } for disk in domain.findall('devices/disk')],
    'controllers': [c.get('type') for c in domain.findall('devices/controller')],
    'entries': [[e.get('name'), e.get('file'), e.text] for e in domain.findall('sysinfo/entry')],
}))";
