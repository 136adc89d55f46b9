//! What definitions do to the tree that the manifest's entries make, what they
//! may not do, and how that fails.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use credimg::report::Exit;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::pseudo::listing::listing;

/// The definitions of a tree, without data.
fn shown(tree: &Tree) -> Vec<String> {
    let listing = String::from_utf8_lossy(&listing(tree)).into_owned();
    listing.lines().take_while(|line| *line != "#").map(str::to_owned).collect()
}

#[track_caller]
fn assert_failure(failure: &Failure, exit: Exit, message: &str) {
    assert_eq!((failure.exit, failure.message.as_str()), (exit, message));
}

#[test]
fn definitions_of_all_three_places_come_in_order() {
    let host = Host::empty();
    host.write("one.pf", "/one L own\n/one x user.k=v\n");
    let mut plan = host.plan_with(
        "files: [{path: /a/b, text: x}]\n\
         pseudo: ['own f 400 0 0 echo own', '/ D 5 711 1 2']\npseudo_files: [one.pf]",
        "two L one\n",
    );
    let time = BUILD_TIME;
    let expected = [
        "/ D 5 711 1 2".to_owned(),
        format!("a D {time} 500 0 0"),
        format!("a/b R {time} 400 0 0 1 0 0"),
        format!("one R {time} 400 0 0 4 1 0"),
        "one x user.k=v".to_owned(),
        "own L one".to_owned(),
        "two L one".to_owned(),
    ];
    assert_eq!(shown(&build(&plan)), expected);
    plan.pseudo.files.reverse();
    let failure = host.fail(&plan, &settings());
    let message = "extra.pf:1:1: no earlier definition makes the file that this links to";
    assert_failure(&failure, Exit::Manifest, message);
}

#[test]
fn a_manifest_may_hold_definitions_alone() {
    let host = Host::empty();
    let tree = build(&host.plan("pseudo:\n- |\n  /a f 400 0 0 set -e\n  echo one\n  echo two\n"));
    assert_eq!(read(&tree, "/a"), b"one\ntwo\n");
}

#[test]
fn bad_definitions_of_a_manifest_have_its_place_and_the_column_within() {
    let host = Host::empty();
    for (item, message) in [
        ("'/a d 75x 0 0'", "4:5: pseudo[1]: column 6: expected a mode: octal digits, at most 7777"),
        (
            "\"/\\u20ac d 755 0\"",
            "4:5: pseudo[1]: column 11: expected a group id: a number of at most 4294967294",
        ),
        (
            "/a q",
            "4:5: pseudo[1]: column 4: expected a type: one of d m b c f s i x h l L D M B C F S I R",
        ),
        ("''", "4:5: pseudo[1]: column 1: expected a type after the name"),
        (
            "/a R 0 400 0 0 1 0 0",
            "4:5: pseudo[1]: column 4: R is for pseudo files with a data section only",
        ),
        ("'a\\'", "4:5: pseudo[1]: column 2: a backslash before nothing"),
        ("\"a f 400 0 0 x\\0y\"", "4:5: pseudo[1]: column 14: a NUL byte"),
        (
            "\"a s 0 0 0 x\\n\"",
            "4:5: pseudo[1]: column 12: a line break, but only commands may have one",
        ),
        (
            "\"a x user.k=x\\n\"",
            "4:5: pseudo[1]: column 13: a line break, but only commands may have one",
        ),
        ("/b s 0 0 0 x", "4:5: pseudo[1]: column 1: the path is taken by pseudo[0] (line 3)"),
    ] {
        let manifest = format!("files: []\npseudo:\n  - /b d 755 0 0\n  - {item}\n");
        let failure = host.fail(&host.plan(&manifest), &settings());
        assert_failure(&failure, Exit::Manifest, &format!("secrets.yaml:{message}"));
    }
}

#[test]
fn at_most_twenty_problems_are_listed() {
    let failure = Host::empty().failure("/a d\n".repeat(1000));
    assert_eq!(failure.message.lines().count(), 21);
    let last = failure.message.lines().last().unwrap();
    assert_eq!(last, "980 more problems of pseudo definitions are not listed");
}

