//! How each monitor is given the initrd that holds credentials.

use std::fs;
use std::path::Path;
use std::process::Command;

use credimg::monitors::{Machine, Monitor, Style, qemu};

use crate::support::monitor::Qemu;

const MACHINE: &str = "-machine pc -accel tcg -m 64 -nodefaults -S -display none -monitor none \
                       -qmp stdio";

fn with_initrd(path: &str) -> Machine {
    Machine { initrd: Some(path.into()), ..Machine::default() }
}

fn rendered(monitor: Monitor, path: &str) -> String {
    let text = monitor.render(&with_initrd(path), Style::Shell);
    String::from_utf8(text.unwrap()).unwrap()
}

#[test]
fn every_monitor_is_given_the_initrd() {
    for (monitor, expected) in [
        (Monitor::Qemu, "-initrd /vm/a.erofs.initrd\n"),
        (
            Monitor::Libvirt,
            "<domain>\n  <os>\n    <initrd>/vm/a.erofs.initrd</initrd>\n  </os>\n</domain>\n",
        ),
        (Monitor::Proxmox, "--args '-initrd /vm/a.erofs.initrd'\n"),
        (Monitor::Vmspawn, "--initrd=/vm/a.erofs.initrd\n"),
        (Monitor::CloudHypervisor, "--initramfs /vm/a.erofs.initrd\n"),
        (Monitor::Crosvm, "--initrd /vm/a.erofs.initrd\n"),
        (Monitor::Firecracker, "{\"initrd_path\":\"/vm/a.erofs.initrd\"}\n"),
    ] {
        assert_eq!(rendered(monitor, "/vm/a.erofs.initrd"), expected, "{}", monitor.name());
    }
    assert_eq!(Monitor::all().len(), 7, "each has a line above");
    assert!(rendered(Monitor::Libvirt, "/vm/a&b").contains("<initrd>/vm/a&amp;b</initrd>\n"));
    assert_eq!(rendered(Monitor::Qemu, "a b,c"), "-initrd 'a b,c'\n");
    let failure = Monitor::Proxmox.render(&with_initrd("/vm/a b"), Style::Shell).unwrap_err();
    assert!(failure.message.starts_with("proxmox cannot carry the path"), "{}", failure.message);
}

/// QEMU opens it under each name, in arguments and in a file for `-readconfig`.
#[test]
fn qemu_opens_the_initrd_that_it_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/kernel/boot/vmlinux");
    for name in ["initrd", "a,b", "it's one"] {
        let path = directory.path().join(name);
        fs::write(&path, [0; 512]).unwrap();
        let machine = with_initrd(path.to_str().unwrap());
        let config = directory.path().join("machine.cfg");
        fs::write(&config, qemu::render(&machine, Style::Readconfig).unwrap()).unwrap();
        let words = qemu::words(&machine, Style::Shell).unwrap();
        let words: Vec<_> =
            words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect();
        for arguments in [words, vec!["-readconfig".into(), config.to_str().unwrap().into()]] {
            let mut command = Command::new("qemu-system-x86_64");
            command.args(MACHINE.split(' '));
            command.arg("-kernel").arg(&kernel).args(arguments);
            Qemu::start(&mut command);
        }
    }
}
