//! Two guests of one fleet, which run at once, each as a user of the host of its own: each has its
//! files and credentials and none of the other's, and each user is refused what is the other's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use crate::support::alone::alone_with_mounts;
use crate::support::host::{Host, assert_done, stderr, stdout};
use crate::support::users::{add_user, can, temporary_users};

const FLEET: &str = "\
machines:
  chimera: {reader: vm-chimera}
  medusa: {reader: vm-medusa, format: squashfs}
output: run/{machine}/disk.img
format: erofs
files:
  - {path: /token, to: all, file: 'keys/{machine}'}
  - {path: /gaze, to: medusa, file: keys/gaze}
  - {path: /ca.pem, to: all, shared: true, text: 'for all'}
credentials:
  - {name: api.key, to: all, command: [cat, 'keys/{machine}.api'], trim: true, via: fw_cfg}
  - {name: snakes, to: 'med*', text: many snakes, via: smbios}
";

/// Prints every file of the disk and every credential, with names.
const PAYLOAD: &str = "\
await /dev/vda
format=$(blkid -o value -s TYPE /dev/vda)
mount -t \"$format\" -o ro,nosuid,nodev,noexec /dev/vda /mnt || exit 1
cd /mnt
find . -type f | sort | while read -r file; do echo \"$file=$(cat \"$file\")\"; done
cd /sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials
for item in *; do echo \"$item=$(cat \"$item/raw\")\"; done
for raw in /sys/firmware/dmi/entries/11-*/raw; do
    [ ! -e \"$raw\" ] || tr '\\0' '\\n' <\"$raw\" | sed -n 's/.*io.systemd/io.systemd/p'
done
exit 0
";

/// What the guest of each machine prints.
const EXPECTED: [(&str, &str); 2] = [
    ("chimera", "./ca.pem=for all\n./token=chimera's token\napi.key=chimera's key\n"),
    (
        "medusa",
        "./ca.pem=for all\n./gaze=stone\n./token=medusa's token\napi.key=medusa's key\n\
         io.systemd.credential.binary:snakes=bWFueSBzbmFrZXM=\n",
    ),
];

#[test]
fn two_guests_of_a_fleet_run_at_once_and_have_nothing_of_one_another() {
    let name = "two_guests_of_a_fleet_run_at_once_and_have_nothing_of_one_another";
    if !alone_with_mounts(&format!("{}::{name}", module_path!())) {
        return;
    }
    let _users = temporary_users();
    let host = host();
    let built = host.run("fleet build fleet.yaml");
    assert_done(&built);
    let guests = EXPECTED.map(|(machine, _)| (machine, start(&host, machine)));
    for ((machine, guest), (_, expected)) in guests.into_iter().zip(EXPECTED) {
        let guest = guest.wait_with_output().unwrap();
        assert_eq!(stdout(&guest), expected, "{machine}: {}\n{}", guest.status, stderr(&guest));
        assert!(guest.status.success(), "{machine}: {}", guest.status);
    }
    for [own, other] in [["chimera", "medusa"], ["medusa", "chimera"]] {
        let user = format!("vm-{own}");
        let may = |script: &str| can(&user, &host.path(""), script);
        let files = |machine: &str| {
            let entries = fs::read_dir(host.path("run").join(machine)).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path().display().to_string());
            paths.collect::<Vec<_>>()
        };
        assert_eq!(files(own).len(), if own == "chimera" { 3 } else { 4 }, "{:?}", files(own));
        for file in files(own) {
            assert!(may(&format!("cat {file}")), "{user} and {file}");
            assert!(!may(&format!(": >>{file}")), "{user} and {file}");
        }
        for file in files(other) {
            for script in [format!("cat {file}"), format!("stat {file}")] {
                assert!(!may(&script), "{user}: {script}");
            }
        }
        for directory in [own, other] {
            assert!(!may(&format!("ls run/{directory}")), "{user}: {directory}");
            assert!(!may(&format!("touch run/{directory}/x")), "{user}: {directory}");
        }
        assert!(!may(&format!("mv run/{own} run/x")) && !may("cat keys/chimera keys/medusa"));
    }
}

/// A host with two users and a fleet.
fn host() -> Host {
    let host = Host::empty();
    let mode = |name: &str, mode| {
        fs::set_permissions(host.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    host.write("fleet.yaml", FLEET);
    host.write("payload", PAYLOAD);
    host.private("keys/gaze", "stone");
    for (machine, _) in EXPECTED {
        add_user(&format!("vm-{machine}"));
        host.private(&format!("keys/{machine}"), format!("{machine}'s token"));
        host.private(&format!("keys/{machine}.api"), format!("{machine}'s key\n"));
    }
    mode("", 0o755);
    mode("keys", 0o700);
    fs::create_dir(host.path("run")).unwrap();
    mode("run", 0o711);
    host
}

/// Starts the machine as its own user, by the arguments that are printed for it.
fn start(host: &Host, machine: &str) -> Child {
    let arguments = host.run(&format!("fleet args {machine} --fleet fleet.yaml --args lines"));
    assert_done(&arguments);
    let mut command = host.command(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-boot"));
    command.args(["payload", "--"]).args(stdout(&arguments).lines());
    command.env("GUEST_USER", format!("vm-{machine}"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}
