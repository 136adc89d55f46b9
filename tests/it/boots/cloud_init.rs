//! A real cloud-init, Debian's package, in a real guest: it takes the seed of
//! docs/examples/debian-cloud-image from a disk, with and without Joliet, and does what it says; a seed
//! without meta-data, which the program refuses to build, it passes over.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The guest's side of the test: functions that the generated lines call.
const CHECKS: &str =
    concat!(include_str!("../support/checks.sh"), include_str!("cloud_init/checks.sh"));
/// Checks of two seeds and of one disk that is none.
const CHECKS_COUNT: usize = 2 * 7 + 3;

#[test]
fn cloud_init_takes_the_sample_seed_and_no_seed_without_meta_data() {
    let scratch = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sample = root.join("docs/examples/debian-cloud-image/seed.yaml");
    let (plain, joliet) = (scratch.path().join("plain.iso"), scratch.path().join("joliet.iso"));
    let drives = [
        arguments(&credimg(&["--serial", "plain"], &sample, &plain)),
        arguments(&credimg(&["--serial", "joliet", "--joliet", "--place", "2"], &sample, &joliet)),
        broken_seed(scratch.path()),
        cloud_init(scratch.path()),
    ];

    let user_data =
        fs::read_to_string(root.join("docs/examples/debian-cloud-image/user-data")).unwrap();
    let payload = scratch.path().join("payload");
    let calls = format!(
        "cat >/user-data <<'END'\n{user_data}END\n\
         disks plain joliet broken\nseed plain\nseed joliet\nno_seed broken\nfinish\n"
    );
    fs::write(&payload, [CHECKS, &calls].concat()).unwrap();
    let guest = Command::new("sh")
        .args(["-c", r#"eval "exec \"\$0\" \"\$1\" -- $2""#])
        .arg(root.join("scripts/guest-boot"))
        .arg(&payload)
        .arg(drives.join(" "))
        .output()
        .unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&guest.stdout), String::from_utf8_lossy(&guest.stderr));
    assert!(guest.status.success(), "{}\n{stdout}\n{stderr}", guest.status);
    assert_eq!(stdout, format!("{CHECKS_COUNT} checks, 0 failures\n"), "{stderr}");
}

/// A seed that no guest takes: the program refuses it, so another one writes it.
fn broken_seed(scratch: &Path) -> String {
    let manifest = scratch.join("broken.yaml");
    fs::write(&manifest, "label: cidata\nfiles: [{path: /user-data, text: '#cloud-config'}]\n")
        .unwrap();
    let image = scratch.join("broken.iso");
    let refused = credimg(&[], &manifest, &image);
    assert_eq!(refused.status.code(), Some(3));
    assert_eq!(
        String::from_utf8_lossy(&refused.stderr),
        "credimg: error: a volume with the label cidata is a cloud-init seed: \
         this one lacks /meta-data\n\
         credimg: hint: guests pass over it in silence: add /meta-data, or change the label\n"
    );
    let tree = scratch.join("broken");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("user-data"), "#cloud-config").unwrap();
    let mut genisoimage = Command::new("genisoimage");
    genisoimage.args(["-quiet", "-R", "-V", "cidata", "-o"]).arg(&image).arg(&tree);
    let made = genisoimage.status().expect("genisoimage starts; `make setup` installs it");
    assert!(made.success(), "{made}");
    arguments(&credimg_args(&image))
}

/// The disk of cloud-init and all that it needs, as `scripts/setup-tools` unpacked it.
fn cloud_init(scratch: &Path) -> String {
    let tree = crate::support::cache().join("cloud-init").canonicalize();
    let tree = tree.expect("cloud-init is unpacked; `make setup` does that");
    let tree = serde_json::to_string(&tree).unwrap();
    let manifest = scratch.join("tools.yaml");
    let keep = "mode: keep, dir_mode: keep, owner: keep, mtime: keep";
    let text = format!("label: TOOLS\nfiles: [{{path: /, dir: {tree}, {keep}}}]\n");
    fs::write(&manifest, text).unwrap();
    arguments(&credimg(&["--place", "4"], &manifest, &scratch.join("tools.erofs")))
}

fn credimg(options: &[&str], manifest: &Path, image: &Path) -> Output {
    let mut credimg = Command::new(env!("CARGO_BIN_EXE_credimg"));
    // The checkout with the sample may be another user's, and the tests run as root.
    credimg.args(["build", "--trust"]).arg(manifest).arg("-o").arg(image);
    credimg.args(options).output().unwrap()
}

fn credimg_args(image: &Path) -> Output {
    let mut credimg = Command::new(env!("CARGO_BIN_EXE_credimg"));
    credimg.arg("args").arg(image).args(["--serial", "broken", "--place", "3"]).output().unwrap()
}

/// The arguments that the program printed.
fn arguments(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap().trim_end().to_owned()
}
