//! What root takes its orders from: the manifest, pseudo files, and the directories above.

use super::*;

const MANIFEST: &str = "label: A\nfiles: [{path: /a, text: x}]\n\
                        pseudo_files: [extra.pf]\n";
const REFUSED: &str = "credimg: error: another user can change the";
const HINT: &str = "keep it where root alone writes, such as /etc/credimg; --trust takes it as it \
                    is; or let root alone change it:";

/// A manifest below `vm/`, and a share.
fn host() -> Host {
    let host = Host::new("");
    fs::create_dir(host.path("vm")).unwrap();
    fs::create_dir(host.path("vm/share")).unwrap();
    fs::write(host.path("vm/secrets.yaml"), MANIFEST).unwrap();
    fs::write(host.path("vm/extra.pf"), "/b d 700 0 0\n").unwrap();
    mode(&host.path(""), 0o755);
    host
}

/// Runs one of the commands in `vm/`.
fn run(host: &Host, command: &[&str], options: &[&str]) -> (Option<i32>, String) {
    let (name, rest) = command.split_first().unwrap();
    let mut credimg = host.credimg();
    credimg.current_dir(host.path("vm")).arg(name).args(options).args(rest);
    said(host, &credimg.output().unwrap())
}

/// A way in which another user can change them, what is said, and the command that mends it;
/// `@` is the directory of the test.
struct Case {
    spoil: fn(&Host),
    what: &'static str,
    mend: &'static str,
}

const CASES: [Case; 9] = [
    Case {
        spoil: |host| own(&host.path("vm/secrets.yaml"), OTHER, 0),
        what: "manifest secrets.yaml: @/vm/secrets.yaml belongs to uid 4242",
        mend: "chown -h root @/vm/secrets.yaml",
    },
    Case {
        spoil: |host| give(&host.path("vm/secrets.yaml"), 0o660),
        what: "manifest secrets.yaml: the group 4242 can write to @/vm/secrets.yaml",
        mend: "chmod g-w @/vm/secrets.yaml",
    },
    Case {
        spoil: |host| mode(&host.path("vm/secrets.yaml"), 0o602),
        what: "manifest secrets.yaml: everybody can write to @/vm/secrets.yaml",
        mend: "chmod go-w @/vm/secrets.yaml",
    },
    Case {
        spoil: |host| own(&host.path("vm/extra.pf"), OTHER, OTHER),
        what: "pseudo file extra.pf: @/vm/extra.pf belongs to uid 4242",
        mend: "chown -h root @/vm/extra.pf",
    },
    Case {
        spoil: |host| mode(&host.path("vm/extra.pf"), 0o646),
        what: "pseudo file extra.pf: everybody can write to @/vm/extra.pf",
        mend: "chmod go-w @/vm/extra.pf",
    },
    Case {
        spoil: |host| own(&host.path("vm"), OTHER, 0),
        what: "manifest secrets.yaml: @/vm belongs to uid 4242",
        mend: "chown -h root @/vm",
    },
    Case {
        spoil: |host| give(&host.path("vm"), 0o770),
        what: "manifest secrets.yaml: the group 4242 can write to @/vm",
        mend: "chmod g-w @/vm",
    },
    Case {
        spoil: |host| mode(&host.path(""), 0o777),
        what: "manifest secrets.yaml: everybody can write to @",
        mend: "chmod go-w @",
    },
    Case {
        spoil: |host| {
            own(&host.path("vm"), OTHER, OTHER);
            own(&host.path("vm/secrets.yaml"), OTHER, OTHER);
            mode(&host.path("vm/secrets.yaml"), 0o666);
        },
        what: "manifest secrets.yaml: @/vm belongs to uid 4242",
        mend: "chown -h root @/vm && chown -h root @/vm/secrets.yaml && \
               chmod go-w @/vm/secrets.yaml",
    },
];

/// Gives a file to a group of others, with this mode.
fn give(path: &Path, bits: u32) {
    own(path, 0, OTHER);
    mode(path, bits);
}

