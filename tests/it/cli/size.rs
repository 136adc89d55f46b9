//! How large an image may get, and how much of it may lie in memory: nothing that is small
//! where it is written makes the builder write or hold without end.

use super::*;

const EXTENSIONS: [&str; 3] = ["erofs", "squashfs", "iso"];

/// Builds an image of this extension; what is refused leaves nothing behind.
fn build(host: &Host, extension: &str, options: &[&str]) -> (Option<i32>, String) {
    let image = format!("out.{extension}");
    let mut command = host.credimg();
    command.args(["build", "secrets.yaml", "--quiet", "--args=none", "-o", &image]).args(options);
    let output = command.output().unwrap();
    let is_done = output.status.success();
    assert_eq!(host.path(&image).exists(), is_done, "{extension}: {}", stderr(&output));
    assert_eq!(host.leftovers(), 0);
    if is_done {
        fs::remove_file(host.path(&image)).unwrap();
    }
    (output.status.code(), stderr(&output))
}

fn too_large(bytes: u64, entry: &str) -> String {
    format!(
        "credimg: error: {entry}the output would be larger than {bytes} bytes\n\
         credimg: hint: --max-size allows more, as in --max-size 1T\n"
    )
}

#[test]
fn an_image_over_the_limit_is_refused_before_anything_is_written() {
    let host = Host::new("files: [{path: /a, file: a}, {path: /b, file: b}]\n");
    for (name, byte) in [("a", 7), ("b", 8)] {
        fs::write(host.path(name), vec![byte; 1 << 19]).unwrap();
    }
    for extension in EXTENSIONS {
        // The content alone is too large; then what goes around it.
        let (code, said) = build(&host, extension, &["--max-size", "1048575"]);
        assert_eq!((code, said), (Some(4), too_large(1_048_575, "files[1] (/b): ")));
        if extension != "squashfs" {
            let (code, said) = build(&host, extension, &["--max-size", "1M"]);
            assert_eq!((code, said), (Some(4), too_large(1 << 20, "")));
        }
        for enough in ["2M", "2048k", "2097152", "1T"] {
            let built = build(&host, extension, &["--max-size", enough]);
            assert_eq!(built, (Some(0), String::new()), "{enough}");
        }
    }
    for wrong in ["", "M", "-1", "+1", "1X", "1.5G", "99999999T", "20000000000000000000"] {
        let (code, said) = build(&host, "erofs", &[&format!("--max-size={wrong}")]);
        assert_eq!(code, Some(2), "{wrong}: {said}");
    }
}

/// 64 GiB without an option: a file with holes costs its owner nothing.
#[test]
fn files_with_holes_count_by_their_length() {
    let host = Host::new("files: [{path: /d, dir: d}]\n");
    fs::create_dir(host.path("d")).unwrap();
    for name in ["d/a", "d/b"] {
        fs::File::create(host.path(name)).unwrap().set_len(33 << 30).unwrap();
    }
    for extension in EXTENSIONS {
        let (code, said) = build(&host, extension, &[]);
        assert_eq!((code, said), (Some(4), too_large(64 << 30, "files[0] (/d): ")));
    }
    let mut seal = host.credimg();
    fs::create_dir(host.path("share")).unwrap();
    seal.args(["seal", "secrets.yaml", "-o", "share/a.age", "--key-out", "key"]);
    let output = seal.output().unwrap();
    assert_eq!(stderr(&output), too_large(64 << 30, "files[0] (/d): "));
    assert!(!host.path("share/a.age").exists());
}

