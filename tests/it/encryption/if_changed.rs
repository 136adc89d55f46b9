//! `--if-changed` looks into an encrypted image, and keeps one that would hold the same,
//! though its ciphertext would be another.

use super::*;

const CONTENT: &str = "label: CHIMERA\nfiles: [{path: /text, file: text}]\n";
const OTHER_KEY: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

/// Version of LUKS and key: random ones, and a passphrase.
const SCENES: [(&str, &str); 3] = [("luks1", KEY), ("luks2", KEY), ("luks2", "correct horse")];

fn scene((version, key): (&str, &str)) -> Host {
    let host = host(CONTENT);
    host.private("key", key);
    fs::write(host.path("text"), "hello").unwrap();
    assert_done(&build(&host, version, ""));
    host
}

fn build(host: &Host, version: &str, options: &str) -> Output {
    let build = "build secrets.yaml -o a.erofs --json --args none --if-changed";
    run(host, format!("{build} --key-file key --encrypt {version} {options}").trim_end())
}

/// Builds; whether there is a new image.
#[track_caller]
fn is_rebuilt(host: &Host, version: &str, options: &str) -> bool {
    let before = entries(host).remove("a.erofs");
    let output = build(host, version, options);
    assert_done(&output);
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let changed = report["changed"].as_bool().unwrap();
    let image = entries(host).remove("a.erofs");
    assert_eq!(changed, before != image, "{report}");
    let header = header(host);
    assert_eq!(report["encryption"]["uuid"], header.uuid());
    let length = fs::metadata(host.path("a.erofs")).unwrap().len();
    assert_eq!(report["size_bytes"], length);
    changed
}

/// Builds anew what was changed, once.
#[track_caller]
fn assert_rebuilt_once(host: &Host, version: &str, options: &str, what: &str) {
    assert!(is_rebuilt(host, version, options), "{version}: kept in spite of {what}");
    assert!(!is_rebuilt(host, version, options), "{version}: made again after {what}");
}

fn header(host: &Host) -> Header {
    Header::read(&mut File::open(host.path("a.erofs")).unwrap()).unwrap()
}

#[test]
fn what_would_hold_the_same_is_kept() {
    for scene_of @ (version, key) in SCENES {
        let host = scene(scene_of);
        let before = entries(&host);
        assert!(!is_rebuilt(&host, version, ""), "{version} {}", key.len());
        assert!(entries(&host) == before, "{version}");
        let output = run(
            &host,
            &format!(
                "build secrets.yaml -o a.erofs --if-changed --key-file key --encrypt {version} --args none"
            ),
        );
        assert_eq!(stderr(&output), "kept a.erofs: it is up to date\n");
    }
}

/// Guests find a LUKS2 disk by the UUID of its header: it outlives a change.
#[test]
fn a_change_is_seen_and_the_header_keeps_its_uuid() {
    for scene_of @ (version, key) in SCENES {
        let host = scene(scene_of);
        let uuid = header(&host).uuid().to_owned();
        let sidecar = fs::read(host.path("a.erofs.smbios")).ok();
        assert_eq!(sidecar.is_some(), version == "luks2");
        for text in ["hallo", "hello!"] {
            let before = fs::read(host.path("a.erofs")).unwrap();
            fs::write(host.path("text"), text).unwrap();
            assert_rebuilt_once(&host, version, "", "another content");
            assert_eq!(header(&host).uuid(), uuid);
            assert!(fs::read(host.path("a.erofs.smbios")).ok() == sidecar);
            let image = fs::read(host.path("a.erofs")).unwrap();
            assert!(image != before);
            let plain = open(&image, key).unwrap();
            assert!(plain.windows(text.len()).any(|window| window == text.as_bytes()));
        }
    }
}

#[test]
fn another_wish_is_seen() {
    for (version, other) in [("luks1", "luks2"), ("luks2", "luks1")] {
        let host = scene((version, KEY));
        for wish in [
            format!("--uuid {UUID}"),
            "--mtime 5".to_owned(),
            "--label OTHER".to_owned(),
            "--mode 0640".to_owned(),
            "--owner 990:990".to_owned(),
            "--format squashfs".to_owned(),
            "--format iso9660".to_owned(),
        ] {
            assert_rebuilt_once(&host, version, &wish, &wish);
        }
        assert_rebuilt_once(&host, other, "", other);
        assert_eq!(host.path("a.erofs.smbios").exists(), other == "luks2");
        host.private("key", OTHER_KEY);
        assert_rebuilt_once(&host, other, "", "another key");
        let image = fs::read(host.path("a.erofs")).unwrap();
        assert!(open(&image, OTHER_KEY).is_some() && open(&image, KEY).is_none());
    }
}

