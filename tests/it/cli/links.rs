//! Symbolic links that nothing on the disk answers to: told of, never refused.

use std::os::unix::fs::symlink;
use std::process::Output;

use super::*;

/// What is told of links that dangle.
const HELD: &str = "lead to nothing that the disk holds (`links: follow` at a `dir:` takes what \
                    they lead to)";
const MENDED: &str = "`links: follow` at a `dir:` takes what they lead to";

fn check(host: &Host, options: &[&str]) -> Output {
    host.credimg().args(["check", "secrets.yaml"]).args(options).output().unwrap()
}

/// The warnings among the lines of standard error.
fn warnings(output: &Output) -> Vec<String> {
    let text = stderr(output);
    let lines = text.lines().filter_map(|line| line.strip_prefix("credimg: warning: "));
    lines.map(str::to_owned).collect()
}

/// What certbot makes of /etc/letsencrypt.
fn letsencrypt(manifest: &str) -> Host {
    let host = Host::new(manifest);
    for directory in ["live/h", "archive/h"] {
        fs::create_dir_all(host.path(directory)).unwrap();
    }
    for name in ["cert", "privkey"] {
        fs::write(host.path(format!("archive/h/{name}1.pem")), "pem").unwrap();
        let target = format!("../../archive/h/{name}1.pem");
        symlink(target, host.path(format!("live/h/{name}.pem"))).unwrap();
    }
    host
}

#[test]
fn links_that_lead_nowhere_are_named_by_build_and_check() {
    let host = letsencrypt("label: A\nfiles:\n- {path: /tls/live, dir: live}\n");
    let expected =
        format!("2 symbolic links {HELD}: /tls/live/h/cert.pem, /tls/live/h/privkey.pem");
    let expected = expected.as_str();
    for format in ["erofs", "squashfs", "iso9660"] {
        let built = host.build(&["--format", format, "--serial", "a"]);
        assert_eq!(built.status.code(), Some(0), "{}", stderr(&built));
        assert_eq!(warnings(&built), [expected], "{format}");
    }
    assert_eq!(warnings(&check(&host, &[])), [expected]);
    assert_eq!(check(&host, &["--strict"]).status.code(), Some(5));
    let both = "- {path: /tls/archive, dir: archive}\n";
    let manifest = format!("label: A\nfiles:\n- {{path: /tls/live, dir: live}}\n{both}");
    fs::write(host.path("secrets.yaml"), manifest).unwrap();
    for output in [host.build(&[]), check(&host, &["--strict"])] {
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(warnings(&output), [""; 0]);
    }
}

/// Each link with what Linux finds where the disk is mounted at /run/secrets: `+` something on
/// the disk, `-` nothing, `^` a place of the guest's own.
const LINKS: &[(&str, &str, char)] = &[
    ("/d/a", "file", '+'),
    ("/d/b", "./file", '+'),
    ("/d/c", "../d/./file", '+'),
    ("/d/d", "/run/secrets/d/file", '+'),
    ("/d/e", "/run//secrets/", '+'),
    ("/d/f", "../../secrets/d/file", '+'),
    ("/d/g", "../../../run/../../../run/secrets/d/file", '+'),
    ("/d/h", "a", '+'),
    ("/d/i", "/run/secrets/to/file", '+'),
    ("/to", "d", '+'),
    ("/d/j", "../to/../d/file", '+'),
    ("/d/k", "/tmp/../run/secrets/to", '+'),
    ("/d/l", "missing", '-'),
    ("/d/m", "file/", '-'),
    ("/d/n", "file/..", '-'),
    ("/d/o", "/run/secrets/missing", '-'),
    ("/d/p", "p", '-'),
    ("/d/q", "r", '-'),
    ("/d/r", "q/x", '-'),
    ("/d/s", "l", '-'),
    ("/d/t", "/run/secrets/file", '-'),
    ("/d/u", "/etc/passwd", '^'),
    ("/d/v", "../..", '^'),
    ("/d/w", "/run/secrets2/d/file", '^'),
    ("/d/x", "/", '^'),
    ("/d/y", "/tmp/run/secrets/d/file", '^'),
    ("/d/z", "u", '^'),
    ("/p", "d/file", '+'),
    ("/q", "p/x", '-'),
];

