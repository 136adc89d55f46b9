//! The plan for each monitor, from the library: what goes where, and why.

use std::path::Path;

use credimg::delivery::means::Means;
use credimg::delivery::mount::Disk;
use credimg::delivery::route::{Opening, Routes, Teller, plan_routes};
use credimg::delivery::sidecar;
use credimg::delivery::unlock::Unlock;
use credimg::manifest::{Channel, Format, parse};
use credimg::monitors::{Bus, Monitor, Serial, Style};
use credimg::report::{Exit, Failure};

pub(super) fn means(target: Monitor) -> Means {
    let serial = Serial::new("chimera").unwrap();
    let disk = Disk::new(Format::Erofs, Some("CHIMERA"), "", &serial, Bus::Virtio);
    Means { target, disk, ..Means::default() }
}

pub(super) fn planned(
    manifest: &str,
    lengths: &[Option<u64>],
    means: &Means,
) -> Result<Routes, Failure> {
    let manifest = parse(manifest.as_bytes(), Path::new("secrets.yaml")).unwrap();
    plan_routes(&manifest, lengths, means)
}

/// The channels in the manifest's order, `?` for what is not known yet.
pub(super) fn names(routes: &Routes) -> Vec<&'static str> {
    routes.routes.iter().map(|route| route.channel.map_or("?", Channel::name)).collect()
}

pub(super) const AUTO: &str = "credentials: [{name: a, env: A}, {name: b, env: B}]";

#[test]
fn each_monitor_gets_what_it_carries_unseen() {
    let shown = "which every user of the host can read";
    for (target, channels, why, mount) in [
        (Monitor::Qemu, ["smbios"; 2], "it fits an OEM string", None),
        (Monitor::Proxmox, ["smbios"; 2], "it fits an OEM string", None),
        (Monitor::Vmspawn, ["smbios"; 2], "it fits an OEM string", None),
        (Monitor::Libvirt, ["disk"; 2], shown, Some(Teller::Channel(Channel::FwCfg))),
        (Monitor::CloudHypervisor, ["disk"; 2], shown, Some(Teller::Argument)),
        (Monitor::Crosvm, ["disk"; 2], shown, Some(Teller::KernelLine)),
        (Monitor::Firecracker, ["disk"; 2], "it has no SMBIOS tables", Some(Teller::KernelLine)),
    ] {
        let routes = planned(AUTO, &[Some(5); 2], &means(target)).unwrap();
        assert_eq!(names(&routes), channels, "{target:?}");
        for route in &routes.routes {
            assert!(route.why.contains(why), "{target:?}: {}", route.why);
        }
        assert_eq!(routes.mount.as_ref().map(|mount| mount.by), mount, "{target:?}");
        // Where nothing else is open the lines are an argument: they are no secret.
        let public = sidecar::public(&routes, None);
        assert_eq!(public.len(), usize::from(mount == Some(Teller::Argument)), "{target:?}");
        // Whatever cannot even carry these is told of, so that nobody waits for the disk.
        let is_untold = target == Monitor::Firecracker;
        assert_eq!(routes.warnings.len(), usize::from(is_untold), "{target:?}");
        let words = routes.kernel_arguments().len();
        assert_eq!(words, 2 * usize::from(mount == Some(Teller::KernelLine)), "{target:?}");
    }
}

#[test]
fn what_a_monitor_cannot_carry_is_refused_with_its_reason() {
    for (target, via, expected) in [
        (Monitor::Libvirt, "smbios", "libvirt: it puts OEM strings on QEMU's command line, which"),
        (Monitor::Vmspawn, "fw_cfg", "vmspawn: it chooses between SMBIOS and fw_cfg itself"),
        (Monitor::Firecracker, "smbios", "firecracker: it has no SMBIOS tables"),
    ] {
        let manifest = format!("credentials: [{{name: a, env: A, via: {via}}}]");
        let failure = planned(&manifest, &[Some(1)], &means(target)).unwrap_err();
        assert_eq!(failure.exit, Exit::Manifest);
        let start = format!("secrets.yaml:1:15: credentials[0]: cannot go by {via}: {expected}");
        assert!(failure.message.starts_with(&start), "{}", failure.message);
    }
}

#[test]
fn what_is_asked_for_comes_before_what_is_not() {
    let manifest = "credentials: [{name: auto, env: A}, {name: asked, env: B, via: smbios}]";
    let routes = planned(manifest, &[Some(40_000), Some(40_000)], &means(Monitor::Qemu)).unwrap();
    assert_eq!(names(&routes), ["disk", "smbios"]);
    let routes = planned(manifest, &[Some(1000), Some(40_000)], &means(Monitor::Qemu)).unwrap();
    assert_eq!(names(&routes), ["smbios", "smbios"]);
}

#[test]
fn unknown_lengths_leave_the_plan_open() {
    let manifest = "credentials: [{name: a, env: A}, {name: b, env: B, via: fw_cfg}, \
                    {name: c, env: C, via: disk}]";
    let routes = planned(manifest, &[None; 3], &means(Monitor::Qemu)).unwrap();
    assert_eq!(names(&routes), ["?", "fw_cfg", "disk"]);
    assert_eq!(
        names(&planned(manifest, &[], &means(Monitor::Qemu)).unwrap()),
        ["?", "fw_cfg", "disk"]
    );
    assert_eq!(names(&planned(AUTO, &[None; 2], &means(Monitor::Libvirt)).unwrap()), ["disk"; 2]);
}

