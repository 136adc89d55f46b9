//! What people give in place of a key: each mistake has its own message, costs no
//! file, and shows nothing of the key.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, Mode, mkfifoat};

use super::*;

/// Stands in every key here, and in no message.
const CANARY: &str = "cAnArY";
const GENKEY_LUKS: &str = "`credimg genkey --luks FILE` makes a good one";
const REMOVE: &str = "remove it, and `credimg genkey --luks FILE` or --key-out makes a good one";
const MAKE: &str = "--key-out FILE makes one where there is none";
const GENKEY: &str = "`credimg genkey FILE` makes one";
const NEWLINE: &str = "write it without one: printf %s instead of echo";
const CHMOD: &str = "chmod 600 bad, and make a new key if others may have read this one";

/// What makes the file, then exit code, message and hint.
struct Mistake {
    make: Box<dyn Fn(&Host)>,
    exit: i32,
    message: String,
    hint: Option<&'static str>,
}

impl Mistake {
    fn new(
        make: impl Fn(&Host) + 'static,
        exit: i32,
        message: &str,
        hint: Option<&'static str>,
    ) -> Self {
        Self { make: Box::new(make), exit, message: message.to_owned(), hint }
    }

    /// A private file with this content.
    fn content(content: &[u8], message: &str, hint: &'static str) -> Self {
        let content = content.to_vec();
        Self::new(move |host| host.private("bad", &content), 4, message, Some(hint))
    }

    /// A good file of this mode.
    fn mode(content: &'static str, mode: u32) -> Self {
        let make = move |host: &Host| {
            host.private("bad", content);
            fs::set_permissions(host.path("bad"), PermissionsExt::from_mode(mode)).unwrap();
        };
        let open = "the key file bad is open to every user of the host";
        Self::new(make, 5, &format!("{open} (mode {mode:04o})"), Some(CHMOD))
    }

    /// A good file that its group can write.
    fn group_mode(content: &'static str, mode: u32) -> Self {
        let message = format!("the key file bad can be written by its group (mode {mode:04o})");
        let hint = "chmod g-w bad, and make a new key if the group may have put another one there";
        Self { message, hint: Some(hint), ..Self::mode(content, mode) }
    }

    /// What is no file of a key at all, whatever a key looks like.
    /// `make` is the hint where there is none.
    fn of_every_key(good: &'static str, make: &'static str) -> Vec<Self> {
        let regular = "expected a regular file";
        let fifo = |host: &Host| mkfifoat(CWD, host.path("bad"), Mode::RUSR | Mode::WUSR).unwrap();
        let link =
            |target: &'static str| move |host: &Host| symlink(target, host.path("bad")).unwrap();
        let missing = "the key file: cannot read bad: no such file or directory";
        let mut mistakes: Vec<_> =
            [0o604, 0o644, 0o606, 0o602, 0o601, 0o777].map(|mode| Self::mode(good, mode)).into();
        mistakes.extend([0o620, 0o660, 0o770].map(|mode| Self::group_mode(good, mode)));
        mistakes.extend([
            Self::content(b"", "the key file bad is empty", REMOVE),
            Self::new(|_| {}, 4, missing, Some(make)),
            Self::new(link("nowhere"), 4, missing, Some(make)),
            Self::new(
                link("bad"),
                4,
                "the key file: cannot read bad: too many levels of symbolic links",
                None,
            ),
            Self::new(
                |host| fs::create_dir(host.path("bad")).unwrap(),
                4,
                &format!("the key file: bad is a directory, {regular}"),
                None,
            ),
            Self::new(fifo, 4, &format!("the key file: bad is a FIFO, {regular}"), None),
            Self::new(
                |host| drop(UnixListener::bind(host.path("bad")).unwrap()),
                4,
                &format!("the key file: bad is a socket, {regular}"),
                None,
            ),
            Self::new(
                link("/dev/zero"),
                4,
                &format!("the key file: bad is a character device, {regular}"),
                None,
            ),
        ]);
        mistakes
    }
}

/// A host with an image of either version that `key` opens, all from one build each.
fn host_with_images() -> Host {
    let host = host(MANIFEST);
    for (image, version) in [("old1.erofs", "luks1"), ("old2.erofs", "luks2")] {
        let build = format!("build secrets.yaml -o {image} --encrypt {version} --key-file key");
        assert_done(&run(&host, &build));
    }
    host
}

