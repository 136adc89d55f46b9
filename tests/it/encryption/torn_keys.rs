//! Keys that are read by halves: from files whose size says nothing, and from files that
//! change while they are read. Half a key is never taken for one.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use super::*;

const COPY: &str = "copy what it holds into a private file, and name that one";
const AGAIN: &str = "do it again when nothing writes to it";
const IDENTITY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";

/// Every command that reads a private file, which is the one called `private` here; what
/// it says to whatever is in it is about this file.
const READERS: [&str; 8] = [
    "build secrets.yaml -o a.erofs --encrypt luks1 --key-file private",
    "build secrets.yaml -o a.erofs --encrypt luks2 --key-out private",
    "build secrets.yaml -o a.erofs --encrypt luks1 --key-file key --master-key private",
    "args old.erofs --key-file private",
    "inspect old.erofs --key-file private",
    "secret wrap --id a --master-key private",
    "secret unwrap --master-key private",
    "seal secrets.yaml -o - --key-out private",
];

fn host_with_image() -> Host {
    let host = host(MANIFEST);
    let build = "build secrets.yaml -o old.erofs --encrypt luks1 --key-file key";
    assert_done(&run(&host, build));
    host
}

/// Files of /proc say that they have no byte. The environment of a process is private,
/// and was taken for a key of one byte.
#[test]
fn files_that_the_kernel_makes_up_are_no_keys() {
    let host = host_with_image();
    let made_up = "is made up by the kernel as it is read: its size says nothing";
    for (target, private) in [
        ("/proc/self/environ", true),
        ("/proc/self/auxv", true),
        // Everybody reads these, which is said first.
        ("/proc/version", false),
        ("/proc/self/cmdline", false),
    ] {
        let link = host.path("private");
        symlink(target, &link).unwrap();
        let before = entries(&host);
        for reader in READERS {
            for reader in [reader.to_owned(), reader.replace(" private", &format!(" {target}"))] {
                let output = run_with(&host, &reader, b"iv=AAAA,data=AAAA");
                let name = if reader.contains(target) { target } else { "private" };
                if private {
                    let message = format!("the key file {name} {made_up}");
                    assert_refused(&output, 4, &message, Some(COPY));
                } else {
                    assert_eq!(output.status.code(), Some(5), "{reader}: {output:?}");
                    let message = format!("the key file {name} is open to every user of the host");
                    assert!(stderr(&output).contains(&message), "{reader}: {output:?}");
                }
                assert!(entries(&host) == before, "{reader}");
            }
        }
        fs::remove_file(link).unwrap();
    }
}

/// What is done to a file at the wrong time.
type Change<'a> = &'a (dyn Fn(&Path) + Sync);

/// Runs the program, and `change` when it is about to read the private file for the
/// `occurrence`th time: the kernel tells by which call a process is held.
fn run_changing(host: &Host, arguments: &str, occurrence: u32, change: Change<'_>) -> Output {
    let path = host.path("private");
    let mut command = Command::new("strace");
    // Detached, so that the process that is started is the program itself.
    command.args(["-D", "-qq", "-o", "/dev/null", "-P"]).arg(&path);
    command.arg("-e").arg(format!("inject=read:delay_enter=2000000:when={occurrence}"));
    command.arg(env!("CARGO_BIN_EXE_credimg")).args(arguments.split(' '));
    command.current_dir(host.path("")).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = format!("/proc/{}", child.id());
    let deadline = Instant::now() + Duration::from_secs(60);
    // The file's position tells how often it was read.
    let position = if occurrence == 1 { 0 } else { fs::metadata(&path).unwrap().len() };
    let is_held = || {
        let call = fs::read_to_string(format!("{process}/syscall")).ok()?;
        let descriptor = call.strip_prefix("0 0x")?.split(' ').next()?;
        let descriptor = u32::from_str_radix(descriptor, 16).ok()?;
        let is_it = fs::read_link(format!("{process}/fd/{descriptor}")).ok()? == path;
        let place = fs::read_to_string(format!("{process}/fdinfo/{descriptor}")).ok()?;
        let is_there = place.lines().next()? == format!("pos:\t{position}");
        (is_it && is_there).then_some(())
    };
    while is_held().is_none() {
        assert!(Instant::now() < deadline, "{arguments}: the file is never read");
        std::thread::sleep(Duration::from_millis(2));
    }
    change(&path);
    child.wait_with_output().unwrap()
}

#[test]
fn a_key_that_changes_while_it_is_read_is_an_error() {
    let append = |path: &Path| {
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"A").unwrap();
    };
    let shrink = |path: &Path| {
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(20).unwrap();
    };
    let rewrite = |path: &Path| {
        let text = fs::read(path).unwrap();
        let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all(&text).unwrap();
    };
    let replace = |path: &Path| {
        let other = path.with_extension("other");
        fs::copy(path, &other).unwrap();
        fs::rename(other, path).unwrap();
    };
    let changes: [(u32, Change); 6] =
        [(1, &append), (1, &shrink), (1, &replace), (2, &append), (2, &rewrite), (2, &replace)];
    // Every change to one reader, and every reader with one of them; all at once, as each
    // waits for its delay.
    let others = READERS.iter().zip(changes.iter().cycle().skip(1)).skip(1);
    let cases = changes.iter().map(|change| (&READERS[0], change)).chain(others);
    std::thread::scope(|scope| {
        for (reader, (occurrence, change)) in cases {
            scope.spawn(move || {
                let host = host_with_image();
                let text = match () {
                    () if reader.contains("--master-key private") => MASTER,
                    () if reader.starts_with("seal") => IDENTITY,
                    () => KEY,
                };
                host.private("private", text);
                let old = fs::read(host.path("old.erofs")).unwrap();
                let output = run_changing(&host, reader, *occurrence, *change);
                let message = "the key file private changed while it was read";
                assert_refused(&output, 4, message, Some(AGAIN));
                assert!(fs::read(host.path("old.erofs")).unwrap() == old);
                assert!(!host.path("a.erofs").exists(), "{reader}");
            });
        }
    });
}
