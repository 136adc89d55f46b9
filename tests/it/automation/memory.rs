//! The hook where a machine's memory outlives the machine: saved, hibernated and migrated
//! machines, and snapshots with memory. That memory has the image mounted, so the very
//! image has to stay, and no other may come in its place.

use super::hooks::{hook_with, host, libvirt_with};
use super::*;

const IMAGE: &str = "run/chimera/disk.erofs";

/// A machine `chimera` that has started with its disk; returns the image. Its source is
/// another one by now, so that a build would be seen.
fn started(host: &Host) -> Vec<u8> {
    host.write("save/other.save", "");
    assert_done(&libvirt(host, "prepare", "begin", "-"));
    assert_done(&libvirt(host, "started", "begin", "-"));
    host.write("key", "another one");
    host.read(IMAGE)
}

/// A call of libvirt's for the machine, where its state lies in this directory.
fn libvirt(host: &Host, operation: &str, step: &str, extra: &str) -> Output {
    libvirt_with(host, ["chimera", operation, step, extra])
}

/// The calls of a start with the memory of before, by `restore` or `migrate`.
fn comes_back(host: &Host, operation: &str) {
    assert_done(&libvirt(host, operation, "begin", "-"));
    assert_done(&libvirt(host, "prepare", "begin", "-"));
    assert_done(&libvirt(host, "start", "begin", "-"));
    assert_done(&libvirt(host, "started", "begin", "-"));
}

/// The memory is refused, with a message that names the image.
fn assert_refused(host: &Host, output: &Output, image: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let path = host.path(image);
    let gone = format!("the image that it has mounted is gone: {}", path.display());
    assert!(stderr(output).contains(&gone), "{output:?}");
    assert!(!path.exists());
}

#[test]
fn a_saved_machine_keeps_its_image_until_it_has_run_on_and_stopped() {
    let host = host();
    let first = started(&host);
    assert_done(&libvirt(&host, "release", "end", "saved"));
    assert_eq!(host.read(IMAGE), first);
    comes_back(&host, "restore");
    assert_eq!(host.read(IMAGE), first);
    assert_done(&libvirt(&host, "release", "end", "shutdown"));
    assert!(!host.path("run/chimera").exists());
    assert_refused(&host, &libvirt(&host, "restore", "begin", "-"), IMAGE);
}

/// libvirt before 10.5 gives no reason: a file of `virsh managedsave` tells it.
#[test]
fn without_a_reason_a_managed_save_keeps_the_image() {
    let host = host();
    let first = started(&host);
    host.write("libvirt/save/chimera.save", "memory");
    assert_done(&libvirt(&host, "release", "end", "-"));
    assert_eq!(host.read(IMAGE), first);
    comes_back(&host, "restore");
    assert_eq!(host.read(IMAGE), first);
    fs::remove_file(host.path("libvirt/save/chimera.save")).unwrap();
    assert_done(&libvirt(&host, "release", "end", "-"));
    assert!(!host.path("run/chimera").exists());
}

/// `virsh start --force-boot` and `virsh managedsave-remove` give the memory up.
#[test]
fn a_managed_save_that_is_gone_makes_room_for_a_new_image() {
    let host = host();
    let first = started(&host);
    host.write("libvirt/save/chimera.save", "memory");
    assert_done(&libvirt(&host, "release", "end", "saved"));
    fs::remove_file(host.path("libvirt/save/chimera.save")).unwrap();
    assert_done(&libvirt(&host, "prepare", "begin", "-"));
    assert_ne!(host.read(IMAGE), first);
    assert_done(&libvirt(&host, "started", "begin", "-"));
    assert_done(&libvirt(&host, "release", "end", "shutdown"));
    assert!(!host.path("run/chimera").exists());
}

