//! Directories that are exchanged with links to the world outside, while the program extracts
//! into them: nothing lands there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, ResolveFlags, openat2, renameat_with};
use rustix::io::Errno;
use tempfile::TempDir;

use super::chance::Chance;
use super::sources::Stop;
use super::{build, share, stderr};

const SWAPS: usize = 10_000;
const RUNS: usize = 1_000;

/// An image with directories in directories, a place to extract into, in which they are there
/// already, a shelf with links, and the world outside with directories of the same names.
fn scene() -> TempDir {
    let scene = TempDir::new().unwrap();
    let at = |name: &str| scene.path().join(name);
    let mut manifest = "files:\n".to_owned();
    for directory in ["a", "a/b", "a/b/c", "d"] {
        fs::create_dir_all(at("tree").join(directory)).unwrap();
        fs::create_dir_all(at("outside").join(directory)).unwrap();
        for number in 0..12 {
            let length = if number == 7 { 200_000 } else { 100 };
            let content = vec![b'x'; length];
            fs::write(at("tree").join(directory).join(format!("f{number}")), content).unwrap();
        }
    }
    // What is there already is replaced, and so a link in its place is met as well.
    fs::write(at("outside/a/f1"), "outside").unwrap();
    fs::write(at("outside/f1"), "outside").unwrap();
    manifest += "- {path: /, dir: tree, mode: keep, dir_mode: keep}\n";
    fs::write(at("m.yaml"), manifest).unwrap();
    assert!(build(scene.path(), "m.yaml", "i.erofs").output().unwrap().status.success());
    lay_out(scene.path());
    scene
}

/// Makes the directory to extract into and the shelf as they are in the beginning.
fn lay_out(scene: &Path) {
    let at = |name: &str| scene.join(name);
    for name in ["in", "shelf"] {
        let _ = fs::remove_dir_all(at(name));
    }
    fs::create_dir_all(at("in/a/b/c")).unwrap();
    fs::create_dir(at("in/d")).unwrap();
    fs::create_dir_all(at("shelf/4")).unwrap();
    for (name, target) in
        [("0", "outside"), ("1", "outside/a"), ("2", "outside/a/b"), ("3", "outside/f1")]
    {
        symlink(at(target), at("shelf").join(name)).unwrap();
    }
}

/// Everything in the world outside, with its length and the time of its last change.
fn outside(scene: &Path) -> Vec<(PathBuf, u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt;
    let entries = walkdir::WalkDir::new(scene.join("outside")).sort_by_file_name();
    let entry = |entry: walkdir::Result<walkdir::DirEntry>| {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        (entry.into_path(), metadata.len(), metadata.ctime(), metadata.ctime_nsec())
    };
    entries.into_iter().map(entry).collect()
}

fn extract(scene: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
    command.args(["extract", "i.erofs", "in", "--force", "--preserve", "--quiet"]);
    command.current_dir(scene).stdin(Stdio::null());
    command
}

/// Exchanges a name below `in`, to which no link leads, with another one.
fn exchange(place: &Path, name: &str, other: &str) -> Result<(), Errno> {
    let (parent, name) = name.rsplit_once('/').unwrap_or(("", name));
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let parent = place.join("in").join(parent);
    let parent = openat2(CWD, parent, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    renameat_with(parent, name, CWD, place.join(other), RenameFlags::EXCHANGE)
}

#[test]
fn extracting_never_leads_out_of_the_directory() {
    let scene = scene();
    let place = scene.path();
    let before = outside(place);
    let (stop, swaps) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut runs, mut done) = (0, 0);
    let turn = Mutex::new(());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut chance = Chance::new(11);
            let mut pick = |limit: u64| usize::try_from(chance.below(limit)).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let name = ["a", "a/b", "a/b/c", "d", "a/f1", "d/f2"][pick(6)];
                let other = format!("shelf/{}", pick(5));
                // What is below a directory that is on the shelf is not there now.
                let exchanged = {
                    let _turn = turn.lock().unwrap();
                    exchange(place, name, &other)
                };
                swaps.fetch_add(usize::from(exchanged.is_ok()), Ordering::Relaxed);
                if pick(6) == 0 {
                    std::thread::sleep(std::time::Duration::from_micros(pick(20_000) as u64));
                }
            }
        });
        let _stop = Stop(&stop);
        while runs < share(RUNS) || swaps.load(Ordering::Relaxed) < share(SWAPS) {
            // What is exchanged twice may stay so for ever.
            if runs % 4 == 0 {
                let _turn = turn.lock().unwrap();
                lay_out(place);
            }
            let output = extract(place).output().unwrap();
            let code = output.status.code().unwrap();
            runs += 1;
            done += usize::from(code == 0);
            assert!(matches!(code, 0 | 7), "exit {code}: {}", stderr(&output));
            assert_eq!(outside(place), before, "exit {code}: {}", stderr(&output));
        }
    });
    println!("extract: {} swaps, {runs} runs, {done} done", swaps.into_inner());
}

/// The test is able to fail: what follows links writes outside.
#[test]
fn the_world_outside_is_seen_to_change() {
    let scene = scene();
    let place = scene.path();
    fs::remove_dir_all(place.join("in/a")).unwrap();
    symlink("../outside/a", place.join("in/a")).unwrap();
    let before = outside(place);
    assert_eq!(extract(place).output().unwrap().status.code(), Some(7));
    assert_eq!(outside(place), before);
    fs::copy(place.join("tree/a/f0"), place.join("in/a/f0")).unwrap();
    assert_ne!(outside(place), before);
}
