//! Sources with holes: the image is the same as without, and takes no room for them either.

use std::os::unix::fs::{FileExt, MetadataExt};

use super::*;

const LENGTH: u64 = 12 << 20;

/// The image of the sources, and how much room it takes.
fn build(host: &Host, image: &str) -> (Vec<u8>, u64) {
    let mut command = host.credimg();
    command.env("SOURCE_DATE_EPOCH", "0").args(["build", "secrets.yaml", "--uuid", UUID]);
    let output = command.args(["--quiet", "--args=none", "-o", image]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let found = fs::metadata(host.path(image)).unwrap();
    (fs::read(host.path(image)).unwrap(), found.blocks() * 512)
}

#[test]
fn holes_of_sources_are_holes_of_the_image() {
    let host = Host::new("files: [{path: /a, file: a}, {path: /b, file: b}]\n");
    for name in ["a", "b"] {
        let file = fs::File::create(host.path(name)).unwrap();
        // The file ends in the middle of a block, with a hole.
        file.set_len(LENGTH + 1000).unwrap();
        file.write_all_at(name.as_bytes(), 5_000_001).unwrap();
        assert!(file.metadata().unwrap().blocks() * 512 < 1 << 20, "no holes on this file system");
    }
    let extensions = ["erofs", "iso", "squashfs"];
    let sparse = extensions.map(|extension| build(&host, &format!("sparse.{extension}")));
    for name in ["a", "b"] {
        let bytes = fs::read(host.path(name)).unwrap();
        fs::write(host.path(name), bytes).unwrap();
    }
    for (extension, (sparse, room_bytes)) in extensions.into_iter().zip(sparse) {
        let (dense, dense_bytes) = build(&host, &format!("dense.{extension}"));
        assert!(sparse == dense, "{extension}");
        assert!(room_bytes < 1 << 20, "{extension}: {room_bytes} bytes of {dense_bytes}");
        // Standard output is a pipe: it gets every byte.
        let mut command = host.credimg();
        command.env("SOURCE_DATE_EPOCH", "0").args(["build", "secrets.yaml", "--uuid", UUID]);
        let output = command.args(["-o", "-", "--format"]);
        let output = output.arg(if extension == "iso" { "iso9660" } else { extension });
        assert!(output.output().unwrap().stdout == dense, "{extension}");
    }
}