/// Every command says the same, and leaves every file as it is.
fn assert_mistakes(mistakes: &[Mistake], commands: &[&str], input: &[u8]) {
    let host = host_with_images();
    for Mistake { make, exit, message, hint } in mistakes {
        make(&host);
        let before = entries(&host);
        for command in commands {
            let output = run_with(&host, command, input);
            let shown = stderr(&output);
            assert_refused(&output, *exit, message, *hint);
            assert!(!shown.to_lowercase().contains(&CANARY.to_lowercase()), "{shown}");
            assert!(entries(&host) == before, "{command}: {message}");
        }
        let bad = host.path("bad");
        match fs::symlink_metadata(&bad) {
            Ok(found) if found.is_dir() => fs::remove_dir(bad).unwrap(),
            Ok(_) => fs::remove_file(bad).unwrap(),
            Err(_) => {}
        }
    }
}

#[test]
fn mistakes_of_key_files_have_their_messages() {
    let nul = "the key file bad holds a NUL byte, at which QEMU would end the key";
    let utf8 = "the key file bad is not UTF-8, which QEMU demands of a key";
    let newline = "the key file bad ends in a newline, which would be a part of the key";
    let content = |bytes: &[u8], message, hint| Mistake::content(bytes, message, hint);
    let mut mistakes = vec![
        content(b"cAnArY\n", newline, NEWLINE),
        content(b"cAnArY\r\n", newline, NEWLINE),
        content(b"\n", newline, NEWLINE),
        content(format!("{KEY}\n").as_bytes(), newline, NEWLINE),
        content(b"cAnArY\0cAnArY", nul, GENKEY_LUKS),
        content(b"cAnArY\0\n", nul, GENKEY_LUKS),
        content(b"cAnArY\xff", utf8, GENKEY_LUKS),
        content(b"cAnArY\xc3\n", utf8, GENKEY_LUKS),
        content(
            &CANARY.repeat(86).as_bytes()[..513],
            "the key file bad has over 512 bytes",
            REMOVE,
        ),
        content(&vec![b'x'; 1 << 20], "the key file bad has over 512 bytes", REMOVE),
    ];
    mistakes.extend(Mistake::of_every_key("cAnArY", MAKE));
    let commands = [
        "build secrets.yaml -o old1.erofs --encrypt luks1 --key-file bad",
        "build secrets.yaml -o old2.erofs --encrypt luks2 --key-file bad --if-changed",
        "args old1.erofs --key-file bad",
        "args old2.erofs --key-file bad",
        "inspect old1.erofs --key-file bad",
        "inspect old2.erofs --key-file bad --json",
    ];
    assert_mistakes(&mistakes, &commands, b"");
}

/// A key that is there but no good one is neither used nor replaced.
#[test]
fn a_bad_file_at_key_out_stays() {
    let newline = "the key file bad ends in a newline, which would be a part of the key";
    let mut mistakes = vec![Mistake::content(b"cAnArY\n", newline, NEWLINE)];
    mistakes.extend(Mistake::of_every_key("cAnArY", MAKE));
    // Where there is none, one is made; a link that leads nowhere is no place for one.
    mistakes.retain(|mistake| !mistake.message.contains("no such file"));
    assert_mistakes(
        &mistakes,
        &["build secrets.yaml -o old2.erofs --encrypt luks2 --key-out bad"],
        b"",
    );
}

#[test]
fn mistakes_of_master_keys_have_their_messages() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let not = "the master key file bad is not 32 bytes in base64";
    let content = |bytes: &[u8]| Mistake::content(bytes, not, GENKEY);
    let mut mistakes: Vec<_> =
        [31, 33].map(|n| content(STANDARD.encode(vec![7; n]).as_bytes())).into();
    mistakes.extend([
        content("0aF9".repeat(16).as_bytes()),
        content(b"\0\xff\n\x80cAnArYcAnArYcAnArYcAnArYxxxx"),
        content(b"cAnArY"),
        content(format!("{MASTER}\n\n").as_bytes()),
        content(format!("{MASTER}\r\n").as_bytes()),
        content(format!(" {MASTER}").as_bytes()),
        content(MASTER.trim_end_matches('=').as_bytes()),
        content(MASTER.replacen('A', "_", 1).as_bytes()),
        content(b"\n"),
        Mistake::content(&[b'A'; 513], "the key file bad has over 512 bytes", REMOVE),
    ]);
    mistakes.extend(Mistake::of_every_key(MASTER, GENKEY));
    let commands = [
        "build secrets.yaml -o old1.erofs --encrypt luks1 --key-file key --master-key bad",
        "args old1.erofs --key-file key --master-key bad",
        "secret wrap --id a --master-key bad",
        "secret unwrap --master-key bad",
    ];
    assert_mistakes(&mistakes, &commands, b"iv=AAAA,data=AAAA");
}

