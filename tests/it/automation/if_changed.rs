//! `--if-changed`: an image that would come out the same stays untouched, and
//! every other one is made again.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};

use credimg_formats::probe;

use super::*;
use crate::support::host::stdout;

/// More than is ever kept in memory.
const LARGE_BYTES: usize = 3 << 20;

const MANIFEST: &str = "label: CHIMERA\nfiles:\n- {path: /text, text: hello}\n\
    - {path: /tree, dir: tree, mtime: keep}\n- {path: /said, command: [cat, said]}\n";

fn host() -> Host {
    let host = Host::empty();
    host.write("secrets.yaml", MANIFEST);
    host.write("said", "one\n");
    host.write("tree/key", "key");
    host.write("tree/large", vec![7; LARGE_BYTES]);
    fs::create_dir(host.path("out")).unwrap();
    host
}

const FORMATS: [&str; 3] = ["out/a.erofs", "out/a.squashfs", "out/a.squashfs --compression zstd:3"];

/// Which file it is, and when it was written.
fn identity(host: &Host, image: &str) -> (u64, i64, i64) {
    let found = fs::symlink_metadata(host.path(image)).unwrap();
    (found.ino(), found.mtime(), found.mtime_nsec())
}

/// Builds; whether there is a new image.
fn is_rebuilt(host: &Host, options: &str) -> bool {
    let image = options.split(' ').next().unwrap();
    let before = identity(host, image);
    let output = host.run(&format!("build secrets.yaml --json --if-changed -o {options}"));
    assert_done(&output);
    let messages = stderr(&output);
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("a report");
    let changed = report.get("changed").unwrap().as_bool().unwrap();
    assert_eq!(changed, identity(host, image) != before, "{messages}");
    let size_bytes = report.get("size_bytes").unwrap().as_u64().unwrap();
    assert_eq!(size_bytes, fs::metadata(host.path(image)).unwrap().len());
    changed
}

#[test]
fn the_same_sources_leave_the_image_alone_whatever_their_times() {
    for options in FORMATS {
        let host = host();
        let image = options.split(' ').next().unwrap();
        assert_done(&host.run(&format!("build secrets.yaml -o {options} --mtime 5")));
        let bytes = host.read(image);
        for name in ["secrets.yaml", "said"] {
            let content = host.read(name);
            host.write(name, content);
        }
        assert!(!is_rebuilt(&host, options), "{options}");
        assert!(host.read(image) == bytes, "{options}");
    }
}

#[test]
fn every_change_is_seen_and_gets_a_time_and_a_uuid_of_its_own() {
    for options in FORMATS {
        let host = host();
        let image = options.split(' ').next().unwrap();
        assert_done(&host.run(&format!("build secrets.yaml -o {options} --mtime 5")));
        let mut seen = vec![host.read(image)];
        let keep = filetime(&host, "tree/key");
        let mut large = vec![7; LARGE_BYTES];
        *large.last_mut().unwrap() = 8;
        let changes: [(&str, &[u8]); 5] = [
            ("tree/key", b"kez"),
            ("said", b"two\n"),
            ("tree/large", &large),
            ("tree/new", b""),
            ("secrets.yaml", &MANIFEST.replace("hello", "hallo").into_bytes()),
        ];
        for (name, content) in changes {
            host.write(name, content);
            if name == "tree/key" {
                // Same length, same modification time.
                fs::File::options()
                    .write(true)
                    .open(host.path(name))
                    .unwrap()
                    .set_modified(keep)
                    .unwrap();
            }
            assert!(is_rebuilt(&host, options), "{options} {name}");
            assert!(!is_rebuilt(&host, options), "{options} {name}");
            assert!(!seen.contains(&host.read(image)), "{options} {name}");
            seen.push(host.read(image));
            assert_as_if_built_anew(&host, options);
        }
        // The first image had another time, the later ones have theirs from the clock.
        assert!(is_rebuilt(&host, &format!("{options} --mtime 5")));
        assert!(!is_rebuilt(&host, &format!("{options} --mtime 5")));
    }
}

/// The image has a stamp of its own, and is what a build that is given this
/// stamp makes.
fn assert_as_if_built_anew(host: &Host, options: &str) {
    let (image, rest) = options.split_once(' ').unwrap_or((options, ""));
    let stamp = probe::stamp(&mut host.read(image).as_slice()).unwrap().unwrap();
    assert_ne!(stamp.build_time.seconds(), 5);
    let mut anew = host.credimg();
    anew.args(["build", "secrets.yaml", "-o", "anew", "--format"]);
    anew.arg(image.rsplit('.').next().unwrap()).args(rest.split_whitespace());
    anew.args(["--mtime", &stamp.build_time.seconds().to_string()]);
    if let Some(uuid) = stamp.uuid {
        let digits = uuid.map(|byte| format!("{byte:02x}")).concat();
        let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| digits.get(range).unwrap());
        anew.args(["--uuid", &groups.join("-")]);
    }
    assert_done(&anew.output().unwrap());
    assert!(host.read("anew") == host.read(image), "{options}");
}

