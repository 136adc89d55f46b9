//! Which options go together, with each other and with the manifest, and what is said of
//! those that do not.

use super::*;

const PLAIN: &str = "label: CHIMERA\nfiles: [{path: /a, text: x}]\n";
const KEYLESS: (&str, &str) =
    ("the encrypted image has no key", "give --key-file FILE, or --key-out FILE to have one made");
const HOMELESS: (&str, &str) = (
    "the generated key has no place to stay",
    "name a file for it with --key-out, best on another disk than the image",
);
const IDLE: &str = "give --encrypt luks1 or luks2, or `encrypt` in the manifest";
const NO_MASTER: &str = "--master-key wraps the key of a LUKS1 image for QEMU, nothing else";

/// What is asked for: version and key of the manifest, version and options of keys of the
/// command line.
#[derive(Clone, Copy, Debug)]
struct Wish {
    planned: Option<(u8, Option<&'static str>)>,
    encrypt: Option<u8>,
    key: Option<&'static str>,
    has_master: bool,
}

impl Wish {
    fn all() -> Vec<Self> {
        let keys = [None, Some("generate"), Some("planned")];
        let planned = [1, 2].into_iter().flat_map(|luks| keys.map(|key| Some((luks, key))));
        let mut all = Vec::new();
        for planned in planned.chain([None]) {
            for encrypt in [None, Some(1), Some(2)] {
                for key in [None, Some("--key-file"), Some("--key-out")] {
                    let wish = |has_master| Self { planned, encrypt, key, has_master };
                    all.extend([false, true].map(wish));
                }
            }
        }
        all
    }

    fn manifest(&self) -> String {
        let Some((luks, key)) = self.planned else { return PLAIN.to_owned() };
        let key = key.map_or_else(String::new, |key| format!(", key: {key}"));
        format!("{PLAIN}encrypt: {{luks: {luks}{key}}}\n")
    }

    fn options(&self) -> String {
        let encrypt = self.encrypt.map(|luks| format!(" --encrypt luks{luks}"));
        let key = self.key.map(|option| format!(" {option} given"));
        let master = self.has_master.then(|| " --master-key master".to_owned());
        [encrypt, key, master].into_iter().flatten().collect()
    }

    fn luks(&self) -> Option<u8> {
        self.encrypt.or(self.planned.map(|(luks, _)| luks))
    }