#[test]
fn missing_parents_have_the_manifests_defaults() {
    let host = Host::empty();
    let manifest = "defaults: {dir_mode: '0711', owner: '7:8', mtime: 9}\nfiles: []";
    let plan = host.plan_with(manifest, "a/b/c i 600 1 2 f\na/d D 1 700 3 4\n");
    assert_eq!(
        shown(&build(&plan)),
        [
            "/ D 9 711 7 8",
            "a D 9 711 7 8",
            "a/b D 9 711 7 8",
            "a/b/c I 9 600 1 2 f",
            "a/d D 1 700 3 4"
        ]
    );
}

#[test]
fn a_directory_on_the_way_to_something_can_be_defined_once() {
    let host = Host::empty();
    let files = "files: [{path: /ssh/key, text: x}]";
    let tree = build(&host.plan_with(files, "a/b i 600 0 0 f\nssh D 1 700 1 2\na D 2 711 3 4\n"));
    assert_eq!(shown(&tree)[1..3], ["a D 2 711 3 4", &format!("a/b I {BUILD_TIME} 600 0 0 f")]);
    assert_eq!(shown(&tree)[3], "ssh D 1 700 1 2");

    let files = "files: [{path: /ssh, dir: ssh}, {path: /key, text: x}]";
    host.write("ssh/key", "x");
    for (definitions, message) in [
        (
            "ssh d 700 0 0",
            "extra.pf:1:1 (/ssh): /ssh (extra.pf:1) is taken already by files[0] (line 1)",
        ),
        (
            "key d 700 0 0",
            "extra.pf:1:1 (/key): /key (extra.pf:1) is taken already by files[1] (line 1)",
        ),
        (
            "\nkey i 600 0 0 s",
            "extra.pf:2:1 (/key): /key (extra.pf:2) is taken already by files[1] (line 1)",
        ),
        (
            "ssh/key f 600 0 0 touch ran",
            "extra.pf:1:1 (/ssh/key): /ssh/key (extra.pf:1) is taken already by files[0] (line 1)",
        ),
        (
            "key/below d 700 0 0",
            "extra.pf:1:1 (/key/below): /key (extra.pf:1) is taken already by files[1] (line 1)",
        ),
    ] {
        let failure = host.fail(&host.plan_with(files, definitions), &settings());
        assert_failure(&failure, Exit::Manifest, message);
    }
    assert!(!host.path("ran").exists());
}

#[test]
fn the_root_of_a_tree_has_its_attributes_already() {
    let host = Host::empty();
    host.write("tree/key", "x");
    let plan = host.plan_with("files: [{path: /, dir: tree}]", "/ d 755 0 0");
    let message =
        "extra.pf:1:1 (/): the root directory has its attributes already from a `dir` or `tar`";
    assert_failure(&host.fail(&plan, &settings()), Exit::Manifest, message);
}

#[test]
fn m_and_x_change_what_the_manifest_made() {
    let host = Host::empty();
    let manifest = "files:\n- {path: /ssh/key, text: x, xattrs: {user.a: old, user.b: kept}}\n\
                    - {path: /link, symlink: target}";
    let definitions = "ssh m 700 1 2\nssh/key x user.a=new\nssh/key M 3 600 4 5\nlink x trusted.t=1\n\
                       link M 7 600 8 9";
    let tree = build(&host.plan_with(manifest, definitions));
    let time = BUILD_TIME;
    assert_eq!(
        shown(&tree)[1..],
        [
            "link S 7 777 8 9 target".to_owned(),
            "link x trusted.t=1".to_owned(),
            format!("ssh D {time} 700 1 2"),
            "ssh/key R 3 600 4 5 1 0 0".to_owned(),
            "ssh/key x user.a=new".to_owned(),
            "ssh/key x user.b=kept".to_owned(),
        ]
    );
    let nothing = "no entry exists at this path";
    // Of the owner, the group and others.
    let list = "0x0200000001000600ffffffff04000400ffffffff20000400ffffffff";
    let on_link = format!("link x system.posix_acl_access={list}");
    let on_file = format!("ssh/key x system.posix_acl_default={list}");
    for (definition, message) in [
        ("nothing m 600 0 0", nothing),
        ("ssh/key/below M 0 600 0 0", nothing),
        ("nothing x user.a=1", nothing),
        ("link x user.a=1", "a symbolic link cannot have `user.` attributes"),
        (&*on_link, "a symbolic link cannot have an access control list"),
        (&*on_file, "only directories can have a default access control list"),
        (
            "fifo i 600 0 0 f\nfifo x user.a=1",
            "only files and directories can have `user.` attributes",
        ),
    ] {
        let failure = host.fail(&host.plan_with(manifest, definition), &settings());
        assert_eq!(failure.exit, Exit::Manifest);
        assert!(failure.message.ends_with(&format!("): {message}")), "{}", failure.message);
    }
}

