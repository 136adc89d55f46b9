//! The manifests of testdata: the good ones and their plans, the bad ones and
//! their exact errors, hostile ones and their cost, and the proof that no
//! error shows what stands in a manifest.
//!
//! Every bad manifest begins with what is expected of it: one `# expect:` line
//! a problem, the text after the file's name, and a `# hint:` line if there is
//! a hint. Every good one has its table beside it.

mod cost;
mod fleets;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::path::{Path, PathBuf};

use credimg::commands::check::table;
use credimg::manifest::Channel;
use credimg::manifest::{
    Entry, Format, Keep, KeySource, Loaded, Manifest, Pseudo, Source, load, parse, parse_any,
};
use credimg::report::{Exit, Failure, Position};
use credimg::sources::pseudo::{self, Definition};
use credimg_formats::Mode;
use credimg_formats::luks::Version;
use serde_yaml::{Event, Parser};

/// The manifests of a directory under testdata, sorted.
fn manifests(directory: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/manifests").join(directory);
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().unwrap() == "yaml").collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// The values of the header lines that begin with `# KEY: `.
fn header(text: &[u8], key: &str) -> Vec<String> {
    let lines = text.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    let header = lines.take_while(|line| line.starts_with("# "));
    let prefix = format!("# {key}: ");
    header.filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
}

