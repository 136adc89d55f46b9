//! `mount: {path, options}`: systemd and mount(8) read the options as they were given,
//! by whatever way the guest gets them.

use std::process::Command;

use credimg::delivery::mount::kernel_arguments;

use super::guests::verify;
use super::*;

/// A value with a comma and a quote, one with a specifier of units, and one that a boot heeds.
const OPTIONS: &str = r#"context="system_u:object_r:etc_t:s0:c1,c2",iocharset=a%h,nofail,x-systemd.device-timeout=9s"#;
const FLAGS: &str = "ro,nosuid,nodev,noexec";

fn host() -> Host {
    Host::new(&format!(
        "label: CHIMERA\nmount: {{path: /run/secrets, options: 'nodev,{OPTIONS}'}}\n\
         credentials: [{{name: a, text: x, via: disk}}]\n"
    ))
}

/// The `Options=` of a unit.
fn options(unit: &str) -> Option<&str> {
    unit.lines().find_map(|line| line.strip_prefix("Options="))
}

#[test]
fn mount_options_reach_the_guest_in_fstab_and_in_units() {
    let host = host();
    built(&host, &[]);
    let strings = oem_strings(&fs::read(host.path("out.erofs.smbios")).unwrap());
    let fstab = String::from_utf8(imported(&strings)["fstab.extra"].clone()).unwrap();
    assert_eq!(
        fstab,
        format!(
            "LABEL=CHIMERA /run/secrets erofs {FLAGS},{OPTIONS} 0 0\n\
             /run/secrets/credstore /run/credstore none bind,nofail 0 0\n"
        )
    );

    // What mount(8) makes of them: the label is one option, its category none.
    fs::write(host.path("fstab"), &fstab).unwrap();
    let has = |option: &str| {
        let mut findmnt = Command::new("findmnt");
        findmnt.args(["-n", "-o", "TARGET", "-O", option, "-F"]).arg(host.path("fstab"));
        stdout(&findmnt.output().unwrap()).lines().any(|line| line == "/run/secrets")
    };
    for option in OPTIONS.split(",iocharset").take(1).chain(["nofail", "nodev", "iocharset=a%h"]) {
        assert!(has(option), "{option}");
    }
    assert!(!has("c2"));

    // Its words for the kernel's command line hold no quote that systemd would take away.
    let words = kernel_arguments(&fstab).join(" ");
    assert!(
        words.contains(r",context=\x22system_u\x3aobject_r\x3aetc_t\x3as0\x3ac1,c2\x22,"),
        "{words}"
    );
    assert!(!words.contains(['"', '\'']), "{words}");

    // What systemd makes of fstab(5), and what it reads in the unit for older ones.
    let generator = "/usr/lib/systemd/system-generators/systemd-fstab-generator";
    let mut generator = Command::new(generator);
    generator.args(["out", "out", "out"]).current_dir(host.path(""));
    generator.env("SYSTEMD_FSTAB", host.path("fstab")).env("SYSTEMD_PROC_CMDLINE", "");
    fs::create_dir(host.path("out")).unwrap();
    assert!(generator.status().unwrap().success());
    let generated = fs::read_to_string(host.path("out/run-secrets.mount")).unwrap();
    let in_unit = |options: &str| options.replace('%', "%%");
    let kept = format!("{FLAGS},{OPTIONS}");
    // What systemd heeds itself it takes out.
    assert_eq!(
        options(&generated).unwrap().replace(",nofail", ""),
        in_unit(kept.split(",nofail").next().unwrap())
    );
    let units = host.credimg().args(["guest-unit", "secrets.yaml"]).output().unwrap();
    let units = stdout(&units);
    assert_eq!(options(&units), Some(&*in_unit(&kept)), "{units}");
    verify(&host, &units);
}

#[test]
fn mount_options_pass_through_other_monitors() {
    let host = host();
    let manifest =
        format!("label: CHIMERA\nmount: {{path: /a, options: '{OPTIONS}'}}\nfiles: []\n");
    fs::write(host.path("secrets.yaml"), manifest).unwrap();
    let line = format!("LABEL=CHIMERA /a erofs {FLAGS},{OPTIONS} 0 0\n");
    let build = |target: &str| stdout(&host.build(&["--target", target]));
    assert!(
        build("cloud-hypervisor").contains(&format!(":fstab.extra={}", STANDARD.encode(&line)))
    );
    assert!(build("libvirt").contains("out.erofs.fw_cfg.fstab.extra"));
    assert_eq!(fs::read_to_string(host.path("out.erofs.fw_cfg.fstab.extra")).unwrap(), line);
}
