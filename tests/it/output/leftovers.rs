//! What killed builders have left goes with the next build, and nothing else does.

use std::os::unix::fs::DirBuilderExt;

use super::*;

#[test]
fn leftovers_of_killed_builders_go_and_nothing_else_does() {
    let directory = TempDir::new().unwrap();
    let beside = |name: &str| directory.path().join(name);
    let private = private_directory(&beside("image"));
    let at = |name: &str| private.join(name);
    fs::DirBuilder::new().mode(0o700).create(&private).unwrap();
    fs::write(beside(".image.credimg-commitlock"), "secret").unwrap();
    for stale in ["abcdefghij", "2345672345"] {
        fs::write(at(stale), "secret").unwrap();
    }
    fs::set_permissions(at("2345672345"), fs::Permissions::from_mode(0o000)).unwrap();
    let mut kept = vec!["linkedaaaa", "linkedbbbb", "lockedaaaa", "symlinkaaa", "fifoaaaaaa"];
    for name in kept.iter().take(1) {
        fs::write(at(name), "").unwrap();
    }
    fs::hard_link(at("linkedaaaa"), at("linkedbbbb")).unwrap();
    let locked = File::create(at("lockedaaaa")).unwrap();
    lock(&locked, libc::F_WRLCK);
    // Whoever can only read a leftover does not keep it.
    for name in ["flockedaaa", "readeraaaa"] {
        fs::write(at(name), "secret").unwrap();
    }
    let flocked = File::open(at("flockedaaa")).unwrap();
    rustix::fs::flock(&flocked, FlockOperation::LockExclusive).unwrap();
    let read = File::open(at("readeraaaa")).unwrap();
    lock(&read, libc::F_RDLCK);
    symlink("abc", at("symlinkaaa")).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(CWD, at("fifoaaaaaa"), mode).unwrap();
    fs::create_dir(at("directorya")).unwrap();
    kept.push("directorya");
    // Names that no builder of this image gives.
    let foreign = [".image.credimg-abcdefghij", ".image.x.credimg-commitlock"];
    for name in foreign {
        fs::write(beside(name), "").unwrap();
    }

    create(&beside("image")).commit().unwrap();
    kept.sort_unstable();
    // A leftover that its owner cannot even read is only removed by root.
    let is_root = rustix::process::geteuid().is_root();
    let left: Vec<_> =
        names(&private).into_iter().filter(|name| is_root || name != "2345672345").collect();
    assert_eq!(left, kept);
    let private = private.file_name().unwrap().to_str().unwrap();
    let mut left = vec![private, foreign[0], foreign[1], "image"];
    left.sort_unstable();
    assert_eq!(names(directory.path()), left);
}

/// Whatever somebody else has put at the name of the private directory is left alone, and
/// keeps nobody from building.
#[test]
fn a_private_directory_that_is_not_private_is_not_used() {
    let plants: [fn(&Path); 4] = [
        |path| fs::write(path, "").unwrap(),
        |path| symlink("elsewhere", path).unwrap(),
        |path| fs::DirBuilder::new().mode(0o770).create(path).unwrap(),
        |path| {
            fs::DirBuilder::new().mode(0o700).create(path).unwrap();
            std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
        },
    ];
    // Only root can give a directory away.
    let count = if rustix::process::geteuid().is_root() { 4 } else { 3 };
    for (number, plant) in plants.into_iter().take(count).enumerate() {
        let directory = TempDir::new().unwrap();
        let image = directory.path().join("image");
        fs::create_dir(directory.path().join("elsewhere")).unwrap();
        fs::write(directory.path().join("elsewhere/abcdefghij"), "").unwrap();
        let private = private_directory(&image);
        plant(&private);
        if fs::symlink_metadata(&private).unwrap().is_dir() {
            // A umask may have narrowed it.
            let mode = if number == 2 { 0o770 } else { 0o700 };
            fs::set_permissions(&private, fs::Permissions::from_mode(mode)).unwrap();
            fs::write(private.join("abcdefghij"), "").unwrap();
        }
        for content in ["old", "new"] {
            let mut output = create(&image);
            output.add_sidecar("smbios", content.as_bytes()).unwrap();
            output.commit_with_sidecars(&|suffix| suffix == b"smbios").unwrap();
        }
        assert_eq!(fs::read(directory.path().join("image.smbios")).unwrap(), b"new");
        let private = private.file_name().unwrap().to_str().unwrap();
        let expected = [private, "elsewhere", "image", "image.sidecars", "image.smbios"];
        assert_eq!(names(directory.path()), expected, "{number}");
        let planted = directory.path().join(private).join("abcdefghij");
        assert!(!planted.parent().unwrap().is_dir() || planted.exists(), "{number}");
        assert_eq!(names(&directory.path().join("elsewhere")), ["abcdefghij"], "{number}");
    }
}

/// Where temporaries of this user's builders have their names.
fn private_directory(image: &Path) -> PathBuf {
    let name = image.file_name().unwrap().to_str().unwrap();
    image.with_file_name(format!(".{name}.credimg-{}", rustix::process::geteuid().as_raw()))
}