#[test]
fn bad_manifests_give_exactly_the_expected_errors() {
    let bad = manifests("bad");
    assert_eq!(bad.len(), 340, "bad manifests");
    let mut faults = Vec::new();
    for (path, text) in bad {
        let name = path.file_name().unwrap().to_str().unwrap();
        let expected = header(&text, "expect");
        assert!(!expected.is_empty(), "{name} does not say what it expects");
        let full = |line: &String| match line.as_bytes()[0] {
            b'0'..=b'9' => format!("{name}:{line}"),
            _ => format!("{name}: {line}"),
        };
        let expected = expected.iter().map(full).collect::<Vec<_>>().join("\n");
        let hint = header(&text, "hint").pop();
        match parse(&text, Path::new(name)) {
            Ok(_) => faults.push(format!("{name} is accepted")),
            Err(failure) => {
                assert_eq!(failure.exit, Exit::Manifest);
                if failure.message != expected || failure.hint != hint {
                    let (got, got_hint) = (failure.message, failure.hint);
                    faults.push(format!(
                        "{name}\n  got  {got}\n  want {expected}\n  got  {got_hint:?}\n  want {hint:?}"
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} wrong:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn good_manifests_give_exactly_the_expected_tables() {
    let good = manifests("good");
    assert_eq!(good.len(), 13, "good manifests");
    for (path, text) in good {
        let plan = parse(&text, &path).map_err(|error| error.to_string()).unwrap();
        let expected = fs::read_to_string(path.with_extension("table")).unwrap();
        assert_eq!(table(&plan, &pseudo::load(&plan).unwrap()), expected, "{}", path.display());
    }
}

fn good(name: &str) -> Manifest {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/manifests/good");
    parse(&fs::read(root.join(name)).unwrap(), Path::new("conf/secrets.yaml")).unwrap()
}

fn inline(entry: &Entry) -> &[u8] {
    match &entry.source {
        Source::Inline(secret) => secret.expose(),
        other => panic!("expected inline content, got {other:?}"),
    }
}

#[test]
fn every_key_means_what_it_says() {
    let plan = good("every-key.yaml");
    assert_eq!(plan.label.as_ref().map(|label| label.text.as_str()), Some("CHIMERA"));
    assert_eq!(plan.format, Some(Format::Erofs));
    assert_eq!(plan.path, Path::new("conf/secrets.yaml"));
    assert_eq!(
        (plan.parents.mode, plan.parents.dir_mode),
        (Keep::Set(Mode::of::<0o440>()), Keep::Set(Mode::of::<0o550>()))
    );
    assert_eq!(plan.parents.owner, Keep::Set((0, 0)));
    let entries = &plan.entries;
    assert_eq!(entries[1].position.key_path.as_ref(), "files[1]");
    assert_eq!((entries[1].position.line, entries[1].position.column), (17, 5));
    let Source::File(host) = &entries[0].source else { panic!("{:?}", entries[0].source) };
    assert_eq!(host, Path::new("conf/keys/ssh_host_ed25519_key"));
    let Source::Command { argv, directory, is_shell: false, trim: true } = &entries[1].source
    else {
        panic!("{:?}", entries[1].source)
    };
    assert_eq!(argv, &["pass", "show", "chimera/api"].map(OsString::from));
    assert_eq!(directory, Path::new("conf"));
    let Source::Command { argv, is_shell: true, trim: false, .. } = &entries[2].source else {
        panic!("{:?}", entries[2].source)
    };
    assert_eq!(argv, &["/bin/sh", "-c", "gpg -d db.gpg | head -1"].map(OsString::from));
    assert_eq!(inline(&entries[3]), b"hello\n");
    assert!(inline(&entries[4]).ends_with(b"\nAAEC\n-----END CERTIFICATE-----\n"));
    assert_eq!(inline(&entries[5]), [0, 1, 2, 3]);
    let Source::Env { name, trim: false } = &entries[6].source else {
        panic!("{:?}", entries[6].source)
    };
    assert_eq!(name, "CI_TOKEN");
    let Source::Dir(host) = &entries[7].source else { panic!("{:?}", entries[7].source) };
    assert_eq!(host, Path::new("conf/tls"));
    let acl = &entries[7].attributes.xattrs[&b"system.posix_acl_default"[..]];
    assert_eq!(acl.len(), 28);
    let Source::Tar(host) = &entries[8].source else { panic!("{:?}", entries[8].source) };
    assert_eq!(host, Path::new("/srv/wireguard.tar.gz"));
    let Source::Symlink(target) = &entries[9].source else { panic!("{:?}", entries[9].source) };
    assert_eq!(target, b"ssh/ssh_host_ed25519_key");
    assert!(!entries[8].attributes.archive_xattrs && entries[10].attributes.archive_xattrs);
    let xattrs = &entries[10].attributes.xattrs;
    assert_eq!(xattrs.len(), 2);
    assert_eq!(xattrs[&b"security.selinux"[..]].expose(), b"system_u:object_r:etc_t:s0");
    assert_eq!(xattrs[&b"user.binary"[..]].expose(), [0, 255]);
    let Source::FollowedDir(host) = &entries[11].source else { panic!("{:?}", entries[11].source) };
    assert_eq!(host, Path::new("conf/ssl"));
    let recursive = [7, 11].map(|index| entries[index].attributes.xattrs_recursive);
    assert_eq!(recursive, [None, Some(true)]);
    assert!(matches!(entries[12].source, Source::Dir(_)));
    let label = &plan.parents.xattrs[&b"security.selinux"[..]];
    assert_eq!(label.expose(), b"system_u:object_r:etc_t:s0:c1,c2");
    assert!(entries[12].attributes.xattrs.is_empty());
    let options = "ro,nosuid,nodev,noexec,nofail,context=\"system_u:object_r:etc_t:s0:c1,c2\"";
    assert_eq!(plan.mount.as_ref().unwrap().options(), options);
    assert_eq!(plan.pass_env, ["VAULT_ADDR", "SSH_AUTH_SOCK"]);
}

#[test]
fn encryption_means_what_it_says() {
    let key = |plan: &Manifest| plan.encrypt.clone().unwrap().key;
    let plan = good("encrypt-luks1.yaml");
    let encrypt = plan.encrypt.as_ref().unwrap();
    assert_eq!((encrypt.luks, &encrypt.sector_bytes), (Version::Luks1, &None));
    assert_eq!(key(&plan), Some(KeySource::File("conf/keys/chimera.key".into())));
    let Position { line, column, key_path, .. } = &encrypt.position;
    assert_eq!((*line, *column, &**key_path), (2, 10, "encrypt"));
    let plan = good("encrypt-luks2.yaml");
    let encrypt = plan.encrypt.as_ref().unwrap();
    assert_eq!(encrypt.luks, Version::Luks2);
    assert_eq!(encrypt.sector_bytes.as_ref().map(|(bytes, _)| *bytes), Some(512));
    assert_eq!(key(&plan), Some(KeySource::Generate));
    // A file of that name needs its directory.
    for (text, expected) in [
        ("{luks: 2}", None),
        ("{luks: 2, sector_size: 4096}", None),
        ("{luks: 1, key: ./generate}", Some(KeySource::File("./generate".into()))),
        ("{luks: 1, key: /srv/a b}", Some(KeySource::File("/srv/a b".into()))),
        ("{luks: 1, key: \"12345\"}", Some(KeySource::File("12345".into()))),
    ] {
        let plan = parse(format!("encrypt: {text}\nfiles: []\n").as_bytes(), Path::new("m"));
        assert_eq!(key(&plan.unwrap()), expected, "{text}");
    }
    assert!(good("every-key.yaml").encrypt.is_none());
}

#[test]
fn an_iso_9660_manifest_has_a_longer_label_and_may_ask_for_joliet() {
    let plan = good("iso9660.yaml");
    let label = plan.label.unwrap();
    assert_eq!(label.text, "thirty-two-bytes-and-not-more.32");
    assert_eq!((label.position.line, label.position.column), (2, 8));
    assert_eq!((plan.format, plan.format_options.joliet), (Some(Format::Iso9660), false));
    let plan = parse(b"joliet: true\nfiles: []\n", Path::new("m")).unwrap();
    assert!(plan.format_options.joliet);
}

#[test]
fn inline_text_is_what_yaml_says() {
    let plan = good("quoting.yaml");
    let texts: Vec<_> = plan.entries.iter().map(inline).collect();
    let expected: [&[u8]; 8] = [
        b"0123",
        b"true",
        b"yes",
        b"~",
        b"one two\nthree\n",
        b"12:30:45",
        b"https://user:pass@host/#fragment",
        "\0ä€🔑/".as_bytes(),
    ];
    assert_eq!(texts, expected);
    assert_eq!(inline(&good("windows.yaml").entries[0]), b"one\ntwo\n");
}

#[test]
fn commands_of_a_manifest_here_run_here() {
    let text = b"files: [{path: /a, command: [x]}, {path: /b, file: y}]";
    for manifest in ["secrets.yaml", "-"] {
        let plan = parse(text, Path::new(manifest)).unwrap();
        let Source::Command { directory, .. } = &plan.entries[0].source else { panic!() };
        assert_eq!(directory, Path::new("."));
        let Source::File(host) = &plan.entries[1].source else { panic!() };
        assert_eq!(host, Path::new("y"));
    }
}

#[test]
fn a_manifest_that_cannot_be_read_is_named() {
    for (path, expected) in [
        (
            "/nonexistent/a\nb.yaml",
            r#""/nonexistent/a\nb.yaml": cannot read the manifest: no such file or directory"#,
        ),
        ("/", "/: cannot read the manifest: is a directory"),
    ] {
        let failure = load(Path::new(path)).unwrap_err();
        assert_eq!(failure.exit, Exit::Manifest);
        assert_eq!(failure.message, expected);
    }
}

#[test]
fn a_manifest_of_one_mebibyte_is_the_largest() {
    let mut text = b"files: []\n".to_vec();
    text.resize(1 << 20, b'#');
    assert!(parse(&text, Path::new("m")).is_ok());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m");
    fs::write(&path, &text).unwrap();
    assert!(load(&path).is_ok());
    text.push(b'#');
    let error = parse(&text, Path::new("m")).unwrap_err();
    assert_eq!(error.to_string(), "m: larger than 1048576 bytes");
    fs::write(&path, &text).unwrap();
    let expected = format!("{}: larger than 1048576 bytes", path.display());
    assert_eq!(load(&path).unwrap_err().to_string(), expected);
}

#[test]
fn many_problems_are_counted() {
    let text = format!("files:\n{}", "  - {}\n".repeat(1000));
    let error = parse(text.as_bytes(), Path::new("m")).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 21);
    assert_eq!(error.lines().last(), Some("m: 1980 more problems are not listed"));
}

/// A random text that stands nowhere by chance, and a random number that is too
/// large for any number of a manifest.
fn canaries() -> (String, String) {
    let random = RandomState::new();
    let (high, low) = (random.hash_one(1), random.hash_one(2));
    (format!("cAnArY{high:016x}"), format!("{high:020}{low:020}"))
}

/// What a scalar is replaced by: the canary in the disguises that a secret may
/// have, broken ones included. The first seven are the most telling.
fn disguises(word: &str, number: &str) -> Vec<String> {
    let w = word;
    let mut disguises = vec![
        w.to_owned(),
        format!("\"{w}\""),
        format!("\"{w}"),
        format!("|\n{:12}{w}\n{:12}{w}", "", ""),
        format!("{w}: {w}"),
        format!("[{w}, {w}]"),
        number.to_owned(),
        format!("'{w}'"),
        format!("'{w}"),
        format!("\"{w}\" {w}"),
        format!("|9{w}"),
        format!("\"{w}\n\n   {w}\""),
        format!("{w}\n{w}"),
        format!("{w}\n{w}: {w}"),
        format!("{{{w}: {w}}}"),
        format!("{{base64: {w}}}"),
        format!("[{w}}}"),
        format!("\"\\{w}\""),
        format!("\"{w}\\0{w}\""),
        format!("/{w}/../{w}"),
        format!("{w}\u{7}{w}"),
        format!("{w} #{w}"),
        format!("user.{w}"),
        format!("-{number}"),
        format!("{number}.{number}e{number}"),
        format!("{number}:{number}"),
    ];
    disguises.extend("*&!%@`-?$".chars().map(|indicator| format!("{indicator}{w}")));
    disguises.extend(["!env", "&x", "-", "?", "%TAG"].map(|before| format!("{before} {w}")));
    disguises
}

/// Where the scalars of a manifest stand, keys included, up to the first
/// syntax error.
fn scalars(text: &str) -> Vec<Range<usize>> {
    let events = Parser::new_from_str(text).map_while(Result::ok);
    let scalars = events.filter(|(event, _)| matches!(event, Event::Scalar(..)));
    scalars.filter_map(|(_, span)| span.byte_range()).collect()
}

/// Where the names of machines stand, which are shown: images and labels have them.
fn machine_names(text: &str) -> Vec<Range<usize>> {
    let (mut names, mut depth, mut key, mut is_in) = (Vec::new(), 0, true, false);
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        let is_pair_s = depth == if is_in { 2 } else { 1 };
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                key |= is_pair_s;
                depth += 1;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                depth -= 1;
                is_in &= depth > 1;
            }
            Event::Scalar(..) if is_pair_s && !key => key = true,
            Event::Scalar(text, ..) if is_pair_s => {
                key = false;
                if is_in {
                    names.extend(span.byte_range());
                } else {
                    is_in = text == "machines";
                    key = is_in;
                }
            }
            _ => {}
        }
    }
    names
}

#[test]
fn names_of_machines_are_found() {
    let names = |text: &str| -> Vec<String> {
        machine_names(text).into_iter().map(|range| text[range].to_owned()).collect()
    };
    let text = "label: a\nmachines: {b: {vars: {c: d}}, \"e[1-2]\": , f: {}}\nfiles: [{g: h}]\n";
    assert_eq!(names(text), ["b", "\"e[1-2]\"", "f"]);
    assert_eq!(names("files: [a, b]\nmachines:\n  c:\nlabel: d\n"), ["c"]);
    assert!(names("files: [{machines: {a: b}}]\nmachines: a\nlabel: b\n").is_empty());
}

/// All that a user can come to see of a manifest. The paths of the entries are
/// taken out of the table: to show them is what it is for.
fn visible(text: &[u8]) -> String {
    match parse_any(text, Path::new("secrets.yaml")) {
        Ok(Loaded::One(plan)) => visible_of(Ok(*plan)),
        Ok(Loaded::Many(fleet)) => {
            let machines = 0..fleet.machines().len().min(3);
            machines.map(|machine| visible_of(fleet.manifest_of(machine))).collect()
        }
        Err(failure) => visible_of(Err(failure)),
    }
}

fn visible_of(plan: Result<Manifest, Failure>) -> String {
    match plan {
        Ok(plan) => {
            // The paths of pseudo files are shown, like all paths of the host.
            let plan = Manifest { pseudo: Pseudo { files: Vec::new(), ..plan.pseudo }, ..plan };
            let definitions = match pseudo::load(&plan) {
                Ok(definitions) => definitions,
                Err(failure) => return format!("{failure} {failure:?} {:?}", failure.hint),
            };
            let mut seen = table(&plan, &definitions);
            for Definition { path, action, .. } in &definitions {
                if !path.is_root() {
                    seen = seen.replacen(&path.to_string(), "", 1);
                }
                write!(seen, "{action:?}").unwrap();
            }
            for entry in &plan.entries {
                seen = seen.replacen(&entry.path.to_string(), "", 1);
                write!(seen, "{:?} {:?}", entry.source, entry.attributes).unwrap();
                write!(seen, "{:?} {:#?}", entry.position, entry.source).unwrap();
            }
            seen
        }
        Err(failure) => {
            format!("{failure} {failure:?} {failure:#?} {:?}", failure.hint)
        }
    }
}

/// The rule: nothing that stands in a manifest, value or key, is ever shown,
/// but an entry's path in the table (and the label, which is public and in no
/// text here).
#[test]
fn nothing_of_a_manifest_is_shown() {
    let (word, number) = canaries();
    let disguises = disguises(&word, &number);
    let (mut accepted, mut refused) = (0, 0);
    let good = manifests("good").into_iter().map(|manifest| (manifest, disguises.as_slice()));
    let bad = manifests("bad").into_iter().map(|manifest| (manifest, &disguises[..7]));
    for ((path, text), disguises) in good.chain(bad) {
        // One file is large for its one long value; what it adds is not worth its time.
        let Some(text) = String::from_utf8(text).ok().filter(|text| text.len() < 16 << 10) else {
            continue;
        };
        let names = machine_names(&text);
        // Fleets are many, and alike.
        let is_fleet = path.file_name().unwrap().to_str().unwrap().starts_with("fleet-");
        let disguises = if is_fleet { &disguises[..3] } else { disguises };
        for range in scalars(&text).into_iter().filter(|range| !names.contains(range)) {
            for disguise in disguises {
                let (before, after) = (&text[..range.start], &text[range.end..]);
                let changed = format!("{before}{disguise}{after}");
                let seen = visible(changed.as_bytes());
                let name = path.file_name().unwrap().to_str().unwrap();
                let is_shown = [&word[6..], &number[..20], &number[20..]]
                    .iter()
                    .any(|canary| seen.to_lowercase().contains(canary));
                assert!(!is_shown, "{name}: {disguise:?} at {range:?} is shown:\n{seen}");
                if seen.starts_with("PATH") { accepted += 1 } else { refused += 1 }
            }
        }
    }
    // Both ways must have been gone, often.
    assert_eq!((accepted, refused), (1429, 26_241), "accepted and refused");
}

#[test]
fn credentials_mean_what_they_say() {
    let plan = good("credentials.yaml");
    assert!(plan.entries.is_empty());
    assert_eq!(plan.mount.as_ref().unwrap().as_str(), "/run/credstore");
    let credentials = &plan.credentials;
    let vias: Vec<_> = credentials.iter().map(|credential| credential.via).collect();
    let (disk, smbios, fw_cfg) = (Channel::Disk, Channel::Smbios, Channel::FwCfg);
    assert_eq!(vias, [None, Some(disk), Some(smbios), Some(fw_cfg), None, None]);
    assert_eq!(inline(&credentials[0].entry), b"hunter2");
    assert_eq!(inline(&credentials[1].entry), [0, 1, 2]);
    assert_eq!(credentials[1].name, "a b=c,d%e");
    // The disk is the store itself: the file lies at its root.
    assert_eq!(credentials[1].entry.path.to_string(), "/a b=c,d%e");
    assert_eq!(credentials[1].entry.attributes.mode, Keep::Set(Mode::of::<0o400>()));
    let Source::File(host) = &credentials[2].entry.source else { panic!() };
    assert_eq!(host, Path::new("conf/tls.key"));
    let Source::Command { is_shell: true, trim: true, .. } = &credentials[3].entry.source else {
        panic!("{:?}", credentials[3].entry.source)
    };
    assert_eq!(credentials[5].entry.position.key_path.as_ref(), "credentials[5]");

    let text = b"credentials: [{name: a, text: x}]";
    let plan = parse(text, Path::new("m")).unwrap();
    assert_eq!(plan.credentials[0].entry.path.to_string(), "/credstore/a");
    assert_eq!(plan.mount, None);
}
