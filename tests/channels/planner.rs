//! The plan for each monitor, from the library: what goes where, and why.

use std::path::Path;

use credimg::channels::mount::Disk;
use credimg::channels::plan::{Means, Routes, plan};
use credimg::channels::sidecar;
use credimg::manifest::{Format, parse};
use credimg::report::{Exit, Failure};
use credimg::vm::{Bus, Channel, Serial, Target};

fn means(target: Target) -> Means {
    let serial = Serial::new("chimera").unwrap();
    let disk = Disk::new(Format::Erofs, Some("CHIMERA"), "", &serial, Bus::Virtio);
    Means { target, disk, ..Means::default() }
}

fn planned(manifest: &str, lengths: &[Option<u64>], means: &Means) -> Result<Routes, Failure> {
    let manifest = parse(manifest.as_bytes(), Path::new("secrets.yaml")).unwrap();
    plan(&manifest, lengths, means)
}

/// The channels in the manifest's order, `?` for what is not known yet.
fn names(routes: &Routes) -> Vec<&'static str> {
    routes.routes.iter().map(|route| route.channel.map_or("?", Channel::name)).collect()
}

const AUTO: &str = "credentials: [{name: a, env: A}, {name: b, env: B}]";

#[test]
fn each_monitor_gets_what_it_carries_unseen() {
    let shown = "which every user of the host can read";
    for (target, channels, why, mount) in [
        (Target::Qemu, ["smbios"; 2], "it fits an OEM string", None),
        (Target::Proxmox, ["smbios"; 2], "it fits an OEM string", None),
        (Target::Vmspawn, ["smbios"; 2], "it fits an OEM string", None),
        (Target::Libvirt, ["disk"; 2], shown, Some(Some(Channel::FwCfg))),
        (Target::CloudHypervisor, ["disk"; 2], shown, Some(None)),
        (Target::Crosvm, ["disk"; 2], shown, None),
        (Target::Firecracker, ["disk"; 2], "it has no SMBIOS tables", None),
    ] {
        let routes = planned(AUTO, &[Some(5); 2], &means(target)).unwrap();
        assert_eq!(names(&routes), channels, "{target:?}");
        for route in &routes.routes {
            assert!(route.why.contains(why), "{target:?}: {}", route.why);
        }
        assert_eq!(routes.mount.as_ref().map(|mount| mount.channel), mount, "{target:?}");
        // Where nothing else is open the lines are an argument: they are no secret.
        let public = sidecar::public(routes.mount.as_ref());
        assert_eq!(public.len(), usize::from(mount == Some(None)), "{target:?}");
        // Whatever cannot even carry these is told of, so that nobody waits for the disk.
        let untold = matches!(target, Target::Crosvm | Target::Firecracker);
        assert_eq!(routes.warnings.len(), usize::from(untold), "{target:?}");
    }
}

#[test]
fn what_a_monitor_cannot_carry_is_refused_with_its_reason() {
    for (target, via, expected) in [
        (Target::Libvirt, "smbios", "libvirt: it puts OEM strings on QEMU's command line, which"),
        (Target::Vmspawn, "fw_cfg", "vmspawn: it chooses between SMBIOS and fw_cfg itself"),
        (Target::Firecracker, "smbios", "firecracker: it has no SMBIOS tables"),
        (Target::CloudHypervisor, "fw_cfg", "cloud-hypervisor: it has no firmware configuration"),
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
    let routes = planned(manifest, &[Some(40_000), Some(40_000)], &means(Target::Qemu)).unwrap();
    assert_eq!(names(&routes), ["disk", "smbios"]);
    let routes = planned(manifest, &[Some(1000), Some(40_000)], &means(Target::Qemu)).unwrap();
    assert_eq!(names(&routes), ["smbios", "smbios"]);
}

#[test]
fn unknown_lengths_leave_the_plan_open() {
    let manifest = "credentials: [{name: a, env: A}, {name: b, env: B, via: fw_cfg}, \
                    {name: c, env: C, via: disk}]";
    let routes = planned(manifest, &[None; 3], &means(Target::Qemu)).unwrap();
    assert_eq!(names(&routes), ["?", "fw_cfg", "disk"]);
    assert_eq!(
        names(&planned(manifest, &[], &means(Target::Qemu)).unwrap()),
        ["?", "fw_cfg", "disk"]
    );
    assert_eq!(names(&planned(AUTO, &[None; 2], &means(Target::Libvirt)).unwrap()), ["disk"; 2]);
}

/// The last credential fits only while nothing is said of a disk: if one before
/// it goes there, the lines for the disk take its room.
#[test]
fn lines_for_the_disk_take_their_room() {
    // 57,337 bytes less a string of 32 and 4 * 14,326 characters leave one byte.
    let manifest = "credentials: [{name: =, env: A}, {name: a, env: B}]";
    let full = Some(3 * 14_326);
    let routes = planned(manifest, &[Some(1), full], &means(Target::Qemu)).unwrap();
    assert_eq!(names(&routes), ["disk", "disk"]);
    assert!(routes.routes[1].why.contains(" are left"), "{}", routes.routes[1].why);
    let alone = "credentials: [{name: a, env: B}]";
    let routes = planned(alone, &[full], &means(Target::Qemu)).unwrap();
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