#[test]
fn what_another_user_can_change_is_refused_by_every_command() {
    for Case { spoil, what, mend } in CASES {
        let host = host();
        spoil(&host);
        // Only the commands that look into pseudo files judge them.
        let judges = |command: &&&[&str]| {
            command.first() != Some(&"guest-unit") || what.starts_with("manifest")
        };
        for command in COMMANDS.iter().filter(judges) {
            let expected = format!("{REFUSED} {what}\ncredimg: hint: {HINT} {mend}\n");
            assert_eq!(run(&host, command, &[]), (Some(5), expected), "{command:?}");
            let (code, stderr) = run(&host, command, &["--trust"]);
            assert_eq!(code, Some(0), "{command:?}: {stderr}");
            assert!(!stderr.contains("another user"), "{stderr}");
        }
        for made in ["vm/out.erofs", "vm/share/out.age", "vm/key"] {
            fs::remove_file(host.path(made)).unwrap();
        }
        let directory = host.path("");
        let mend = mend.replace('@', directory.to_str().unwrap().trim_end_matches('/'));
        assert!(Command::new("sh").args(["-ec", &mend]).status().unwrap().success());
        for command in COMMANDS {
            let (code, stderr) = run(&host, command, &[]);
            assert_eq!(code, Some(0), "{command:?}: {stderr}");
        }
    }
}

/// Root pastes the hint into a shell, and another user has chosen the names in it.
#[test]
fn the_command_of_a_hint_is_one_command_whatever_names_are_in_it() {
    let host = host();
    let place = host.path("it's; touch planted #/a b");
    fs::create_dir_all(&place).unwrap();
    fs::rename(host.path("vm/secrets.yaml"), place.join("secrets.yaml")).unwrap();
    let there = place.parent().unwrap();
    own(there, OTHER, OTHER);
    let check = || {
        let mut credimg = host.credimg();
        credimg.arg("guest-unit").arg(place.join("secrets.yaml")).output().unwrap()
    };
    let refused = check();
    assert_eq!(refused.status.code(), Some(5));
    let said = stderr(&refused);
    let (_, mend) = said.split_once("let root alone change it: ").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-ec", mend]).current_dir(host.path("vm"));
    assert!(shell.status().unwrap().success(), "{mend}");
    assert!(!host.path("vm/planted").exists());
    let check = check();
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
}

/// The option names a pseudo file as the manifest does.
#[test]
fn pseudo_files_of_the_command_line_are_judged_as_well() {
    let host = host();
    fs::write(host.path("more.pf"), "/c d 700 0 0\n").unwrap();
    own(&host.path("more.pf"), OTHER, OTHER);
    let (code, stderr) = run(&host, COMMANDS[0], &["--pseudo-file", "../more.pf"]);
    assert_eq!(code, Some(5));
    let said = format!("{REFUSED} pseudo file ../more.pf: ");
    assert!(stderr.starts_with(&said), "{stderr}");
}

/// A directory in which everybody may add, and nobody exchange what others have: such as `/tmp`.
#[test]
fn sticky_directories_are_as_safe_as_what_lies_in_them() {
    let host = host();
    mode(&host.path(""), 0o1777);
    // The kernel agrees.
    assert!(!as_other(&host, "mv vm gone").status.success());
    assert_eq!(run(&host, COMMANDS[0], &[]).0, Some(0));
    own(&host.path("vm"), OTHER, OTHER);
    assert!(as_other(&host, "mv vm gone && mv gone vm").status.success());
    let (code, stderr) = run(&host, COMMANDS[0], &[]);
    assert_eq!(code, Some(5), "{stderr}");
}