fn filetime(host: &Host, name: &str) -> std::time::SystemTime {
    fs::metadata(host.path(name)).unwrap().modified().unwrap()
}

#[test]
fn an_image_that_is_not_as_it_would_be_is_made_again() {
    for options in FORMATS {
        let host = host();
        let image = options.split(' ').next().unwrap();
        assert_done(&host.run(&format!("build secrets.yaml -o {options}")));
        let damage: [(&str, Damage); 6] = [
            ("first bytes", |path| change(path, |bytes| bytes.iter_mut().take(1).for_each(flip))),
            ("a superblock", |path| {
                change(path, |bytes| bytes.iter_mut().skip(1024 + 72).take(1).for_each(flip));
            }),
            ("the last byte", |path| {
                change(path, |bytes| bytes.last_mut().into_iter().for_each(flip));
            }),
            ("one byte more", |path| change(path, |bytes| bytes.push(0))),
            ("one byte less", |path| change(path, |bytes| bytes.truncate(bytes.len() - 1))),
            ("another mode", |path| {
                fs::set_permissions(path, PermissionsExt::from_mode(0o640)).unwrap();
            }),
        ];
        for (what, damage) in damage {
            damage(&host.path(image));
            assert!(is_rebuilt(&host, options), "{options}: {what}");
            assert_eq!(fs::metadata(host.path(image)).unwrap().mode() & 0o7777, 0o600);
        }
        fs::rename(host.path(image), host.path("out/elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", host.path(image)).unwrap();
        assert!(is_rebuilt(&host, options), "{options}: a symbolic link");
        assert!(host.path(image).symlink_metadata().unwrap().is_file());
    }
}

type Damage = fn(&Path);

fn flip(byte: &mut u8) {
    *byte = !*byte;
}

fn change(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_the_caller_asks_for_counts() {
    let host = host();
    let options = "out/a.erofs";
    assert_done(&host.run("build secrets.yaml -o out/a.erofs"));
    for wish in
        [format!("--uuid {UUID}"), "--mtime 5".into(), "--label X".into(), "--mode 0640".into()]
    {
        let options = format!("{options} {wish}");
        assert!(is_rebuilt(&host, &options), "{wish}");
        assert!(!is_rebuilt(&host, &options), "{wish}");
    }
}

#[test]
fn people_are_told_and_a_failing_build_leaves_the_image() {
    let host = host();
    let build = "build secrets.yaml -o out/a.erofs --if-changed --args none";
    let messages = stderr(&host.run(build));
    assert_eq!(messages, "wrote out/a.erofs: erofs, label CHIMERA, 4 files, 3080 KiB\n");
    assert_eq!(stderr(&host.run(build)), "kept out/a.erofs: it is up to date\n");
    let before = identity(&host, "out/a.erofs");
    fs::remove_file(host.path("said")).unwrap();
    let failed = host.run(build);
    assert_eq!(failed.status.code(), Some(6));
    assert!(stderr(&failed).contains("the old image is unchanged"), "{failed:?}");
    assert_eq!(identity(&host, "out/a.erofs"), before);

    for option in ["--if-changed", "--depfile a.d"] {
        let output = host.run(&format!("build secrets.yaml -o - --format erofs {option}"));
        assert_eq!(output.status.code(), Some(2));
        let option = option.split(' ').next().unwrap();
        assert_eq!(
            stderr(&output),
            format!(
                "credimg: error: {option} has no meaning for an image on standard output\n\
                 credimg: hint: name a file with -o\n"
            )
        );
    }
}

#[test]
fn the_private_files_beside_the_image_count_as_well() {
    let host = Host::empty();
    let manifest = |token: &str| {
        format!(
            "label: CHIMERA\nfiles: [{{path: /a, text: x}}]\ncredentials:\n\
             - {{name: token, text: {token}, via: smbios}}\n- {{name: item, text: x, via: fw_cfg}}\n"
        )
    };
    host.write("secrets.yaml", manifest("one"));
    fs::create_dir(host.path("out")).unwrap();
    let image = "out/a.erofs";
    assert_done(&host.run("build secrets.yaml -o out/a.erofs"));
    assert!(!is_rebuilt(&host, image));
    let structure = host.read("out/a.erofs.smbios");

    let changes: [fn(&Host); 6] = [
        |host| drop(host.write("out/a.erofs.smbios", "x")),
        |host| fs::remove_file(host.path("out/a.erofs.fw_cfg.item")).unwrap(),
        |host| drop(host.write("out/a.erofs.fw_cfg.item", "xx")),
        |host| {
            host.write("out/a.erofs.fw_cfg.stale", "x");
            host.write("out/a.erofs.sidecars", "fw_cfg.item\nfw_cfg.stale\nsmbios\n");
        },
        |host| {
            // Without it what it names is nobody's, and would be refused.
            for name in ["sidecars", "fw_cfg.item", "smbios"] {
                fs::remove_file(host.path(format!("out/a.erofs.{name}"))).unwrap();
            }
        },
        |host| {
            let everybody = PermissionsExt::from_mode(0o644);
            fs::set_permissions(host.path("out/a.erofs.fw_cfg.item"), everybody).unwrap();
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        change(&host);
        assert!(is_rebuilt(&host, image), "change {index}");
        assert!(!is_rebuilt(&host, image), "change {index}");
        assert!(host.read("out/a.erofs.smbios") == structure, "change {index}");
        assert!(!host.path("out/a.erofs.fw_cfg.stale").exists());
    }
    host.write("secrets.yaml", manifest("two"));
    assert!(is_rebuilt(&host, image));
    assert!(host.read("out/a.erofs.smbios") != structure);
}

/// Guests find a disk without a label by its UUID: a change must not take it away.
#[test]
fn an_image_without_a_label_keeps_its_uuid() {
    let host = host();
    let manifest = MANIFEST.replace("label: CHIMERA", "mount: /run/secrets");
    host.write("secrets.yaml", &manifest);
    assert_done(&host.run("build secrets.yaml -o out/a.erofs"));
    let uuid = || probe::stamp(&mut host.read("out/a.erofs").as_slice()).unwrap().unwrap().uuid;
    let first = (uuid(), host.read("out/a.erofs.smbios"));
    host.write("secrets.yaml", manifest.replace("hello", "hallo"));
    assert!(is_rebuilt(&host, "out/a.erofs"));
    assert_eq!((uuid(), host.read("out/a.erofs.smbios")), first);
    assert!(!is_rebuilt(&host, "out/a.erofs"));
}

/// What was found at the start may be gone when everything is read.
#[test]
fn an_image_that_goes_meanwhile_is_made_again() {
    let host = Host::empty();
    host.write("other", "other");
    let commands = ["rm -f a.erofs", "cp other b && mv b a.erofs"];
    for command in commands {
        let manifest = format!("files: [{{path: /a, shell: '{command}; echo x'}}]\n");
        host.write("secrets.yaml", manifest);
        assert_done(&host.run("build secrets.yaml -o a.erofs"));
        let image = host.read("a.erofs");
        let output = host.run("build secrets.yaml -o a.erofs --if-changed");
        assert_done(&output);
        assert!(stderr(&output).starts_with("wrote a.erofs"), "{}", stderr(&output));
        assert_eq!(host.read("a.erofs").len(), image.len(), "{command}");
    }
}

#[test]
fn an_old_image_of_a_time_that_does_not_fit_is_no_error() {
    let host = host();
    for (old, new) in [
        ("--format erofs --mtime 5000000000", "--format squashfs"),
        ("--format iso9660 --mtime 4000000000 --lossy", "--format iso9660"),
    ] {
        assert_done(&host.run(&format!("build secrets.yaml -o out/a {old}")));
        assert!(is_rebuilt(&host, &format!("out/a {new}")), "{old}");
        assert!(!is_rebuilt(&host, &format!("out/a {new}")), "{old}");
    }
}

/// A group that an earlier build let in is not let in any longer.
#[test]
fn an_image_of_another_group_is_made_again_where_groups_read() {
    let host = host();
    let build = "build secrets.yaml -o out/a.erofs --owner 0:990 --mode 0640";
    assert_done(&host.run(build));
    assert!(is_rebuilt(&host, "out/a.erofs --mode 0640"));
    assert_eq!(fs::metadata(host.path("out/a.erofs")).unwrap().gid(), 0);
    assert!(!is_rebuilt(&host, "out/a.erofs --mode 0640"));
}

#[test]
fn leftovers_of_killed_builders_go_with_an_image_that_stays() {
    let host = host();
    assert_done(&host.run("build secrets.yaml -o out/a.erofs"));
    let directory = format!("out/.a.erofs.credimg-{}", rustix::process::geteuid().as_raw());
    fs::DirBuilder::new().mode(0o700).create(host.path(&directory)).unwrap();
    host.write(format!("{directory}/abcdefghij"), "secret");
    host.write("out/.a.erofs.credimg-commitlock", "secret");
    assert!(!is_rebuilt(&host, "out/a.erofs"));
    assert!(!host.path("out/.a.erofs.credimg-commitlock").exists());
    assert!(!host.path(&directory).exists());
}
