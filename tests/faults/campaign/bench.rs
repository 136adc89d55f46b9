//! A directory in which one scenario runs again and again, and what is there afterwards.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credimg_formats::luks::Header;
use credimg_formats::verity;
use tempfile::TempDir;

use super::scenarios::{CANARY, Opens, Printed, Scenario, Start};

/// What every temporary's name holds.
const MARK: &str = ".credimg-";
/// 32 bytes in base64.
const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const KEY: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";
const EPOCH: &str = "1700000000";
/// In place of a key in what is compared.
const NO_KEY: &[u8] = b"<the key>";

/// A file as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
}

/// Files by their paths in `out`.
pub(super) type Set = BTreeMap<String, Entry>;

/// What a run has left.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) files: Set,
    pub(super) temporaries: Set,
    /// Private directories, empty or not.
    pub(super) private_directories: Vec<String>,
    /// What was printed, which may hold the only copy of a key.
    pub(super) stdout: Vec<u8>,
}

pub(super) struct Bench<'a> {
    pub(super) scenario: &'a Scenario,
    directory: TempDir,
    /// Before each run.
    pub(super) old: State,
    /// After a run in which nothing fails.
    pub(super) new: State,
    /// What can be compared of the files of both.
    old_plain: Plain,
    new_plain: Plain,
    pub(super) new_stdout: Option<Vec<u8>>,
}

/// What can be compared of files by their names.
type Plain = BTreeMap<String, Option<Vec<u8>>>;

