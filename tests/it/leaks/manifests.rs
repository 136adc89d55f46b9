//! A secret in every place of a manifest: each key and each value, in many forms.

use std::ops::Range;

use serde_yaml::{Event, Parser, ScalarStyle};

use crate::leaks::canary::{BESIDE, SCALAR};
use crate::leaks::case::{Case, Place, forms};

/// Manifests that build, which have every key between them. A secret of their own stands in
/// each, to show where something else is broken.
const MANIFESTS: &[&str] = &[
    "label: CHIMERA\nformat: erofs\ndefaults: {owner: \"0:0\", mode: \"0400\", dir_mode: \"0500\", \
     mtime: 5, xattrs: {security.selinux: \"system_u\"}}\nfiles:\n  - {path: /a/key, file: \
     keys/host}\n  - path: /t\n    text: BESIDE\n    mtime: 2024-02-29T12:00:00Z\n    owner: \
     \"990:990\"\n    mode: \"0440\"\n",
    "files:\n  - path: /tls\n    dir: tls\n    mode: keep\n    owner: keep\n    links: follow\n    \
     dir_mode: keep\n    xattrs_recursive: true\n    xattrs: {user.k: BESIDE, user.b: {base64: \
     AAEC}}\n  - {path: /box, tar: box.tar, xattrs: none}\n  - {path: /current, symlink: tls/BESIDE}\n",
    "files:\n  - path: /raw\n    base64: QUJD\n  - path: /env\n    env: CI_TOKEN\n    trim: true\n  \
     - {path: /t, text: \"BESIDE\"}\n",
    "files:\n  - path: /c\n    command: [./probe, BESIDE]\n    trim: true\n",
    "files:\n  - path: /s\n    shell: \"./probe BESIDE\"\n",
    "files:\n  - {path: /bad, command: [./probe, fail, BESIDE]}\n  - {path: /bad2, text: BESIDE}\n",
    "format: squashfs\ncompression: gzip:6\nfiles: [{path: /t, text: 'BESIDE'}]\npseudo:\n  - \
     \"/p f 400 0 0 ./probe BESIDE\"\npseudo_files: [extra.pf]\n",
    "format: iso9660\njoliet: true\nlabel: cidata\nfiles:\n  - {path: /user-data, text: \
     \"#cloud-config\\npassword: BESIDE\\n\"}\n  - {path: /meta-data, text: \"instance-id: x\"}\n",
    "label: CHIMERA\ncredentials:\n  - name: api.token\n    text: BESIDE\n    via: disk\n  - name: \
     tls.key\n    file: keys/host\n    trim: false\n    via: auto\n  - {name: x, via: fw_cfg, \
     base64: QUJD}\n  - {name: y, via: smbios, env: CI_TOKEN}\nfw_cfg:\n  - name: \
     opt/org.example/a\n    text: BESIDE\nmount:\n  path: /run/secrets\n  options: nofail\n",
    "label: CHIMERA\nencrypt: {luks: 2, key: luks.key, sector_size: 512}\nfiles: [{path: /a, text: \
     BESIDE}]\nmount: /run/secrets\n",
];

/// Keys of which the value is a name that people see.
const NAMES: &[&str] =
    &["label", "path", "file", "dir", "tar", "name", "mount", "options", "pseudo_files", "key"];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, manifest) in MANIFESTS.iter().enumerate() {
        let manifest = manifest.replace("BESIDE", BESIDE);
        for scalar in scalars(&manifest) {
            let word = manifest.get(scalar.range.clone()).unwrap();
            for form in forms(word, SCALAR) {
                let Range { start, end } = scalar.range;
                let (before, behind) = (manifest.get(..start), manifest.get(end..));
                let broken =
                    [before.unwrap().as_bytes(), &form, behind.unwrap().as_bytes()].concat();
                let kind = number + cases.len();
                for arguments in [&["check", "m.yaml"][..], build(kind)] {
                    let what = format!("{}", String::from_utf8_lossy(&broken));
                    let case = Case::new("manifest", &what, arguments);
                    cases.push(case.file("m.yaml", broken.clone()).at(scalar.place));
                }
            }
        }
    }
    cases
}

