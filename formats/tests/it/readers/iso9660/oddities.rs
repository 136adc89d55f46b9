//! What a few images have that no tree shows: what boots, compression, zones of time, sessions.

use std::path::{Path, PathBuf};
use std::process::Command;

use credimg_formats::ErrorKind;
use credimg_formats::iso9660::{Hierarchy, Reader};
use credimg_formats::read::{Limits, NodeKind, Reader as _};

use super::coverage;
use crate::readers::listing::listing;
use crate::readers::told::Told;
use crate::support::ExpectedKind;
use crate::support::host::{Scratch, run};

/// A directory with what boots and what is small.
fn source(scratch: &Scratch) -> PathBuf {
    let from = scratch.path("from");
    std::fs::create_dir_all(from.join("boot")).unwrap();
    std::fs::write(from.join("boot/loader"), [0xeb; 5000]).unwrap();
    std::fs::write(from.join("readme"), b"read me").unwrap();
    from
}

fn read(path: &Path) -> (Vec<u8>, Reader) {
    let image = std::fs::read(path).unwrap();
    let limits = Limits::for_image(image.len() as u64);
    let reader = Reader::open(Box::new(image.clone()), limits).unwrap();
    (image, reader)
}

fn titles(reader: &Reader) -> Vec<String> {
    let mut told = Told::default();
    reader.account(&mut told).unwrap();
    told.regions.into_iter().map(|region| region.title).collect()
}

#[test]
fn what_boots_is_a_record_and_content() {
    let scratch = Scratch::new("iso9660-boot");
    let (from, to) = (source(&scratch), scratch.path("image.iso"));
    let boots =
        ["-b", "boot/loader", "-c", "boot/catalog", "-no-emul-boot", "-boot-load-size", "10"];
    let hidden = ["-hide", "loader", "-hide", "catalog"];
    let tools: [&[&str]; 2] = [&["genisoimage"], &["xorriso", "-as", "mkisofs"]];
    for (tool, options) in tools.iter().flat_map(|tool| [(tool, &[][..]), (tool, &hidden[..])]) {
        let mut command = Command::new(tool[0]);
        run(command
            .args(&tool[1..])
            .args(["-quiet", "-R"])
            .args(boots)
            .args(options)
            .arg("-o")
            .arg(&to)
            .arg(&from));
        let (image, reader) = read(&to);
        assert_eq!(reader.facts().features, ["rock-ridge", "el-torito"]);
        assert_eq!(coverage::faults(&reader, &image), Vec::<String>::new(), "{tool:?} {options:?}");
        let titles = titles(&reader);
        for (title, count) in [
            ("boot record", 1),
            ("boot catalog", 1),
            ("content of /boot/loader", usize::from(options.is_empty())),
            ("boot image 1", usize::from(!options.is_empty())),
            ("content of /boot/catalog", 0),
        ] {
            let found = titles.iter().filter(|found| *found == title).count();
            assert_eq!(found, count, "{tool:?} {options:?}: {title}");
        }
        if options.is_empty() {
            let boot = reader.lookup(reader.root(), b"boot").unwrap().unwrap();
            let loader = reader.lookup(boot, b"loader").unwrap().unwrap();
            let mut content = Vec::new();
            reader.stream(loader, &mut content).unwrap();
            assert_eq!(content, [0xeb; 5000]);
        }
    }
}

