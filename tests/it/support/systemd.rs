//! The systemd guest: a service that imports its credentials reports which it sees, by
//! nothing but what the program printed.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::cache;

const PROBE: &str = include_str!("../boots/systemd_guest/probe");
const SERVICE: &str = include_str!("../boots/systemd_guest/probe.service");

/// A manifest, and where its secrets can be read from in the guest besides the
/// service's own directory.
pub(crate) struct Case {
    pub(crate) image: &'static str,
    /// What stands in the manifest before the credentials.
    pub(crate) head: &'static str,
    pub(crate) options: &'static [&'static str],
    /// What scripts/guest-systemd emulates.
    pub(crate) machine: &'static str,
    /// The channels that this machine, or this way to start it, lacks.
    pub(crate) without: &'static [&'static str],
    /// What gives the guest the arguments.
    pub(crate) way: Way,
    pub(crate) places: &'static [&'static str],
}

/// What gives the guest what is printed.
#[cfg_attr(not(feature = "long"), expect(dead_code, reason = "long tests have some of these"))]
pub(crate) enum Way {
    /// The monitor's command line.
    Arguments,
    /// A file for `-readconfig`; the guest has the units of `guest-unit` besides.
    Units,
    /// The monitor's command line and the kernel's.
    KernelLine,
    /// systemd-vmspawn, which makes an image of its own of the manifest, `guest.sh` says how.
    Vmspawn,
    /// libvirt's daemon, which the elements of a domain are given to, and the key in this file.
    Libvirt(&'static str),
}

impl Case {
    /// The credentials that can go to this guest.
    fn credentials(&self) -> Vec<(&'static str, &'static str, Vec<u8>)> {
        let mut credentials = credentials().to_vec();
        credentials.retain(|(_, channel, _)| !self.without.contains(channel));
        credentials
    }
}

/// Name, channel and content of each credential; NUL cannot be in an OEM string.
fn credentials() -> [(&'static str, &'static str, Vec<u8>); 5] {
    let every_byte: Vec<u8> = (0..=255).collect();
    [
        // By OEM string, and too large for one.
        ("api.auto", "auto", b"demo-token\n".to_vec()),
        ("api.bytes", "auto", every_byte.repeat(300)),
        ("api.disk", "disk", b"on the disk,\n\n".to_vec()),
        ("api.firmware", "fw_cfg", [&every_byte[..], b",\n\n"].concat()),
        ("api.oem", "smbios", b"a,b,,c = d: \"e\"\n\n".to_vec()),
    ]
}

/// Boots the guest of this case, which must see all that it is given and nothing else.
pub(crate) fn boot(case: &Case) {
    boot_with(case, |_| String::new());
}

/// Boots it with what `add` adds to the files of the guest, and with the arguments for QEMU
/// that `add` returns besides.
pub(crate) fn boot_with(case: &Case, add: impl FnOnce(&Path) -> String) {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    write_tree(&tree, case.places);
    let added = add(&tree);
    let mut arguments = build(scratch.path(), case);
    let mut kernel_line = String::new();
    match case.way {
        Way::Arguments | Way::Libvirt(_) | Way::Vmspawn => {}
        Way::Units => {
            fs::write(scratch.path().join("disk.cfg"), &arguments).unwrap();
            "-readconfig disk.cfg".clone_into(&mut arguments);
            write_units(&tree, scratch.path());
        }
        Way::KernelLine => kernel_line = kernel_arguments(scratch.path()),
    }
    arguments.push(' ');
    arguments.push_str(&added);

    let machine = [("GUEST_MACHINE", case.machine), ("GUEST_KERNEL_LINE", &kernel_line)];
    let guest = match case.way {
        Way::Libvirt(key) => domain(scratch.path(), &tree, case.image, key),
        Way::Vmspawn => vmspawn(scratch.path(), &tree),
        Way::Arguments | Way::Units | Way::KernelLine => {
            guest(scratch.path(), &tree, &arguments, &machine)
        }
    };

    let stdout = String::from_utf8_lossy(&guest.stdout);
    let stderr = String::from_utf8_lossy(&guest.stderr);
    assert_eq!(stdout, expected_report(case), "{}\n{stderr}", guest.status);
    assert!(guest.status.success(), "{}\n{stderr}", guest.status);
}

/// Boots the guest with `tree` laid over its root and these arguments, quoted for the shell.
pub(crate) fn guest(
    scratch: &Path,
    tree: &Path,
    arguments: &str,
    variables: &[(&str, &str)],
) -> Output {
    Command::new("sh")
        .args(["-c", r#"eval "exec \"\$0\" \"\$1\" -- $2""#])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-systemd"))
        .arg(tree)
        .arg(arguments)
        .envs(variables.iter().copied())
        .current_dir(scratch)
        .output()
        .unwrap()
}

/// Boots the guest as a domain of libvirt's daemon, which starts a QEMU with `image`.
fn domain(scratch: &Path, tree: &Path, image: &str, key: &str) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let libvirt = cache().join("libvirt");
    assert!(libvirt.exists(), "libvirt's packages are missing: run `make setup`");
    // `as-domain` beside it stands for QEMU.
    Command::new("unshare")
        .arg("--mount")
        .arg(root.join("tests/it/long/libvirt/guest.sh"))
        .arg(libvirt.canonicalize().unwrap())
        .arg(env!("CARGO_BIN_EXE_credimg"))
        .arg(tree)
        .args([image, key])
        .current_dir(scratch)
        .output()
        .unwrap()
}

/// Boots the guest by systemd-vmspawn.
fn vmspawn(scratch: &Path, tree: &Path) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vmspawn = cache().join("vmspawn");
    assert!(vmspawn.exists(), "systemd-vmspawn is missing: run `scripts/setup-tools long`");
    // `as-vmspawn` beside it stands for QEMU.
    Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child"])
        .arg(root.join("tests/it/long/vmspawn/guest.sh"))
        .arg(vmspawn.canonicalize().unwrap())
        .arg(env!("CARGO_BIN_EXE_credimg"))
        .arg(tree)
        .current_dir(scratch)
        .output()
        .unwrap()
}

/// The words that the report of the build has for the guest's kernel.
fn kernel_arguments(scratch: &Path) -> String {
    let report: Value = serde_json::from_slice(&fs::read(scratch.join("report")).unwrap()).unwrap();
    let words = report.get("kernel_arguments").and_then(Value::as_array).unwrap();
    let words: Vec<_> = words.iter().map(|word| word.as_str().unwrap()).collect();
    assert!(!words.is_empty(), "{report}");
    words.join(" ")
}

/// What the probe of this case prints when all is well.
fn expected_report(case: &Case) -> String {
    let credentials = case.credentials();
    report(case.places, credentials.iter().map(|(name, _, content)| (*name, &**content)))
}

/// What the probe prints when all is well: root reads every place, so that each is
/// there and a refusal is one.
pub(crate) fn report<'a>(
    places: &[&str],
    credentials: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> String {
    let mut report = String::new();
    for place in places {
        writeln!(report, "root reads {place}").unwrap();
    }
    for (name, content) in credentials {
        writeln!(report, "credential {name} {}", digest(content)).unwrap();
    }
    for place in places {
        writeln!(report, "service is refused {place}").unwrap();
    }
    report
}

/// The service of the test, which the guest knows nothing of, and its start at boot.
pub(crate) fn write_tree(tree: &Path, places: &[&str]) {
    write_service(tree, "probe", SERVICE, PROBE, ("places", places));
}

/// A service of this name with its program, its start at boot, and a list that the program reads.
pub(crate) fn write_service(
    tree: &Path,
    name: &str,
    service: &str,
    program: &str,
    (list, lines): (&str, &[&str]),
) {
    let units = tree.join("etc/systemd/system");
    let unit = format!("{name}.service");
    fs::create_dir_all(units.join("multi-user.target.wants")).unwrap();
    fs::write(units.join(&unit), service).unwrap();
    let start = units.join("multi-user.target.wants").join(&unit);
    symlink(Path::new("..").join(&unit), start).unwrap();
    let programs = tree.join("usr/local/bin");
    fs::create_dir_all(&programs).unwrap();
    fs::write(programs.join(name), program).unwrap();
    fs::set_permissions(programs.join(name), PermissionsExt::from_mode(0o755)).unwrap();
    fs::create_dir_all(tree.join("usr/local/share")).unwrap();
    fs::write(tree.join("usr/local/share").join(list), lines.join("\n") + "\n").unwrap();
}

/// Installs what `guest-unit` prints, each part behind a comment with its path, for the
/// service of the test.
fn write_units(tree: &Path, scratch: &Path) {
    let units = Command::new(env!("CARGO_BIN_EXE_credimg"))
        .args(["guest-unit", "secrets.yaml"])
        .current_dir(scratch)
        .output()
        .unwrap();
    assert!(units.status.success(), "{}", String::from_utf8_lossy(&units.stderr));
    let text = String::from_utf8(units.stdout).unwrap();
    for part in text.split("# /").skip(1) {
        let (path, content) = part.split_once('\n').unwrap();
        let path = tree.join(path.replace("SERVICE", "probe"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Builds the image and what goes beside it; returns the printed arguments, which are
/// quoted for the shell.
fn build(scratch: &Path, case: &Case) -> String {
    let mut manifest = format!("{}credentials:\n", case.head);
    fs::write(scratch.join("passphrase"), "correct horse battery staple").unwrap();
    fs::set_permissions(scratch.join("passphrase"), PermissionsExt::from_mode(0o600)).unwrap();
    for (name, channel, content) in case.credentials() {
        fs::write(scratch.join(name), content).unwrap();
        writeln!(manifest, "- {{name: {name}, file: {name}, via: {channel}}}").unwrap();
    }
    fs::write(scratch.join("secrets.yaml"), manifest).unwrap();
    credimg(scratch, case.image, case.options)
}

/// Builds `image` of the manifest in `scratch`; returns what is printed.
pub(crate) fn credimg(scratch: &Path, image: &str, options: &[&str]) -> String {
    let build = Command::new(env!("CARGO_BIN_EXE_credimg"))
        .args(["build", "secrets.yaml", "-o", image, "--quiet", "--json=report"])
        .args(options)
        .current_dir(scratch)
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    String::from_utf8(build.stdout).unwrap().trim_end().to_owned()
}

/// The OEM strings in a raw structure.
pub(crate) fn oem_strings(structure: &[u8]) -> Vec<String> {
    let text = String::from_utf8(structure[5..].to_vec()).unwrap();
    let strings = text.split_terminator('\0').filter(|text| !text.is_empty());
    strings.map(str::to_owned).collect()
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