#[test]
fn times_reach_from_1970_to_2106() {
    let tree = Host::empty().tree("a D 0 700 0 0\nb I \"2106-02-07 06:28:15\" 600 0 0 s\n");
    assert_eq!(shown(&tree)[1..], ["a D 0 700 0 0", "b I 4294967295 600 0 0 s"]);
}

#[test]
fn commands_run_where_the_manifest_lies_and_must_succeed() {
    let host = Host::empty();
    host.write("elsewhere/extra.pf", "/a f 400 0 0 cat here");
    host.write("here", "found");
    let tree = build(&host.plan("pseudo_files: [elsewhere/extra.pf]"));
    assert_eq!(read(&tree, "/a"), b"found");
    for (command, message) in [
        ("exit 3", "exited with status 3"),
        ("echo half; exit 1", "exited with status 1"),
        ("echo zK7canaryQ2 >&2", "printed nothing"),
        ("true", "printed nothing"),
        ("kill -9 $$", "was killed by SIGKILL"),
        ("zK7canaryQ2", "exited with status 127"),
    ] {
        let failure = host.failure(format!("# first\n/a/b F 0 400 0 0 {command}\n"));
        let message = format!("extra.pf:2 (/a/b): the shell command {message}");
        assert_failure(&failure, Exit::Command, &message);
    }
    let mut settings = settings();
    settings.commands.timeout = Duration::from_millis(200);
    let failure = host.fail(&host.plan("pseudo: [/a f 400 0 0 sleep 60]"), &settings);
    let message = "pseudo[0] (/a): the shell command did not finish within 200ms";
    assert_failure(&failure, Exit::Command, message);
}

#[test]
fn nothing_runs_before_every_definition_is_understood() {
    let host = Host::empty();
    let manifest = "files: [{path: /a, shell: 'touch ran; echo x'}]";
    for definitions in
        ["/b f 400 0 0 touch ran; echo x\n/c d", "/b f 400 0 0 touch ran; echo x\n/b d 755 0 0"]
    {
        let failure = host.fail(&host.plan_with(manifest, definitions), &settings());
        assert_eq!(failure.exit, Exit::Manifest);
        assert!(!host.path("ran").exists());
    }
}

#[test]
fn a_policy_is_kept_before_anything_runs() {
    let host = Host::empty();
    let strict =
        Settings { policy: Policy { allow_commands: false, allow_devices: false }, ..settings() };
    let command = "runs a command, which --no-commands forbids";
    for (manifest, definitions, message) in [
        ("files: [{path: /a, shell: touch ran}]", "", format!("files[0] (/a): {command}")),
        ("files: [{path: /a, command: [touch, ran]}]", "", format!("files[0] (/a): {command}")),
        ("pseudo: [/a f 400 0 0 touch ran]", "", format!("pseudo[0] (/a): {command}")),
        (
            "files: []",
            "/b d 755 0 0\n/b/a F 0 400 0 0 touch ran",
            format!("extra.pf:2 (/b/a): {command}"),
        ),
        (
            "files: []",
            "/a b 600 0 0 8 0",
            "extra.pf:1 (/a): device nodes are made on request only".into(),
        ),
        (
            "files: []",
            "/a C 0 600 0 0 1 3",
            "extra.pf:1 (/a): device nodes are made on request only".into(),
        ),
    ] {
        let failure = host.fail(&host.plan_with(manifest, definitions), &strict);
        assert_failure(&failure, Exit::Policy, &message);
    }
    assert!(!host.path("ran").exists());
    host.write("key", "x");
    let harmless = "/a d 755 0 0\n/b i 600 0 0 f\n/c i 600 0 0 s\n/d l key\n/e s 0 0 0 t\n/f L e\n";
    let plan = host.plan_with("files: [{path: /g, text: x}]", harmless);
    assert_eq!(assemble(&plan, &strict, &mut |_| {}).unwrap().tree.len(), 7);
    assert!(Policy::default().allow_commands && !Policy::default().allow_devices);
}