#[test]
fn compressed_files_are_shown_and_not_read() {
    let scratch = Scratch::new("iso9660-zisofs");
    let (from, to) = (source(&scratch), scratch.path("image.iso"));
    run(Command::new("xorriso").arg("-outdev").arg(&to).arg("-map").arg(&from).args([
        "/",
        "-find",
        "/boot",
        "-type",
        "f",
        "-exec",
        "set_filter",
        "--zisofs",
        "--",
    ]));
    let (image, reader) = read(&to);
    let boot = reader.lookup(reader.root(), b"boot").unwrap().unwrap();
    let loader = reader.lookup(boot, b"loader").unwrap().unwrap();
    let stat = reader.stat(loader).unwrap();
    assert_eq!((stat.kind, stat.size_bytes), (NodeKind::File, 5000));
    let error = reader.stream(loader, &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message =
        format!("directory record at byte {}: a file compressed by zisofs is not read", loader.0);
    assert_eq!(error.to_string(), message);
    assert_eq!(coverage::faults(&reader, &image), Vec::<String>::new());
}

#[test]
fn zones_of_time_mean_what_they_say() {
    let scratch = Scratch::new("iso9660-zones");
    let (from, to) = (source(&scratch), scratch.path("image.iso"));
    for zone in ["UTC", "Asia/Kathmandu", "America/St_Johns"] {
        for (path, seconds) in [("readme", 1_700_000_000), ("boot/loader", 1_000_000_000)] {
            let time = format!("@{seconds}");
            run(Command::new("touch").args(["-d", &time]).arg(from.join(path)));
        }
        run(Command::new("genisoimage")
            .args(["-quiet", "-R", "-o"])
            .arg(&to)
            .arg(&from)
            .env("TZ", zone));
        for hierarchy in [Hierarchy::RockRidge, Hierarchy::Plain] {
            let image = std::fs::read(&to).unwrap();
            let limits = Limits::for_image(image.len() as u64);
            let reader = Reader::open_hierarchy(Box::new(image), limits, hierarchy).unwrap();
            let listing = listing(&reader);
            let times = [b"readme".as_slice(), b"boot/loader"].map(|path| listing[path].mtime);
            assert_eq!(times, [(1_700_000_000, 0), (1_000_000_000, 0)], "{zone} {hierarchy:?}");
        }
    }
}

/// xorriso writes the descriptors twice where sessions may follow.
#[test]
fn the_descriptors_of_the_session_are_told_as_well() {
    let scratch = Scratch::new("iso9660-session");
    let (from, to) = (source(&scratch), scratch.path("image.iso"));
    run(Command::new("xorriso").arg("-outdev").arg(&to).arg("-map").arg(&from).arg("/"));
    let (image, reader) = read(&to);
    assert_eq!(coverage::faults(&reader, &image), Vec::<String>::new());
    let titles = titles(&reader);
    for title in ["primary volume descriptor", "session's primary volume descriptor"] {
        assert!(titles.iter().any(|found| found == title), "{title}");
    }
}

/// Each hierarchy of one image, and what there is none of.
#[test]
fn a_hierarchy_is_read_where_it_is_asked_for() {
    let scratch = Scratch::new("iso9660-hierarchies");
    let (from, to) = (source(&scratch), scratch.path("image.iso"));
    std::fs::write(from.join("A name of two words.text"), b"words").unwrap();
    run(Command::new("genisoimage").args(["-quiet", "-R", "-J", "-o"]).arg(&to).arg(&from));
    let image = std::fs::read(&to).unwrap();
    for (hierarchy, name) in [
        (Hierarchy::RockRidge, "A name of two words.text"),
        (Hierarchy::Joliet, "A name of two words.text"),
        (Hierarchy::Plain, "a_name_o.tex"),
    ] {
        let limits = Limits::for_image(image.len() as u64);
        let reader = Reader::open_hierarchy(Box::new(image.clone()), limits, hierarchy).unwrap();
        let listing = listing(&reader);
        let ExpectedKind::File { content, .. } = &listing[name.as_bytes()].kind else {
            panic!("{name} is no file");
        };
        assert_eq!(content, b"words");
        assert_eq!(coverage::faults(&reader, &image), Vec::<String>::new(), "{hierarchy:?}");
    }
    run(Command::new("genisoimage").args(["-quiet", "-o"]).arg(&to).arg(&from));
    for (hierarchy, message) in [
        (Hierarchy::RockRidge, "the image has no tree of Rock Ridge"),
        (Hierarchy::Joliet, "the image has no tree of Joliet"),
    ] {
        let image = std::fs::read(&to).unwrap();
        let limits = Limits::for_image(image.len() as u64);
        let error = Reader::open_hierarchy(Box::new(image), limits, hierarchy).err().unwrap();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unsupported, message));
    }
}
