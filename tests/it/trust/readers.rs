//! Two runners of one host, which are real users: each reads its own disk, and nothing of the
//! other's.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::support::alone::alone_with_mounts;
use crate::support::host::assert_done;
use crate::support::users::{add_user, can, done, id, temporary_users};

const MANIFEST: &str = "label: A\ncredentials: [{name: token, text: x}]\n";

#[test]
fn a_reader_of_root_s_disk_has_a_group_of_its_own() {
    if !alone_with_mounts(concat!(
        module_path!(),
        "::a_reader_of_root_s_disk_has_a_group_of_its_own"
    )) {
        return;
    }
    let _users = temporary_users();
    for user in ["vm-chimera", "vm-medusa", "vm-hydra"] {
        add_user(user);
    }
    let host = Host::new(MANIFEST);
    mode(&host.path(""), 0o711);
    let options = ["--args=none", "--quiet", "--reader", "vm-chimera"];
    assert_done(&host.build(&options));
    for file in ["out.erofs", "out.erofs.smbios", "out.erofs.sidecars"] {
        let found = fs::metadata(host.path(file)).unwrap();
        let owners = (found.uid(), found.gid(), found.mode());
        assert_eq!(owners, (0, id("-g", "vm-chimera"), 0o100_440), "{file}");
        let read = format!("cat {file}");
        let write = format!(": >>{file}");
        assert!(can("vm-chimera", &host.path(""), &read), "{file}");
        for (user, script) in [("vm-chimera", &write), ("vm-medusa", &read), ("vm-hydra", &read)] {
            assert!(!can(user, &host.path(""), script), "{user}: {script}");
        }
    }
    // The number is as good as the name.
    let by_number = id("-u", "vm-chimera").to_string();
    let options = ["--args=none", "--if-changed", "--reader", &by_number];
    assert_eq!(stderr(&host.build(&options)), "kept out.erofs: it is up to date\n");

    let refused = |reader: &str, why: &str| {
        let output = host.build(&["--args=none", "--reader", reader]);
        let expected = format!(
            "credimg: error: --reader: the primary group of {reader} is {}, which {why} is in, too\n\
             credimg: hint: give the user a group of its own; --owner gives it the file, and --mode 0600 \
             makes --reader an access control list\n",
            id("-g", reader)
        );
        assert_eq!((output.status.code(), stderr(&output)), (Some(5), expected));
    };
    done(&["usermod", "--append", "--groups", "vm-medusa", "vm-hydra"]);
    refused("vm-medusa", "vm-hydra");
    done(&["usermod", "--gid", "vm-chimera", "vm-hydra"]);
    refused("vm-chimera", "vm-hydra");
    assert_done(&host.build(&["--reader", "vm-chimera", "--mode", "0600"]));
    let found = fs::metadata(host.path("out.erofs")).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode()), (0, 0, 0o100_640));
    assert!(can("vm-chimera", &host.path(""), "cat out.erofs"));
    assert!(!can("vm-hydra", &host.path(""), "cat out.erofs"));
}

/// Two machines of a fleet: one has a reader, the other an owner.
const FLEET: &str = "\
machines:
  chimera: {reader: vm-chimera}
  medusa: {owner: vm-medusa}
output: run/{machine}/of/disk.erofs
files: [{path: /token, to: all, env: 'TOKEN_{machine}'}]
credentials: [{name: token, to: all, env: 'TOKEN_{machine}'}]
";

#[test]
fn each_runner_of_a_fleet_gets_to_its_own_files_alone() {
    if !alone_with_mounts(concat!(
        module_path!(),
        "::each_runner_of_a_fleet_gets_to_its_own_files_alone"
    )) {
        return;
    }
    let _users = temporary_users();
    let host = Host::empty();
    host.write("fleet.yaml", FLEET);
    for machine in ["chimera", "medusa"] {
        add_user(&format!("vm-{machine}"));
    }
    fs::create_dir(host.path("run")).unwrap();
    mode(&host.path(""), 0o711);
    mode(&host.path("run"), 0o711);
    let build = |options: &str| {
        let mut command = host.credimg();
        command.args(["fleet", "build", "fleet.yaml"]).args(options.split_whitespace());
        command.env("TOKEN_chimera", "chimera's token").env("TOKEN_medusa", "medusa's token");
        command.output().unwrap()
    };
    // What a run leaves that is killed between making a directory and opening it.
    fs::create_dir(host.path("run/medusa")).unwrap();
    mode(&host.path("run/medusa"), 0o700);
    assert_done(&build("--quiet"));
    let files = ["", ".smbios", ".sidecars"].map(|end| format!("of/disk.erofs{end}"));
    for (own, other, owner, bits) in [
        ("chimera", "medusa", 0, 0o100_440),
        ("medusa", "chimera", id("-u", "vm-medusa"), 0o100_600),
    ] {
        let user = format!("vm-{own}");
        for directory in [format!("run/{own}"), format!("run/{own}/of")] {
            let found = fs::metadata(host.path(&directory)).unwrap();
            let found = (found.uid(), found.gid(), found.mode());
            assert_eq!(found, (0, id("-g", &user), 0o040_710), "{directory}");
        }
        for file in &files {
            let found = fs::metadata(host.path(format!("run/{own}/{file}"))).unwrap();
            let found = (found.uid(), found.gid(), found.mode());
            assert_eq!(found, (owner, id("-g", &user), bits), "{own}/{file}");
            let may = |script: &str| can(&user, &host.path(""), script);
            assert!(may(&format!("cat run/{own}/{file}")), "{user}: {file}");
            assert!(!may(&format!("cat run/{other}/{file}")), "{user}: {file}");
            assert!(!may(&format!("stat run/{other}/{file}")), "{user}: {file}");
            assert!(!may(&format!("rm -f run/{own}/{file}")), "{user}: {file}");
        }
        for directory in [own, other] {
            assert!(!can(&user, &host.path(""), &format!("ls run/{directory}/of")), "{user}");
        }
        let image = format!("run/{own}/of/disk.erofs");
        assert_done(&host.run(&format!("args {image}")));
    }
    // Nothing to do, as nothing has another owner, mode or content.
    let again = build("--if-changed");
    assert_eq!(stderr(&again), "wrote 0 images, 2 kept\n");

    // A directory that is open to others holds up its own machine alone.
    mode(&host.path("run/chimera"), 0o755);
    let refused = build("--if-changed");
    assert_eq!(refused.status.code(), Some(5));
    let said = stderr(&refused);
    assert!(
        said.contains("error: chimera: the directory run/chimera has the mode 0755\n")
            && said.contains("chmod 0710 run/chimera")
            && said.contains("wrote 0 images, 1 kept, 1 failed\n"),
        "{said}"
    );
    // As systemd makes it: nobody lists it.
    mode(&host.path("run/chimera"), 0o711);
    assert_done(&build("--if-changed"));
    done(&["usermod", "--append", "--groups", "vm-chimera", "vm-medusa"]);
    let refused = build("");
    assert_eq!(refused.status.code(), Some(5));
    let said = stderr(&refused);
    assert!(
        said.contains("fleet.yaml:2:") && said.contains("which vm-medusa is in, too"),
        "{said}"
    );
    assert!(said.contains("wrote 1 image, 1 failed\n"), "{said}");
}