#[test]
fn files_of_the_host_are_read_but_nothing_else() {
    let host = Host::empty();
    host.write("key", "x");
    symlink("key", host.path("link")).unwrap();
    symlink("nothing", host.path("dangling")).unwrap();
    symlink("/dev/zero", host.path("endless")).unwrap();
    for (name, kind) in [("fifo", FileType::Fifo), ("socket", FileType::Socket)] {
        mknodat(CWD, host.path(name), kind, Mode::from_raw_mode(0o600), 0).unwrap();
    }
    let tree = host.tree("a l dangling\nb h link\nc l link");
    assert_eq!(read(&tree, "/b"), b"x");
    assert_eq!(read(&tree, "/b"), b"x");
    let start = Instant::now();
    for (definition, message) in [
        ("a l nothing", "cannot read nothing: no such file or directory"),
        ("a h dangling", "cannot read dangling: no such file or directory"),
        ("a l fifo", "fifo is a FIFO, expected a regular file"),
        ("a h socket", "socket is a socket, expected a regular file"),
        ("a h endless", "endless is a character device, expected a regular file"),
        ("a l /dev/null", "/dev/null is a character device, expected a regular file"),
        ("a l .", ". is a directory, expected a regular file"),
    ] {
        let failure = host.failure(definition);
        assert_failure(&failure, Exit::Source, &format!("extra.pf:1 (/a): {message}"));
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_pseudo_file_is_a_regular_file() {
    let host = Host::empty();
    mknodat(CWD, host.path("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    for (manifest, file, message) in [
        ("pseudo_files: [fifo]", None, "pseudo_files[0]: fifo is a FIFO, expected a regular file"),
        (
            "pseudo_files: [none]",
            None,
            "pseudo_files[0]: cannot read none: no such file or directory",
        ),
        ("files: []", Some("none"), "--pseudo-file: cannot read none: no such file or directory"),
    ] {
        let mut plan = host.plan(manifest);
        let files =
            file.map(|file| PseudoFile { path: host.path(file), position: None, granted: None });
        plan.pseudo.files.extend(files);
        assert_failure(&host.fail(&plan, &settings()), Exit::Source, message);
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_name() {
    let failure = Host::empty().failure("\u{feff}/a d 755 0 0\n");
    let message = "extra.pf:1:1: a byte order mark, which would become part of a name";
    assert_failure(&failure, Exit::Manifest, message);
}

#[test]
fn continued_lines_keep_their_places() {
    for (text, place) in [
        ("\\\n/a d 75x 0 0", "2:6"),
        ("/a d \\\n  75x 0 0", "2:3"),
        ("/a \\\n\\\n d 7\\\n5x 0 0", "3:4"),
        ("/a d 755 0\\", "1:11"),
        ("\n \\\n\\\n # c \\\n/b\n/a d", "6:5"),
    ] {
        let failure = Host::empty().failure(text);
        assert!(
            failure.message.starts_with(&format!("extra.pf:{place}: ")),
            "{text}: {}",
            failure.message
        );
    }
}

#[test]
fn data_that_changes_is_an_error() {
    let host = Host::empty();
    let head = "/a R 0 400 0 0 2000000 0 0\n/b R 0 400 0 0 3 1999999 0\n\
                # START OF DATA - DO NOT MODIFY\n#\n";
    let data: Vec<u8> = (0..2_000_002).map(|index: u32| index.to_le_bytes()[1]).collect();
    let plan = host.plan_with("files: []", [head.as_bytes(), &data].concat());
    let tree = build(&plan);
    assert_eq!(read(&tree, "/a"), data[..2_000_000]);
    assert_eq!(read(&tree, "/b"), data[1_999_999..]);

    let id = find(&tree, "/a").unwrap();
    let Kind::File(content) = tree.get(id).unwrap().kind() else { panic!("no file") };
    host.write("extra.pf", [head.as_bytes(), &data, b"more"].concat());
    let error = content.stream(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), credimg_formats::ErrorKind::Changed);
}
