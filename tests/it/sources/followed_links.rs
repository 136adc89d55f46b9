//! `links: follow`: what links lead to comes in their place, by the rules of everything else.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use credimg_formats::ErrorKind;
use rustix::fs::FileType;

use super::*;

fn follow(host: &Host, name: &str) -> Vec<Entry> {
    vec![entry_with("/", Source::FollowedDir(host.path(name)), keep())]
}

fn refused(host: &Host, name: &str) -> Failure {
    let failure = failure(follow(host, name), &settings());
    assert_eq!(failure.exit, Exit::Source);
    failure
}

fn link(host: &Host, target: &str, name: &str) {
    let path = host.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

#[test]
fn links_to_files_and_directories_become_what_they_lead_to() {
    let host = Host::empty();
    let secret = host.write("archive/h/key1.pem", "key");
    host.write("archive/h/sub/deep", vec![7; 3 << 20]);
    link(&host, "../../archive/h/key1.pem", "live/h/key.pem");
    link(&host, "key.pem", "live/h/again.pem");
    link(&host, secret.to_str().unwrap(), "live/absolute");
    link(&host, "../archive/h", "live/all");
    link(&host, "all/../h/sub", "live/through");
    let tree = build(follow(&host, "live")).unwrap();
    assert!(!tree.inodes().any(|(_, inode)| matches!(inode.kind(), Kind::Symlink(_))));
    for path in ["/h/key.pem", "/h/again.pem", "/absolute", "/all/key1.pem"] {
        assert_eq!(read(&tree, path), b"key", "{path}");
        // `keep` is what the file has, not the link.
        let (ours, theirs) = (&inode(&tree, path).metadata, fs::metadata(&secret).unwrap());
        assert_eq!(u32::from(ours.mode), theirs.mode() & 0o7777, "{path}");
        assert_eq!(ours.mtime.seconds(), theirs.mtime(), "{path}");
    }
    // It is streamed when the image is written.
    for path in ["/all/sub/deep", "/through/deep"] {
        assert!(matches!(content_of(&tree, path), Content::Stream { .. }));
        assert_eq!(read(&tree, path), vec![7; 3 << 20], "{path}");
    }
    assert_eq!(tree.len(), 11);
    assert_eq!(dump(&tree), dump(&build(follow(&host, "live")).unwrap()));
}

/// The layout of a mounted Secret, with a file below a directory and the link that kubelet is
/// about to rename.
#[test]
fn a_secret_of_kubernetes_becomes_plain_files() {
    let host = Host::empty();
    host.write("s/..2024_02_29_12_00_00.123/token", "old");
    host.write("s/..2024_03_01_12_00_00.456/token", "new");
    host.write("s/..2024_03_01_12_00_00.456/tls/key", "key");
    link(&host, "..2024_03_01_12_00_00.456", "s/..data");
    link(&host, "..2024_02_29_12_00_00.123", "s/..data_tmp");
    link(&host, "..data/token", "s/token");
    link(&host, "..data/tls", "s/tls");
    let tree = build(follow(&host, "s")).unwrap();
    let paths: Vec<_> = tree.inodes().map(|(id, _)| tree.path_of(id)).collect();
    assert_eq!(paths, [&b"/"[..], b"/tls", b"/tls/key", b"/token"]);
    assert_eq!((read(&tree, "/token"), read(&tree, "/tls/key")), (b"new".into(), b"key".into()));
    // Names with two dots are as good as others where no such link is.
    fs::remove_file(host.path("s/..data")).unwrap();
    fs::remove_file(host.path("s/token")).unwrap();
    fs::remove_file(host.path("s/tls")).unwrap();
    let tree = build(follow(&host, "s")).unwrap();
    assert_eq!(read(&tree, "/..data_tmp/token"), b"old");
    fs::write(host.path("s/..data"), "a file").unwrap();
    assert_eq!(read(&build(follow(&host, "s")).unwrap(), "/..data"), b"a file");
}

#[test]
fn links_that_cannot_be_followed_are_named() {
    let host = Host::empty();
    host.write("tree/a", "x");
    let cases: [(&str, &str); 4] = [
        ("../missing/key", "tree/odd leads nowhere: its target is ../missing/key"),
        ("a/b", "tree/odd leads nowhere: its target is a/b"),
        ("odd", "tree/odd leads in a circle: its target is odd"),
        ("../tree", "tree/odd leads back to "),
    ];
    for (target, expected) in cases {
        link(&host, target, "tree/odd");
        let failure = refused(&host, "tree");
        assert_contains(&failure.message, expected);
        assert_contains(&failure.hint.unwrap(), "`links: keep`");
        fs::remove_file(host.path("tree/odd")).unwrap();
    }
    // The circle is one of several links.
    host.write("one/x", "x");
    link(&host, "../two", "one/to");
    link(&host, "../one", "two/back");
    assert_contains(&refused(&host, "one").message, "one/to/back leads back to ");
}

#[test]
fn links_to_special_files_are_refused_before_anything_is_opened() {
    for (kind, name) in [
        (FileType::Fifo, "a FIFO"),
        (FileType::Socket, "a socket"),
        (FileType::CharacterDevice, "a character device"),
        (FileType::BlockDevice, "a block device"),
    ] {
        let host = Host::empty();
        host.node("odd", kind);
        link(&host, "../odd", "tree/link");
        let failure = refused(&host, "tree");
        assert_contains(&failure.message, &format!("tree/link leads to {name}: only regular"));
    }
}

#[test]
fn links_into_the_output_are_refused() {
    let host = Host::empty();
    let id = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        (found.dev(), found.ino())
    };
    let (image, key) = (host.write("out/image", "old"), host.write("keys/key", "k"));
    let output = OwnFiles {
        image: Some(Replaced {
            what: "image",
            name: "image".into(),
            directory: Some(id(&host.path("out"))),
            file: Some(id(&image)),
        }),
        keys: vec![id(&key)],
        ..OwnFiles::default()
    };
    let settings = Settings { output, ..settings() };
    for (target, expected) in [
        ("../out", "the image would lie in"),
        ("../out/image", "the image would replace the source"),
        ("../keys/key", "is a key, which no guest is to have"),
        ("../keys", "is a key, which no guest is to have"),
    ] {
        link(&host, target, "tree/link");
        assert_contains(&failure(follow(&host, "tree"), &settings).message, expected);
        fs::remove_file(host.path("tree/link")).unwrap();
    }
}

