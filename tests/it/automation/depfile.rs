//! `--depfile`: Make itself judges that it names every input, and names it right.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime};

use credimg::job::depfile;
use credimg::report::Exit;

use super::*;

/// Every ASCII character that Make can be told of, alone and within a name, and more.
fn names() -> Vec<String> {
    let impossible = "/\\;=|(";
    let mut names: Vec<String> = (b' '..=b'~')
        .map(char::from)
        .filter(|character| !impossible.contains(*character))
        .flat_map(|character| {
            [format!("a{character}b"), format!("{character}b"), format!("a{character}")]
        })
        .filter(|name| !name.ends_with([' ', '&']))
        .collect();
    let more =
        ["a b c", "${HOME}x", "$$", "%%", "a:b:c", "##", "é", "a*b?[c]", "a}b", "a)b", "...."];
    names.extend(more.map(str::to_owned));
    names
}

const PAST: Duration = Duration::from_secs(1_000_000);

fn date(path: &Path, time: SystemTime) {
    let file = fs::File::open(path).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn make_sees_a_newer_file_of_every_name() {
    let host = Host::empty();
    fs::create_dir_all(host.path("out")).unwrap();
    for name in names() {
        host.write(format!("tree/{name}"), "x");
    }
    let images = ["out/a.erofs", "out/a b#c$d:f*g.erofs", "out/a %.erofs"];
    for image in images {
        host.write("secrets.yaml", "files: [{path: /, dir: tree}]\n");
        let mut build = host.credimg();
        build.args(["build", "secrets.yaml", "--depfile", "a.d", "-o", image]);
        assert_done(&build.output().unwrap());
        let target = depfile::render(Path::new(image), &[]).unwrap();
        let target = String::from_utf8(target).unwrap().replace(":\n", "");
        host.write("Makefile", format!("{target}:\n\t@false\ninclude a.d\n"));

        let old = SystemTime::now() - PAST;
        let files = names().into_iter().map(|name| format!("tree/{name}"));
        let inputs: Vec<_> =
            ["secrets.yaml", "tree"].map(str::to_owned).into_iter().chain(files).collect();
        for input in &inputs {
            date(&host.path(input), old);
        }
        date(&host.path(image), old + PAST / 2);
        assert!(is_up_to_date(&host, image), "{image}");
        let few = if image == "out/a.erofs" { inputs.len() } else { 12 };
        for input in inputs.iter().take(few) {
            date(&host.path(input), old + PAST / 2 + PAST / 4);
            assert!(
                !is_up_to_date(&host, image),
                "{image}: {input} is newer, and Make does not see it"
            );
            date(&host.path(input), old);
        }
        assert!(is_up_to_date(&host, image), "{image}");
    }
}

/// Whether Make has nothing to do.
fn is_up_to_date(host: &Host, image: &str) -> bool {
    let output = host.command("make").args(["-rRq", "--", image]).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
    output.status.success()
}

#[test]
fn every_kind_of_input_is_named_once() {
    let host = Host::empty();
    for name in ["key", "tree/in/file", "linked/file", "plain"] {
        host.write(name, "x");
    }
    std::os::unix::fs::symlink("nowhere", host.path("tree/link")).unwrap();
    std::os::unix::fs::symlink("nowhere", host.path("linked/link")).unwrap();
    fs::hard_link(host.path("tree/in/file"), host.path("tree/twin")).unwrap();
    assert_done(&host.command("tar").args(["-czf", "a.tgz", "plain"]).output().unwrap());
    host.write("more.pf", "/l l linked/link\n/h h linked/file\n");
    host.write("yet.pf", "/again L l\n");
    host.write(
        "sub/secrets.yaml",
        "files:\n- {path: /a, file: ../key}\n- {path: /b, file: ../key}\n- {path: /t, dir: ../tree}\n\
         - {path: /tar, tar: ../a.tgz}\n- {path: /text, text: x}\n- {path: /said, shell: echo x}\n\
         pseudo_files: [../more.pf]\n",
    );
    // Relative paths of pseudo definitions begin at the manifest's directory.
    host.write("sub/linked/file", "x");
    std::os::unix::fs::symlink("nowhere", host.path("sub/linked/link")).unwrap();
    fs::create_dir(host.path("out")).unwrap();
    let options = "-o out/a.erofs --pseudo-file yet.pf --depfile out/a.d";
    assert_done(&host.run(&format!("build sub/secrets.yaml {options}")));
    let inputs = [
        "sub/secrets.yaml",
        "sub/../key",
        "sub/../tree",
        "sub/../tree/twin",
        "sub/../tree/in",
        "sub/../tree/in/file",
        "sub/../a.tgz",
        "sub/../more.pf",
        "yet.pf",
        "sub/linked/.",
        "sub/linked/file",
    ];
    let (list, rules) = (inputs.join(" \\\n  "), inputs.join(":\n"));
    let text = String::from_utf8(host.read("out/a.d")).unwrap();
    assert_eq!(text, format!("out/a.erofs: \\\n  {list}\n{rules}:\n"));

    // A manifest on standard input is no file.
    let script = format!("{CREDIMG} build - -o out/b.erofs --depfile out/b.d <in.yaml");
    host.write("in.yaml", "files: [{path: /a, file: key}]\n");
    assert_done(&host.command("sh").args(["-c", &script]).output().unwrap());
    assert_eq!(host.read("out/b.d"), b"out/b.erofs: \\\n  key\nkey:\n");
}

#[test]
fn a_path_that_make_cannot_read_is_refused_before_anything_is_written() {
    let impossible: [(&[u8], &str, &str); 16] = [
        (b"", "", SPECIAL),
        (b"a\\b", "\"a\\\\b\"", SPECIAL),
        (b"a;b", "a;b", SPECIAL),
        (b"a=b", "a=b", SPECIAL),
        (b"a|b", "a|b", SPECIAL),
        (b"a\nb", "\"a\\nb\"", SPECIAL),
        (b"a\tb", "\"a\\tb\"", SPECIAL),
        (b"a\rb", "\"a\\rb\"", SPECIAL),
        (b"a\x7fb", "\"a\\u{7f}b\"", SPECIAL),
        (b"a(b", "a(b", SPECIAL),
        (b"a%*", "a%*", "holds both % and a wildcard"),
        (b"[a]%", "[a]%", "holds both % and a wildcard"),
        (b"~a", "~a", ENDS),
        (b"~", "~", ENDS),
        (b"a ", "a ", ENDS),
        (b"a&", "a&", ENDS),
    ];
    for (path, shown, fault) in impossible {
        let path = Path::new(OsStr::from_bytes(path));
        let as_target = depfile::render(path, &[]).unwrap_err();
        let as_input = depfile::render(Path::new("a"), &[path.to_owned()]).unwrap_err();
        for failure in [as_target, as_input] {
            assert_eq!(failure.exit, Exit::Usage);
            let message = format!("--depfile: Make cannot read the path {shown}: it {fault}");
            assert_eq!(failure.message, message);
            assert_eq!(failure.hint.unwrap(), "rename it, or leave --depfile out");
        }
    }
    let host = Host::empty();
    host.write("a=b", "x");
    host.write("secrets.yaml", "files: [{path: /a, file: a=b}]\n");
    let output = host.run("build secrets.yaml -o a.erofs --depfile a.d");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!host.path("a.erofs").exists() && !host.path("a.d").exists());
}