impl<'a> Bench<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        // In memory, where fsync costs nothing; its order is looked at, not its effect.
        let memory = Path::new("/dev/shm");
        let directory =
            if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let (old, new, old_plain, new_plain) = Default::default();
        let mut bench =
            Self { scenario, directory, old, new, old_plain, new_plain, new_stdout: None };
        bench.lay_out();
        bench.old = bench.first_state();
        bench.write_manifest(if scenario.start == Start::Same { "old" } else { "new" });
        bench.reset();
        let output = bench.run_freely(&scenario.arguments);
        assert_eq!(output.status.code(), Some(scenario.code), "{}: {output:?}", scenario.name);
        bench.new = bench.state(output.stdout);
        assert!(bench.new.temporaries.is_empty(), "{}", scenario.name);
        assert!(bench.new.private_directories.is_empty(), "{}", scenario.name);
        let plain = |state: &State| -> Plain {
            state.files.keys().map(|name| (name.clone(), bench.plain(state, name))).collect()
        };
        (bench.old_plain, bench.new_plain) = (plain(&bench.old), plain(&bench.new));
        bench.new_stdout = bench.plain_stdout(&bench.new);
        bench.assert_repeatable();
        bench
    }

    /// Whether a file that can be opened is as after a run in which nothing fails.
    pub(super) fn is_new(&self, state: &State, name: &str) -> bool {
        let plain = self.plain(state, name);
        plain.is_some() && Some(&plain) == self.new_plain.get(name)
    }

    /// Whether a file is the same after a run in which nothing fails.
    pub(super) fn stays(&self, name: &str) -> bool {
        self.old_plain.get(name).is_some_and(|old| Some(old) == self.new_plain.get(name))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn lay_out(&self) {
        fs::create_dir_all(self.path("in/tree/b")).unwrap();
        let files = [
            ("small", CANARY.repeat(400)),
            ("large", CANARY.repeat(50_000)),
            ("tree/a", format!("{CANARY}a")),
            ("tree/b/c", format!("{CANARY}c")),
            ("master", MASTER.to_owned()),
            ("monitor", MONITOR.to_owned()),
            ("script", format!("qemu-system-x86_64 -object secret,id=s0,data={CANARY}9f8a\n")),
        ];
        for (name, content) in files {
            write(&self.path("in").join(name), content.as_bytes(), 0o600);
        }
        let mut tar = Command::new("tar");
        tar.args(["-czf", "tree.tar.gz", "tree"]).current_dir(self.path("in"));
        assert!(tar.status().unwrap().success());
        self.lay_out_for_guests();
        fs::create_dir(self.path("out")).unwrap();
    }

    /// An initrd that takes credentials, as long as what the kernel copies, and what signs root
    /// hashes.
    fn lay_out_for_guests(&self) {
        let guest = self.path("guest");
        fs::create_dir_all(guest.join("bin")).unwrap();
        write(&guest.join("bin/systemd-tmpfiles"), "x".repeat(100_000).as_bytes(), 0o755);
        let script = "cd guest && find . | cpio -o -H newc --quiet >../in/guest.img && cd ../in && \
                      openssl req -x509 -newkey rsa:2048 -nodes -keyout sign.key -out sign.crt \
                      -subj /CN=one 2>/dev/null";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(self.directory.path());
        assert!(shell.status().unwrap().success());
    }

    fn write_manifest(&self, version: &str) {
        let other = if version == "old" { "new|" } else { "old|" };
        let lines = self.scenario.manifest.lines().filter(|line| !line.starts_with(other));
        let own = format!("{version}|");
        let lines = lines.map(|line| line.strip_prefix(&own).unwrap_or(line));
        let text = lines.collect::<Vec<_>>().join("\n").replace("{V}", version);
        fs::write(self.path("in/secrets.yaml"), text + "\n").unwrap();
    }

    /// What is there before the runs.
    fn first_state(&self) -> State {
        if self.scenario.arguments.iter().any(|argument| argument == "--key-file") {
            write(&self.path("out/key"), KEY.as_bytes(), 0o600);
        }
        if self.scenario.start == Start::Nothing {
            return self.state(Vec::new());
        }
        self.write_manifest("old");
        self.make_directories();
        let setup = self.scenario.setup.as_ref().map(|setup| words(setup));
        let output = self.run_freely(setup.as_ref().unwrap_or(&self.scenario.arguments));
        assert!(output.status.success(), "{}: {output:?}", self.scenario.name);
        self.state(output.stdout)
    }

    fn make_directories(&self) {
        fs::create_dir_all(self.path("out/share")).unwrap();
    }

    /// Makes everything as it was before the first run.
    pub(super) fn reset(&self) {
        fs::remove_dir_all(self.path("out")).unwrap();
        self.make_directories();
        for (name, entry) in &self.old.files {
            let path = self.path("out").join(name);
            fs::write(&path, &entry.bytes).unwrap();
            chown(&path, Some(entry.owner.0), Some(entry.owner.1)).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(entry.mode)).unwrap();
        }
    }

    /// The run that is to be made.
    pub(super) fn command(&self) -> Command {
        self.credimg(&self.scenario.arguments)
    }

    fn credimg(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.args(arguments).current_dir(self.directory.path());
        // What cargo sets makes the loader look in many places.
        command.env_remove("LD_LIBRARY_PATH").env("SOURCE_DATE_EPOCH", EPOCH);
        command
    }

    pub(super) fn stdin(&self) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(self.scenario.stdin.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        file
    }

    /// A run in which nothing fails.
    fn run_freely(&self, arguments: &[String]) -> Output {
        self.credimg(arguments).stdin(self.stdin()).output().unwrap()
    }

    /// The run that follows a fault: what it says where it does not succeed, and the state.
    pub(super) fn next_run(&self) -> (Result<(), String>, State) {
        let output = self.run_freely(&self.scenario.arguments);
        let is_done = output.status.code() == Some(self.scenario.code);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let outcome = if is_done { Ok(()) } else { Err(format!("{}: {said}", output.status)) };
        (outcome, self.state(output.stdout))
    }

    /// What is there now.
    pub(super) fn state(&self, stdout: Vec<u8>) -> State {
        let mut state = State { stdout, ..State::default() };
        let root = self.path("out");
        for entry in walkdir::WalkDir::new(&root).into_iter().map(Result::unwrap) {
            let name = entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if entry.file_type().is_dir() {
                state.private_directories.extend(name.contains(MARK).then_some(name));
                continue;
            }
            let found = entry.metadata().unwrap();
            let owner = std::os::unix::fs::MetadataExt::uid(&found);
            let group = std::os::unix::fs::MetadataExt::gid(&found);
            let mode = found.permissions().mode() & 0o7777;
            let bytes = fs::read(entry.path()).unwrap();
            let files = if name.contains(MARK) { &mut state.temporaries } else { &mut state.files };
            files.insert(name, Entry { bytes, mode, owner: (owner, group) });
        }
        state
    }

    /// What can be compared of a file: of an image what it holds when it is opened with
    /// the key that is there, of others the bytes but for the key. None where it cannot be opened.
    pub(super) fn plain(&self, state: &State, name: &str) -> Option<Vec<u8>> {
        let bytes = &state.files.get(name)?.bytes;
        let is_image = self.scenario.image == Some(name);
        if self.scenario.keys.contains(&name) {
            return is_good_key(bytes).then(|| NO_KEY.to_vec());
        }
        if self.scenario.variable.contains(&name) {
            return Some(bytes.len().to_string().into());
        }
        if is_image { self.open(state, bytes) } else { Some(self.without_key(state, bytes)) }
    }

    /// What can be compared of standard output; none where it is an image that does not open.
    pub(super) fn plain_stdout(&self, state: &State) -> Option<Vec<u8>> {
        match self.scenario.printed {
            Printed::Exact => Some(self.without_key(state, &state.stdout)),
            Printed::Length => Some(state.stdout.len().to_string().into()),
            Printed::Image => self.open(state, &state.stdout),
        }
    }

    fn open(&self, state: &State, image: &[u8]) -> Option<Vec<u8>> {
        let key = |name: &str| state.files.get(name).map(|entry| entry.bytes.clone());
        match self.scenario.opens {
            Opens::Plain => Some(image.to_vec()),
            Opens::Key(name) => open_luks(without_tree(image), &key(name)?),
            Opens::Printed => open_luks(image, &self.unwrapped(&state.stdout)?),
            Opens::Identity(name) => open_age(image, &key(name)?),
        }
    }

    /// The key that the arguments hold.
    fn unwrapped(&self, arguments: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(arguments).ok()?;
        let object = text.split(" -object ").find(|object| object.contains(",data="))?;
        let object = object.split(' ').next()?;
        let mut input = tempfile::tempfile().unwrap();
        write!(input, "-object {object}").unwrap();
        std::io::Seek::rewind(&mut input).unwrap();
        let unwrap = words("secret unwrap --master-key in/master");
        let output = self.credimg(&unwrap).stdin(Stdio::from(input)).output().unwrap();
        output.status.success().then_some(output.stdout)
    }

    fn without_key(&self, state: &State, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for key in self.scenario.keys.iter().filter_map(|name| state.files.get(*name)) {
            let mut forms = vec![key.bytes.clone(), STANDARD.encode(&key.bytes).into_bytes()];
            if let Some(line) = key.bytes.split(|byte| *byte == b'\n').rfind(|l| !l.is_empty()) {
                forms.extend([line.to_vec(), STANDARD.encode(line).into_bytes()]);
            }
            for form in forms.iter().filter(|form| !form.is_empty()) {
                bytes = replace(&bytes, form);
            }
        }
        bytes
    }

    /// A second run in which nothing fails must make the same.
    fn assert_repeatable(&self) {
        self.reset();
        let (outcome, state) = self.next_run();
        assert_eq!(outcome, Ok(()), "{}", self.scenario.name);
        assert!(state.files.keys().eq(self.new.files.keys()), "{}", self.scenario.name);
        for name in self.new.files.keys() {
            let opens = self.new_plain.get(name).is_some_and(Option::is_some);
            assert!(opens, "{}: {name} does not open", self.scenario.name);
            assert!(self.is_new(&state, name), "{}: {name} varies", self.scenario.name);
        }
        assert!(self.new_stdout.is_some(), "{}: it does not open", self.scenario.name);
        assert_eq!(self.plain_stdout(&state), self.new_stdout, "{}", self.scenario.name);
    }
}

