//! Output directories that are renamed, replaced, linked, made unwritable and removed while
//! the program builds into them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tempfile::TempDir;

use super::chance::Chance;
use super::sources::Stop;
use super::{build, content, share, stderr};

const BUILDS: usize = 500;
const OLD: &[u8] = b"the old image";

/// One thing that an enemy does to the directory `out`, and undoes.
fn meddle(place: &Path, chance: &mut Chance) {
    let (out, away) = (place.join("out"), place.join("away"));
    let put_back = || {
        fs::rename(&away, &out).unwrap();
    };
    let wait = |chance: &mut Chance| chance.pause(8);
    match chance.below(5) {
        // Renamed.
        0 => {
            fs::rename(&out, &away).unwrap();
            wait(chance);
            put_back();
        }
        // A link to another directory in its place.
        1 => {
            fs::rename(&out, &away).unwrap();
            symlink("other", &out).unwrap();
            wait(chance);
            fs::remove_file(&out).unwrap();
            put_back();
        }
        // A file in its place.
        2 => {
            fs::rename(&out, &away).unwrap();
            fs::write(&out, "no directory").unwrap();
            wait(chance);
            fs::remove_file(&out).unwrap();
            put_back();
        }
        // Another directory in its place, which is removed with all that is in it.
        3 => {
            fs::rename(&out, &away).unwrap();
            fs::create_dir(&out).unwrap();
            wait(chance);
            // Whoever has it open may still make a file in it.
            while fs::remove_dir_all(&out).is_err() {}
            put_back();
        }
        // Not writable, to others than root.
        _ => {
            fs::set_permissions(&out, fs::Permissions::from_mode(0o500)).unwrap();
            wait(chance);
            fs::set_permissions(&out, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}

/// The images of builds that lie in the directories.
fn images(directories: &[PathBuf]) -> Vec<PathBuf> {
    let images = directories.iter().map(|directory| directory.join("image.erofs"));
    images.filter(|image| fs::read(image).unwrap() != OLD).collect()
}

#[test]
fn whatever_becomes_of_the_directory_an_image_is_whole_or_not_there() {
    let directory = TempDir::new().unwrap();
    let place = directory.path();
    let directories = ["out", "other"].map(|name| place.join(name));
    for directory in &directories {
        fs::create_dir(directory).unwrap();
    }
    let (mut done, mut refused) = (0, 0);
    let meddled = AtomicUsize::new(0);
    for number in 0..share(BUILDS) {
        for directory in &directories {
            fs::write(directory.join("image.erofs"), OLD).unwrap();
        }
        let who = format!("build-{number:04}");
        fs::write(place.join("m.yaml"), format!("files: [{{path: /who, text: {who}}}]\n")).unwrap();
        let stop = AtomicBool::new(false);
        let output = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut chance = Chance::new(number as u64);
                while !stop.load(Ordering::Relaxed) {
                    meddle(place, &mut chance);
                    meddled.fetch_add(1, Ordering::Relaxed);
                }
            });
            let _stop = Stop(&stop);
            build(place, "m.yaml", "out/image.erofs").stderr(Stdio::piped()).output().unwrap()
        });
        let message = stderr(&output);
        let new = images(&directories);
        for image in &new {
            assert_eq!(content(image, "who"), who.as_bytes(), "{message}");
        }
        assert!(new.len() <= 1, "{new:?}");
        match output.status.code() {
            Some(0) => done += 1,
            Some(7) => refused += 1,
            code => panic!("exit {code:?}: {message}"),
        }
        // Nothing else is left in either.
        for directory in &directories {
            let names: Vec<_> = fs::read_dir(directory).unwrap().map(|e| e.unwrap()).collect();
            assert_eq!(names.len(), 1, "{names:?}: {message}");
        }
    }
    let (builds, meddled) = (share(BUILDS), meddled.into_inner());
    println!(
        "directories: {builds} builds, {meddled} meddled with, {done} done, {refused} refused"
    );
}