const SPECIAL: &str = "is empty or holds one of \\ ; = | ( or a control character";
const ENDS: &str = "begins with ~ or ends in a space or in &";

#[test]
fn a_dependency_file_replaces_nothing_that_is_needed() {
    let host = Host::empty();
    host.write("secrets.yaml", "files: []\n");
    for (options, expected) in [
        ("-o a.erofs --depfile secrets.yaml", "the dependency file would replace the manifest"),
        ("-o a.erofs --depfile ./a.erofs", "the dependency file would replace the image"),
        ("-o a.erofs --depfile a.d --json=a.d", "the report would replace the dependency file"),
    ] {
        let output = host.run(&format!("build secrets.yaml {options}"));
        assert_eq!(output.status.code(), Some(2));
        let hint = "credimg: hint: give each a name of its own\n";
        assert_eq!(stderr(&output), format!("credimg: error: {expected}\n{hint}"));
    }
    fs::create_dir(host.path("a.d")).unwrap();
    let output = host.run("build secrets.yaml -o a.erofs --depfile a.d");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        stderr(&output),
        "credimg: error: cannot write a.d: it is a directory\n\
         credimg: hint: a dependency file is a regular file\n"
    );
    assert!(!host.path("a.erofs").exists());
}

/// An empty rule for one of these would change what Make does altogether.
#[test]
fn no_input_is_a_special_target() {
    let inputs = |name: &str| depfile::render(Path::new("a.erofs"), &[name.into()]);
    for name in [".IGNORE", "./.PHONY", ".//./.EXPORT_ALL_VARIABLES"] {
        assert_eq!(inputs(name).unwrap_err().exit, Exit::Usage, "{name}");
    }
    assert!(depfile::render(Path::new(".SILENT"), &[]).is_err());
    for name in ["tree/.IGNORE", ".env", ".IGNORE.txt", "....", "IGNORE"] {
        assert!(inputs(name).is_ok(), "{name}");
    }
}
