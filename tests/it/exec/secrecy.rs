//! Where secrets are while the monitor runs, and where they went before.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// Secrets that are in files of their own, under these names. There are three
/// others: in a large file, in the manifest itself and in the environment.
const FILES: [&str; 4] = ["file", "command", "smbios", "fw_cfg"];
const VARIABLE: &str = "variable";

/// The secrets of one test, which no other one has.
struct Secrets(&'static str);

impl Secrets {
    fn canary(&self, kind: &str) -> String {
        format!("c4n4ry-{:08}-{}-{kind:-<9}", std::process::id(), self.0)
    }

    /// The directory `in` below the host's holds all the sources but the manifest,
    /// and what TMPDIR shall name is empty.
    fn host(&self) -> Host {
        let manifest = "label: CHIMERA\nfiles:\n- {path: /file, file: in/file}\n\
                        - {path: /large, file: in/large}\n- {path: /text, text: TEXT}\n\
                        - {path: /command, command: [cat, in/command]}\n\
                        - {path: /variable, env: CREDIMG_TEST_SECRET}\ncredentials:\n\
                        - {name: smbios, file: in/smbios, via: smbios}\n\
                        - {name: fw_cfg, command: [cat, in/fw_cfg], via: fw_cfg}\n";
        let host = Host::new(&manifest.replace("TEXT", &self.canary("text")));
        fs::create_dir(host.path("in")).unwrap();
        fs::create_dir(host.path("temporary")).unwrap();
        for kind in FILES {
            fs::write(host.path("in").join(kind), self.canary(kind)).unwrap();
        }
        let large = self.canary("large").into_bytes();
        let large = [vec![b'l'; 200_000], large, vec![b'l'; 200_000]].concat();
        fs::write(host.path("in/large"), large).unwrap();
        host
    }

    /// Gives the command its variables.
    fn environment<'a>(&self, host: &Host, command: &'a mut Command) -> &'a mut Command {
        command.env("CREDIMG_TEST_SECRET", self.canary(VARIABLE));
        command.env("TMPDIR", host.path("temporary"))
    }

    /// Every form in which a secret could be found: as it is, in base64 from each
    /// of three offsets, and in hexadecimal digits.
    fn forms(&self, kind: &str) -> Vec<Vec<u8>> {
        let canary = self.canary(kind).into_bytes();
        let mut forms = vec![canary.clone()];
        for offset in 0..3 {
            let whole: Vec<_> = canary[offset..].chunks_exact(3).flatten().copied().collect();
            forms.push(STANDARD.encode(whole).into_bytes());
        }
        let digits = |byte: &u8| format!("{byte:02x}").into_bytes();
        let hex: Vec<_> = canary.iter().flat_map(digits).collect();
        forms.extend([hex.to_ascii_uppercase(), hex]);
        forms
    }

    fn search(&self) -> Search {
        let kinds = FILES.iter().chain(&["large", "text", VARIABLE]);
        Search(kinds.flat_map(|kind| self.forms(kind)).collect())
    }
}

/// Looks for every secret at once.
struct Search(Vec<Vec<u8>>);

impl Search {
    fn finds(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|form| memmem(bytes, form))
    }

    /// The files below `directory` that hold one, of those changed since `start`.
    fn below(&self, directory: &Path, start: SystemTime) -> BTreeSet<PathBuf> {
        let is_new = |entry: &walkdir::DirEntry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file);
            metadata.is_some_and(|found| found.modified().is_ok_and(|changed| changed >= start))
        };
        let entries = walkdir::WalkDir::new(directory).same_file_system(true).into_iter();
        let files = entries.filter_map(Result::ok).filter(is_new).map(walkdir::DirEntry::into_path);
        // What other programs remove meanwhile holds nothing of ours.
        files.filter(|path| fs::read(path).is_ok_and(|bytes| self.finds(&bytes))).collect()
    }

    /// The processes whose arguments or environment hold one.
    fn processes(&self) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let files = entries.flat_map(|path| [path.join("cmdline"), path.join("environ")]);
        files.filter(|path| fs::read(path).is_ok_and(|bytes| self.finds(&bytes))).collect()
    }
}

