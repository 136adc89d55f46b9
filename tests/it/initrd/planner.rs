//! Which credentials go by the initrd, from the library.

use std::path::Path;

use credimg::delivery::initrd::{Form, GuestInitrd};
use credimg::delivery::means::Means;
use credimg::delivery::mount::Disk;
use credimg::delivery::route::{Routes, Teller, plan_routes};
use credimg::manifest::{Channel, Format, parse};
use credimg::monitors::{Bus, Monitor, Serial};
use credimg::report::{Exit, Failure};

fn means(target: Monitor, machine: &str) -> Means {
    let serial = Serial::new("chimera").unwrap();
    let initrd =
        GuestInitrd { size_bytes: 5, form: Ok(Form::Tmpfiles), doubt: None, is_always_given: true };
    Means {
        target,
        machine_type: machine.parse().ok(),
        disk: Disk::new(Format::Erofs, Some("CHIMERA"), "", &serial, Bus::Virtio),
        initrd: Some(initrd),
        ..Means::default()
    }
}

fn planned(credentials: &str, means: &Means) -> Result<Routes, Failure> {
    let text = format!("credentials: [{credentials}]\nmount: /run/secrets");
    let manifest = parse(text.as_bytes(), Path::new("secrets.yaml")).unwrap();
    plan_routes(&manifest, &[Some(5); 30], means)
}

fn names(routes: &Routes) -> Vec<&'static str> {
    routes.routes.iter().map(|route| route.channel.map_or("?", Channel::name)).collect()
}

#[test]
fn the_initrd_comes_behind_the_firmware_and_before_the_disk() {
    let initrd = Teller::Channel(Channel::Initrd);
    for (target, machine, channel, mount) in [
        (Monitor::Qemu, "q35", "smbios", Teller::Channel(Channel::Smbios)),
        (Monitor::Qemu, "microvm", "fw_cfg", Teller::Channel(Channel::FwCfg)),
        (Monitor::Qemu, "microvm,acpi=off", "initrd", initrd),
        (Monitor::Qemu, "pseries", "initrd", initrd),
        (Monitor::Libvirt, "q35", "initrd", Teller::Channel(Channel::FwCfg)),
        (Monitor::CloudHypervisor, "", "initrd", initrd),
        (Monitor::Crosvm, "", "initrd", initrd),
        (Monitor::Firecracker, "", "initrd", initrd),
    ] {
        let means = means(target, machine);
        let routes = planned("{name: a, env: A}", &means).unwrap();
        assert_eq!(names(&routes), [channel], "{target:?} {machine}");
        assert_eq!(routes.mount.as_ref().map(|mount| mount.by), Some(mount), "{target:?}");
        // `via: initrd` is obeyed, whichever other channels are open.
        let routes = planned("{name: a, env: A, via: initrd}", &means).unwrap();
        assert_eq!(names(&routes), ["initrd"], "{target:?} {machine}");
        assert_eq!(routes.routes[0].why, "the manifest says so");
    }
}

/// A microvm has slots for 17 items of fw_cfg. The disk's lines take one of them.
#[test]
fn what_finds_no_slot_goes_by_the_initrd() {
    let credentials: Vec<_> = (0..20).map(|n| format!("{{name: n{n}, env: A}}")).collect();
    let routes = planned(&credentials.join(", "), &means(Monitor::Qemu, "microvm")).unwrap();
    let expected = [vec!["fw_cfg"; 16], vec!["initrd"; 4]].concat();
    assert_eq!(names(&routes), expected);
    assert_eq!(routes.routes[19].why, "it fits a file of the initrd");
}

#[test]
fn without_the_guests_own_initrd_nothing_goes_by_it() {
    let means = Means { initrd: None, ..means(Monitor::Firecracker, "") };
    let failure = planned("{name: a, env: A, via: initrd}", &means).unwrap_err();
    assert_eq!(failure.exit, Exit::Manifest);
    let expected = "cannot go by initrd: the guest's own initrd is not given";
    assert!(failure.message.ends_with(expected), "{}", failure.message);
    assert_eq!(failure.hint.unwrap(), "name the guest's own initrd with --initrd");
    assert_eq!(names(&planned("{name: a, env: A}", &means).unwrap()), ["disk"]);
}

#[test]
fn a_name_is_that_of_a_file_with_an_ending() {
    let plan = |length: usize| {
        let credential = format!("{{name: {}, env: A, via: initrd}}", "n".repeat(length));
        planned(&credential, &means(Monitor::Qemu, "q35"))
    };
    assert_eq!(names(&plan(250).unwrap()), ["initrd"]);
    let message = plan(251).unwrap_err().message;
    let expected = "its name has 251 characters, and a file of the initrd has room for 250";
    assert!(message.ends_with(expected), "{message}");
}
