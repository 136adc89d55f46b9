//! Encrypted images: QEMU opens them with the key that the arguments name, or hold
//! wrapped, on every bus and in every style; and starts nothing with another key.

use credimg::keys::wrap::MasterKey;
use credimg::monitors::DriveKey;
use credimg_formats::Secret;

use super::*;

/// A key with the form of a random one, and a master key in base64.
const KEY: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789ABCDEF";
const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Names that every style carries, then those that only some do.
const NAMES: [&[u8]; 15] = [
    b"a,b",
    b",key-secret=x,",
    b"a:b",
    b"two  words ",
    b"it's",
    b"a=b",
    b"100%",
    b"$(touch hit)",
    b"json:{}",
    b"\xc3\xa9\xe6\x97\xa5",
    b"a\\",
    b"say \"hi\"",
    b"new\nline",
    b"\xff\x81",
    b"-x",
];

/// An image, its key and its master key, each under every name in a directory of its own.
struct Vault(TempDir);

impl Vault {
    fn new() -> Self {
        let vault = Self(TempDir::new().unwrap());
        for (directory, content) in [("key", KEY), ("master", MASTER)] {
            vault.fill(directory, content.as_bytes());
        }
        fs::write(vault.path("secrets.yaml"), "files: [{path: /a, text: x}]\n").unwrap();
        let mut build = Command::new(env!("CARGO_BIN_EXE_credimg"));
        build.args(["build", "secrets.yaml", "-o", "a.erofs", "--encrypt", "luks1"]);
        build.args(["--key-file", "key/plain"]).current_dir(vault.0.path());
        let output = build.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        vault.fill("image", &fs::read(vault.path("a.erofs")).unwrap());
        vault
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn fill(&self, directory: &str, content: &[u8]) {
        fs::create_dir(self.path(directory)).unwrap();
        let first = self.path(directory).join("plain");
        fs::write(&first, content).unwrap();
        fs::set_permissions(&first, fs::Permissions::from_mode(0o600)).unwrap();
        for name in NAMES {
            fs::hard_link(&first, self.path(directory).join(OsStr::from_bytes(name))).unwrap();
        }
    }

    /// The drive with these names for image, key and master key.
    fn drive(&self, name: &[u8], index: usize, bus: Bus, is_wrapped: bool) -> Drive {
        let below = |directory: &str| Path::new(directory).join(OsStr::from_bytes(name));
        let key = if is_wrapped {
            let master = MasterKey::new(Secret::new((0..32).collect())).unwrap();
            let key = master.wrap(&Secret::from(KEY.as_bytes())).unwrap();
            DriveKey::Wrapped { master: below("master"), key }
        } else {
            DriveKey::File(below("key"))
        };
        // A relative path that looks like a protocol, or an absolute one.
        let image = if index.is_multiple_of(2) {
            below("image")
        } else {
            self.0.path().join(below("image"))
        };
        Drive { bus, key: Some(key), ..drive(image, &format!("d{index}")) }
    }

    /// Files of the arguments that `style` carries.
    fn arguments(&self, style: Style, is_wrapped: bool) -> Vec<(Bus, PathBuf)> {
        let plain = Bus::value_variants().iter().map(|bus| (*bus, &b"plain"[..]));
        let odd = NAMES.iter().map(|name| (Bus::Virtio, *name));
        let mut carried = Vec::new();
        for (index, (bus, name)) in plain.chain(odd).enumerate() {
            let drive = self.drive(name, index, bus, is_wrapped);
            match qemu::render(&drive.into(), style) {
                Ok(text) => {
                    let file = self.path(&format!("args-{style:?}-{is_wrapped}-{index}"));
                    fs::write(&file, text).unwrap();
                    carried.push((bus, file));
                }
                Err(failure) => assert_eq!(failure.exit, Exit::Usage, "{failure:?}"),
            }
        }
        carried
    }
}

fn command(style: Style, args: &[PathBuf]) -> Command {
    match style {
        Style::Lines => lines_command(args),
        Style::Json => json_command(args),
        Style::Readconfig => config_command(args),
        _ => shell_command("sh", args),
    }
}

#[test]
fn qemu_opens_encrypted_images_on_every_bus_in_every_style() {
    let vault = Vault::new();
    for style in [Style::Shell, Style::Lines, Style::Json, Style::Blockdev, Style::Readconfig] {
        for is_wrapped in [false, true] {
            let carried = vault.arguments(style, is_wrapped);
            let lost = match style {
                Style::Shell => 0,
                Style::Readconfig => 2,
                _ => 1,
            };
            let context = format!("{style:?}, wrapped: {is_wrapped}");
            let buses = Bus::value_variants().len();
            assert_eq!(carried.len(), buses + NAMES.len() - lost, "{context}");
            let args: Vec<_> = carried.iter().map(|(_, file)| file.clone()).collect();
            let mut qemu = Qemu::start(command(style, &args).current_dir(vault.0.path()));
            let blocks = qemu.execute(&json!({"execute": "query-block"}));
            let blocks = blocks.as_array().unwrap();
            assert_eq!(blocks.len(), carried.len(), "{context}");
            for block in blocks {
                let inserted = &block["inserted"];
                let found = (&inserted["drv"], &inserted["ro"], &inserted["encrypted"]);
                assert_eq!(found, (&json!("luks"), &json!(true), &json!(true)), "{context}");
                // The plain disk, as the guest sees it.
                assert_eq!(inserted["image"]["virtual-size"], 4096, "{context}");
            }
            let removable = blocks.iter().filter(|block| block["removable"] == true).count();
            assert_eq!(removable, 2, "{context}");
            let nodes = qemu.execute(&json!({"execute": "query-named-block-nodes"}));
            assert!(nodes.as_array().unwrap().iter().all(|node| node["ro"] == true), "{context}");
            assert!(!vault.path("hit").exists());
        }
    }
}

#[test]
fn qemu_starts_nothing_with_a_wrong_or_missing_key() {
    let vault = Vault::new();
    fs::write(vault.path("wrong"), KEY.replace("00", "10")).unwrap();
    fs::write(vault.path("newline"), format!("{KEY}\n")).unwrap();
    fs::write(vault.path("other-master"), MASTER.replace("AAEC", "AQEC")).unwrap();
    fs::write(vault.path("short-master"), "AAEC").unwrap();
    let good = || vault.drive(b"plain", 0, Bus::Virtio, false);
    let wrapped = |master: &str| {
        let mut drive = vault.drive(b"plain", 0, Bus::Virtio, true);
        let Some(DriveKey::Wrapped { master: path, .. }) = &mut drive.key else { panic!() };
        *path = master.into();
        drive
    };
    let of = |file: &str| Drive { key: Some(DriveKey::File(file.into())), ..good() };
    for (what, drive) in [
        ("a wrong key", of("wrong")),
        ("a newline", of("newline")),
        ("a missing key", of("missing")),
        ("no key", Drive { key: None, ..good() }),
        ("a wrong master key", wrapped("other-master")),
        ("a short master key", wrapped("short-master")),
        ("a missing master key", wrapped("missing")),
    ] {
        for style in [Style::Shell, Style::Blockdev, Style::Readconfig] {
            let mut text = qemu::render(&drive.clone().into(), style).unwrap();
            if drive.key.is_none() {
                // What somebody would write by hand.
                text = String::from_utf8(text).unwrap().replace("raw", "luks").into_bytes();
            }
            let file = vault.path("args");
            fs::write(&file, text).unwrap();
            let mut command = command(style, &[file]);
            let output = command.current_dir(vault.0.path()).stdin(Stdio::null()).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{what}, {style:?}: {errors}");
            assert!(errors.contains("qemu-system-x86_64:"), "{what}, {style:?}: {errors}");
            assert!(!errors.contains(KEY), "{errors}");
        }
    }
}

#[test]
fn encrypted_drives_look_as_documented() {
    let drive = |key| {
        let path = "/vm/a,b.erofs".into();
        Drive { key: Some(key), ..drive(path, "chimera") }
    };
    let text = |drive: Drive, style| {
        String::from_utf8(qemu::render(&drive.into(), style).unwrap()).unwrap()
    };
    let file = || drive(DriveKey::File("/vm/k,1".into()));
    let wrapped = || {
        let key = credimg::keys::wrap::Wrapped { iv: "aXY=".into(), data: "ZGF0YQ==".into() };
        drive(DriveKey::Wrapped { master: "/vm/m,2".into(), key })
    };
    let disk = "-drive if=none,id=credimg-chimera,file=/vm/a,,b.erofs,format=luks,\
                key-secret=credimg-chimera-key,read-only=on \
                -device virtio-blk,drive=credimg-chimera,serial=chimera\n";
    assert_eq!(
        text(file(), Style::Shell),
        format!("-object secret,id=credimg-chimera-key,file=/vm/k,,1 {disk}")
    );
    assert_eq!(
        text(wrapped(), Style::Shell),
        format!(
            "-object secret,id=credimg-chimera-master,file=/vm/m,,2,format=base64 -object \
             secret,id=credimg-chimera-key,keyid=credimg-chimera-master,iv=aXY=,format=base64,\
             data=ZGF0YQ== {disk}"
        )
    );
    assert_eq!(
        text(wrapped(), Style::Readconfig),
        "[object \"credimg-chimera-master\"]\n  qom-type = \"secret\"\n  file = \"/vm/m,2\"\n  \
         format = \"base64\"\n\n\
         [object \"credimg-chimera-key\"]\n  qom-type = \"secret\"\n  \
         keyid = \"credimg-chimera-master\"\n  iv = \"aXY=\"\n  format = \"base64\"\n  \
         data = \"ZGF0YQ==\"\n\n\
         [drive \"credimg-chimera\"]\n  if = \"none\"\n  file = \"/vm/a,b.erofs\"\n  \
         format = \"luks\"\n  key-secret = \"credimg-chimera-key\"\n  read-only = \"on\"\n\n\
         [device]\n  driver = \"virtio-blk\"\n  drive = \"credimg-chimera\"\n  \
         serial = \"chimera\"\n"
    );
    let blockdev = text(file(), Style::Blockdev);
    let (_, node) = blockdev.split_once("-blockdev '").unwrap();
    let (node, _) = node.split_once('\'').unwrap();
    let node: Value = serde_json::from_str(node).unwrap();
    let pair = (&node["driver"], &node["key-secret"]);
    assert_eq!(pair, (&json!("luks"), &json!("credimg-chimera-key")));
}

/// The image's own path is not at fault.
#[test]
fn a_style_that_cannot_carry_the_path_of_a_key_says_so() {
    for (path, style, fault) in [
        ("k\n", Style::Lines, "lines cannot carry a path: it holds a newline"),
        (
            "k\"",
            Style::Readconfig,
            "readconfig cannot carry a path: it holds a double quote or a newline",
        ),
    ] {
        let drive = Drive { key: Some(DriveKey::File(path.into())), ..drive("a".into(), "s") };
        let failure = qemu::render(&drive.into(), style).unwrap_err();
        assert_eq!(failure.message, format!("the style {fault}"));
    }
}
