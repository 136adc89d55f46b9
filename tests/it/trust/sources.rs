//! What root reads for an image, where another user can exchange it.

use super::*;

const WARNING: &str = "credimg: warning: another user of the host can choose what is read: ";

fn build(host: &Host, options: &[&str]) -> (Option<i32>, String) {
    said(host, &host.build(&[&["--quiet", "--args=none"], options].concat()))
}

/// A directory of each kind of source.
fn host() -> Host {
    let host = Host::new(
        "files: [{path: /f, file: data/f}, {path: /d, dir: data/tree}, {path: /t, tar: data/t.tar}, \
         {path: /l, dir: data/links, links: follow}]\npseudo: [/h h data/h]\n\
         credentials: [{name: c, file: data/c}]\n",
    );
    let script = "mkdir -p data/tree/deep data/links && echo f >data/f && echo c >data/c && \
                echo h >data/h && echo x >data/tree/deep/x && echo y >data/tree/y && \
                ln -s ../f data/links/f && tar -cf data/t.tar -C data f && umask 022 && chmod -R go-w .";
    let made =
        Command::new("sh").args(["-ec", script]).current_dir(host.path("")).status().unwrap();
    assert!(made.success());
    host
}

#[test]
fn each_kind_of_source_that_another_user_can_exchange_is_told_of() {
    let other = OTHER;
    for path in [
        "data",
        "data/f",
        "data/c",
        "data/h",
        "data/t.tar",
        "data/tree",
        "data/tree/deep",
        "data/tree/y",
        "data/links",
    ] {
        let host = host();
        assert_eq!(build(&host, &["--strict"]), (Some(0), String::new()));
        own(&host.path(path), OTHER, OTHER);
        let found = format!("@/{path} belongs to uid {other} (chown -h root @/{path} mends that)");
        let found = match path {
            // The whole path of what the manifest names, and as it was met of what lies below.
            "data/tree/y" => found.replace('@', "").replace("/data", "data"),
            _ => found,
        };
        assert_eq!(build(&host, &[]), (Some(0), format!("{WARNING}{found}\n")), "{path}");
        let (code, stderr) = build(&host, &["--strict"]);
        assert_eq!(code, Some(5), "{stderr}");
        let text = format!("credimg: error: --strict: {}", &WARNING["credimg: warning: ".len()..]);
        assert_eq!(
            stderr,
            format!(
                "{text}{found}\ncredimg: hint: --trust takes them as they are; the old image is unchanged\n"
            )
        );
        assert_eq!(build(&host, &["--trust", "--strict"]), (Some(0), String::new()));
        // `check` sees what the manifest names, and opens nothing.
        let mut check = host.credimg();
        let output = check.args(["check", "secrets.yaml", "--strict"]).output().unwrap();
        let foreseen = !matches!(path, "data/tree/deep" | "data/tree/y");
        assert_eq!(output.status.code(), Some(if foreseen { 5 } else { 0 }), "{path}");
        assert_eq!(said(&host, &output).1.contains(&found), foreseen, "{path}");
    }
}

/// Ten thousand files are one warning.
#[test]
fn many_files_are_told_of_at_once() {
    let host = Host::new("files: [{path: /d, dir: d}]\n");
    fs::create_dir(host.path("d")).unwrap();
    for number in 0..3000 {
        fs::write(host.path(format!("d/{number}")), "x").unwrap();
        mode(&host.path(format!("d/{number}")), 0o622);
    }
    let expected = format!(
        "{WARNING}everybody can write to d/0 (chmod go-w d/0 mends that), and 2999 more files \
         and directories are like that\n"
    );
    assert_eq!(build(&host, &[]), (Some(0), expected));
}

/// The ordinary case: a user's own files, in a home with a group of its own that may write.
#[test]
fn users_hear_nothing_of_their_own_files() {
    let host = host();
    crate::support::host::copy_program(host.path("credimg"));
    let given = format!("chown -R {OTHER}:{OTHER} . && chmod -R g+w . && chmod o+w data/f");
    assert!(
        Command::new("sh")
            .args(["-ec", &given])
            .current_dir(host.path(""))
            .status()
            .unwrap()
            .success()
    );
    let built = "./credimg build secrets.yaml -o out.erofs --strict --quiet --args none && ./credimg check secrets.yaml >plan";
    let output = as_other(&host, built);
    assert_eq!(said(&host, &output), (Some(0), String::new()));
}

/// A small build asks little more for it: each directory above its sources, and each of these.
#[test]
fn few_system_calls_are_spent_on_it() {
    let entry = |n| format!("  - {{path: /{n}, file: data/{n}}}\n");
    let text = (0..12).map(entry).collect::<Vec<_>>().concat();
    let host = Host::new(&format!("files:\n{text}"));
    fs::create_dir(host.path("data")).unwrap();
    for number in 0..12 {
        fs::write(host.path(format!("data/{number}")), "x").unwrap();
    }
    let calls = |options: &[&str]| {
        let mut strace = Command::new("strace");
        // How often one thread wakes another is by chance: no call of it counts.
        strace.args(["-f", "-o", "trace", "-e", "trace=%file,%desc,capget,geteuid"]);
        strace.args([env!("CARGO_BIN_EXE_credimg"), "build", "secrets.yaml"]);
        strace.args(["-o", "out.erofs", "--quiet", "--args=none"]).args(options);
        let output = strace.current_dir(host.path("")).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let trace = fs::read_to_string(host.path("trace")).unwrap();
        trace.lines().filter(|line| line.contains('(')).count()
    };
    calls(&[]);
    let (trusting, judging) = (calls(&["--trust"]), calls(&[]));
    let above = host.path("data").components().count();
    // The manifest and what is above it, the working directory, and who the caller is.
    let most = 12 + above + above + 6;
    assert!(judging <= trusting + most, "{trusting} and {judging}, at most {most} more");
}
