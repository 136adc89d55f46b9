//! The order of an archive's members, of a directory's listing and of pseudo definitions shows
//! nowhere where it means nothing: the bytes are the same, and `--if-changed` keeps the image.

use super::*;

const FORMATS: [&str; 4] = ["a.erofs", "a.squashfs", "a.iso", "b.iso --joliet"];
const ARCHIVES: u64 = 20;

/// A small generator: a seed means the same archive for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// What stands at a path. Hard links are several paths of one number.
#[derive(Clone)]
enum Member {
    Directory,
    Symlink,
    File { number: u32, content: Vec<u8> },
}

/// Directories, some only implied, equal files, hard links across directories, and links.
fn members(random: &mut Random) -> Vec<(String, Member)> {
    let directories = ["", "a/", "b/", "a/deep/er/", "implied/below/", "z/"];
    let mut members: Vec<_> =
        ["a", "b", "z"].map(|path| (path.to_owned(), Member::Directory)).into();
    for number in 0..12 {
        let size = [0, 1, 100, 4095, 4096, 5000, 20_000][random.below(7)];
        let content = vec![u8::try_from(random.below(3)).unwrap(); size];
        for name in 0..=random.below(3) {
            let path = format!("{}f{number}{name}", directories[random.below(6)]);
            members.push((path, Member::File { number, content: content.clone() }));
        }
    }
    members.push((format!("{}link", directories[random.below(6)]), Member::Symlink));
    members
}

/// The members in this order: the first one of several names is the file.
fn archive(members: &[(String, Member)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut first_names = std::collections::HashMap::new();
    for (path, member) in members {
        let mut header = tar::Header::new_gnu();
        let (number, size) = match member {
            Member::File { number, content } => (*number, content.len()),
            Member::Directory | Member::Symlink => (100, 0),
        };
        header.set_mode(0o400 + number % 8);
        header.set_uid(1000 + u64::from(number));
        header.set_gid(7);
        header.set_mtime(1_600_000_000 + u64::from(number));
        header.set_size(size as u64);
        match member {
            Member::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                archive.append_data(&mut header, path, &[][..]).unwrap();
            }
            Member::Symlink => {
                header.set_entry_type(tar::EntryType::Symlink);
                archive.append_link(&mut header, path, "a/f00").unwrap();
            }
            Member::File { number, content } => {
                if let Some(first) = first_names.get(number) {
                    header.set_entry_type(tar::EntryType::Link);
                    header.set_size(0);
                    archive.append_link(&mut header, path, first).unwrap();
                } else {
                    first_names.insert(*number, path.clone());
                    archive.append_data(&mut header, path, content.as_slice()).unwrap();
                }
            }
        }
    }
    archive.into_inner().unwrap()
}

fn built(host: &Host, options: &str) -> Vec<u8> {
    assert_done(&host.run(&format!("build secrets.yaml --uuid {UUID} --mtime 5 -o {options}")));
    host.read(options.split(' ').next().unwrap())
}

/// Whether a build with `--if-changed` leaves the image in its place.
fn is_kept(host: &Host, options: &str) -> bool {
    let image = host.path(options.split(' ').next().unwrap());
    let inode =
        |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::symlink_metadata(path).unwrap());
    // What holds the old image's number until the new one has its own.
    let old = fs::File::open(&image).unwrap();
    let before = inode(&image);
    assert_done(&host.run(&format!("build secrets.yaml --if-changed -o {options}")));
    let after = inode(&image);
    drop(old);
    before == after
}

#[test]
fn a_repacked_archive_keeps_the_image_in_every_format() {
    for seed in 0..ARCHIVES {
        let mut random = Random(seed);
        let host = Host::empty();
        let keep = "mode: keep, dir_mode: keep, owner: keep, mtime: keep";
        let manifest = format!("label: CHIMERA\nfiles:\n- {{path: /t, tar: t.tar, {keep}}}\n");
        host.write("secrets.yaml", manifest);
        let mut members = members(&mut random);
        host.write("t.tar", archive(&members));
        let images = FORMATS.map(|options| built(&host, options));
        random.shuffle(&mut members);
        let repacked = archive(&members);
        assert!(repacked != host.read("t.tar"), "seed {seed}");
        host.write("t.tar", repacked);
        for options in FORMATS {
            assert!(is_kept(&host, options), "seed {seed}: {options}");
        }
        // And once more without the old image.
        let which = usize::try_from(seed).unwrap() % FORMATS.len();
        members.reverse();
        host.write("t.tar", archive(&members));
        assert!(built(&host, FORMATS[which]) == images[which], "seed {seed}");
        // The comparison does see a change.
        let content = vec![9];
        members.push(("one-more".to_owned(), Member::File { number: 50, content }));
        host.write("t.tar", archive(&members));
        assert!(!is_kept(&host, FORMATS[which]), "seed {seed}");
    }
}

#[test]
fn a_directory_filled_in_another_order_keeps_the_image() {
    let host = Host::empty();
    host.write("secrets.yaml", "label: CHIMERA\nfiles:\n- {path: /, dir: t, mode: keep}\n");
    let mut random = Random(7);
    let mut names: Vec<String> = (0..60).map(|index| format!("d{}/f{index}", index % 4)).collect();
    let fill = |names: &[String]| {
        let _ = fs::remove_dir_all(host.path("t"));
        for name in names {
            host.write(format!("t/{name}"), &name[..name.len() / 2]);
        }
        fs::hard_link(host.path("t").join(&names[0]), host.path("t/d0/other")).unwrap();
    };
    fill(&names);
    for options in FORMATS {
        built(&host, options);
    }
    // The hard link stays that of the first file, which is now made last but one.
    names[1..].reverse();
    random.shuffle(&mut names[1..]);
    fill(&names);
    for options in FORMATS {
        assert!(is_kept(&host, options), "{options}");
    }
}

#[test]
fn pseudo_definitions_of_the_same_meaning_keep_the_image() {
    let definitions = [
        "/d d 700 1 2",
        "/d/e/f f 400 3 4 echo content",
        "/d/e/s s 777 0 0 f",
        "/d/e d 750 5 6",
        "/g f 440 0 0 echo content",
        "/d/p i 600 0 0 f",
    ];
    let host = Host::empty();
    let write = |definitions: &[&str]| {
        let lines = definitions.iter().map(|line| format!("- '{line}'\n"));
        let xattrs = "defaults: {xattrs: {security.a: x}}\n";
        let manifest = format!("label: CHIMERA\n{xattrs}pseudo:\n{}", lines.collect::<String>());
        host.write("secrets.yaml", manifest);
    };
    write(&definitions);
    // ISO 9660 holds no attributes.
    let formats = [FORMATS[0], FORMATS[1], "a.iso --lossy", "b.iso --lossy --joliet"];
    for options in formats {
        built(&host, options);
    }
    let mut random = Random(1);
    for _ in 0..3 {
        let mut shuffled = definitions;
        random.shuffle(&mut shuffled);
        write(&shuffled);
        for options in formats {
            assert!(is_kept(&host, options), "{options}: {shuffled:?}");
        }
    }
}
