//! Arguments of the other monitors, by their rules.

use std::os::unix::ffi::OsStrExt;

use credimg::monitors::{
    Machine, Style, cloud_hypervisor, crosvm, firecracker, libvirt, proxmox, vmspawn,
};

use super::parsers;

/// Fails where a monitor that takes `machine` would read something else.
pub fn check(machine: &Machine) {
    let path = machine.drive.as_ref().map(|drive| drive.path.as_os_str().as_bytes());
    let text = path.and_then(|path| std::str::from_utf8(path).ok());
    if let Ok(xml) = libvirt::render(machine, Style::Shell) {
        let xml = String::from_utf8(xml).expect("XML in UTF-8");
        let disks = parsers::xml_values(&xml, "source", "file");
        assert!(disks.iter().map(String::as_str).eq(text));
        let files = machine.firmware.fw_cfg.iter().map(|item| item.file.as_os_str().as_bytes());
        let found = parsers::xml_values(&xml, "entry", "file");
        assert!(found.iter().map(String::as_bytes).eq(files));
    }
    if let Ok(words) = cloud_hypervisor::words(machine) {
        let disk = words.chunks(2).find(|pair| pair[0] == b"--disk").map(|pair| &pair[1]);
        assert_eq!(disk.is_some(), path.is_some());
        if let Some(disk) = disk {
            let options = parsers::cloud_hypervisor(std::str::from_utf8(disk).expect("UTF-8"));
            assert_eq!(value(&options, "path"), text);
            assert_eq!(value(&options, "readonly"), Some("on"));
        }
        let config = words.chunks(2).find(|pair| pair[0] == b"--fw-cfg-config");
        let config = config.map_or("", |pair| std::str::from_utf8(&pair[1]).expect("UTF-8"));
        let items = config.split_once("items=[").map_or("", |(_, items)| items);
        let files = items.trim_end_matches(']').split(':').filter_map(|it| it.split_once(",file="));
        let own = machine.firmware.fw_cfg.iter().map(|item| item.file.to_str().expect("UTF-8"));
        assert!(files.map(|(_, file)| file).eq(own), "{config}");
    }
    if let Ok(words) = crosvm::words(machine) {
        let block = words.chunks(2).find(|pair| pair[0] == b"--block").map(|pair| &pair[1]);
        assert_eq!(block.is_some(), path.is_some());
        if let Some(block) = block {
            let options = parsers::crosvm(std::str::from_utf8(block).expect("UTF-8"));
            assert_eq!(value(&options, "path"), text);
            assert_eq!(value(&options, "ro"), Some(""));
        }
        let items = words.chunks(2).filter(|pair| pair[0] == b"--fw-cfg");
        for (pair, item) in items.zip(&machine.firmware.fw_cfg) {
            let options = parsers::crosvm(std::str::from_utf8(&pair[1]).expect("UTF-8"));
            assert_eq!(value(&options, "name"), Some(&*item.name));
            assert_eq!(value(&options, "path"), item.file.to_str());
            assert_eq!(options.len(), 2);
        }
    }
    if let Ok(object) = firecracker::render(machine, Style::Shell)
        && !object.is_empty()
    {
        let object: serde_json::Value = serde_json::from_slice(&object).expect("JSON");
        assert_eq!(object["path_on_host"].as_str(), text);
        assert_eq!(object["is_read_only"], true);
    }
    if let Ok(line) = vmspawn::render(machine)
        && !line.is_empty()
    {
        let words = parsers::shell_words(&line);
        let disk = words.iter().find_map(|word| word.strip_prefix(b"--extra-drive=raw:scsi-cd:"));
        assert_eq!(disk, path);
    }
    if let Ok(line) = proxmox::render(machine)
        && !line.is_empty()
    {
        of_proxmox(machine, &parsers::shell_words(&line));
    }
}

/// The one argument is split at spaces, and holds nothing that Perl's words give a meaning.
fn of_proxmox(machine: &Machine, words: &[Vec<u8>]) {
    let [option, arguments] = words else { panic!("{words:?}") };
    assert_eq!(option, b"--args");
    assert!(arguments.iter().all(|byte| matches!(byte, b' '..=b'~') && !b"\"'\\".contains(byte)));
    let words: Vec<_> = arguments.split(|byte| *byte == b' ').collect();
    let options = |name: &[u8]| {
        let pairs = words.chunks(2).filter(|pair| pair[0] == name);
        pairs.map(|pair| parsers::options(pair[1])).collect::<Vec<_>>()
    };
    if let Some(drive) = &machine.drive {
        let found = &options(b"-drive")[0];
        let file = found.iter().find(|(key, _)| key == "file").map(|(_, value)| value.as_slice());
        assert!(file.is_some_and(|file| super::arguments::is_path(file, &drive.path)));
    }
    let items = options(b"-fw_cfg");
    assert_eq!(items.len(), machine.firmware.fw_cfg.len());
    for (item, found) in machine.firmware.fw_cfg.iter().zip(items) {
        let file = item.file.as_os_str().as_bytes().to_vec();
        let expected = [("name", item.name.clone().into_bytes()), ("file", file)];
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value)));
    }
}

fn value<'o>(options: &'o [(String, String)], key: &str) -> Option<&'o str> {
    options.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}
