//! Images that hold a secret, looked into while something in them is wrong.

use credimg_formats::{Kind, Metadata, Mode, Tree, erofs, iso9660, squashfs};

use crate::leaks::canary::{CONTENT, SCALAR};
use crate::leaks::case::Case;

/// Images with a secret as content and as the value of an attribute, and a wrong byte
/// somewhere: what lists and extracts them says what is wrong, and shows neither.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (format, image) in images() {
        // Most of an image is padding and content.
        let places = (0..image.len()).filter(|place| image[*place] != 0).step_by(7);
        for place in places {
            let mut image = image.clone();
            image[place] ^= 0xff;
            for command in [
                &["ls", "-lR", "i"][..],
                &["ls", "--json", "-R", "i"],
                &["cat", "i", "sub"],
                &["extract", "i", "out/x", "--preserve", "--xattrs", "--force"],
            ] {
                let what = format!("{command:?}: {format}, byte {place} is wrong");
                cases.push(Case::new("look", &what, command).file("i", image.clone()));
            }
        }
    }
    cases
}

fn images() -> [(&'static str, Vec<u8>); 3] {
    let mut tree = Tree::new(Metadata::default());
    let mut metadata = Metadata { mode: Mode::of::<0o600>(), ..Metadata::default() };
    let sub = Metadata { mode: Mode::of::<0o700>(), ..Metadata::default() };
    tree.insert_at("/key", metadata.clone(), Kind::file(CONTENT), &sub).unwrap();
    tree.insert_at("/sub/l", metadata.clone(), Kind::symlink("../key"), &sub).unwrap();
    let mut iso = Vec::new();
    iso9660::Plan::new(&tree, iso9660::Options::new()).unwrap().write(&mut iso).unwrap();
    metadata.xattrs.insert(b"user.key".as_slice().into(), SCALAR.into());
    tree.insert_at("/sub/key", metadata, Kind::file(CONTENT.repeat(90).into_bytes()), &sub)
        .unwrap();
    let (mut erofs, mut squashfs) = (Vec::new(), Vec::new());
    erofs::Plan::new(&tree, erofs::Options::new()).unwrap().write(&mut erofs).unwrap();
    squashfs::Plan::new(&tree, squashfs::Options::new()).unwrap().write(&mut squashfs).unwrap();
    [("erofs", erofs), ("squashfs", squashfs), ("iso9660", iso)]
}