    /// Message and hint of what does not go together.
    fn fault(&self) -> Option<(String, Option<&'static str>)> {
        let planned = self.planned.and_then(|(_, key)| key);
        let own = |(message, hint): (&str, &'static str)| Some((message.to_owned(), Some(hint)));
        match (self.luks(), self.key, planned) {
            (None, None, _) if !self.has_master => None,
            (None, key, _) => {
                let option = key.unwrap_or("--master-key");
                let message = format!("{option} has no meaning for an image that is not encrypted");
                Some((message, Some(IDLE)))
            }
            (Some(2), ..) if self.has_master => Some((NO_MASTER.to_owned(), None)),
            (Some(_), None, None) => own(KEYLESS),
            // Wrapped, the key is in the arguments.
            (Some(_), None, Some("generate")) if !self.has_master => own(HOMELESS),
            _ => None,
        }
    }

    /// The file that the key is in; none where it is in the arguments alone.
    fn key_file(&self) -> Option<&'static str> {
        let planned = self.planned.and_then(|(_, key)| key).filter(|key| *key != "generate");
        self.key.map(|_| "given").or(planned)
    }
}

#[test]
fn every_combination_works_or_says_why_not() {
    let host = host(PLAIN);
    host.private("given", KEY);
    host.private("planned", KEY.replace("00", "12"));
    let mut refused = 0;
    for wish in Wish::all() {
        fs::write(host.path("secrets.yaml"), wish.manifest()).unwrap();
        let output =
            run(&host, &format!("build secrets.yaml -o a.erofs --quiet{}", wish.options()));
        if let Some((message, hint)) = wish.fault() {
            assert_eq!(output.status.code(), Some(2), "{wish:?}");
            assert_refused(&output, 2, &message, hint);
            refused += 1;
            continue;
        }
        assert_done(&output);
        let arguments = stdout(&output);
        let image = fs::read(host.path("a.erofs")).unwrap();
        let magic = [b"LUKS\xba\xbe\0".to_vec(), wish.luks().into_iter().collect()].concat();
        assert_eq!(image.starts_with(&magic), wish.luks().is_some(), "{wish:?}");
        let object = "-object secret,id=credimg-chimera-";
        let objects: Vec<_> = arguments.split("-object").skip(1).map(str::trim).collect();
        match (wish.luks(), wish.has_master) {
            (Some(1), true) => {
                assert_eq!(
                    objects[0],
                    "secret,id=credimg-chimera-master,file=master,format=base64"
                );
                let unwrapped = run_with(
                    &host,
                    "secret unwrap --master-key master",
                    objects[1].split(' ').next().unwrap().as_bytes(),
                );
                assert!(open(&image, &stdout(&unwrapped)).is_some(), "{wish:?}");
            }
            (Some(1), false) => {
                let file = wish.key_file().unwrap();
                assert!(arguments.starts_with(&format!("{object}key,file={file} ")), "{arguments}");
            }
            _ => assert!(objects.is_empty(), "{arguments}"),
        }
        if let Some(file) = wish.key_file() {
            let key = fs::read_to_string(host.path(file)).unwrap();
            assert!(wish.luks().is_none() || open(&image, &key).is_some(), "{wish:?}");
        }
    }
    assert_eq!(refused, 53);
}

/// Where no arguments are printed, a key in them alone would be lost.
#[test]
fn a_generated_key_is_never_in_arguments_that_nobody_sees() {
    let host = host(&format!("{PLAIN}encrypt: {{luks: 1, key: generate}}\n"));
    for (output, options) in [("a.erofs", "--args none"), ("-", "--format erofs")] {
        let build = format!("build secrets.yaml -o {output} --master-key master {options}");
        let message =
            "the generated key would be in the printed arguments alone, and none are printed";
        assert_refused(&run(&host, &build), 2, message, Some(HOMELESS.1));
        assert_done(&run(&host, &format!("{build} --key-out new")));
        fs::remove_file(host.path("new")).unwrap();
    }
}

#[test]
fn keys_are_in_files() {
    let host = host(PLAIN);
    for option in ["--key-out", "--key-file", "--master-key"] {
        let build = format!("build secrets.yaml -o a.erofs --encrypt luks1 {option} -");
        let message = format!("{option}: a key is in a regular file, never in a stream");
        assert_refused(&run(&host, &build), 2, &message, Some("a file named - is ./-"));
    }
    assert!(!host.path("-").exists());
    // A name that the next build would take for a leftover of its own.
    let name = ".a.erofs.credimg-commitlock";
    let build = format!("build secrets.yaml -o a.erofs --encrypt luks1 --key-out {name}");
    let message =
        format!("the key file {name} has the name of a file that comes and goes with the image");
    assert_refused(&run(&host, &build), 2, &message, Some("give it another name"));
}

/// A guest that reads its disk would have the key of other disks as well.
#[test]
fn keys_go_into_no_image() {
    let host = host("label: CHIMERA\nfiles: [{path: /, dir: sources}]\n");
    fs::create_dir(host.path("sources")).unwrap();
    let hint = Some("put it into another directory");
    for options in ["--key-out sources/key", "--key-file key --master-key sources/key"] {
        let build = format!("build secrets.yaml -o a.erofs --encrypt luks1 {options}");
        if options.contains("master") {
            fs::rename(host.path("master"), host.path("sources/key")).unwrap();
        }
        let output = run(&host, &build);
        let message = "files[0] (/): its source sources/key is a key, which no guest is to have";
        assert_refused(&output, 4, message, hint);
        fs::remove_file(host.path("sources/key")).unwrap();
    }
}

#[test]
fn two_keys_and_a_master_key_alone_are_refused() {
    let host = host(PLAIN);
    let both = "build secrets.yaml -o a.erofs --encrypt luks1 --key-file key --key-out new";
    let output = run(&host, both);
    assert_eq!(output.status.code(), Some(2));
    let message =
        "credimg: error: the argument '--key-file <FILE>' cannot be used with '--key-out <FILE>'";
    assert_eq!(stderr(&output).lines().next(), Some(message));
    assert!(!host.path("new").exists());
    for arguments in ["args a.erofs --master-key master", "build secrets.yaml -o a --encrypt luks3"]
    {
        let output = run(&host, arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty());
    }
}

const UNTOLD: &str = "give the guest what `credimg guest-unit` prints, and there the path of a \
                      file of its own in place of /run/credentials/@system/luks.chimera";

#[test]
fn every_target_opens_what_it_can() {
    let host = host(PLAIN);
    for target in ["libvirt", "proxmox", "vmspawn", "cloud-hypervisor", "crosvm", "firecracker"] {
        let bus = if target == "vmspawn" { "cdrom" } else { "virtio" };
        let build = format!(
            "build secrets.yaml -o a.erofs --key-file key --quiet --target {target} --bus {bus} --encrypt"
        );
        let output = run(&host, &format!("{build} luks1"));
        if target == "libvirt" {
            assert_done(&output);
            assert!(stdout(&output).contains("<encryption format='luks'>"), "{output:?}");
            assert!(!stdout(&output).contains(KEY));
            let args = "args a.erofs --key-file key --target libvirt";
            let again = run(&host, args);
            assert_eq!(stdout(&again), stdout(&output));
            let note = "libvirt opens the disk with a secret: define what --args secret prints";
            assert!(stderr(&again).starts_with(note), "{again:?}");
            let secret = stdout(&run(&host, &format!("{args} --args secret")));
            assert!(secret.starts_with("<secret ephemeral='yes' private='yes'>"), "{secret}");
            assert!(!secret.contains(KEY));
            fs::remove_file(host.path("a.erofs")).unwrap();
        } else {
            let message = format!("{target} does not open a LUKS1 image");
            assert_refused(&output, 2, &message, Some("use LUKS2, which the guest opens"));
        }
        assert!(!host.path("a.erofs").exists());

        let output = run(&host, &format!("{build} luks2"));
        assert_done(&output);
        let no_fw_cfg = match target {
            "cloud-hypervisor" => {
                "its fw_cfg device is a feature that its releases are built without"
            }
            "crosvm" => {
                "it has fw_cfg on x86 alone, and the guest finds it where its kernel has \
                 CONFIG_FW_CFG_SYSFS_CMDLINE and qemu_fw_cfg.ioport=4@0x510 on its command line"
            }
            _ => "it has no fw_cfg device",
        };
        let warned = match target {
            "libvirt" | "proxmox" | "vmspawn" => String::new(),
            _ => format!(
                "the key does not reach the guest by itself ({target}: {no_fw_cfg}): {UNTOLD}"
            ),
        };
        let warnings = stderr(&output);
        assert!(warnings.contains(&warned), "{warnings}");
        let told = warnings.contains("does not reach") || warnings.contains("nothing tells");
        assert_eq!(told, !warned.is_empty(), "{warnings}");
        let sidecars: Vec<_> = entries(&host)
            .into_keys()
            .filter_map(|name| name.strip_prefix("a.erofs.").map(str::to_owned))
            .filter(|suffix| suffix != "sidecars")
            .collect();
        let expected: &[&str] = match target {
            "libvirt" => &[
                "fw_cfg.fstab.extra",
                "fw_cfg.luks.chimera",
                "fw_cfg.systemd.extra-unit.c.service",
            ],
            "proxmox" => &["smbios"],
            "vmspawn" => &[
                "credential.fstab.extra",
                "credential.luks.chimera",
                "credential.systemd.extra-unit.credimg-chimera.service",
            ],
            _ => &[],
        };
        assert_eq!(sidecars, expected, "{target}");
        for name in expected {
            assert_eq!(mode(&host, &format!("a.erofs.{name}")), 0o600);
        }
        assert!(!stdout(&output).contains(KEY));
        // The same from the image that is there, which is gone for the next target.
        let again =
            run(&host, &format!("args a.erofs --target {target} --bus {bus} --key-file key"));
        assert_done(&again);
        assert_eq!(stdout(&again), stdout(&output), "{target}");
        for name in entries(&host).keys().filter(|name| name.starts_with("a.erofs")) {
            fs::remove_file(host.path(name)).unwrap();
        }
    }
}

#[test]
fn every_style_is_printed_alike_by_build_and_args() {
    let host = host(PLAIN);
    for version in ["luks1", "luks2"] {
        for style in ["shell", "lines", "json", "blockdev", "readconfig", "none"] {
            let build = format!("build secrets.yaml -o a.erofs --encrypt {version} --quiet");
            let common = format!("--key-file key --args {style}");
            let first = run(&host, &format!("{build} {common}"));
            assert_done(&first);
            let again = run(&host, &format!("args a.erofs {common}"));
            assert_done(&again);
            assert_eq!(stdout(&again), stdout(&first));
            assert_eq!(stdout(&first).is_empty(), style == "none");
            if version == "luks2" {
                // Nobody needs the key to print how the disk is attached.
                let without = run(&host, &format!("args a.erofs --args {style}"));
                assert_eq!(stdout(&without), stdout(&first));
            } else {
                let without = run(&host, &format!("args a.erofs --args {style}"));
                let message = "this image is LUKS1: QEMU needs its key (--key-file)";
                assert_refused(&without, 2, message, Some("name its file with --key-file"));
            }
        }
    }
    let output = run(&host, "args a.erofs --key-file key --master-key master");
    assert_refused(&output, 2, NO_MASTER, None);
    assert_done(&run(&host, "build secrets.yaml -o plain.erofs"));
    let output = run(&host, "args plain.erofs --key-file key");
    let message = "--key-file has no meaning for an image that is not encrypted";
    assert_refused(&output, 2, message, None);
}

#[test]
fn iso_9660_has_small_sectors_in_any_case() {
    let manifest = format!("{PLAIN}encrypt:\n  luks: 2\n  sector_size: 4096\n");
    let host = host(&manifest);
    let output = run(&host, "build secrets.yaml -o a.iso --key-file key");
    let message = "secrets.yaml:5:16: encrypt.sector_size: Linux reads no iso9660 from a disk with \
                   sectors of 4096 bytes";
    assert_refused(&output, 3, message, Some("leave `sector_size` out"));
    let output = run(&host, "check secrets.yaml --format iso9660");
    assert_refused(&output, 3, message, Some("leave `sector_size` out"));
    assert!(!host.path("a.iso").exists());
    // LUKS1 has no others; what the manifest says of sectors is for LUKS2.
    assert_done(&run(&host, "build secrets.yaml -o a.iso --key-file key --encrypt luks1"));
    fs::write(host.path("secrets.yaml"), manifest.replace("4096", "512")).unwrap();
    for image in ["a.iso", "a.erofs"] {
        assert_done(&run(&host, &format!("build secrets.yaml -o {image} --key-file key")));
        let header = Header::read(&mut File::open(host.path(image)).unwrap()).unwrap();
        assert_eq!(header.sector_bytes(), 512);
    }
}

/// Nothing that a build is given, or makes, takes another one's place.
#[test]
fn files_that_would_destroy_each_other_are_refused() {
    let host = host(PLAIN);
    let apart = Some("give each a name of its own");
    host.private("manifest-key", "files: []");
    std::os::unix::fs::symlink("key", host.path("link")).unwrap();
    fs::hard_link(host.path("key"), host.path("hard.erofs")).unwrap();
    let build = "build secrets.yaml --encrypt luks1";
    let before = entries(&host);
    for (arguments, message) in [
        ("--key-file key -o key --format erofs", "the image would replace the key file"),
        ("--key-out key -o key --format erofs", "the image would replace the key file"),
        ("--key-out new.erofs -o new.erofs", "the image would replace the key file"),
        ("--key-out new.erofs -o ./new.erofs", "the image would replace the key file"),
        ("--key-file link -o key --format erofs", "the image would replace the key file"),
        ("--key-file key -o link --format erofs", "the image would replace the key file"),
        ("--key-file key -o hard.erofs", "the image would replace the key file"),
        (
            "--key-file key -o a.erofs --depfile key",
            "the dependency file would replace the key file",
        ),
        (
            "--key-out new -o a.erofs --depfile new",
            "the dependency file would replace the key file",
        ),
        ("--key-file key -o a.erofs --json=key", "the report would replace the key file"),
        ("--key-file link -o a.erofs --json=key", "the report would replace the key file"),
        (
            "--key-file key --master-key master -o master --format erofs",
            "the image would replace the master key",
        ),
        (
            "--key-file key --master-key master -o a.erofs --depfile master",
            "the dependency file would replace the master key",
        ),
        (
            "--key-file key --master-key master -o a.erofs --json=master",
            "the report would replace the master key",
        ),
        ("--key-file secrets.yaml -o a.erofs", "the key file is the manifest itself"),
        ("--key-out secrets.yaml -o a.erofs", "the key file is the manifest itself"),
        (
            "--key-file key --master-key secrets.yaml -o a.erofs",
            "the master key is the manifest itself",
        ),
    ] {
        assert_refused(&run(&host, &format!("{build} {arguments}")), 2, message, apart);
        assert!(entries(&host) == before, "{arguments}");
    }
    let planned = format!("{PLAIN}encrypt: {{luks: 1, key: key}}\n");
    fs::write(host.path("secrets.yaml"), planned).unwrap();
    let output = run(&host, "build secrets.yaml -o key --format erofs");
    assert_refused(&output, 2, "the image would replace the key file", apart);
}

#[test]
fn a_key_is_not_one_of_the_files_that_come_and_go_with_the_image() {
    let host = host(PLAIN);
    let hint = Some("give it another name");
    for name in [
        "a.erofs.smbios",
        "a.erofs.smbios.x",
        "a.erofs.fw_cfg.luks.chimera",
        "a.erofs.credential.k",
    ] {
        for is_there in [true, false] {
            if is_there {
                host.private(name, KEY);
            }
            let before = entries(&host);
            let build = "build secrets.yaml -o a.erofs --encrypt luks2";
            for option in ["--key-file", "--key-out"] {
                let output = run(&host, &format!("{build} {option} {name}"));
                let message = format!(
                    "the key file {name} has the name of a file that comes and goes with the image"
                );
                assert_refused(&output, 2, &message, hint);
            }
            let build = "build secrets.yaml -o a.erofs --encrypt luks1 --key-file key";
            let output = run(&host, &format!("{build} --master-key {name}"));
            let message = format!(
                "the master key {name} has the name of a file that comes and goes with the image"
            );
            assert_refused(&output, 2, &message, hint);
            assert!(entries(&host) == before);
            let _ = fs::remove_file(host.path(name));
        }
    }
    // Beside another image, or in another directory, it is a name like any other.
    assert_done(&run(
        &host,
        "build secrets.yaml -o b.erofs --encrypt luks2 --key-out a.erofs.smbios",
    ));
    let before = entries(&host).remove("a.erofs.smbios");
    fs::create_dir(host.path("other")).unwrap();
    let elsewhere = "build secrets.yaml -o other/a.erofs --encrypt luks2 --key-file a.erofs.smbios";
    assert_done(&run(&host, elsewhere));
    assert!(entries(&host).remove("a.erofs.smbios") == before);
}

/// A build that fails after its key is read, or made, leaves the old image.
#[test]
fn a_failing_build_leaves_image_and_key() {
    let host = host(PLAIN);
    let build = "build secrets.yaml -o a.erofs --key-file key --quiet --encrypt";
    for version in ["luks1", "luks2"] {
        fs::write(host.path("secrets.yaml"), PLAIN).unwrap();
        assert_done(&run(&host, &format!("{build} {version}")));
        let failing = "files: [{path: /a, file: missing}]\nlabel: CHIMERA\n";
        fs::write(host.path("secrets.yaml"), failing).unwrap();
        let before = entries(&host);
        let output = run(&host, &format!("{build} {version}"));
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        assert!(stderr(&output).contains("the old image is unchanged"), "{output:?}");
        for options in ["--label much-too-long-a-label", "--serial a,b", "--args lines --id ?"] {
            let output = run(&host, &format!("{build} {version} {options}"));
            assert_eq!(output.status.code(), Some(2), "{output:?}");
        }
        assert!(entries(&host) == before, "{version}");
    }
}
