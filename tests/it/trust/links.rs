//! Links that another user has planted where everybody can write: refused whether the kernel's
//! own rule for them (`fs.protected_symlinks`) is on or off on the host that runs the tests.

use super::*;

/// A secret of the caller, which no image is to hold.
const SECRET: &str = "c4n4ry-7f1e-do-not-show";

/// A directory where everybody can write, in which a user has made links to what is the caller's.
fn host(manifest: &str) -> Host {
    let host = Host::new(manifest);
    fs::create_dir(host.path("open")).unwrap();
    fs::create_dir(host.path("private")).unwrap();
    fs::create_dir(host.path("share")).unwrap();
    fs::write(host.path("private/key"), SECRET).unwrap();
    mode(&host.path("private/key"), 0o600);
    fs::write(host.path("private/image"), "").unwrap();
    fs::write(host.path("private/extra.pf"), "/b d 700 0 0\n").unwrap();
    fs::write(host.path("private/more.yaml"), "files: [{path: /a, text: x}]\n").unwrap();
    let pack = ["-cf", "private/key.tar", "-C", "private", "key"];
    assert!(Command::new("tar").args(pack).current_dir(host.path("")).status().unwrap().success());
    mode(&host.path("open"), 0o1777);
    mode(&host.path(""), 0o755);
    let planted = as_other(
        &host,
        "cd open && for name in key key.tar extra.pf more.yaml image; do ln -s ../private/$name; done && \
         ln -s ../private way && ln -s $PWD/../private there",
    );
    assert!(planted.status.success(), "{}", stderr(&planted));
    host
}

fn refused(link: &str) -> String {
    format!(
        "{link} is a symbolic link of another user (uid {OTHER}), in a directory where everybody \
         can write\n"
    )
}

/// Every input that a path names, with the link at its end or on the way.
#[test]
fn planted_links_are_not_followed_wherever_they_stand() {
    for (source, link) in [
        ("file: open/key", "open/key"),
        ("file: open/way/key", "open/way"),
        ("file: open/there/key", "open/there"),
        ("file: again/way/key", "open/way"),
        ("file: private/../open/key", "private/../open/key"),
        ("dir: open/way", "open/way"),
        ("dir: open/way/.", "open/way"),
        ("tar: open/key.tar", "open/key.tar"),
        ("tar: open/way/key.tar", "open/way"),
        ("dir: open, links: follow", "open/extra.pf"),
    ] {
        let host = host(&format!("files: [{{path: /a, {source}}}]\n"));
        std::os::unix::fs::symlink("open", host.path("again")).unwrap();
        let output = host.build(&["--trust"]);
        let (code, stderr) = said(&host, &output);
        assert_eq!(code, Some(5), "{source}: {stderr}");
        assert!(stderr.contains(&refused(link)), "{source}: {stderr}");
        assert!(!host.path("out.erofs").exists());
    }
    let text = "files: [{path: /a, text: x}]\n";
    for (manifest, link) in [
        (format!("{text}pseudo: [/h h open/key]\n"), "open/key"),
        (format!("{text}pseudo_files: [open/extra.pf]\n"), "open/extra.pf"),
        (format!("{text}pseudo_files: [open/way/extra.pf]\n"), "open/way"),
        (format!("{text}credentials: [{{name: c, file: open/key}}]\n"), "open/key"),
        (format!("{text}encrypt: {{luks: 1, key: open/way/key}}\n"), "open/way"),
    ] {
        let host = host(&manifest);
        let (code, stderr) = said(&host, &host.build(&["--trust"]));
        assert_eq!(code, Some(5), "{manifest}: {stderr}");
        assert!(stderr.contains(&refused(link)), "{manifest}: {stderr}");
    }
}

#[test]
fn keys_and_manifests_of_the_command_line_lie_behind_no_planted_link() {
    let host = host("files: [{path: /a, text: x}]\n");
    let luks = ["--encrypt", "luks1", "--key-file", "private/key", "--quiet"];
    assert_eq!(said(&host, &host.build(&luks)), (Some(0), String::new()));
    for command in [
        "build open/more.yaml -o new.erofs --trust",
        "check open/way/more.yaml --trust",
        "build secrets.yaml -o new.erofs --encrypt luks1 --key-file open/key",
        "build secrets.yaml -o new.erofs --encrypt luks1 --key-out open/way/key",
        "exec secrets.yaml --encrypt luks1 --key-file open/key -- true",
        "inspect out.erofs --key-file open/key",
        "inspect open/image",
        "args open/way/key",
        "args out.erofs --key-file open/way/key",
        "secret wrap --master-key open/key --id a",
        "seal secrets.yaml -o share/new.age --key-out open/key --args none",
    ] {
        let output = host.credimg().args(command.split(' ')).output().unwrap();
        let (code, stderr) = said(&host, &output);
        assert_eq!(code, Some(5), "{command}: {stderr}");
        assert!(stderr.contains(" is a symbolic link of another user"), "{command}: {stderr}");
        assert!(!stderr.contains(SECRET) && !host.path("new.erofs").exists());
    }
}

/// Links of the caller and of the directory's owner, and any where not everybody writes.
#[test]
fn other_links_are_followed_as_ever() {
    let host =
        host("files: [{path: /a, file: open/mine}, {path: /b, file: /proc/self/cwd/open/mine}]\n");
    std::os::unix::fs::symlink("../private/key", host.path("open/mine")).unwrap();
    assert_eq!(said(&host, &host.build(&["--quiet", "--args=none"])), (Some(0), String::new()));
    fs::write(host.path("secrets.yaml"), "files: [{path: /a, file: open/key}]\n").unwrap();
    // The directory is the other user's own: its links are as good as itself.
    own(&host.path("open"), OTHER, OTHER);
    assert_eq!(host.build(&["--trust"]).status.code(), Some(0));
    own(&host.path("open"), 0, 0);
    assert_eq!(host.build(&["--trust"]).status.code(), Some(5));
    mode(&host.path("open"), 0o1775);
    assert_eq!(host.build(&["--trust"]).status.code(), Some(0));
    // Not sticky: everybody can exchange the links of everybody.
    mode(&host.path("open"), 0o777);
    assert_eq!(host.build(&["--trust"]).status.code(), Some(5));
}

/// A circle of links, and one that leads nowhere, end with the system's own reason.
#[test]
fn links_that_lead_nowhere_are_told_of_as_ever() {
    for (target, reason) in [
        ("loop", "too many levels of symbolic links"),
        ("gone", "no such file or directory"),
        ("/proc/self/fd/99", "no such file or directory"),
    ] {
        let host = Host::new("files: [{path: /a, file: loop}]\n");
        std::os::unix::fs::symlink(target, host.path("loop")).unwrap();
        let (code, stderr) = said(&host, &host.build(&[]));
        assert_eq!(code, Some(4));
        assert!(stderr.contains(&format!("cannot read loop: {reason}\n")), "{stderr}");
    }
}
