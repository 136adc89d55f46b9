//! `-o -` with encryption: what comes out is what a file would hold.

use super::*;

#[test]
fn a_stream_opens_to_the_same_as_a_file() {
    let host = host("label: CHIMERA\nfiles: [{path: /large, file: large}, {path: /a, text: x}]\n");
    fs::write(host.path("large"), vec![b'l'; 3_000_000]).unwrap();
    for (format, options) in
        [("erofs", ""), ("squashfs", ""), ("squashfs", " --compression zstd:3"), ("iso9660", "")]
    {
        let common =
            format!("build secrets.yaml --format {format} --uuid {UUID} --mtime 5{options}");
        let plain = run(&host, &format!("{common} -o -"));
        assert_done(&plain);
        for version in ["luks1", "luks2"] {
            let encrypted = format!("{common} --encrypt {version} --key-file key");
            let streamed = run(&host, &format!("{encrypted} -o - --quiet"));
            assert_done(&streamed);
            assert!(open(&streamed.stdout, KEY).unwrap() == plain.stdout, "{format} {version}");
            let warned = "credimg: warning: the key does not reach the guest by itself (an image on \
                          standard output has no private files beside it)";
            assert_eq!(stderr(&streamed).contains(warned), version == "luks2");
            assert_done(&run(&host, &format!("{encrypted} -o image")));
            let image = fs::read(host.path("image")).unwrap();
            assert_eq!(image.len(), streamed.stdout.len());
            assert!(open(&image, KEY).unwrap() == plain.stdout, "{format} {version}");
        }
    }
    // Manifest, keys, source, image, its sidecar and their index: no stream left anything.
    assert_eq!(entries(&host).len(), 7);
}

/// QEMU's own tool reads the stream as well.
#[test]
fn qemu_reads_a_stream() {
    let host = host(MANIFEST);
    let build = "build secrets.yaml --format squashfs --mtime 5 -o -";
    let plain = run(&host, build).stdout;
    let streamed = run(&host, &format!("{build} --encrypt luks1 --key-out new")).stdout;
    fs::write(host.path("image"), streamed).unwrap();
    let output = Command::new("qemu-img")
        .args(["convert", "--object", "secret,id=k,file=new", "--image-opts", "-O", "raw"])
        .args(["driver=luks,key-secret=k,file.filename=image", "opened"])
        .current_dir(host.path(""))
        .output()
        .expect("qemu-img must be installed");
    assert_done(&output);
    assert!(fs::read(host.path("opened")).unwrap() == plain);
}