/// A file of `virsh save` may lie anywhere: a start without it changes nothing, and says so.
#[test]
fn a_start_beside_a_saved_file_builds_nothing() {
    let host = host();
    let first = started(&host);
    assert_done(&libvirt(&host, "release", "end", "saved"));
    let output = libvirt(&host, "prepare", "begin", "-");
    assert_done(&output);
    assert_eq!(host.read(IMAGE), first);
    let message = "credimg-hook: chimera keeps the image that it had: it was saved\n";
    assert_eq!(stderr(&output), message);
}

/// A restore that fails leaves the saved file, which can be tried again.
#[test]
fn a_restore_that_fails_can_be_tried_again() {
    for reason in ["failed", "-"] {
        let host = host();
        let first = started(&host);
        assert_done(&libvirt(&host, "release", "end", "saved"));
        for operation in ["restore", "prepare"] {
            assert_done(&libvirt(&host, operation, "begin", "-"));
        }
        assert_done(&libvirt(&host, "release", "end", reason));
        assert_eq!(host.read(IMAGE), first, "{reason}");
        comes_back(&host, "restore");
        assert_eq!(host.read(IMAGE), first, "{reason}");
        assert_done(&libvirt(&host, "release", "end", "destroyed"));
        assert!(!host.path("run/chimera").exists());
    }
}

/// The other host needs a copy of the image; it goes when the machine stops there.
#[test]
fn a_machine_from_another_host_finds_its_image_or_is_refused() {
    let (from, to) = (host(), host());
    let first = started(&from);
    assert_refused(&to, &libvirt(&to, "migrate", "begin", "-"), IMAGE);
    to.write(IMAGE, &first);
    assert_done(&libvirt(&to, "migrate", "begin", "-"));
    assert_done(&libvirt(&to, "prepare", "begin", "-"));
    assert_done(&libvirt(&to, "started", "begin", "-"));
    // It did not arrive: the next try finds the copy.
    assert_done(&libvirt(&to, "release", "end", "failed"));
    comes_back(&to, "migrate");
    assert_done(&libvirt(&from, "release", "end", "migrated"));
    assert_eq!((&from.read(IMAGE), &to.read(IMAGE)), (&first, &first));

    // And back again.
    comes_back(&from, "migrate");
    assert_done(&libvirt(&to, "release", "end", "migrated"));
    assert_eq!(from.read(IMAGE), first);
    assert_done(&libvirt(&from, "release", "end", "shutdown"));
    assert!(!from.path("run/chimera").exists());
    // A start of its own there has no memory of before.
    assert_done(&libvirt(&to, "prepare", "begin", "-"));
    assert_ne!(to.read(IMAGE), first);
}

/// As long as a snapshot holds memory, a machine can go back to it.
#[test]
fn a_snapshot_with_memory_keeps_the_image() {
    let snapshot = "libvirt/snapshot/chimera/one.xml";
    for (memory, is_kept) in [("internal", true), ("external", true), ("no", false)] {
        let host = host();
        let first = started(&host);
        let xml = format!("<domainsnapshot>\n  <memory snapshot='{memory}'/>\n</domainsnapshot>\n");
        host.write(snapshot, xml);
        for reason in ["shutdown", "from snapshot", "-"] {
            assert_done(&libvirt(&host, "release", "end", reason));
            assert_eq!(host.path(IMAGE).exists(), is_kept, "{memory} {reason}");
            assert_done(&libvirt(&host, "prepare", "begin", "-"));
            assert_eq!(host.read(IMAGE) == first, is_kept, "{memory} {reason}");
            assert_done(&libvirt(&host, "started", "begin", "-"));
        }
        fs::remove_file(host.path(snapshot)).unwrap();
        assert_done(&libvirt(&host, "release", "end", "shutdown"));
        assert!(!host.path("run/chimera").exists());
    }
}

/// Whatever ends without memory leaves nothing.
#[test]
fn every_other_reason_removes_the_image() {
    for reason in ["unknown", "shutdown", "destroyed", "crashed", "failed", "daemon", "-"] {
        let host = host();
        started(&host);
        assert_done(&libvirt(&host, "release", "end", reason));
        assert!(!host.path("run/chimera").exists(), "{reason}");
    }
}

