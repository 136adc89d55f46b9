//! How entries come together: parents, merges, collisions, attributes, progress.

use credimg::manifest::{Keep, Source};
use credimg::report::Exit;
use credimg_formats::Secret;

use super::archives::Archive;
use super::*;

fn text(text: &str) -> Source {
    Source::Inline(Secret::from(text.as_bytes()))
}

#[test]
fn inline_content_and_symbolic_links_come_through() {
    let entries = vec![
        entry("/motd", text("hello")),
        entry("/empty", text("")),
        entry("/now/there", Source::Symlink(b"../motd".to_vec())),
    ];
    let tree = build(entries).unwrap();
    assert_eq!(read(&tree, "/motd"), b"hello");
    assert_eq!(read(&tree, "/empty"), b"");
    assert_eq!(target(&tree, "/now/there"), b"../motd");
    assert_eq!(inode(&tree, "/now/there").metadata.mode.bits(), 0o777);
}

#[test]
fn a_variable_of_the_environment_comes_through() {
    let name = concat!(module_path!(), "::a_variable_of_the_environment_comes_through");
    let value = "  value with spaces\n\n";
    if !alone_with(name, "CREDIMG_TEST_VALUE", value) {
        return;
    }
    let variable = |trim| Source::Env { name: "CREDIMG_TEST_VALUE".into(), trim };
    let tree = build(vec![entry("/a", variable(false)), entry("/b", variable(true))]).unwrap();
    assert_eq!(read(&tree, "/a"), value.as_bytes());
    assert_eq!(read(&tree, "/b"), b"  value with spaces\n");
}

#[test]
fn an_empty_variable_is_refused() {
    let name = concat!(module_path!(), "::an_empty_variable_is_refused");
    if !alone_with(name, "CREDIMG_TEST_EMPTY", "\n") {
        return;
    }
    let (exit, message) = failure_of(Source::Env { name: "CREDIMG_TEST_EMPTY".into(), trim: true });
    assert_eq!((exit, message.as_str()), (Exit::Source, "its environment variable is empty"));
}

#[test]
fn an_unset_variable_is_refused_and_not_named() {
    let (exit, message) = failure_of(Source::Env { name: CANARY.into(), trim: false });
    assert_eq!((exit, message.as_str()), (Exit::Source, "its environment variable is not set"));
}

#[test]
fn missing_parents_are_made_with_the_defaults() {
    let mut plan = plan(vec![entry_with("/a/b/c", text("x"), given(0o640, 7))]);
    plan.parents = given(0o711, 5);
    plan.parents.dir_mode = Keep::Set(Mode::of::<0o711>());
    let tree = assemble(&plan, &settings(), &mut |_| {}).unwrap().tree;
    for path in ["/", "/a", "/a/b"] {
        let expected = (0o711, 5, 5, BUILD_TIME.seconds(), 0);
        assert_eq!(attributes(&inode(&tree, path).metadata), expected, "{path}");
    }
    assert_eq!(inode(&tree, "/a/b/c").metadata.mode.bits(), 0o640);
    assert_eq!(inode(&tree, "/a/b/c").metadata.uid, 7);
}

fn given(mode: u16, id: u32) -> Attributes {
    let mode = Keep::Set(Mode::new(mode).unwrap());
    Attributes { mode, owner: Keep::Set((id, id)), ..defaults() }
}

#[test]
fn keep_without_anything_to_keep_falls_back_to_the_defaults() {
    let tree = build(vec![entry_with("/a", text("x"), keep())]).unwrap();
    let expected = (0o400, 0, 0, BUILD_TIME.seconds(), 0);
    assert_eq!(attributes(&inode(&tree, "/a").metadata), expected);
}

#[test]
fn a_given_time_is_used() {
    let time = Timestamp::from_seconds(-1);
    let attributes = Attributes { mtime: Keep::Set(Some(time)), ..defaults() };
    let tree = build(vec![entry_with("/a", text("x"), attributes)]).unwrap();
    assert_eq!(inode(&tree, "/a").metadata.mtime, time);
    assert_eq!(inode(&tree, "/").metadata.mtime, BUILD_TIME);
}

#[test]
fn extended_attributes_are_the_entry_s_own() {
    let host = Host::empty();
    host.write("tree/sub/file", "x");
    let attributes = || {
        let mut attributes = defaults();
        let value = Secret::from(b"label".as_slice());
        attributes.xattrs.insert(b"security.selinux".as_slice().into(), value);
        attributes
    };
    let tree = build(vec![
        entry_with("/tree", Source::Dir(host.path("tree")), attributes()),
        entry_with("/file", text("x"), attributes()),
        entry_with("/link", Source::Symlink(b"x".to_vec()), attributes()),
    ]);
    let tree = tree.unwrap();
    let count = |path| inode(&tree, path).metadata.xattrs.len();
    assert_eq!([count("/tree"), count("/file"), count("/link")], [1, 1, 1]);
    assert_eq!([count("/"), count("/tree/sub"), count("/tree/sub/file")], [0, 0, 0]);
}

#[test]
fn directories_merge_and_the_last_one_dresses_them() {
    let host = Host::empty();
    host.write("one/etc/a", "a");
    host.write("two/b", "b");
    host.write("three/etc/sub/c", "c");
    let tree = build(vec![
        entry("/etc/first", text("first")),
        entry_with("/", Source::Dir(host.path("one")), given(0o400, 1)),
        entry_with("/etc", Source::Dir(host.path("two")), given(0o400, 2)),
        entry_with("/", Source::Dir(host.path("three")), given(0o400, 3)),
        entry("/etc/sub/late", text("late")),
    ]);
    let tree = tree.unwrap();
    for (path, content) in [
        ("/etc/first", "first"),
        ("/etc/a", "a"),
        ("/etc/b", "b"),
        ("/etc/sub/c", "c"),
        ("/etc/sub/late", "late"),
    ] {
        assert_eq!(read(&tree, path), content.as_bytes(), "{path}");
    }
    let owner = |path| inode(&tree, path).metadata.uid;
    assert_eq!([owner("/"), owner("/etc"), owner("/etc/b"), owner("/etc/sub")], [3, 3, 2, 3]);
    assert_eq!(inode(&tree, "/etc").links(), 3);
}

