//! Who wins: the wish over the manifest, and that over what the destination tells.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};

use credimg_formats::luks::Version;
use credimg_formats::{Format, Timestamp};

use super::Job;
use super::destination::{Compared, Destination, Heir, Kept, NewFile, Streamed};
use super::wishes::{AttachWishes, MachineWishes, SourceWishes, Wishes};
use crate::host::output;
use crate::manifest::parse;
use crate::monitors::Place;
use crate::report::{Exit, Failure};
use crate::sources::assemble::OwnFiles;

const KEPT: [u8; 16] = [7; 16];

fn job(manifest: &str, wishes: &Wishes, destination: Destination) -> Result<Job, Failure> {
    let text = format!("{manifest}\nfiles: []\n");
    Job::new(parse(text.as_bytes(), Path::new("manifest.yaml")).unwrap(), wishes, destination)
}

fn file(name: &str) -> Destination {
    Destination::File(NewFile {
        path: PathBuf::from(name),
        permissions: output::Permissions::default(),
        own_files: OwnFiles::default(),
        if_changed: false,
        notes_inputs: false,
    })
}

fn memory() -> Destination {
    let machine_type = Some("microvm".parse().unwrap());
    Destination::Memory(Heir { machine_type, free_place: "3".parse().unwrap(), initrd: None })
}

fn compared() -> Destination {
    let time = Some(Timestamp::from_seconds(5));
    Destination::Compared(Compared {
        path: PathBuf::from("old.iso"),
        own_files: OwnFiles::default(),
        kept: Kept { uuid: Some(KEPT), header_uuid: None, build_time: time },
    })
}

fn format(format: Format) -> Wishes {
    Wishes { format: Some(format), ..Wishes::default() }
}

#[test]
fn the_format_is_wished_or_the_manifests_or_the_names() {
    for (manifest, wishes, destination, expected) in [
        ("format: iso9660", format(Format::Squashfs), file("a.erofs"), Format::Squashfs),
        ("format: iso9660", Wishes::default(), file("a.erofs"), Format::Iso9660),
        ("", Wishes::default(), file("a.sqfs"), Format::Squashfs),
        ("", Wishes::default(), compared(), Format::Iso9660),
        ("", Wishes::default(), memory(), Format::Erofs),
    ] {
        let job = job(manifest, &wishes, destination).unwrap();
        assert_eq!(job.image.format, expected, "{manifest}");
        assert!(job.is_format_known);
    }
    assert!(!job("", &Wishes::default(), Destination::Nothing).unwrap().is_format_known);
    let stream = Destination::Stream(Streamed {
        permissions: output::Permissions::default(),
        own_files: OwnFiles::default(),
    });
    assert_eq!(job("", &Wishes::default(), stream).err().unwrap().exit, Exit::Usage);
}

#[test]
fn label_and_serial_follow_one_another() {
    let label = |label: &str| Wishes { label: Some(label.to_owned()), ..Wishes::default() };
    let serial = |serial: &str| Wishes {
        attach: AttachWishes { serial: Some(serial.to_owned()), ..AttachWishes::default() },
        ..Wishes::default()
    };
    for (manifest, wishes, expected_label, expected_serial) in [
        ("label: ONE", label("TWO"), Some("TWO"), "two"),
        ("label: ONE", serial("x"), Some("ONE"), "x"),
        ("label: ONE", Wishes::default(), Some("ONE"), "one"),
        ("", Wishes::default(), None, "a"),
    ] {
        let job = job(manifest, &wishes, file("A.erofs")).unwrap();
        assert_eq!(job.image.label.as_deref(), expected_label);
        assert_eq!(job.drive.serial.as_str(), expected_serial);
    }
}

#[test]
fn a_check_decides_as_the_build_does() {
    for (manifest, wishes) in [
        ("format: erofs\nlabel: LONGER-THAN-FIFTEEN", Wishes::default()),
        ("format: erofs\njoliet: true", Wishes::default()),
        ("format: iso9660\ncompression: zstd", Wishes::default()),
        ("format: iso9660\njoliet: true\nlabel: ONE", Wishes::default()),
        ("label: A+B\nformat: erofs", Wishes::default()),
        ("format: erofs", Wishes { guest: Some("machine=pc".into()), ..Wishes::default() }),
    ] {
        let decided = [file("a"), Destination::Nothing].map(|destination| {
            job(manifest, &wishes, destination)
                .map(|job| (job.image.format, job.image.label, job.image.options.joliet))
                .map_err(|failure| failure.message)
        });
        let [build, check] = decided;
        assert_eq!(build, check, "{manifest}");
    }
}

#[test]
fn what_exists_gives_what_nobody_wishes() {
    let kept = job("", &Wishes::default(), compared()).unwrap();
    assert_eq!(kept.image.uuid, KEPT);
    assert_eq!(kept.image.build_time, Timestamp::from_seconds(5));
    // Guests find it by its label then, and each image has a UUID of its own.
    let labelled = job("label: ONE", &Wishes::default(), compared()).unwrap();
    assert_ne!(labelled.image.uuid, KEPT);
    let wishes = Wishes {
        uuid: Some("6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81".to_owned()),
        sources: SourceWishes { mtime: Some(9), ..SourceWishes::default() },
        ..Wishes::default()
    };
    let job = job("", &wishes, compared()).unwrap();
    assert_ne!(job.image.uuid, KEPT);
    assert_eq!(job.image.build_time, Timestamp::from_seconds(9));
}

#[test]
fn the_monitors_own_arguments_come_last() {
    let own = job("", &Wishes::default(), memory()).unwrap();
    assert_eq!(own.drive.machine_type, Some("microvm".parse().unwrap()));
    assert_eq!(own.drive.place, "3".parse::<Place>().unwrap());
    let (machine_type, place) = ("pc".parse().unwrap(), "2".parse::<Place>().unwrap());
    let machine = MachineWishes { machine_type: Some(machine_type), ..MachineWishes::default() };
    let attach = AttachWishes { machine, place: Some(place), ..AttachWishes::default() };
    let job = job("", &Wishes { attach, ..Wishes::default() }, memory()).unwrap();
    assert_eq!(job.drive.machine_type, Some(machine_type));
    assert_eq!(job.drive.place, place);
}

#[test]
fn a_check_takes_no_key() {
    let manifest = "label: ONE\nformat: erofs\nencrypt: {luks: 2, key: nowhere}";
    let job = job(manifest, &Wishes::default(), Destination::Nothing).unwrap();
    assert_eq!(job.encryption.map(|encryption| encryption.luks), Some(Version::Luks2));
    assert!(job.image.encryptor.is_none());
    assert!(job.settings.means.unlock.is_some());
}
