//! What an image says of itself, and what it looks like to blkid.

use std::io::Write;

use credimg_formats::probe::{self, Probe};
use credimg_formats::signature::{self, Watch};
use credimg_formats::{ErrorKind, Metadata, Timestamp, Tree, erofs, iso9660, squashfs};

use super::Target;

pub const TARGET: Target = Target {
    name: "probe",
    // As far as anything is looked for.
    max_bytes: 36 << 10,
    memory_max_bytes: 4 << 20,
    run,
    seeds,
};

fn run(data: &[u8]) {
    match probe::probe(&mut &data[..]) {
        Ok(Probe::Luks { uuid, .. }) => assert!(uuid.len() <= 3 * 40, "{uuid}"),
        Ok(Probe::Iso9660 { label, .. }) => assert!(label.len() <= 32),
        Ok(Probe::Erofs { label, .. }) => assert!(label.len() <= 16),
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
    }
    let stamp = probe::stamp(&mut &data[..]).expect("a slice can be read");
    assert!(stamp.is_none() || probe::probe(&mut &data[..]).is_ok());
    look(data);
}

/// What blkid would take the image for lies where it was found.
fn look(data: &[u8]) {
    let mut image = Vec::new();
    let mut watch = Watch::new(&mut image);
    let (start, rest) = data.split_at(data.len() / 2);
    watch.write_all(start).and_then(|()| watch.write_all(rest)).expect("room in memory");
    let found = watch.found("iso9660");
    for signature in &found {
        assert!(data[signature.offset_bytes..].starts_with(signature.magic));
        assert!(signature::known().any(|known| known == *signature));
    }
    assert_eq!(image, data);
}

fn seeds() -> Vec<Vec<u8>> {
    let tree = Tree::new(Metadata::default());
    let time = Timestamp::from_seconds(1_700_000_000);
    let mut images = Vec::new();
    let label = erofs::Label::new(b"CHIMERA").expect("a label");
    let options = erofs::Options::new().label(label).build_time(time);
    let mut image = Vec::new();
    let plan = erofs::Plan::new(&tree, options).expect("an empty tree");
    plan.write(&mut image).expect("room in memory");
    images.push(image);
    let options = squashfs::Options::new().build_time(time);
    let mut image = Vec::new();
    let plan = squashfs::Plan::new(&tree, options).expect("an empty tree");
    plan.write(&mut image).expect("room in memory");
    images.push(image);
    let volume_id = iso9660::VolumeId::new(b"cidata").expect("a label");
    let options = iso9660::Options::new().volume_id(volume_id).build_time(time);
    let mut image = Vec::new();
    let plan = iso9660::Plan::new(&tree, options).expect("an empty tree");
    plan.write(&mut image).expect("room in memory");
    image.truncate(34 << 10);
    images.push(image);
    images.extend(super::luks::heads().map(|head| head[..4096].to_vec()));
    // Each signature of another format, where it is looked for within an input.
    for signature in signature::known() {
        let end = signature.offset_bytes + signature.magic.len();
        if end <= TARGET.max_bytes {
            let mut image = vec![0; signature.offset_bytes];
            image.extend(signature.magic);
            images.push(image);
        }
    }
    images
}