fn table_of_links() -> String {
    let links =
        LINKS.iter().map(|(path, target, _)| format!("- {{path: {path}, symlink: {target}}}\n"));
    let links: String = links.collect();
    format!("label: A\nmount: /run/secrets\nfiles:\n- {{path: /d/file, text: x}}\n{links}")
}

#[test]
fn links_are_judged_from_where_the_disk_is_mounted() {
    let host = Host::new(&table_of_links());
    let told = |kind: char| {
        let mut paths: Vec<_> = LINKS.iter().filter(|l| l.2 == kind).map(|l| l.0).collect();
        paths.sort_unstable();
        paths.join(", ")
    };
    let expected = [
        format!("10 symbolic links {HELD}: {}", told('-')),
        format!(
            "6 symbolic links lead out of the disk, which is at /run/secrets, to what only the \
             guest can have ({MENDED}): {}",
            told('^')
        ),
    ];
    for output in [host.build(&[]), check(&host, &[])] {
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(sorted(&warnings(&output)), expected);
    }
}

/// The warnings with their paths in order.
fn sorted(warnings: &[String]) -> Vec<String> {
    let sort = |warning: &String| {
        let (before, paths) = warning.split_once("): ").unwrap();
        let mut paths: Vec<_> = paths.split(", ").collect();
        paths.sort_unstable();
        format!("{before}): {}", paths.join(", "))
    };
    warnings.iter().map(sort).collect()
}

/// Linux itself is asked: the same links in a directory that is the root of a new name space.
#[test]
fn the_kernel_resolves_these_links_as_credimg_does() {
    let root = tempfile::tempdir().unwrap();
    for directory in ["etc", "tmp/run/secrets/d", "run/secrets/d", "run/secrets2/d"] {
        fs::create_dir_all(root.path().join(directory)).unwrap();
    }
    // Everything of the guest's own that a link may lead to is there.
    for file in
        ["etc/passwd", "run/secrets/d/file", "run/secrets2/d/file", "tmp/run/secrets/d/file"]
    {
        fs::write(root.path().join(file), "x").unwrap();
    }
    let disk = root.path().join("run/secrets");
    for (path, target, _) in LINKS {
        symlink(target, disk.join(&path[1..])).unwrap();
    }
    let open = |path: &str| {
        use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
        let directory = fs::File::open(root.path()).unwrap();
        let path = format!("run/secrets{path}");
        openat2(&directory, path, OFlags::PATH, Mode::empty(), ResolveFlags::IN_ROOT)
    };
    let place = |path: &str| {
        let descriptor = open(path).ok()?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&descriptor);
        Some(fs::read_link(format!("/proc/self/fd/{number}")).unwrap())
    };
    for (path, _, expected) in LINKS {
        let found = match place(path) {
            None => '-',
            Some(found) if found.starts_with(&disk) => '+',
            Some(_) => '^',
        };
        assert_eq!(found, *expected, "{path}");
    }
}

#[test]
fn twenty_links_are_named_and_the_others_counted() {
    let host = Host::new("label: A\nfiles: [{path: /, dir: d}]\n");
    fs::create_dir(host.path("d")).unwrap();
    for index in 10..35 {
        symlink("missing", host.path(format!("d/{index}"))).unwrap();
    }
    let names: Vec<_> = (10..30).map(|index| format!("/{index}")).collect();
    let told = format!("25 symbolic links {HELD}: {} and 5 more", names.join(", "));
    assert_eq!(warnings(&host.build(&[])), [told]);
}

#[test]
fn links_of_archives_and_pseudo_definitions_are_judged_as_well() {
    let host = Host::new(
        "label: A\nfiles: [{path: /t, tar: t.tar}, {path: /in, symlink: t/file}, \
         {path: /no, symlink: t/none}]\n\
         pseudo: ['/p/s s 777 0 0 ../t/file', '/p/n s 777 0 0 none', 'h L p/n']\n",
    );
    symlink("none", host.path("dangling")).unwrap();
    fs::write(host.path("file"), "x").unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-cf", "t.tar", "dangling", "file"]).current_dir(host.path(""));
    assert!(tar.status().unwrap().success());
    let built = host.build(&[]);
    let told = |names: &str, count| [format!("{count} symbolic links {HELD}: {names}")];
    assert_eq!(warnings(&built), told("/h, /no, /p/n, /t/dangling", 4), "{}", stderr(&built));
    // What is in the archive only the build sees.
    assert_eq!(warnings(&check(&host, &[])), told("/h, /p/n", 2));
}

