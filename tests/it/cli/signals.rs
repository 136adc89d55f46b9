//! Every command ends by the signal that it gets, at once, wherever it waits.
//!
//! One row a command and a place where it waits: pipes that nobody serves, a file system whose
//! server does not answer, work without end.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rustix::process::{Pid, Signal};

use super::*;
use crate::support::alone::alone_with_mounts;
use crate::support::fuse::{Hang, Hanging, request};

/// How long an end may take. The promise is one second; a loaded machine gets some more.
const BOUND: Duration = Duration::from_secs(3);
const SIGNALS: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::HUP];
/// How many programs run, and mostly wait, at once.
const THREADS: usize = 12;

/// Where standard input comes from and the others go.
#[derive(Clone, Copy, PartialEq)]
enum Stream {
    /// Nothing waits there.
    Null,
    /// A pipe that nobody serves: one that stays empty, or that is full.
    Stuck,
}

struct Row {
    /// The command; `fifo` is a FIFO that nobody has open, `silent` one whose writer writes
    /// nothing, `full` one that takes nothing more, and `far` is where the server hangs.
    arguments: &'static str,
    /// An entry of the manifest `secrets.yaml`.
    entry: &'static str,
    stdin: Stream,
    stdout: Stream,
    stderr: Stream,
    hang: Option<Hang>,
    /// Whether it waits where nothing but the end of the process helps, so that a temporary
    /// may be left.
    is_hard: bool,
}

const ROW: Row = Row {
    arguments: "",
    entry: "text: x",
    stdin: Stream::Null,
    stdout: Stream::Null,
    stderr: Stream::Null,
    hang: None,
    is_hard: false,
};

/// It waits for one of the FIFOs, by itself.
const fn row(arguments: &'static str) -> Row {
    Row { arguments, ..ROW }
}

const fn stdin(arguments: &'static str) -> Row {
    Row { arguments, stdin: Stream::Stuck, ..ROW }
}

const fn stdout(arguments: &'static str) -> Row {
    Row { arguments, stdout: Stream::Stuck, ..ROW }
}

const fn stderr(arguments: &'static str) -> Row {
    Row { arguments, stderr: Stream::Stuck, ..ROW }
}

const fn far(arguments: &'static str, hang: Hang) -> Row {
    Row { arguments, hang: Some(hang), ..ROW }
}

/// A source of the manifest.
const fn source(arguments: &'static str, entry: &'static str, hang: Option<Hang>) -> Row {
    Row { arguments, entry, hang, ..ROW }
}

