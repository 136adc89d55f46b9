//! The same definitions given to mksquashfs 4.7 and to credimg: unsquashfs lists
//! both images identically, as a table and as definitions with their data.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use credimg_formats::Tree;
use credimg_formats::squashfs::{Options, Plan as ImagePlan};

use crate::pseudo::listing::listing;
use crate::pseudo::{BUILD_TIME, build};
use crate::support::cache;
use crate::support::host::Host;

/// Definitions of directories, files, links and nodes, one case a string, each
/// made in an empty root. What has no time has that of the build.
const CASES: &[&str] = &[
    // Directories, and how names are written.
    "dir d 755 0 0",
    "/dir d 0755 1 2",
    "//dir d 7777 4294967294 4294967294",
    "dir/ d 0 0 0",
    "a//b/c d 700 0 0",
    "a/b d 700 0 0\na d 711 3 4",
    "  dir\td \t 755   0\t0  ",
    "\"dir\" d 755 0 0",
    "\"a b\" d 755 0 0",
    "a\" b \"c d 755 0 0",
    "a\\ b d 755 0 0",
    "a\\\\b d 755 0 0",
    "a\\\"b d 755 0 0",
    "\"a\\\"b\" d 755 0 0",
    "\"a\\\\b c\" d 755 0 0",
    "\\d\\i\\r d 755 0 0",
    "\"\"dir d 755 0 0",
    "\u{e9}\u{20ac}\u{1f511} d 755 0 0",
    "\\#dir d 755 0 0",
    "a#b d 755 0 0",
    "d d 755 root root",
    "dir D 0 755 0 0",
    "dir D 1739999999 755 0 0",
    "dir D 0001 755 0 0",
    "dir D \"1 jan 1980\" 755 0 0",
    "dir D 1\\ jan\\ 1980 755 0 0",
    "dir D \"January 1, 1980\" 755 0 0",
    "dir D \"29 February 2024 12:34:56\" 755 0 0",
    "dir D \"2024-02-29\" 755 0 0",
    "dir D \"2024-02-29 12:34\" 755 0 0",
    "dir D \"2024-02-29 12:34:56 UTC\" 755 0 0",
    "dir D \"2024-02-29T12:34:56Z\" 755 0 0",
    "dir D \"2024-02-29 12:34:56 +0230\" 755 0 0",
    "dir D \"2024-02-29 12:34:56-11:30\" 755 0 0",
    "dir D \"@1234567890\" 755 0 0",
    // The root.
    "/ d 755 1 2",
    "/ D 1234567890 700 0 0\na d 755 0 0",
    "\"\" d 700 8 9",
    "a d 755 0 0\n/ d 755 1 2",
    "/ x user.root=yes\n/ d 755 0 0",
    // Files of commands.
    "f f 400 0 0 echo hello",
    "f f 4755 1 2 printf '%s ' \"a  b\"",
    "f f 400 0 0 echo \\\"",
    "f f 400 0 0   echo leading space  ",
    "f f 400 0 0 echo one \\\n  two \\\nthree",
    "f f 400 0 0 echo a | tr a b; echo c",
    "f f 400 0 0 printf '%s' '\\\\'",
    "f f 400 0 0 cat host/file",
    "f F 86400 444 0 0 echo hello",
    "f F \"1 jan 1980\" 444 0 0 echo hello",
    "a/b/f f 400 0 0 echo deep",
    "f f 400 0 0 echo x # no comment",
    // Symbolic links.
    "s s 0 0 0 target",
    "s s 600 1 2 ../a b/\"quoted\"\\ ",
    "s s 0 0 0    leading",
    "s s 0 0 0 /absolute",
    "s S 1234567890 0 0 0 target",
    "s S \"1 jan 1980\" 0 0 0 \u{20ac}",
    // Nodes.
    "b b 660 0 6 8 0",
    "b b 660 0 6 4095 255",
    "b B 1234567890 660 0 6 7 1",
    "c c 666 0 0 1 3",
    "c c 666 0 0 1 1048575 ",
    "c C \"1 jan 1980\" 666 0 0 5 1",
    "c C 77 666 0 0 5 1",
    "i i 600 0 0 f",
    "i i 600 0 0 s",
    "i I 1234567890 600 1 2 f",
    "i I \"1 jan 1980\" 600 1 2 s ",
    // Files of the host.
    "l l host/file",
    "l l \"host/file\"",
    "l l host/a\\ file",
    "l l \"host/a file\"",
    "l l host/link",
    "h h host/file",
    "h h host/link",
    "h h \"host/link\"",
    "a l host/file\nb l host/file\nc h host/link\nd h host/file",
    "a l host/link\nb l host/link",
    // Hard links.
    "f f 400 0 0 echo x\ng L f",
    "f f 400 0 0 echo x\ng L /f\nh L g\na/b L \"f\"",
    "c c 600 0 0 1 3\n\"a c\" L c\nd L a\\ c",
    "s s 0 0 0 t\nt L s",
    "i i 600 0 0 f\nj L i",
    "a l host/file\nb L a",
    "z f 400 0 0 echo x\na L z",
    // Extended attributes.
    "f f 400 0 0 echo x\nf x user.a=value",
    "f x user.a=value with  spaces \nf f 400 0 0 echo x",
    "f f 400 0 0 echo x\nf x user.a=1\nf x user.b=2\nf x security.c=0",
    "d d 755 0 0\nd x trusted.a=0x00ff4A",
    "d d 755 0 0\nd x user.a=0sAAECAw==",
    "d d 755 0 0\nd x user.a=0SAAECAw",
    "d d 755 0 0\nd x user.a=0ta\\000\\377b\\134",
    "d d 755 0 0\nd x user.a=0b0x41",
    "d d 755 0 0\nd x user.a==",
    "\"a b\" d 755 0 0\na\\ b x user.\"q\"=\"v\"",
    "f f 400 0 0 echo x\ng L f\ng x user.a=1",
    "a/b d 755 0 0",
    // Lines.
    "# comment\n\n   \n \t# another\na d 755 0 0\n#",
    "a d \\\n755 \\\n\\\n0 0",
    "a d 755 0 0",
    "a d 755 0 0\n\n",
    "# a comment that goes on \\\nb d 755 0 0\na d 755 0 0",
    "a d 755 0 0\\",
    "f f 400 0 0 echo \\\\\na d 755 0 0",
    "lo\\\nng d 755 0 0",
];