/// The tree of an image as the format's own tool takes it out.
fn extracted(host: &Host, format: &str) -> std::path::PathBuf {
    let (image, to) = (host.path("out.erofs"), host.path(format));
    let (image, to_text) = (image.to_str().unwrap(), to.to_str().unwrap());
    let extract = format!("--extract={to_text}");
    let (program, arguments): (_, &[&str]) = match format {
        "erofs" => ("fsck.erofs", &[&extract, image]),
        "squashfs" => ("unsquashfs", &["-d", to_text, image]),
        _ => ("xorriso", &["-osirrox", "on", "-indev", image, "-extract", "/", to_text]),
    };
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    to
}

#[test]
fn followed_links_are_plain_files_in_every_format() {
    let host = letsencrypt(
        "label: A\nfiles:\n- {path: /tls, dir: live, links: follow}\n\
         - {path: /k8s, dir: secret, links: follow}\n",
    );
    fs::create_dir_all(host.path("secret/..2024_03_01")).unwrap();
    fs::write(host.path("secret/..2024_03_01/token"), "t0ken").unwrap();
    symlink("..2024_03_01", host.path("secret/..data")).unwrap();
    symlink("..data/token", host.path("secret/token")).unwrap();
    for format in ["erofs", "squashfs", "iso9660"] {
        let built = host.build(&["--format", format, "--serial", "a"]);
        assert_eq!(built.status.code(), Some(0), "{}", stderr(&built));
        assert_eq!(warnings(&built), [""; 0], "{format}");
        let tree = extracted(&host, format);
        for (path, content) in
            [("tls/h/cert.pem", "pem"), ("tls/h/privkey.pem", "pem"), ("k8s/token", "t0ken")]
        {
            let path = tree.join(path);
            assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{format} {path:?}");
            assert_eq!(fs::read_to_string(path).unwrap(), content, "{format}");
        }
        assert_eq!(fs::read_dir(tree.join("k8s")).unwrap().count(), 1, "{format}");
    }
    assert_eq!(warnings(&check(&host, &["--strict"])), [""; 0]);

    symlink("../archive/none", host.path("live/lost")).unwrap();
    let failed = host.build(&["--serial", "a"]);
    assert_eq!(failed.status.code(), Some(4));
    assert_eq!(
        stderr(&failed),
        "credimg: error: files[0] (/tls): live/lost leads nowhere: its target is ../archive/none\n\
         credimg: hint: mend the link or take it away, or let `links: keep` store it as it is; \
         the old image is unchanged\n"
    );
    let checked = check(&host, &["--strict"]);
    let told = "1 symbolic link to be followed leads nowhere, so that a build fails: live/lost";
    assert_eq!((warnings(&checked), checked.status.code()), (vec![told.to_owned()], Some(5)));
}

/// What xorriso reads, and what a warning says that it does not read.
#[test]
fn targets_that_xorriso_does_not_read_bring_a_warning() {
    let target = |length: usize| "/aaaaaaaaa".repeat(409).get(..length).unwrap().to_owned();
    let manifest = |length| {
        format!(
            "label: A\nfiles: [{{path: /d/l, symlink: {}}}, {{path: /f, text: x}}]\n",
            target(length)
        )
    };
    for (length, is_read) in [(1023, true), (1024, false), (4088, false)] {
        let host = Host::new(&manifest(length));
        let warning = "credimg: warning: 1 symbolic link of more than 1023 bytes: Linux reads the \
                       image, xorriso nothing of it: /d/l\n";
        let check = |format: &str| {
            let check = host.credimg().args(["check", "secrets.yaml", "--format", format]).output();
            stderr(&check.unwrap())
        };
        let build = |format: &str| stderr(&host.build(&["--format", format, "--serial", "a"]));
        let said = [check("iso9660"), build("iso9660")];
        assert!(said.iter().all(|said| said.contains(warning) != is_read), "{length} {said:?}");
        let mut xorriso = Command::new("xorriso");
        let listed = xorriso.args(["-indev", "out.erofs", "-lsl", "/d"]).current_dir(host.path(""));
        let listed = stdout(&listed.output().unwrap());
        assert_eq!(listed.contains(&format!("-> '{}'", target(length))), is_read, "{listed}");
        for format in ["erofs", "squashfs"] {
            assert!(!check(format).contains("xorriso") && !build(format).contains("xorriso"));
        }
    }
}
