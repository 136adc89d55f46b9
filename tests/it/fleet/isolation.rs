//! Sources, keys and outputs that two machines of a fleet must not have: `testdata/manifests/leaking/`
//! has a manifest a fault. Each begins with what is expected of it, as the bad manifests do, and with
//! the options that it wants.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::host::{Host, stderr, stdout};

/// A host with everything that the manifests name.
fn host() -> Host {
    let host = Host::empty();
    for key in ["one", "chimera-01", "chimera-02", "medusa"] {
        host.write(format!("keys/{key}"), key);
    }
    for file in ["hosts/chimera-01/key", "hosts/chimera-02/key", "hosts/medusa/key", "tree/file"] {
        host.write(file, file);
    }
    host.write("tree.tar", "an archive, which nobody opens");
    host.write("extra.pf", "/x d 500 0 0\n");
    fs::hard_link(host.path("keys/one"), host.path("keys/hard")).unwrap();
    fs::create_dir(host.path("links")).unwrap();
    symlink("../keys/one", host.path("links/to-one")).unwrap();
    symlink("../keys", host.path("links/keys")).unwrap();
    host
}

/// The header lines that begin with `begin`, without it.
fn header<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    let lines = text.lines().take_while(|line| line.starts_with('#'));
    lines.filter_map(|line| line.strip_prefix(begin)).collect()
}

/// The manifests with their names, in order.
fn manifests() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/manifests/leaking");
    let named = fs::read_dir(directory).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    let mut named: Vec<_> = named.collect();
    named.sort();
    named
}

