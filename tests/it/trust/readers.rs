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