#[test]
fn extended_attributes_of_a_merged_directory_add_up() {
    let host = Host::empty();
    host.write("tree/file", "x");
    let labelled = |names: &[&str], value: &str| {
        let mut attributes = defaults();
        for name in names {
            attributes.xattrs.insert(name.as_bytes().into(), value.as_bytes().into());
        }
        attributes
    };
    host.write("other/more", "x");
    let tree = build(vec![
        entry_with("/t", Source::Dir(host.path("tree")), labelled(&["user.a", "user.b"], "1")),
        entry_with("/t", Source::Dir(host.path("other")), labelled(&["user.b", "user.c"], "2")),
    ]);
    let tree = tree.unwrap();
    let xattrs = &inode(&tree, "/t").metadata.xattrs;
    let shown = xattrs.iter().map(|(name, value)| [name, value.expose()].concat());
    assert_eq!(shown.collect::<Vec<_>>(), [b"user.a1", b"user.b2", b"user.c2"]);
}

#[test]
fn collisions_name_both_entries() {
    let host = Host::empty();
    host.write("tree/a/file", "x");
    let dir = || Source::Dir(host.path("tree"));
    let cases: [(&str, Vec<Entry>); 5] = [
        (
            "secrets.yaml:20:5: files[1] (/): /a/file (line 20) is taken already by files[0] (line 10)",
            vec![entry("/a/file", text("x")), entry("/", dir())],
        ),
        (
            "secrets.yaml:20:5: files[1] (/a/file): /a/file (line 20) is taken already by files[0] (line 10)",
            vec![entry("/", dir()), entry("/a/file", text("x"))],
        ),
        (
            "secrets.yaml:20:5: files[1] (/): /a (line 20) is taken already by files[0] (line 10)",
            vec![entry("/a", text("x")), entry("/", dir())],
        ),
        (
            "secrets.yaml:20:5: files[1] (/a/file/below): /a/file (line 20) is taken already by files[0] (line 10)",
            vec![entry("/", dir()), entry("/a/file/below", text("x"))],
        ),
        (
            "secrets.yaml:20:5: files[1] (/a): /a (line 20) is taken already by files[0] (line 10)",
            vec![entry("/", dir()), entry("/a", text("x"))],
        ),
    ];
    for (expected, entries) in cases {
        let failure = failure(entries, &settings());
        assert_eq!(failure.message, expected);
        assert_eq!(failure.exit, Exit::Manifest);
    }
}

#[test]
fn only_a_directory_can_be_the_root() {
    let failure = failure(vec![entry("/", text("x"))], &settings());
    assert_eq!(
        failure.message,
        "secrets.yaml:10:5: files[0] (/): only a `dir` or a `tar` can be the root directory"
    );
    assert_eq!(failure.exit, Exit::Manifest);
}

#[test]
fn odd_paths_are_escaped_in_messages() {
    let host = Host::empty();
    host.write("tree/\u{1b}[2J", "x");
    let again = vec![
        entry("/", Source::Dir(host.path("tree"))),
        entry("/", Source::Dir(host.path("tree"))),
    ];
    let failure = failure(again, &settings());
    assert_contains(&failure.message, r#""/\u{1b}[2J" (line 20)"#);
}

#[test]
fn progress_is_told_for_each_entry_and_within_large_ones() {
    let host = Host::empty();
    for number in 0..2500 {
        host.write(format!("tree/{number}"), "");
    }
    let plan = plan(vec![
        entry("/a", text("x")),
        entry("/tree", Source::Dir(host.path("tree"))),
        entry("/z", text("x")),
    ]);
    let mut steps = Vec::new();
    assemble(&plan, &settings(), &mut |step| {
        assert_eq!(step.entries, 3);
        steps.push((step.entry, step.inodes));
    })
    .unwrap();
    assert_eq!(steps, [(0, 1), (1, 2), (1, 1024), (1, 2048), (2, 2503)]);
}

#[test]
fn a_directory_or_archive_that_changes_while_it_is_planned_is_refused() {
    let host = Host::empty();
    let mut archive = Archive::default();
    for number in 0..2500 {
        host.write(format!("tree/{number}"), "");
        archive = archive.file(&number.to_string(), b"");
    }
    let archive = host.write("a.tar", archive.end());
    let changes: [(Source, &dyn Fn()); 2] = [
        (Source::Dir(host.path("tree")), &|| drop(host.write("tree/new", ""))),
        (Source::Tar(archive.clone()), &|| drop(host.write("a.tar", "shorter"))),
    ];
    for (source, change) in changes {
        let plan = plan(vec![entry("/", source)]);
        let mut progress = |step: Step| {
            if step.inodes == 1024 {
                change();
            }
        };
        let error = assemble(&plan, &settings(), &mut progress).unwrap_err();
        assert_contains(&error.to_string(), " changed while it was read");
    }
}

#[test]
fn debug_shows_no_content() {
    let host = Host::empty();
    let large = host.write("large", CANARY.repeat(200_000));
    let tree = build(vec![entry("/a", text(CANARY)), entry("/b", Source::File(large))]).unwrap();
    let shown = format!("{tree:?}");
    assert!(!shown.contains(CANARY) && shown.contains("Content("), "{shown}");
}