/// Tells what it has inherited.
const MONITOR: &str = r#"echo ran
told() {
    cksum <"/proc/self/fd/$1" | { read -r sum size; printf '%10s %s\n' "$sum" "$size"; }
}
for argument; do
    case $argument in
    fd=*) number=${argument#fd=}; told "${number%%,*}" ;;
    *file=/proc/self/fd/*) told "${argument##*/}" ;;
    esac
done
"#;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn write(path: &Path, content: &[u8], mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The image alone: a tree of what is encrypted anew is another one each time.
fn without_tree(image: &[u8]) -> &[u8] {
    let found = verity::find(&image.to_vec()).unwrap();
    found.map_or(image, |found| &image[..usize::try_from(found.data_bytes).unwrap()])
}

fn open_luks(image: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let mut image = Cursor::new(image);
    let header = Header::read(&mut image).ok()?;
    let mut plain = Vec::new();
    header.open(&mut image, key).ok()?.read_to_end(&mut plain).ok()?;
    Some(plain)
}

fn open_age(blob: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let identity: age::x25519::Identity =
        std::str::from_utf8(key).ok()?.lines().last()?.parse().ok()?;
    let decryptor = age::Decryptor::new(blob).ok()?;
    let mut archive = Vec::new();
    let identity = std::iter::once(&identity as &dyn age::Identity);
    decryptor.decrypt(identity).ok()?.read_to_end(&mut archive).ok()?;
    Some(archive)
}

/// Whether it is a whole key of one of the kinds that are made, whose end is random.
fn is_good_key(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let last = text.lines().last().unwrap_or_default();
    let is_whole = match last.len() {
        64 => last.bytes().all(|byte| byte.is_ascii_hexdigit()),
        44 => STANDARD.decode(last).is_ok_and(|key| key.len() == 32),
        _ => last.parse::<age::x25519::Identity>().is_ok(),
    };
    // What a short reading of random bytes leaves.
    is_whole && !last.contains("00000000") && !last.contains("AAAAAAAA")
}

fn replace(bytes: &[u8], what: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(what.len()).position(|window| window == what) {
        replaced.extend(&rest[..at]);
        replaced.extend(NO_KEY);
        rest = &rest[at + what.len()..];
    }
    replaced.extend(rest);
    replaced
}
