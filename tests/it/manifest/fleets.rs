//! Fleets: what each machine gets of a manifest, and how one is taken of it.
//!
//! Beside each fleet of testdata stands what its machines get.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use credimg::commands::check::table;
use credimg::manifest::{At, Fleet, Keep, KeySource, Loaded, Manifest, Pseudo, Source, parse_any};
use credimg::sources::pseudo;
use credimg_formats::Mode;

use super::{inline, manifests};
use crate::support::host::Host;

fn fleet(text: &[u8], path: &Path) -> Box<Fleet> {
    match parse_any(text, path) {
        Ok(Loaded::Many(fleet)) => fleet,
        Ok(Loaded::One(_)) => panic!("no fleet"),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn each_machine_gets_what_it_is_granted() {
    let fleets = manifests("fleets");
    assert_eq!(fleets.len(), 2, "fleets");
    for (path, text) in fleets {
        let fleet = fleet(&text, &path);
        let mut found = String::new();
        for (index, machine) in fleet.machines().iter().enumerate() {
            let manifest = fleet.manifest_of(index).unwrap();
            // Files of definitions are not there.
            let pseudo = Pseudo { files: Vec::new(), ..manifest.pseudo };
            let manifest = Manifest { pseudo, ..manifest };
            let label = &manifest.label.as_ref().unwrap().text;
            let definitions = pseudo::load(&manifest).unwrap();
            let table = table(&manifest, &definitions);
            writeln!(found, "{} {label}\n{table}", machine.name).unwrap();
        }
        let expected = fs::read_to_string(path.with_extension("tables")).unwrap();
        assert_eq!(found, expected, "{}", path.display());
    }
}

#[test]
fn placeholders_stand_for_the_machine() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/manifests/fleets/placeholders.yaml");
    let fleet = fleet(&fs::read(path).unwrap(), Path::new("conf/fleet.yaml"));
    let medusa = fleet.find("medusa").unwrap();
    let machine = &fleet.machines()[medusa];
    let text = |it: &Option<At<String>>| it.as_ref().unwrap().value.clone();
    assert_eq!(
        (text(&machine.owner), text(&machine.reader)),
        ("medusa-runner".into(), "991".into())
    );
    assert_eq!(text(&machine.target), "libvirt");
    let output = fleet.output().unwrap().of(machine).unwrap();
    assert_eq!(output, Path::new("conf/images/medusa-991.img"));
    let plan = fleet.manifest_of(medusa).unwrap();
    assert_eq!(plan.label.as_ref().unwrap().text, "MEDUSA_VM-991");
    assert_eq!(plan.mount.as_ref().unwrap().as_str(), "/run/medusa");
    let key = plan.encrypt.as_ref().unwrap().key.clone();
    assert_eq!(key, Some(KeySource::File("conf/keys/medusa".into())));
    let entries = &plan.entries;
    assert_eq!(entries[0].path.to_string(), "/a/b/medusa");
    let Source::File(host) = &entries[0].source else { panic!("{:?}", entries[0].source) };
    assert_eq!(host, Path::new("conf/keys/medusa/{x}"));
    let attributes = &entries[0].attributes;
    assert_eq!(attributes.owner, Keep::Set((991, 0)));
    assert_eq!(attributes.mode, Keep::Set(Mode::of::<0o440>()));
    // What stands in the place of a placeholder is no placeholder.
    assert_eq!(inline(&entries[1]), b"{medusa} {machine}");
    let xattrs = &entries[1].attributes.xattrs;
    assert_eq!(xattrs[&b"user.a"[..]].expose(), b"medusa");
    assert_eq!(xattrs[&b"user.b"[..]].expose(), [0, 1, 2]);
    let Source::Command { argv, .. } = &entries[2].source else { panic!() };
    assert_eq!(argv, &["pass", "medusa", "{}", "991"]);
    let Source::Command { argv, .. } = &entries[3].source else { panic!() };
    assert_eq!(argv[2], "echo ${HOME} {machine} {");
    assert_eq!(entries[4].source.variable().unwrap(), "KEY_991");
    let Source::Symlink(target) = &entries[5].source else { panic!() };
    assert_eq!(target, b"a/b/medusa");
    assert_eq!(plan.credentials[0].name, "medusa.key");
    assert_eq!(plan.fw_cfg[0].name, "opt/medusa");
    let definitions = |plan: &Manifest| -> Vec<Vec<u8>> {
        plan.pseudo.definitions.iter().map(|it| it.text.expose().to_vec()).collect()
    };
    let expected = [&b"/pseudo/medusa d 700 0 0"[..], b"/awk f 400 0 0 awk '{print}'"];
    assert_eq!(definitions(&plan), expected);
    assert_eq!(plan.pseudo.files.len(), 0);

    let plan = fleet.manifest_of(fleet.find("runner-of-chimera-07").unwrap()).unwrap();
    assert_eq!(plan.label.as_ref().unwrap().text, "other");
    let expected =
        [&b"/pseudo/runner-of-chimera-07 d 700 0 0"[..], b"/host l keys/runner-of-chimera-07"];
    assert_eq!(definitions(&plan), expected);
    assert!(plan.pseudo.definitions[1].granted.unwrap().is_shared);
    assert_eq!(plan.pseudo.files[0].path, Path::new("conf/runner-of-chimera-07.pf"));
}

#[test]
fn the_option_machine_takes_one_of_a_fleet() {
    let host = Host::empty();
    host.write(
        "fleet.yaml",
        "machines: {medusa: {vars: {uid: 991}}, runner-of-chimera-07: }\n\
         files:\n\
         - {path: /name, to: all, shell: 'echo $CREDIMG_MACHINE ${CREDIMG_VAR_UID-none} ${CREDIMG_VAR_X-none}'}\n",
    );
    let name = |machine: &str| {
        let run = host
            .credimg()
            .args(["build", "fleet.yaml", "-o", "a.erofs", "--args", "none", "--machine", machine])
            .env("CREDIMG_VAR_UID", "1000")
            .env("CREDIMG_VAR_X", "of the caller")
            .env("CREDIMG_MACHINE", "the caller")
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let shown = host.credimg().args(["cat", "a.erofs", "/name"]).output().unwrap();
        (String::from_utf8(run.stderr).unwrap(), String::from_utf8(shown.stdout).unwrap())
    };
    let (said, content) = name("medusa");
    assert_eq!(content, "medusa 991 none\n");
    assert!(said.contains("label MEDUSA"), "{said}");
    let (said, content) = name("runner-of-chimera-07");
    assert_eq!(content, "runner-of-chimera-07 none none\n");
    // EROFS holds 15 bytes of a label.
    assert!(said.contains("label RUNNER-OF-CHIME,"), "{said}");
    // Nobody asked for the label that SquashFS has no room for.
    let arguments = ["build", "fleet.yaml", "-o", "a.squashfs", "--machine", "medusa"];
    let said = host.credimg().args(arguments).output().unwrap().stderr;
    assert!(!String::from_utf8(said).unwrap().contains("has no label"));
}

#[test]
fn the_option_machine_says_what_it_wants() {
    let host = Host::empty();
    host.write(
        "fleet.yaml",
        "machines: {medusa: , virt: }\nfiles: [{path: /a, to: all, text: x, shared: true}]\n",
    );
    host.write("one.yaml", "label: A\nfiles: [{path: /a, text: x}]\n");
    for (words, code, expected) in [
        (&["check", "fleet.yaml"][..], 3, "fleet.yaml: this manifest is of 2 machines"),
        (&["check", "fleet.yaml", "--machine", "madusa"], 2, "did you mean medusa?"),
        (&["check", "fleet.yaml", "--machine", "a/b"], 2, "--machine"),
        (&["check", "one.yaml", "--machine", "medusa"], 2, "--machine: expected"),
        (
            &["check", "one.yaml", "--machine", "virt", "--machine-type", "q35"],
            2,
            "--machine and --machine-type name two machine types",
        ),
        (&["guest-unit", "one.yaml", "--machine", "virt"], 2, "one.yaml is of one machine"),
        (&["args", "one.yaml", "--machine", "medusa"], 8, ""),
        (&["check", "one.yaml", "--machine", "virt"], 0, ""),
        (&["check", "one.yaml", "--machine-type", "virt"], 0, ""),
        (&["check", "fleet.yaml", "--machine", "virt", "--machine-type", "q35"], 0, ""),
        (&["guest-unit", "fleet.yaml", "--machine", "virt"], 0, ""),
    ] {
        let run = host.credimg().args(words).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(expected), "{words:?}: {said}");
    }
}