#[test]
fn hard_links_stay_hard_links_however_they_are_reached() {
    let host = Host::empty();
    fs::hard_link(host.write("other/one", "x"), host.path("other/two")).unwrap();
    link(&host, "../other", "tree/d");
    link(&host, "../other/two", "tree/e");
    let tree = build(follow(&host, "tree")).unwrap();
    let ids = ["/d/one", "/d/two", "/e"].map(|path| find(&tree, path).unwrap());
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn links_that_multiply_come_to_an_end() {
    let host = Host::empty();
    for level in 0..30 {
        for name in ["a", "b"] {
            link(&host, &format!("../{}", level + 1), &format!("{level}/{name}"));
        }
    }
    host.write("30/x", "x");
    assert_contains(&refused(&host, "0").message, "links lead to more than 16384 directories");
}

/// A link that is swapped while other files are still collected: half of the files would be of
/// the old generation.
#[test]
fn links_that_are_swapped_meanwhile_are_refused() {
    let host = Host::empty();
    for index in 0..1100 {
        host.write(format!("tree/many/{index}"), "");
    }
    host.write("old/key", "old");
    host.write("new/key", "new");
    link(&host, "old", "current");
    link(&host, "../current/key", "tree/a");
    link(&host, "../../current/key", "tree/z/key");
    let mut swap = Some(());
    let error = assemble(&plan(follow(&host, "tree")), &settings(), &mut |step| {
        if step.inodes > 1000 && swap.take().is_some() {
            fs::remove_file(host.path("current")).unwrap();
            link(&host, "new", "current");
        }
    });
    let failure = error.unwrap_err();
    assert_contains(&failure.message, "tree/a changed while it was read");
    assert_eq!((failure.exit, swap), (Exit::Source, None));
}

/// Where it leads in between is what is stored, though it leads back at the end.
#[test]
fn a_link_to_a_directory_that_is_swapped_and_swapped_back_is_refused() {
    let host = Host::empty();
    for index in 0..1100 {
        host.write(format!("tree/many/{index}"), "");
        host.write(format!("new/{index}"), "");
    }
    host.write("old/key", "old");
    link(&host, "old", "current");
    link(&host, "../current", "tree/z");
    let mut swaps = vec!["old", "new"];
    let error = assemble(&plan(follow(&host, "tree")), &settings(), &mut |step| {
        if step.inodes > 3000 - 1000 * swaps.len()
            && let Some(target) = swaps.pop()
        {
            fs::remove_file(host.path("current")).unwrap();
            link(&host, target, "current");
        }
    });
    let failure = error.unwrap_err();
    assert_contains(&failure.message, "tree/z changed while it was read");
    assert!(swaps.is_empty());
}

#[test]
fn a_streamed_file_that_a_link_leads_to_must_not_change() {
    let host = Host::empty();
    let big = vec![1; 2 << 20];
    let path = host.write("big", &big);
    host.write("other", &big);
    link(&host, "../big", "tree/link");
    let tree = build(follow(&host, "tree")).unwrap();
    assert_eq!(read(&tree, "/link"), big);
    for change in [&(|| drop(fs::write(&path, vec![2; 2 << 20]))) as &dyn Fn(), &|| {
        fs::remove_file(host.path("tree/link")).unwrap();
        link(&host, "../other", "tree/link");
    }] {
        let tree = build(follow(&host, "tree")).unwrap();
        change();
        let error = read_content(content_of(&tree, "/link")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
    }
}