#[test]
fn what_would_leak_is_told_with_both_places() {
    let host = host();
    let manifests = manifests();
    assert_eq!(manifests.len(), 33);
    let mut faults = Vec::new();
    for (name, text) in manifests {
        host.write(&name, &text);
        let options = header(&text, "# options: ").join(" ");
        let found = host.run(format!("fleet check {name} {options}").trim());
        let expected: String = header(&text, "# expect: ")
            .into_iter()
            .map(|line| format!("credimg: error: {line}\n"))
            .chain(header(&text, "# hint: ").iter().map(|line| format!("credimg: hint: {line}\n")))
            .collect();
        let top = host.path("").canonicalize().unwrap();
        let told = stderr(&found).replace(top.to_str().unwrap(), "HOST");
        let code = if expected.contains(" --output: ") { 2 } else { 3 };
        if told != expected || found.status.code() != Some(code) || !found.stdout.is_empty() {
            faults.push(format!("{name}: {:?}\n got {told}want {expected}", found.status.code()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Who builds a single machine is told, too, that another one would get what it must not have.
/// Nothing is read, run or written before.
#[test]
fn no_machine_is_built_of_a_fleet_that_would_leak() {
    let host = host();
    for (name, text) in manifests() {
        host.write(&name, &text);
        if text.contains("# options: ") {
            continue;
        }
        let checked = host.run(&format!("fleet check {name}"));
        for command in [
            format!("build {name} --machine medusa -o out.erofs"),
            format!("check {name} --machine medusa"),
            format!("exec {name} --machine medusa -- true"),
        ] {
            let found = host.run(&command);
            let told = (found.status.code(), stderr(&found), &*found.stdout);
            assert_eq!(told, (Some(3), stderr(&checked), &b""[..]), "{command}");
        }
    }
    assert!(!host.path("out.erofs").exists());
}

/// Entries with `shared: true`, or of a single machine, are no errors.
#[test]
fn what_is_shared_on_purpose_is_shown_as_such() {
    let host = host();
    host.write(
        "fleet.yaml",
        "machines: {'chimera-[01-02]': {}, medusa: {}}
output: 'out/{machine}'
files:
  - {path: /key, to: all, file: 'keys/{machine}'}
  - {path: /one, to: all, file: keys/one, shared: true}
  - {path: /hard, to: medusa, file: keys/hard, shared: true}
  - {path: /link, symlink: key}
  - {path: /tree, to: 'chimera-*', dir: tree, shared: true}
  - {path: /empty, to: all, text: ''}
  - {path: /script, to: all, shell: 'pass show \"$CREDIMG_MACHINE\"'}
credentials:
  - {name: api.token, to: medusa, file: tree/file, shared: true}
  - {name: other.token, to: medusa, env: TOKEN}
pseudo:
  - /null c 444 0 0 1 3
  - {definition: '/id f 400 0 0 cat id', to: chimera-01}
",
    );
    let found = host.run("fleet check fleet.yaml");
    let expected = "\
SECRET                  chimera-01  chimera-02  medusa
/key                    own         own         own
/one                    shared      shared      shared
/hard                   -           -           shared
/tree                   shared      shared      -
/empty                  own         own         own
/script                 own         own         own
credential api.token    -           -           shared
credential other.token  -           -           own
pseudo pseudo[1]        own         -           -

3 machines, 9 secrets, 4 shared
";
    assert_eq!(stdout(&found), expected, "{}", stderr(&found));
}

/// Runs that would replace what is another machine's: the manifest, options, exit code and message.
const REPLACING: &[(&str, &str, i32, &str)] = &[
    (
        "text",
        "--depfile out-{machine}.d",
        2,
        "the dependency file of a would replace the image of a.d",
    ),
    ("text", "--json=out-a.d --only a", 2, "the report would replace the image of a.d"),
    (
        "text",
        "--json=./out-a.d.smbios --only a",
        2,
        "the report has the name of a file beside the image of a.d",
    ),
    (
        "text",
        "--json=x-a --depfile x-{machine}",
        2,
        "the report would replace the dependency file of a",
    ),
    (
        "file",
        "--depfile keys/{machine}.d --only a",
        3,
        "the dependency file of a would replace a source of a.d",
    ),
    ("file", "--json=keys/a.d --only a", 3, "the report would replace a source of a.d"),
    (
        "tree",
        "--depfile tree/below/{machine}.d",
        3,
        "the dependency file of a would lie in a source of b",
    ),
    ("tree", "--json=tree/r", 3, "the report would lie in a source of b"),
    // A build replaces a link that has the image's name, so the source could no longer be found
    // by it.
    ("link", "--quiet", 3, "a source of b that is, or holds, the image of a or a file beside it"),
    (
        "other",
        "--initrd out-{vars.n}.smbios",
        2,
        "the initrd of b is the image of a or a file beside it",
    ),
    (
        "other",
        "--depfile keys/{machine} --initrd keys/{vars.n}",
        2,
        "the dependency file of a would replace the initrd of a",
    ),
    (
        "beside",
        "--only a",
        3,
        "a source of b that is, or holds, the image of a or a file beside it",
    ),
];

/// No file that a run writes, for one machine or for all, replaces what is another machine's.
#[test]
fn no_file_of_a_run_replaces_what_is_another_machines() {
    let host = Host::empty();
    let own = "machines: {a: {}, a.d: {}}\nformat: erofs\nfiles:\n  - {path: /k, to: all, ";
    host.write("text.yaml", format!("{own}text: 'of {{machine}}'}}\n"));
    host.write("file.yaml", format!("{own}file: 'keys/{{machine}}'}}\n"));
    let beside = "machines: {a: {}, b: {}}\nformat: erofs\nfiles:\n  - {path: /k, to: b, file: out-a.smbios}\n  \
                  - {path: /k, to: a, text: of a}\n";
    host.write("beside.yaml", beside);
    let head = "machines: {a: {vars: {n: a}}, b: {vars: {n: a}}}\nformat: erofs\nfiles:\n  - {path: /k, to: a, text: of a}\n  \
                - {path: /k, to: b, ";
    host.write("tree.yaml", format!("{head}dir: tree}}\n"));
    host.write("link.yaml", format!("{head}file: out-a}}\n"));
    host.write("other.yaml", format!("{head}text: of b}}\n"));
    let kept =
        ["keys/a", "keys/a.d", "out-a.d", "out-a.smbios", "tree/below/a.d", "tree/r", "token"];
    for name in kept {
        host.write(name, name);
    }
    symlink("token", host.path("out-a")).unwrap();
    for &(manifest, options, code, told) in REPLACING {
        let found = host.run(&format!("fleet build {manifest}.yaml -o out-{{machine}} {options}"));
        let said = stderr(&found);
        assert_eq!(found.status.code(), Some(code), "{options}: {said}");
        assert!(said.contains(told), "{options}: {said}");
        for name in kept {
            assert_eq!(host.read(name), name.as_bytes(), "{options}");
        }
    }
}

/// Two machines whose variables have exchanged values run two different commands.
#[test]
fn variables_that_are_exchanged_make_another_command() {
    let host = Host::empty();
    host.write(
        "fleet.yaml",
        "machines: {a: {vars: {own: one, peer: two}}, b: {vars: {peer: one, own: two}}}
files:
  - {path: /k, to: all, shell: 'get $CREDIMG_VAR_OWN $CREDIMG_VAR_PEER'}
",
    );
    let found = host.run("fleet check fleet.yaml");
    assert_eq!(found.status.code(), Some(0), "{}", stderr(&found));
}

/// `--output` of a single machine may not name what is another machine's.
#[test]
fn one_machine_is_not_built_over_what_is_another_ones() {
    let host = Host::empty();
    host.write(
        "fleet.yaml",
        "machines: {a: {}, b: {}}\noutput: 'out-{machine}'\nformat: erofs\nfiles:\n  \
         - {path: /k, to: all, file: 'keys/{machine}'}\n",
    );
    let kept = ["keys/a", "keys/b", "out-b", "out-b.smbios"];
    for name in kept {
        host.write(name, name);
    }
    for (output, code) in [("out-b", 2), ("./out-b.smbios", 2), ("keys/b", 3)] {
        let found = host.run(&format!("build fleet.yaml --machine a -o {output}"));
        assert_eq!(found.status.code(), Some(code), "{output}: {}", stderr(&found));
        for name in kept {
            assert_eq!(host.read(name), name.as_bytes(), "{output}");
        }
    }
    let found = host.run("build fleet.yaml --machine a -o other");
    assert!(found.status.success(), "{}", stderr(&found));
}

/// A directory that is mounted at a second place is one directory, with all that is below it.
#[test]
fn what_is_mounted_twice_is_one_place() {
    let host = Host::empty();
    host.write("one/below/key", "a key of b");
    for directory in ["two", "out/a", "out/b"] {
        fs::create_dir_all(host.path(directory)).unwrap();
    }
    let fleet = |rest: &str| format!("machines: {{a: {{}}, b: {{}}}}\nformat: erofs\n{rest}");
    for (name, rest) in [
        ("file", "files: [{path: /t, to: a, dir: two}, {path: /k, to: b, file: one/below/key}]"),
        ("directory", "files: [{path: /t, to: a, dir: two/below}, {path: /k, to: b, dir: one}]"),
        (
            "output",
            "output: 'out/{machine}/x'\nfiles: [{path: /t, to: all, text: x, shared: true}]",
        ),
    ] {
        host.write(format!("{name}.yaml"), fleet(rest));
        let script = format!(
            "mount --bind one two && mount --bind out/a out/b && \"$1\" fleet check {name}.yaml"
        );
        let mut command = host.command("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(host.credimg().get_program());
        let found = command.output().unwrap();
        assert_eq!(found.status.code(), Some(3), "{name}: {}", stderr(&found));
    }
}

/// Each machine has its own pseudo file. What the definitions in it read are sources as well.
#[test]
fn definitions_in_pseudo_files_are_sources() {
    let host = Host::empty();
    host.write("short", "hunter2");
    let own = "machines: {a: {}, b: {}}\npseudo_files:\n  - {file: 'for/{machine}', to: ";
    host.write("fleet.yaml", format!("{own}all}}\n"));
    host.write("mixed.yaml", format!("{own}a}}\nfiles:\n  - {{path: /k, to: b, file: short}}\n"));
    for (manifest, of_a, of_b, code) in [
        ("fleet", "/k l short", "/k l ./short", 3),
        ("fleet", "/k f 400 0 0 get short", "/k f 400 0 0 get short", 3),
        ("fleet", "/k l short", "/k f 400 0 0 get b", 0),
        ("fleet", "/k f 400 0 0 get $CREDIMG_MACHINE", "/k f 400 0 0 get $CREDIMG_MACHINE", 0),
        ("fleet", "/k d 500 0 0", "/k d 500 0 0", 0),
        ("mixed", "/k l short", "", 3),
    ] {
        host.write("for/a", format!("{of_a}\n"));
        host.write("for/b", format!("{of_b}\n"));
        let found = host.run(&format!("fleet check {manifest}.yaml"));
        assert_eq!(found.status.code(), Some(code), "{of_a}: {}", stderr(&found));
        assert_eq!(
            stderr(&found).contains("also reaches") || stderr(&found).contains("one source"),
            code == 3
        );
    }
}