#[test]
fn what_is_no_mistake_works() {
    let host = host(MANIFEST);
    symlink("key", host.path("link")).unwrap();
    host.private("longest", "\u{20ac}x".repeat(128));
    host.private("one", "x");
    host.private("return", "x\r");
    host.private("group", KEY);
    fs::set_permissions(host.path("group"), PermissionsExt::from_mode(0o440)).unwrap();
    for key in ["link", "longest", "one", "return", "group"] {
        let build = format!("build secrets.yaml -o a.erofs --encrypt luks2 --key-file {key}");
        assert_done(&run(&host, &build));
        assert_done(&run(&host, &format!("inspect a.erofs --key-file {key}")));
        let opened = Command::new("cryptsetup")
            .args(["open", "--test-passphrase", "a.erofs", "--key-file", key])
            .current_dir(host.path(""))
            .output()
            .expect("cryptsetup must be installed");
        assert_done(&opened);
    }
    host.private("newline", format!("{MASTER}\n"));
    symlink("newline", host.path("newline-link")).unwrap();
    for master in ["newline", "newline-link"] {
        let wrapped = run_with(&host, &format!("secret wrap --id a --master-key {master}"), b"x");
        assert_done(&wrapped);
        let unwrapped = run_with(&host, "secret unwrap --master-key master", &wrapped.stdout);
        assert_eq!(stdout(&unwrapped), "x");
    }
    for name in ["key", "longest", "one", "return"] {
        assert_eq!(mode(&host, name), 0o600);
    }
}

/// A path that could drive a terminal is escaped, as everywhere.
#[test]
fn the_path_of_a_key_is_shown_as_paths_are() {
    let host = host(MANIFEST);
    let path = host.path("\u{1b}[31m\n");
    let output = host.build(&["--encrypt", "luks2", "--key-file", path.to_str().unwrap()]);
    let shown = format!("the key file: cannot read {path:?}: no such file or directory");
    assert_refused(&output, 4, &shown, Some(MAKE));
}

/// Whoever planted a key would open what is encrypted to it.
#[test]
fn keys_of_other_users_are_refused() {
    let host = host(MANIFEST);
    let planted = |name: &str, text: &str| {
        host.private(name, text);
        std::os::unix::fs::chown(host.path(name), Some(65534), Some(65534)).unwrap();
    };
    planted("theirs", KEY);
    planted("master", MASTER);
    let hint = "whoever made it could open what is encrypted to it: make one of your own";
    let refused = |build: &str, name: &str| {
        let output = run(&host, &format!("build secrets.yaml -o a.erofs --encrypt luks1 {build}"));
        let message = format!("the key file {name} belongs to another user (uid 65534)");
        assert_refused(&output, 5, &message, Some(hint));
    };
    refused("--key-file theirs", "theirs");
    refused("--key-out theirs", "theirs");
    refused("--key-file key --master-key master", "master");
    // To whom the image is given anyway, and what is there already.
    let build = "build secrets.yaml -o a.erofs --encrypt luks1 --owner 65534:65534";
    assert_done(&run(&host, &format!("{build} --key-file theirs")));
    assert_done(&run(&host, "inspect a.erofs --key-file theirs"));
}

/// Who may read the image may read the key that was made for it.
#[test]
fn a_key_has_the_owner_and_mode_of_its_image() {
    let host = host(MANIFEST);
    // A group that writes an image has no use for writing its key, which would be refused then.
    let options = "--encrypt luks1 --key-out made --owner 0:65534 --mode 0660";
    let output = run(&host, &format!("build secrets.yaml -o a.erofs {options}"));
    assert_done(&output);
    assert!(stderr(&output).starts_with("made the key file made\nwrote a.erofs: "), "{output:?}");
    let found = fs::metadata(host.path("made")).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (0, 65534, 0o640));
    assert_done(&run(&host, &format!("build secrets.yaml -o a.erofs {options}")));
}