/// What the shell does to a machine on which a build then fails, often late.
const BREAKS: &[&str] = &[
    ":",
    "ulimit -f 0",
    "ulimit -f 1",
    "ulimit -n 4",
    "ulimit -n 7",
    "ulimit -u 1",
    "ulimit -v 40000",
    "ulimit -l 0",
    "exec >&-",
    "exec 2>&-",
    "exec <&-",
    "exec >/dev/full",
    "exec 2>/dev/full",
    "exec > >(exec >&-)",
    "umask 777",
    "rmdir out",
    "rmdir out; ln -s /proc out",
    "rmdir out; echo x >out",
    "mkdir out/i.erofs out/i.sqfs out/r.json out/i.d",
    "mkfifo out/i.erofs out/i.sqfs",
    "ln -s /nowhere out/i.erofs; ln -s /nowhere out/i.sqfs",
    "echo old >out/i.erofs; echo old >out/i.sqfs",
    "export TMPDIR=/nowhere SOURCE_DATE_EPOCH=x",
    "export NO_COLOR=1 RUST_BACKTRACE=full RUST_LOG=trace CLICOLOR_FORCE=1",
    "unset CI_TOKEN",
    "export CI_TOKEN=$'\\xff'$CI_TOKEN",
    "export PATH=/nowhere",
];

/// Whole manifests on machines where something is broken.
pub(crate) fn broken_machines() -> Vec<Case> {
    let mut cases = Vec::new();
    for manifest in MANIFESTS {
        let manifest = manifest.replace("BESIDE", BESIDE);
        for before in BREAKS {
            for turn in 0..8 {
                let mut case = Case::new("machine", &manifest, build(turn));
                if turn == 7 {
                    case = case.stdin(manifest.clone());
                }
                case.before = Some(before);
                cases.push(case.file("m.yaml", manifest.clone()));
            }
        }
    }
    cases
}

/// The commands that read a manifest, in turn.
fn build(turn: usize) -> &'static [&'static str] {
    const BUILDS: [&[&str]; 8] = [
        &["build", "m.yaml", "-o", "out/i.erofs", "--json=out/r.json", "--depfile", "out/i.d"],
        &["build", "m.yaml", "-o", "out/i.iso", "--lossy", "--json"],
        &["build", "m.yaml", "-o", "out/i.sqfs", "--target", "libvirt", "--if-changed"],
        &["build", "m.yaml", "-o", "-", "--format=erofs"],
        &["exec", "m.yaml", "--", "./monitor"],
        &["seal", "m.yaml", "-o", "out/i.age", "--key-out", "out/age.key", "--json"],
        &["guest-unit", "m.yaml"],
        &["build", "-", "-o", "out/i.erofs"],
    ];
    BUILDS.get(turn % BUILDS.len()).unwrap()
}

/// A scalar of a manifest: where it stands, and what it is to people.
struct Scalar {
    range: Range<usize>,
    place: Place,
}

/// The scalars of the manifest, keys included, whose values are names where their key says so.
fn scalars(manifest: &str) -> Vec<Scalar> {
    let mut scalars = Vec::new();
    let mut key = String::new();
    for event in Parser::new_from_str(manifest) {
        let (event, span) = event.unwrap();
        let Event::Scalar(text, style, ..) = event else { continue };
        assert!(!matches!(style, ScalarStyle::Literal | ScalarStyle::Folded), "{text}");
        let range = span.start.index()..span.end.index();
        let is_key = manifest.get(range.end..).unwrap().starts_with(": ")
            || manifest.get(range.end..).unwrap().starts_with(":\n");
        let is_name = !is_key && NAMES.contains(&&*key);
        // The first word of a command is its program, which messages name.
        let is_program = key == "command" && text.starts_with("./");
        let place = match &*key {
            "pseudo" if !is_key => Place::Definition,
            _ if is_name || is_program => Place::Name,
            _ => Place::Secret,
        };
        scalars.push(Scalar { range, place });
        if is_key {
            key = text.into_owned();
        }
    }
    scalars
}