const START: Hang = Hang::After(request::INIT);
const OPENED: Hang = Hang::After(request::OPEN);
const READ: Hang = Hang::At(request::READ);
const LISTED: Hang = Hang::After(request::OPENDIR);
const BUILD: &str = "build secrets.yaml -o out.erofs";
const EXEC: &str = "exec secrets.yaml -- sleep 60";
const SEAL: &str = "seal secrets.yaml -o share/blob --key-out key.age";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Manifests that nobody writes.
    row("build fifo -o out.erofs"), row("build silent -o out.erofs"), stdin("build - -o out.erofs"),
    row("check fifo"), row("check silent"), stdin("check -"),
    row("exec fifo -- sleep 60"), stdin("exec - -- sleep 60"),
    row("seal fifo -o share/blob --key-out key.age"), stdin("seal - -o share/blob --key-out key.age"),
    row("guest-unit fifo"), stdin("guest-unit -"),
    // Standard streams that nobody serves.
    stdin("secret wrap --master-key master --id a"), stdin("secret unwrap --master-key master"),
    stdin("audit -"),
    stdout("build secrets.yaml --format erofs -o -"), stdout(BUILD), stderr(BUILD),
    stdout("build secrets.yaml -o out.erofs --encrypt luks1 --key-out new.key"),
    stdout("check secrets.yaml"), stdout("args plain.erofs"), stdout("inspect plain.erofs"),
    stdout("ls -l plain.erofs"), stdout("ls --json plain.erofs"), stdout("cat plain.erofs a"),
    stdout("dump plain.erofs"), stdout("verify plain.erofs --json"),
    stdout("diff plain.erofs plain.erofs --json"),
    stdout("guest-unit secrets.yaml"), stdout("genkey -"), stdout("audit leaky.sh"),
    stdout(SEAL), stderr(SEAL), stdout("seal secrets.yaml -o - --key-out key.age"),
    stdout("completions bash"), stdout("build --help"), stderr("build --nonsense"),
    stderr("build missing.yaml -o out.erofs"), stderr("inspect missing.erofs"),



    // Commands in no hurry.
    source(BUILD, "command: [sleep, '60']", None), source(EXEC, "shell: 'sleep 60 & sleep 60'", None),
    source(SEAL, "shell: 'trap \"\" TERM INT HUP; sleep 60; sleep 60'", None),
    // A file system that does not answer: manifests, keys, images, what is audited.
    far("build far/secrets.yaml -o out.erofs", START), far("check far/secrets.yaml", OPENED),
    far("exec far/secrets.yaml -- sleep 60", READ), far("seal far/m -o share/blob --key-out key.age", OPENED),
    far("guest-unit far/secrets.yaml", START), far("args far/image", START),
    far("inspect far/image", OPENED), far("inspect far/image", READ), far("audit far/script", OPENED),
    far("ls far/image", OPENED), far("cat far/image a", READ), far("extract far/image out", READ),
    far("extract plain.erofs far/out", START),
    far("verify far/image", READ), far("diff plain.erofs far/image", OPENED), far("dump far/image", READ),
    far("verify plain.erofs --manifest far/secrets.yaml", OPENED),
    far("audit far", LISTED), far("secret wrap --master-key far/key --id a", START),
    far("build secrets.yaml -o out.erofs --encrypt luks1 --key-file far/key", OPENED),
    far("build secrets.yaml -o out.erofs --pseudo-file far/more.pf", OPENED),
    // Sources there.
    source(BUILD, "file: far/small", Some(START)), source(BUILD, "file: far/small", Some(OPENED)),
    source(BUILD, "file: far/small", Some(READ)), source(BUILD, "dir: far", Some(START)),
    source(BUILD, "dir: far/dir", Some(LISTED)), source(BUILD, "tar: far/a.tar", Some(OPENED)),
    source(BUILD, "tar: far/a.tar", Some(READ)),
    source(EXEC, "file: far/small", Some(OPENED)), source(SEAL, "file: far/small", Some(READ)),
    source("check secrets.yaml", "dir: far", Some(START)),
    Row { is_hard: true, ..source(BUILD, "file: far/large", Some(OPENED)) },
    Row { is_hard: true, ..source(BUILD, "file: far/large", Some(READ)) },
    Row { is_hard: true, ..source(SEAL, "file: far/large", Some(READ)) },
    source(EXEC, "file: far/large", Some(READ)),
    source("build secrets.yaml --format erofs -o -", "file: far/large", Some(READ)),
    // Outputs there.
    far("build secrets.yaml -o far/out.erofs", START),
    far("build secrets.yaml -o far/out.erofs", Hang::After(request::CREATE)),
    far("build secrets.yaml -o far/out.erofs", Hang::After(request::WRITE)),
    far("genkey far/out.key", Hang::After(request::CREATE)), far("genkey far/out.key", START),
    far("seal secrets.yaml -o far/out --key-out key.age", START),
    far("build secrets.yaml -o out.erofs --json=far/out.json", START),
    far("build secrets.yaml -o out.erofs --depfile far/out.d", START),
    far("build secrets.yaml -o out.erofs --encrypt luks1 --key-out far/out.key", START),
    // Work without end.
    row("inspect slow.erofs --key-file key --allow-cost"),
    row("args slow.erofs --key-file key --allow-cost"),
    row("ls slow.erofs --key-file key --allow-cost"),
];

/// A directory with all that the rows name.
fn host(row: &Row) -> Host {
    let host = Host::new(&format!("label: CHIMERA\nfiles: [{{path: /a, {}}}]\n", row.entry));
    for name in ["fifo", "silent", "full"] {
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, host.path(name), kind, 0o600.into(), 0).unwrap();
    }
    let digits = "0123456789abcdef".repeat(4);
    private(&host.path("key"), digits.as_bytes());
    private(&host.path("master"), b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    fs::write(host.path("leaky.sh"), "qemu -object secret,id=a,data=hunter2\n".repeat(5)).unwrap();
    fs::create_dir(host.path("share")).unwrap();
    fs::write(host.path("other.yaml"), "files: [{path: /a, text: x}]\n").unwrap();
    for image in ["plain.erofs", "luks.erofs", "slow.erofs"] {
        let encrypt: &[&str] =
            if image == "plain.erofs" { &[] } else { &["--encrypt=luks1", "--key-file=key"] };
        if row.arguments.contains(image) {
            let mut build = host.credimg();
            build.args(["build", "other.yaml", "-q", "-o", image]).args(encrypt);
            assert!(build.output().unwrap().status.success(), "{image}");
        }
    }
    if row.arguments.contains("slow.erofs") {
        // The iterations of the first key slot (LUKS1, section 2.1).
        let file = File::options().write(true).open(host.path("slow.erofs")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[0, 0xff, 0xff, 0xff], 212).unwrap();
    }
    host
}

