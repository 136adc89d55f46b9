//! Names that are a file, a directory and a link by turns, while the program reads them. What
//! the links lead to outside is never in an image.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use tempfile::TempDir;

use super::chance::Chance;
use super::sources::Stop;
use super::versions::{require_version, version};
use super::{build, content, share, stderr};

const SWAPS: usize = 10_000;
const BUILDS: usize = 1_000;
/// Lies outside of what may be read; long enough to be met in an image but by accident.
const CANARY: &[u8] = b"zK7canaryQ2-outside-of-the-tree";

/// Whether an image holds the canary, wherever.
fn holds_canary(image: &[u8]) -> bool {
    image.windows(CANARY.len()).any(|window| window == CANARY)
}

/// Runs `swap` again and again while the program builds `manifest`, until there were enough
/// of both; `check` looks at each image that is done. Other exit codes than 0 are `refusals`.
fn race(
    name: &str,
    place: &Path,
    manifest: &str,
    refusals: &[i32],
    swap: impl Fn(&mut Chance) + Sync,
    check: impl Fn(&Path),
) {
    fs::write(place.join("m.yaml"), manifest).unwrap();
    let (stop, swaps) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut builds, mut done) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut chance = Chance::new(7);
            while !stop.load(Ordering::Relaxed) {
                swap(&mut chance);
                swaps.fetch_add(1, Ordering::Relaxed);
                // As a build takes longer than a swap, some have to find a pause.
                if chance.below(40) == 0 {
                    chance.pause(120);
                }
            }
        });
        let _stop = Stop(&stop);
        while builds < share(BUILDS) || swaps.load(Ordering::Relaxed) < share(SWAPS) {
            let output = build(place, "m.yaml", "out.erofs").output().unwrap();
            let code = output.status.code().unwrap();
            builds += 1;
            if code == 0 {
                done += 1;
                let image = place.join("out.erofs");
                assert!(!holds_canary(&fs::read(&image).unwrap()), "{name}: the canary is out");
                check(&image);
            } else {
                let message = stderr(&output);
                assert!(refusals.contains(&code), "{name}: exit {code}: {message}");
                assert!(message.contains("place"), "{name} is not named: {message}");
                assert!(!message.contains("zK7canaryQ2"), "{name}: {message}");
            }
        }
    });
    println!("{name}: {} swaps, {builds} builds, {done} done", swaps.into_inner());
}

/// A directory with a tree `place`, what may be put into it (`shelf`), and the world outside.
fn scene() -> TempDir {
    let scene = TempDir::new().unwrap();
    let path = |name: &str| scene.path().join(name);
    for directory in ["place", "shelf", "outside", "outside/deep", "shelf/directory"] {
        fs::create_dir(path(directory)).unwrap();
    }
    for outside in ["outside/key", "outside/deep/key", "outside/deep/inner"] {
        fs::write(path(outside), CANARY).unwrap();
    }
    // Also too large for memory.
    fs::write(path("outside/large"), CANARY.repeat(40_000)).unwrap();
    fs::write(path("shelf/file"), version(1, 4000)).unwrap();
    fs::write(path("shelf/large"), version(2, 1_200_000)).unwrap();
    fs::write(path("shelf/directory/inner"), version(3, 800)).unwrap();
    symlink(path("outside/key"), path("shelf/to-file")).unwrap();
    symlink(path("outside/large"), path("shelf/to-large")).unwrap();
    symlink(path("outside/deep"), path("shelf/to-directory")).unwrap();
    scene
}

/// Exchanges a name of the tree with one of the shelf.
fn exchange(scene: &Path, one: &str, other: &str) {
    let (one, other) = (scene.join("place").join(one), scene.join("shelf").join(other));
    renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
}

const SHELF: [&str; 6] = ["file", "large", "directory", "to-file", "to-large", "to-directory"];

#[test]
fn a_tree_whose_names_are_swapped_never_leads_out() {
    let scene = scene();
    let place = scene.path();
    for name in ["a", "b", "c"] {
        fs::write(place.join("place").join(name), version(9, 4000)).unwrap();
    }
    fs::create_dir(place.join("place/sub")).unwrap();
    fs::write(place.join("place/sub/inner"), version(9, 800)).unwrap();
    let swap = |chance: &mut Chance| {
        let name = ["a", "b", "c", "sub"][usize::try_from(chance.below(4)).unwrap()];
        exchange(place, name, SHELF[usize::try_from(chance.below(6)).unwrap()]);
    };
    // Directories that are links at the second look are no directories.
    race("swapped tree", place, "files: [{path: /, dir: place}]\n", &[4], swap, |_| {});
}

/// A link that another user has planted in a directory where everybody can write.
#[test]
fn a_file_that_becomes_a_planted_link_never_leads_out() {
    let scene = scene();
    let place = scene.path();
    fs::write(place.join("place/key"), version(9, 4000)).unwrap();
    for link in ["shelf/to-file", "shelf/to-large"] {
        lchown(place.join(link), Some(1234), Some(1234)).unwrap();
    }
    let sticky = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    fs::set_permissions(place.join("place"), sticky).unwrap();
    let swap = |chance: &mut Chance| {
        let other = ["file", "to-file", "directory", "to-large"];
        exchange(place, "key", other[usize::try_from(chance.below(4)).unwrap()]);
    };
    let whole = |image: &Path| require_version(&content(image, "key"), 4000).unwrap();
    let manifest = "files: [{path: /key, file: place/key}]\n";
    race("planted link", place, manifest, &[4, 5], swap, whole);
}

/// A link of one's own is followed: to one file or to the other.
#[test]
fn a_link_that_is_swapped_is_one_file_or_the_other() {
    let scene = scene();
    let place = scene.path();
    fs::write(place.join("one"), version(1, 4000)).unwrap();
    fs::write(place.join("other"), version(2, 4000)).unwrap();
    symlink("../one", place.join("place/key")).unwrap();
    symlink("../other", place.join("shelf/other")).unwrap();
    fs::remove_file(place.join("shelf/to-file")).unwrap();
    let swap = |chance: &mut Chance| {
        let other = ["other", "file", "directory"];
        exchange(place, "key", other[usize::try_from(chance.below(3)).unwrap()]);
    };
    let whole = |image: &Path| require_version(&content(image, "key"), 4000).unwrap();
    let manifest = "files: [{path: /key, file: place/key}]\n";
    race("own link", place, manifest, &[4], swap, whole);
}

/// The campaign is able to fail: a tree that is followed outside holds the canary.
#[test]
fn the_canary_is_seen() {
    let scene = scene();
    let place = scene.path();
    symlink("../outside/key", place.join("place/key")).unwrap();
    let manifest = "files: [{path: /, dir: place, links: follow}]\n";
    fs::write(place.join("m.yaml"), manifest).unwrap();
    assert!(build(place, "m.yaml", "out.erofs").output().unwrap().status.success());
    assert!(holds_canary(&fs::read(place.join("out.erofs")).unwrap()));
}