/// Links on the way are followed as the kernel does, and each one's own directory counts.
#[test]
fn links_count_with_the_directories_in_which_they_lie() {
    let host = host();
    fs::create_dir(host.path("links")).unwrap();
    std::os::unix::fs::symlink("../vm", host.path("links/vm")).unwrap();
    let check = || {
        let mut credimg = host.credimg();
        said(&host, &credimg.args(["check", "links/vm/secrets.yaml"]).output().unwrap())
    };
    assert_eq!(check().0, Some(0));
    mode(&host.path("links"), 0o777);
    let (code, stderr) = check();
    let expected = format!(
        "{REFUSED} manifest links/vm/secrets.yaml: everybody can write to @/links\n\
         credimg: hint: {HINT} chmod go-w @/links\n"
    );
    assert_eq!((code, stderr), (Some(5), expected));
    mode(&host.path("links"), 0o755);
    // What it leads to counts too.
    mode(&host.path("vm"), 0o777);
    let (code, stderr) = check();
    assert_eq!(code, Some(5));
    assert!(stderr.contains("everybody can write to @/links/../vm\n"), "{stderr}");
    mode(&host.path("vm"), 0o755);
    std::os::unix::fs::lchown(host.path("links/vm"), Some(OTHER), None).unwrap();
    let (code, stderr) = check();
    assert_eq!(code, Some(5));
    assert!(stderr.contains(&format!("@/links/vm belongs to uid {OTHER}\n")), "{stderr}");
}

/// An access control list lets a user write whom the mode does not name; its mask is the
/// group's bits of the mode.
#[test]
fn access_control_lists_count_by_their_mask() {
    let host = host();
    let manifest = host.path("vm/secrets.yaml");
    own(&manifest, 0, OTHER + 1);
    let list = |mask: u16| {
        let mut list = 2u32.to_le_bytes().to_vec();
        for (tag, bits, id) in [
            (1u16, 6u16, u32::MAX),
            (2, 6, OTHER),
            (4, 0, u32::MAX),
            (16, mask, u32::MAX),
            (32, 0, u32::MAX),
        ] {
            list.extend([tag.to_le_bytes(), bits.to_le_bytes()].concat());
            list.extend(id.to_le_bytes());
        }
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&manifest, "system.posix_acl_access", &list, flags).unwrap();
    };
    for (mask, expected) in [(4, Some(0)), (6, Some(5))] {
        list(mask);
        let writes = as_other(&host, "echo '# hello' >>vm/secrets.yaml").status.success();
        assert_eq!(writes, mask == 6);
        let (code, stderr) = run(&host, COMMANDS[0], &[]);
        assert_eq!(code, expected, "{stderr}");
    }
}

/// Who has no right of root is bound by the files' own permissions: nothing is refused, and
/// nothing asked of the directories.
#[test]
fn users_without_rights_take_what_they_can_read() {
    let host = host();
    crate::support::host::copy_program(host.path("credimg"));
    mode(&host.path("credimg"), 0o755);
    mode(&host.path("vm"), 0o777);
    mode(&host.path("vm/secrets.yaml"), 0o666);
    let build = |rights: &str| {
        let id = OTHER.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
        command.args(["--inh-caps", rights, "--ambient-caps", rights]);
        command.arg(host.path("credimg")).args(["build", "secrets.yaml", "-o", "out.erofs"]);
        command.args(["--quiet", "--args=none"]).current_dir(host.path("vm"));
        said(&host, &command.output().unwrap())
    };
    assert_eq!(build("-all"), (Some(0), String::new()));
    // A right of root makes root of the caller, as far as files go.
    for rights in ["-all,+dac_override", "-all,+dac_read_search"] {
        let (code, stderr) = build(rights);
        assert_eq!(code, Some(5), "{rights}: {stderr}");
    }
    assert_eq!(build("-all,+net_admin"), (Some(0), String::new()));
}

/// Standard input is what the caller gives.
#[test]
fn a_manifest_on_standard_input_is_the_callers_own() {
    let host = host();
    mode(&host.path("vm"), 0o777);
    fs::write(host.path("given.yaml"), "files: [{path: /a, text: x}]\n").unwrap();
    let mut credimg = host.credimg();
    credimg.current_dir(host.path("vm")).args(["build", "-", "-o", "out.erofs"]);
    credimg.stdin(fs::File::open(host.path("given.yaml")).unwrap());
    let output = credimg.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("-drive "));
}