/// Definitions may name one range of their file's data any number of times.
#[test]
fn data_that_many_definitions_name_counts_each_time() {
    let host = Host::new("files: [{path: /ran, shell: 'touch ran; echo x'}]\n");
    let line = |number| format!("/{number} R 0 400 0 0 1073741824 0 0\n");
    let lines = (0..65).map(line).collect::<Vec<_>>().concat();
    let text = format!("{lines}#\n# START OF DATA - DO NOT MODIFY\n#\n");
    fs::write(host.path("bomb.pf"), &text).unwrap();
    let file = fs::OpenOptions::new().write(true).open(host.path("bomb.pf")).unwrap();
    file.set_len(text.len() as u64 + (1 << 30)).unwrap();
    drop(file);
    let expected = too_large(64 << 30, "bomb.pf:65 (/64): ");
    for extension in EXTENSIONS {
        let (code, said) = build(&host, extension, &["--pseudo-file", "bomb.pf"]);
        assert_eq!((code, said.as_str()), (Some(4), expected.as_str()));
    }
    // Nothing is run, and `check` foresees it.
    assert!(!host.path("ran").exists());
    let check = |options: &[&str]| {
        let mut check = host.credimg();
        check.args(["check", "secrets.yaml", "--pseudo-file", "bomb.pf"]).args(options);
        check.output().unwrap()
    };
    let output = check(&[]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(4), expected));
    assert_eq!(check(&["--max-size", "65G"]).status.code(), Some(0));
    assert_eq!(check(&["--max-size", "66571993087"]).status.code(), Some(4));
}

/// Five archives of 60 MiB each, whatever packed them, and attributes of as many bytes.
#[test]
fn what_archives_unpack_to_counts_together() {
    let pack = "head -c 62914560 /dev/zero >zeros && tar -cf a.tar zeros && gzip -k a.tar && \
                xz -0 -k a.tar && zstd -q -k a.tar && rm zeros";
    let entry = |name: &str, index: usize| format!("{{path: /{index}, tar: {name}}}");
    for name in ["a.tar.gz", "a.tar.xz", "a.tar.zst"] {
        let entries = |count| (0..count).map(|index| entry(name, index)).collect::<Vec<_>>();
        let manifest = |count| format!("files: [{}]\n", entries(count).join(", "));
        let host = Host::new(&manifest(5));
        let packed = Command::new("sh").args(["-ec", pack]).current_dir(host.path("")).status();
        assert!(packed.unwrap().success());
        let (code, said) = build(&host, "erofs", &[]);
        let expected = "credimg: error: files[4] (/4): \"zeros\" in ";
        assert!(code == Some(4) && said.starts_with(expected), "{said}");
        assert!(said.contains("takes more than 256 MiB of memory in all\n"), "{said}");
        // Four fit, and any number of plain ones, which are streamed.
        if name == "a.tar.gz" {
            fs::write(host.path("secrets.yaml"), manifest(4)).unwrap();
            assert_eq!(build(&host, "erofs", &[]), (Some(0), String::new()));
        }
        let plain: Vec<_> = (0..5).map(|index| entry("a.tar", index)).collect();
        fs::write(host.path("secrets.yaml"), format!("files: [{}]\n", plain.join(", "))).unwrap();
        assert_eq!(build(&host, "squashfs", &[]), (Some(0), String::new()));
    }
}

/// Names and attributes stay in memory as well, of plain archives too.
#[test]
fn what_archives_say_of_their_members_counts_as_well() {
    let entries: Vec<_> = (0..5).map(|index| format!("{{path: /{index}, tar: a.tar}}")).collect();
    let host = Host::new(&format!("files: [{}]\n", entries.join(", ")));
    let mut archive = tar::Builder::new(fs::File::create(host.path("a.tar")).unwrap());
    let value = vec![b'x'; 60_000];
    for number in 0..1000 {
        archive.append_pax_extensions([("SCHILY.xattr.user.a", value.as_slice())]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o400);
        header.set_size(0);
        archive.append_data(&mut header, number.to_string(), std::io::empty()).unwrap();
    }
    archive.finish().unwrap();
    let (code, said) = build(&host, "erofs", &[]);
    assert_eq!(code, Some(4));
    assert!(said.contains("takes more than 256 MiB of memory in all\n"), "{said}");
}