/// The last credential fits only while nothing is said of a disk: if one before
/// it goes there, the lines for the disk take its room.
#[test]
fn lines_for_the_disk_take_their_room() {
    // 57,337 bytes less a string of 32 and 4 * 14,326 characters leave one byte.
    let manifest = "credentials: [{name: =, env: A}, {name: a, env: B}]";
    let full = Some(3 * 14_326);
    let routes = planned(manifest, &[Some(1), full], &means(Monitor::Qemu)).unwrap();
    assert_eq!(names(&routes), ["disk", "disk"]);
    assert!(routes.routes[1].why.contains(" are left"), "{}", routes.routes[1].why);
    let alone = "credentials: [{name: a, env: B}]";
    let routes = planned(alone, &[full], &means(Monitor::Qemu)).unwrap();
    assert_eq!((names(&routes), routes.mount), (vec!["smbios"], None));
    assert_eq!(routes.budget.structure_bytes(), 57_342);
}

#[test]
fn a_disk_that_cannot_be_named_is_refused_only_where_it_must_be() {
    let serial = Serial::new("chimera").unwrap();
    let disk = Disk::new(Format::Squashfs, Some("CHIMERA"), "", &serial, Bus::Nvme);
    let means = Means { disk, ..Means::default() };
    assert!(planned(AUTO, &[Some(1); 2], &means).is_ok());
    let manifest = "credentials: [{name: a, env: A, via: disk}]";
    assert_eq!(planned(manifest, &[None], &means).unwrap_err().exit, Exit::Usage);
}

pub(super) fn encrypted(target: Monitor) -> Means {
    let serial = Serial::new("chimera").unwrap();
    let unlock = Unlock::new(
        &serial,
        Bus::Virtio,
        Some("CHIMERA-LUKS"),
        "6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81",
        64,
    );
    let disk = Disk::opened(Format::Erofs, &serial);
    Means { target, disk, unlock: Some(unlock), ..Means::default() }
}

const KEYLESS: &str = "the key does not reach the guest by itself";

#[test]
fn the_key_goes_by_what_is_open_and_the_unit_with_it() {
    for (target, channel) in [
        (Monitor::Qemu, Some(Channel::Smbios)),
        (Monitor::Proxmox, Some(Channel::Smbios)),
        (Monitor::Vmspawn, Some(Channel::Smbios)),
        (Monitor::Libvirt, Some(Channel::FwCfg)),
        (Monitor::CloudHypervisor, None),
        (Monitor::Crosvm, None),
        (Monitor::Firecracker, None),
    ] {
        let by = channel.map(Teller::Channel);
        let routes = planned("files: []", &[], &encrypted(target)).unwrap();
        assert_eq!(routes.opening, by.map(|by| Opening { by, has_key: true }), "{target:?}");
        // A guest that is to open the disk is told to mount it, and no other.
        assert_eq!(routes.mount.as_ref().map(|mount| mount.by), by, "{target:?}");
        let warnings: Vec<_> = routes.warnings.iter().map(String::as_str).collect();
        match by {
            Some(_) => assert_eq!(warnings, [""; 0], "{target:?}"),
            None => assert!(warnings[0].starts_with(KEYLESS), "{target:?}: {warnings:?}"),
        }
    }
}

#[test]
fn a_stream_tells_of_no_unit_and_a_configuration_file_tells_by_fw_cfg() {
    let means = Means { is_streamed: true, ..encrypted(Monitor::Qemu) };
    let routes = planned("files: []", &[], &means).unwrap();
    assert_eq!((routes.opening, routes.mount), (None, None));
    assert!(routes.warnings[0].starts_with(KEYLESS), "{:?}", routes.warnings);
    let means = Means { style: Style::Readconfig, ..encrypted(Monitor::Qemu) };
    let routes = planned("files: []", &[], &means).unwrap();
    let by = Teller::Channel(Channel::FwCfg);
    assert_eq!(routes.opening, Some(Opening { by, has_key: true }));
    assert_eq!(routes.mount.map(|mount| mount.by), Some(by));
    assert_eq!(routes.warnings, [""; 0]);
}

/// What opens the disk comes before all others, which make room for it.
#[test]
fn the_key_has_always_room() {
    let many: Vec<_> = (0..300).map(|n| format!("{{name: c{n}, env: A}}")).collect();
    let manifest = format!("credentials: [{}]", many.join(", "));
    let lengths = vec![Some(5); 300];
    let routes = planned(&manifest, &lengths, &encrypted(Monitor::Qemu)).unwrap();
    let by = Teller::Channel(Channel::Smbios);
    assert_eq!(routes.opening, Some(Opening { by, has_key: true }));
    // The key, its unit and the lines for the disk are three of the 255.
    let by_smbios = names(&routes).iter().filter(|name| **name == "smbios").count();
    assert_eq!(by_smbios, 252);
    let lengths = [Some(57_000)];
    let large = "credentials: [{name: a, env: A, via: smbios}]";
    let failure = planned(large, &lengths, &encrypted(Monitor::Qemu)).unwrap_err();
    assert_eq!(failure.exit, Exit::Manifest);
}

/// A name of our own that a credential has as well would be two files of one name.
#[test]
fn credentials_do_not_take_the_names_of_what_opens_the_disk() {
    for name in ["luks.chimera", "systemd.extra-unit.credimg-chimera.service"] {
        let manifest = format!("credentials: [{{name: {name}, env: A}}]");
        let failure = planned(&manifest, &[Some(5)], &encrypted(Monitor::Qemu)).unwrap_err();
        assert_eq!(failure.exit, Exit::Manifest);
        let message = "secrets.yaml:1:15: credentials[0]: the name is that of the credential which \
                       opens the disk";
        assert_eq!(failure.message, message);
        assert_eq!(
            failure.hint.as_deref(),
            Some("give it another name, or the drive another serial")
        );
    }
}