fn private(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A pipe whose end for the program stands still, and the other end.
fn stuck(is_input: bool) -> (OwnedFd, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    if is_input {
        return (reader, writer);
    }
    fill(&File::from(writer.try_clone().unwrap()));
    (writer, reader)
}

/// Fills a pipe to the last byte, and leaves it as programs expect it: blocking.
fn fill(mut writer: &File) {
    let flags = rustix::fs::fcntl_getfl(writer).unwrap();
    rustix::fs::fcntl_setfl(writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    rustix::fs::fcntl_setfl(writer, flags).unwrap();
}

/// Waits until the process stands still, or works without a word to the system.
fn settle(pid: Pid) {
    let mut quiet = 0;
    let mut seen = String::new();
    let start = Instant::now();
    while quiet < 20 && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
        let path = format!("/proc/{}/syscall", pid.as_raw_pid());
        let Ok(now) = fs::read_to_string(path) else { return };
        // The number of the system call alone: a poll in steps is one long wait.
        let now = now.split(' ').next().unwrap_or_default().to_owned();
        quiet = if now == seen { quiet + 1 } else { 0 };
        seen = now;
    }
}

/// How many processes have `mark` in their environment: commands and what they started.
fn marked(mark: &str) -> usize {
    let processes = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|found| fs::read(found.unwrap().path().join("environ")).ok());
    processes.filter(|text| String::from_utf8_lossy(text).contains(mark)).count()
}

/// How long the end took of the row under this signal, or what went wrong.
fn end(row: &Row, signal: Signal, index: usize) -> Result<Duration, String> {
    let host = host(row);
    let far = row.hang.map(|hang| Hanging::mount(&host.path("far"), hang));
    // Their other ends stay open to the end.
    let open = |name: &str| File::options().read(true).write(true).open(host.path(name)).unwrap();
    let (_silent, full) = (open("silent"), open("full"));
    fill(&full);
    let mark = format!("CREDIMG_MARK=row-{index}-{}-{}", signal.as_raw(), std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let mut command = Command::new("env");
    command.args(["--default-signal=INT,TERM,HUP", env!("CARGO_BIN_EXE_credimg")]);
    command.args(row.arguments.split(' ')).env(name, value).current_dir(host.path(""));
    let mut others = Vec::new();
    let mut stream = |stream: Stream, is_input: bool| match stream {
        Stream::Null => Stdio::null(),
        Stream::Stuck => {
            let (own, other) = stuck(is_input);
            others.push(other);
            own.into()
        }
    };
    command.stdin(stream(row.stdin, true));
    command.stdout(stream(row.stdout, false)).stderr(if row.stderr == Stream::Null {
        Stdio::piped()
    } else {
        stream(row.stderr, false)
    });
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    settle(pid);
    if let Some(status) = child.try_wait().unwrap() {
        let said = child.wait_with_output().unwrap().stderr;
        return Err(format!("it does not wait: {status}, {}", String::from_utf8_lossy(&said)));
    }
    let start = Instant::now();
    rustix::process::kill_process(pid, signal).unwrap();
    let ended = wait(&mut child);
    let took = start.elapsed();
    drop(far);
    let Some(status) = ended else {
        let _ = child.kill();
        let _ = child.wait();
        return Err("it does not end".to_owned());
    };
    let text = format!("ended after {took:?}: {status}");
    let start = Instant::now();
    while marked(&mark) > 0 {
        if start.elapsed() > BOUND {
            return Err(format!("{text}, and a command runs on"));
        }
    }
    let left = host.leftovers();
    if status.signal() != Some(signal.as_raw()) || left > usize::from(row.is_hard) {
        return Err(format!("{text}, {left} temporaries"));
    }
    // What a hard end leaves is gone with the next run.
    let next = host.credimg().args(["build", "other.yaml", "-q", "-o", "out.erofs"]).output();
    let next = next.unwrap();
    let is_gone = host.leftovers() == 0 || row.arguments.starts_with("seal");
    let is_well = next.status.success() && is_gone;
    is_well.then_some(took).ok_or_else(|| format!("{text}, and the next run fails"))
}

/// The status once it has ended; none where that takes too long.
fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < BOUND {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

#[test]
fn every_command_ends_wherever_it_waits() {
    if !alone_with_mounts(concat!(module_path!(), "::every_command_ends_wherever_it_waits")) {
        return;
    }
    let next = AtomicUsize::new(0);
    let (faults, slowest) = (Mutex::new(Vec::new()), Mutex::new(Duration::ZERO));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(row) = ROWS.get(number / SIGNALS.len()) else { return };
            let Some(signal) = SIGNALS.get(number % SIGNALS.len()).copied() else { return };
            match end(row, signal, number) {
                Ok(took) => {
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = took.max(*slowest);
                }
                Err(fault) => {
                    let Row { arguments, entry, hang, .. } = row;
                    let fault = format!("{signal:?}: {arguments} [{entry}] {hang:?}: {fault}");
                    faults.lock().unwrap().push(fault);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    let count = ROWS.len() * SIGNALS.len();
    let slowest = slowest.into_inner().unwrap();
    eprintln!("{count} places and signals, the slowest end after {slowest:?}");
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
}
