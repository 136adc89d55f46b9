//! A fleet of root: what one machine has found out of who can write where holds for the next one, as
//! long as it is true.

use super::*;

/// A fleet whose machine `a` has a command that ends what is in a sticky directory, and puts a
/// directory of another user there. Its link leads to a file of root.
fn host() -> Host {
    let host = Host::empty();
    host.write(
        "fleet.yaml",
        "machines: {a: {}, b: {}}\nformat: erofs\nfiles:\n- {path: /1, to: a, file: open/d/sub/a}\n\
         - {path: /2, to: a, shell: 'sh swap.sh'}\n- {path: /3, to: b, file: open/d/sub/b}\n",
    );
    let swap = format!(
        "rm -r open/d; mkdir -m 755 open/d; ln -s ../../real open/d/sub; \
         chown -hR {OTHER}:{OTHER} open/d; echo swapped\n"
    );
    host.write("swap.sh", swap);
    for name in ["open/d/sub/a", "open/d/sub/b", "real/b"] {
        host.write(name, format!("of {name}"));
    }
    for name in ["open/d/sub/x.pf", "real/x.pf"] {
        host.write(name, "/x d 500 0 0\n");
    }
    mode(&host.path("open"), 0o1777);
    for name in ["", "open/d", "open/d/sub", "real"] {
        mode(&host.path(name), 0o755);
    }
    host
}

fn build(host: &Host, options: &[&str]) -> (Option<i32>, String) {
    let common = ["fleet", "build", "fleet.yaml", "-o", "out/{machine}", "--quiet", "--jobs", "1"];
    said(host, &host.credimg().args(common).args(options).output().unwrap())
}

#[test]
fn what_is_exchanged_between_two_machines_is_seen() {
    let found = format!("@/open/d belongs to uid {OTHER}");
    let warning = format!(
        "credimg: warning: b: another user of the host can choose what is read: {found} (chown -h root \
         @/open/d mends that), and one more file or directory is like that\n"
    );
    assert_eq!(build(&host(), &[]), (Some(0), warning));
    let (code, told) = build(&host(), &["--strict"]);
    assert_eq!(code, Some(5), "{told}");
    assert!(told.starts_with("credimg: error: b: --strict: another user of the host"), "{told}");

    // A pseudo file that both take.
    let (code, told) = build(&host(), &["--pseudo-file", "open/d/sub/x.pf"]);
    assert_eq!(code, Some(5), "{told}");
    let message = "credimg: error: b: another user can change the pseudo file open/d/sub/x.pf: ";
    assert!(told.starts_with(&format!("{message}{found}\n")), "{told}");
}