#[test]
fn another_size_of_sectors_is_seen() {
    let host = scene(("luks2", KEY));
    assert_eq!(header(&host).sector_bytes(), 4096);
    let of = |size: usize| format!("{CONTENT}encrypt: {{luks: 2, sector_size: {size}}}\n");
    for size in [512, 4096] {
        fs::write(host.path("secrets.yaml"), of(size)).unwrap();
        assert_rebuilt_once(&host, "luks2", "", "another size of sectors");
        assert_eq!(header(&host).sector_bytes(), size);
    }
}

/// A key of another form is another cost of trying keys, though the key opens the image.
#[test]
fn a_plain_image_is_encrypted_and_an_encrypted_one_is_made_plain() {
    for version in ["luks1", "luks2"] {
        let host = scene((version, KEY));
        let plain = "build secrets.yaml -o a.erofs --if-changed --args none";
        for changed in ["wrote", "kept"] {
            let output = run(&host, plain);
            assert_done(&output);
            assert!(stderr(&output).starts_with(changed), "{}", stderr(&output));
        }
        assert!(!host.path("a.erofs.smbios").exists());
        assert_rebuilt_once(&host, version, "", "a plain image");
    }
}

/// Whoever may write the image could make its header ask for any work, or for too little.
#[test]
fn a_header_of_other_costs_is_made_again() {
    for version in ["luks1", "luks2"] {
        let host = scene((version, KEY));
        let mut change = Command::new("cryptsetup");
        change.args(["luksChangeKey", "-q", "--pbkdf", "pbkdf2"]);
        change.args(["--pbkdf-force-iterations", "5000", "--key-file", "key", "a.erofs", "key"]);
        assert!(change.current_dir(host.path("")).status().unwrap().success());
        assert_rebuilt_once(&host, version, "", "other iterations");
    }
}

#[test]
fn a_damaged_image_is_made_again() {
    // Magic, salts, key material, payload; of LUKS2 also the second header.
    let places: [(&str, &[usize]); 2] = [
        ("luks1", &[0, 7, 8, 112, 140, 208, 220, 4096, 200_000, 2 << 20]),
        (
            "luks2",
            &[
                0,
                7,
                24,
                100,
                168,
                448,
                4096,
                4200,
                16384,
                16500,
                20480,
                20600,
                32768,
                200_000,
                1 << 20,
            ],
        ),
    ];
    for (version, places) in places {
        let host = scene((version, KEY));
        let path = host.path("a.erofs");
        let last = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap() - 1;
        for place in places.iter().copied().chain([last]) {
            let mut bytes = fs::read(&path).unwrap();
            bytes[place] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert_rebuilt_once(&host, version, "", &format!("damage at byte {place}"));
        }
        for length in [last, last - 511, last - 4095, 1 << 20, 5000, 1, 0] {
            File::options().write(true).open(&path).unwrap().set_len(length as u64).unwrap();
            assert_rebuilt_once(&host, version, "", &format!("a cut at byte {length}"));
        }
        for more in [1, 512, 4096] {
            let mut file = File::options().append(true).open(&path).unwrap();
            file.write_all(&vec![0; more]).unwrap();
            drop(file);
            assert_rebuilt_once(&host, version, "", &format!("{more} bytes more"));
        }
    }
}

/// A key that comes from the command line alone is never the old one: it cannot be kept.
#[test]
fn an_image_whose_key_is_in_the_arguments_is_always_made_again() {
    let host = host(&format!("{MANIFEST}encrypt: {{luks: 1, key: generate}}\n"));
    let build = "build secrets.yaml -o a.erofs --master-key master --if-changed --quiet";
    let arguments = [(), ()].map(|()| {
        let output = run(&host, build);
        assert_done(&output);
        stdout(&output)
    });
    assert_ne!(arguments[0], arguments[1]);
    // What is printed last opens what is there.
    let unwrapped =
        run_with(&host, "secret unwrap --master-key master", last_object(&arguments[1]));
    let key = stdout(&unwrapped);
    assert!(open(&fs::read(host.path("a.erofs")).unwrap(), &key).is_some());
}

/// The option of the wrapped key, the second `-object`.
fn last_object(arguments: &str) -> &[u8] {
    arguments.split(' ').nth(3).unwrap().as_bytes()
}