/// Definitions that change what a directory of the host holds.
const CHANGES: &[&str] = &[
    "file m 600 1 2",
    "file M 1234567890 600 1 2",
    "sub M \"1 jan 1980\" 700 1 2",
    "sub m 1777 1 2\nsub/new f 400 0 0 echo x",
    "link m 777 3 4",
    "a\\ file m 777 0 0\n\"a file\" x user.k=v",
    "sub/inner x user.k=v\nsub x user.k=w",
    "sub/deep/file f 444 0 0 echo x",
    "new d 755 0 0\nnew/link s 0 0 0 ../file",
];

fn tool(name: &str) -> Command {
    let tools = cache().join("newer/usr");
    let program = tools.join("bin").join(name);
    assert!(program.exists(), "there is no {}: run `make setup`", program.display());
    let mut command = Command::new(tools.join("lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(tools.join("lib/x86_64-linux-gnu")).arg(program);
    command.env("TZ", "UTC").env("SOURCE_DATE_EPOCH", BUILD_TIME.to_string());
    command
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{command:?}: {}\n{said}", output.status);
    output
}

/// The image that mksquashfs makes of `extra.pf` and perhaps of a directory.
fn reference(host: &Host, source: &str) -> PathBuf {
    let image = host.path("reference.squashfs");
    let _ = fs::remove_file(&image); // It may not be there.
    let mut mksquashfs = tool("mksquashfs");
    mksquashfs.args([source, "reference.squashfs", "-pf", "extra.pf", "-pd", "d 0711 5 6"]);
    run(mksquashfs.args(["-no-progress", "-quiet", "-exit-on-error"]).current_dir(host.path("")));
    image
}

/// An image of the tree.
fn ours(host: &Host, tree: &Tree) -> PathBuf {
    let mut image = Vec::new();
    let options = Options::new().cut_fractions(true);
    ImagePlan::new(tree, options).unwrap().write(&mut image).unwrap();
    host.write("ours.squashfs", image)
}

/// Definitions and data of an image.
fn definitions(image: &Path) -> Vec<u8> {
    run(tool("unsquashfs").args([OsStr::new("-pf"), OsStr::new("-"), image.as_os_str()])).stdout
}

/// A table of an image with modes, owners, sizes and times.
fn table(image: &Path) -> Vec<u8> {
    run(tool("unsquashfs").args([OsStr::new("-lln"), image.as_os_str()])).stdout
}

/// Files for `l` and `h`, and a directory to change.
fn host() -> Host {
    let host = Host::empty();
    for (name, mode) in
        [("host/file", 0o640), ("host/a file", 0o4711), ("src/file", 0o644), ("src/a file", 0o400)]
    {
        let path = host.write(name, name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    host.write("src/sub/inner", "");
    fs::create_dir(host.path("src/sub/deep")).unwrap();
    symlink("file", host.path("host/link")).unwrap();
    symlink("file", host.path("src/link")).unwrap();
    for (number, name) in [
        "host/file",
        "host/a file",
        "host/link",
        "src/file",
        "src/a file",
        "src/link",
        "src/sub/inner",
        "src/sub/deep",
        "src/sub",
        "src",
    ]
    .iter()
    .enumerate()
    {
        let time = Timespec { tv_sec: 1_000_000_000 + i64::try_from(number).unwrap(), tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, host.path(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
    host
}

/// Asserts that a tree is listed as the image of mksquashfs, in every way.
#[track_caller]
fn assert_same(case: &str, host: &Host, reference: &Path, tree: &Tree) {
    let ours = ours(host, tree);
    for (left, right) in [
        (definitions(reference), listing(tree)),
        (definitions(reference), definitions(&ours)),
        (table(reference), table(&ours)),
    ] {
        let show = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        assert!(
            left == right,
            "{case}\n\nmksquashfs:\n{}\n\ncredimg:\n{}",
            show(&left),
            show(&right)
        );
    }
}

#[test]
fn mksquashfs_makes_the_same_of_every_definition() {
    let definitions = CASES.iter().chain(CHANGES).flat_map(|case| case.lines());
    assert_eq!((definitions.count(), CASES.len()), (166, 106));
    let version = String::from_utf8(tool("mksquashfs").arg("-version").output().unwrap().stdout);
    let version = version.unwrap();
    assert!(version.starts_with("mksquashfs version 4.7"), "{version}");
    let manifest = "defaults: {dir_mode: '0711', owner: '5:6'}\nfiles: []";
    let host = host();
    for case in CASES {
        let plan = host.plan_with(manifest, case);
        assert_same(case, &host, &reference(&host, "-"), &build(&plan));
    }
}

#[test]
fn mksquashfs_changes_a_directory_in_the_same_way() {
    let manifest = "defaults: {dir_mode: '0711', owner: '5:6'}\nfiles:\n\
        - {path: /, dir: src, mode: keep, dir_mode: keep, owner: keep, mtime: keep}";
    let host = host();
    for case in CHANGES {
        let plan = host.plan_with(manifest, case);
        assert_same(case, &host, &reference(&host, "src"), &build(&plan));
    }
}

#[test]
fn a_listing_with_data_builds_the_same_tree_again() {
    let host = host();
    // Sizes that are read at once and one that is streamed.
    for (name, size) in [("empty", 0), ("small", 70_000), ("large", 3 << 20)] {
        let bytes: Vec<u8> = (0..size).map(|index: u32| (index % 251).to_le_bytes()[0]).collect();
        host.write(format!("src/{name}"), bytes);
    }
    fs::hard_link(host.path("src/small"), host.path("src/sub/again")).unwrap();
    host.write(
        "extra.pf",
        "c c 600 0 0 1 3\nb b 600 0 0 8 1\ni i 600 1 1 f\nj i 600 1 1 s\nsub x user.a=0x00ff\n\
         \"q\\\"\\\\ \u{20ac}\" D 5 755 0 0\ns s 0 0 0 a b\\\\\nsmall x user.a=b c ",
    );
    let reference = reference(&host, "src");
    let tree = host.tree(definitions(&reference));
    assert_same("mksquashfs", &host, &reference, &tree);
    // So does the listing of credimg's own image.
    let again = host.tree(definitions(&ours(&host, &tree)));
    assert_same("credimg", &host, &reference, &again);
}