/// Machines without a manifest have no image that could be missing.
#[test]
fn memory_of_machines_without_a_manifest_is_none_of_ours() {
    let host = host();
    for operation in ["restore", "migrate", "prepare", "started"] {
        assert_done(&libvirt_with(&host, ["medusa", operation, "begin", "-"]));
    }
    for reason in ["saved", "migrated"] {
        assert_done(&libvirt_with(&host, ["medusa", "release", "end", reason]));
    }
    assert!(!host.path("run").exists());
}

/// Its lock and `vmstate` say that a machine of Proxmox hibernates.
#[test]
fn a_hibernated_machine_of_proxmox_keeps_its_image() {
    const IMAGE: &str = "run/101/disk.erofs";
    let host = host();
    let call = |phase: &str| hook_with(&host, &["101", phase], &[]);
    let plain = "cores: 2\nname: chimera\n";
    host.write("proxmox/101.conf", plain);
    assert_done(&call("pre-start"));
    let first = host.read(IMAGE);
    host.write("key", "another one");
    for state in ["lock: suspended\n", "vmstate: local:101/state.raw\n", "lock: suspending\n"] {
        host.write("proxmox/101.conf", format!("{plain}{state}"));
        assert_done(&call("post-stop"));
        assert_done(&call("pre-start"));
        assert_done(&call("post-start"));
        assert_eq!(host.read(IMAGE), first, "{state}");
    }
    host.write("proxmox/101.conf", plain);
    assert_done(&call("post-stop"));
    assert!(!host.path("run/101").exists());
    host.write("proxmox/101.conf", format!("{plain}lock: suspended\n"));
    assert_refused(&host, &call("pre-start"), IMAGE);
    // Neither a description nor another lock is a state.
    host.write("proxmox/101.conf", format!("#vmstate: x\n{plain}lock: backup\n"));
    assert_done(&call("pre-start"));
    assert_ne!(host.read(IMAGE), first);
}

/// Proxmox gives the node that a machine comes from; its configuration is there until then.
#[test]
fn a_machine_from_another_node_finds_its_image_or_is_refused() {
    const IMAGE: &str = "run/101/disk.erofs";
    let host = host();
    host.write("proxmox/102.conf", "cores: 2\n");
    let arrives = || hook_with(&host, &["101", "pre-start"], &[("PVE_MIGRATED_FROM", "node2")]);
    assert_refused(&host, &arrives(), IMAGE);
    host.write(IMAGE, "copied");
    assert_done(&arrives());
    assert_eq!(host.read(IMAGE), b"copied");
    // Where it came from, the configuration is gone, or has this lock.
    assert_done(&hook_with(&host, &["101", "post-stop"], &[]));
    host.write("proxmox/101.conf", "lock: migrate\n");
    assert_done(&hook_with(&host, &["101", "post-stop"], &[]));
    assert_eq!(host.read(IMAGE), b"copied");
}

/// A snapshot of Proxmox that holds memory has `vmstate` in its section.
#[test]
fn a_snapshot_with_memory_keeps_the_image_on_proxmox() {
    const IMAGE: &str = "run/101/disk.erofs";
    let host = host();
    let call = |phase: &str| hook_with(&host, &["101", phase], &[]);
    let snapshot = |state: &str| format!("cores: 2\nparent: one\n\n[one]\ncores: 2\n{state}");
    host.write("proxmox/101.conf", snapshot(""));
    assert_done(&call("pre-start"));
    let first = host.read(IMAGE);
    host.write("key", "another one");
    host.write("proxmox/101.conf", snapshot("vmstate: local:101/one.raw\n"));
    assert_done(&call("post-stop"));
    let output = call("pre-start");
    assert_done(&output);
    assert_eq!(host.read(IMAGE), first);
    let message = "credimg-hook: 101 keeps the image that it had: a snapshot holds memory\n";
    assert_eq!(stderr(&output), message);
    host.write("proxmox/101.conf", snapshot(""));
    assert_done(&call("post-stop"));
    assert!(!host.path("run/101").exists());
}