/// Whether `bytes` hold `part`; in steps that a test without optimisation can afford.
fn memmem(bytes: &[u8], part: &[u8]) -> bool {
    let (first, _) = part.split_first().unwrap();
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = &rest[at..];
        if rest.starts_with(part) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// While the monitor runs only the sources hold what it has in its memory.
#[test]
fn only_the_sources_hold_a_secret_while_the_monitor_runs() {
    // File systems cut times off.
    let start = SystemTime::now() - Duration::from_secs(2);
    let secrets = Secrets("running");
    let search = secrets.search();
    for monitor in [&["sh", "-c", "echo up; exec sleep 100", "sh"][..], MACHINE] {
        let host = secrets.host();
        let mut command = host.exec(&[], monitor);
        secrets.environment(&host, &mut command).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running(command.spawn().unwrap());
        // Either one greets.
        let mut greeting = [0];
        std::io::Read::read_exact(running.0.stdout.as_mut().unwrap(), &mut greeting).unwrap();

        let own = PathBuf::from(format!("/proc/{}", running.0.id()));
        let inherited = fs::read_dir(own.join("fd")).unwrap().map(|entry| entry.unwrap().path());
        let found = inherited.filter(|path| {
            // What the monitor closes meanwhile is none of ours.
            let is_ours = |to: PathBuf| to.starts_with("/memfd:credimg (deleted)");
            let is_memory = fs::read_link(path).is_ok_and(is_ours);
            is_memory && fs::read(path).is_ok_and(|bytes| search.finds(&bytes))
        });
        // QEMU has a copy of one descriptor in its set.
        assert!(found.count() >= 3, "the search finds nothing");

        assert_eq!(search.processes(), BTreeSet::new(), "{monitor:?}");
        let sources = FILES.iter().chain(&["large"]);
        let mut expected: BTreeSet<_> = sources.map(|name| host.path("in").join(name)).collect();
        expected.insert(host.path("secrets.yaml"));
        assert_eq!(search.below(&host.path(""), start), expected, "{monitor:?}");
        for directory in [&*std::env::temp_dir(), Path::new("/dev/shm"), Path::new("/run")] {
            let found = search.below(directory, start);
            let others: Vec<_> = found.difference(&expected).collect();
            assert!(others.is_empty(), "{others:?}");
        }
    }
}

/// Calls that change what is at a path.
const CHANGES: [&str; 16] = [
    "creat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "truncate",
    "unlink",
    "unlinkat",
    "mount",
];
/// Calls that give bytes to a descriptor, and which of their arguments it is.
const WRITES: [(&str, usize); 12] = [
    ("write", 0),
    ("pwrite64", 0),
    ("writev", 0),
    ("pwritev", 0),
    ("pwritev2", 0),
    ("sendto", 0),
    ("sendmsg", 0),
    ("sendfile", 0),
    ("copy_file_range", 2),
    ("splice", 2),
    ("tee", 1),
    ("vmsplice", 0),
];

/// The call and the arguments of a line of strace, after the process's number;
/// none where it is about something else, or the end of a call told before.
fn call(line: &str) -> Option<(&str, &str)> {
    let (_, call) = line.split_once(' ')?;
    let call = call.trim_start();
    call.starts_with(|letter: char| letter.is_ascii_alphabetic()).then(|| call.split_once('('))?
}

/// Every system call of the build, and of the commands that it runs, with every
/// buffer whole: bytes go into memory, a pipe or standard error, and no secret
/// is in any other buffer that is not read.
#[test]
fn no_call_of_a_build_carries_a_secret_elsewhere() {
    let secrets = Secrets("traced");
    let host = secrets.host();
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "1000000", "-o"]).arg(host.path("trace"));
    command.arg(env!("CARGO_BIN_EXE_credimg")).args(["exec", "secrets.yaml", "--", "true"]);
    succeed(secrets.environment(&host, &mut command).current_dir(host.path("")));

    let trace = fs::read(host.path("trace")).unwrap();
    let trace = String::from_utf8_lossy(&trace);
    let search = secrets.search();
    let mut carried = BTreeSet::new();
    for line in trace.lines() {
        let Some((call, arguments)) = call(line) else {
            // The second half of a call that was interrupted by another process.
            let is_harmless = !search.finds(line.as_bytes()) || line.contains("<... read resumed>");
            assert!(is_harmless, "{}", &line[..200]);
            continue;
        };
        assert!(!CHANGES.contains(&call), "{line}");
        if call.starts_with("open") {
            let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_TMPFILE"];
            let is_writing = writes.iter().any(|flag| arguments.contains(flag));
            assert!(!is_writing || arguments.contains("\"/dev/null\""), "{line}");
        }
        let written = WRITES.iter().find(|(name, _)| *name == call);
        if let Some((_, index)) = written {
            let to = arguments.splitn(5, ", ").nth(*index).unwrap();
            let is_allowed = ["<pipe:", "</memfd:credimg"].iter().any(|kind| to.contains(kind));
            assert!(is_allowed || to.starts_with("2<"), "{to}: {}", &line[..line.len().min(200)]);
        }
        if search.finds(line.as_bytes()) {
            let is_reading = call == "read" || call == "pread64";
            assert!(is_reading || written.is_some(), "{}", &line[..line.len().min(200)]);
            carried.insert(call.to_owned());
        }
    }
    // Both ways are seen, or nothing was tested.
    assert!(["read", "write"].iter().all(|call| carried.contains(*call)), "{carried:?}");
    assert!(fs::read_dir(host.path("temporary")).unwrap().next().is_none());
}

/// The search for processes, of which the other test wants nothing, finds one.
#[test]
fn the_search_finds_what_stands_in_an_environment() {
    let secrets = Secrets("planted");
    let search = secrets.search();
    let mut command = Command::new("sleep");
    command.arg("100").env("CREDIMG_TEST_OTHER", STANDARD.encode(secrets.canary("file")));
    let running = Running(command.spawn().unwrap());
    let environ = format!("/proc/{}/environ", running.0.id());
    wait_for(|| search.processes().contains(Path::new(&environ)).then_some(()));
}
