//! The machine that runs for a probe: started, listened to, and ended.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::keyed_hash::Digits;
use crate::host::guard::{Guard, OWN_PROGRAM};
use crate::host::signals;
use crate::report::{self, Exit, Failure, line, shown_bytes, verbose};

/// The start of each line that the program prints for credimg; `init/console.rs` has it too.
const START: &str = "@credimg ";
/// Where QEMU makes the file for what firmware writes to flash memory, so that no disk gets it.
const MEMORY: &str = "/dev/shm";
/// How long one wait for output lasts. Between two waits signals and the timeout are looked at.
const TENTH: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// How long to wait for a missing disk, at least: drivers of USB find their disks after seconds.
const DISK_PATIENCE: Duration = Duration::from_secs(3);
/// How many of the console's last lines an error shows.
const LAST_LINES: usize = 3;
/// Longer lines of the console are dropped.
const LINE_MAX_BYTES: usize = 4096;

/// What the guest has reported so far.
#[derive(Default)]
pub(super) struct GuestReport {
    /// The hashes of OEM strings, items, files and words that it has.
    pub(super) has: BTreeSet<Digits>,
    /// Its disks: the hash of each disk's content, and that of its serial if it has one.
    pub(super) disks: BTreeSet<(Digits, Option<Digits>)>,
    pub(super) has_no_smbios: bool,
    pub(super) has_no_fw_cfg: bool,
    /// Modules that its kernel has refused to load.
    pub(super) refused: BTreeSet<String>,
    /// When the guest had looked everywhere for the first time.
    pub(super) looked: Option<Instant>,
}

/// Runs the machine until the guest has looked everywhere, which may take as long as `timeout`.
/// Goes on for some seconds while `misses_disk` says that a disk is missing.
pub(super) fn run(
    words: &[OsString],
    hidden: &[OsString],
    timeout: Duration,
    misses_disk: impl Fn(&GuestReport) -> bool,
) -> Result<GuestReport, Failure> {
    signals::note()?;
    let mut machine = Running::start(words, hidden)?;
    let started = Instant::now();
    let mut told = GuestReport::default();
    let mut last = Vec::new();
    let mut rest = Vec::new();
    loop {
        signals::check()?;
        line::show(|| format!("waiting for the machine: {} s", started.elapsed().as_secs()));
        let Some(bytes) = machine.read()? else { return Err(machine.ended(&last)) };
        rest.extend(bytes);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<_> = rest.drain(..=end).collect();
            told.hear(line.trim_ascii(), &mut last);
        }
        if rest.len() > LINE_MAX_BYTES {
            rest.clear();
        }
        match told.looked {
            // A host that was slow to boot the guest is also slow to find a disk.
            Some(looked) if looked.elapsed() > DISK_PATIENCE.max((looked - started) / 2) => {
                return Ok(told);
            }
            Some(_) if !misses_disk(&told) => return Ok(told),
            None if started.elapsed() > timeout => return Err(too_long(timeout, &last)),
            Some(_) | None => {}
        }
    }
}

impl GuestReport {
    /// Reads one line of the console. `last` collects those that are not for credimg.
    fn hear(&mut self, line: &[u8], last: &mut Vec<String>) {
        let text = String::from_utf8_lossy(line);
        let Some(text) = text.strip_prefix(START) else {
            if !line.is_empty() {
                verbose::tell(|| format!("console: {}", shown_bytes(line)));
            }
            // Firmware draws on its screen by control characters, which nobody can read in an
            // error.
            if !line.is_empty() && !text.contains(char::is_control) {
                last.push(shown_bytes(line));
                last.drain(..last.len().saturating_sub(LAST_LINES));
            }
            return;
        };
        let mut words = text.split(' ');
        let (what, first, second) = (words.next(), words.next(), words.next());
        let digits = |word: Option<&str>| word.and_then(|word| word.as_bytes().try_into().ok());
        match (what, digits(first)) {
            (Some("has"), Some(hash)) => drop(self.has.insert(hash)),
            (Some("disk"), Some(content)) => drop(self.disks.insert((content, digits(second)))),
            (Some("no-smbios"), _) => self.has_no_smbios = true,
            (Some("no-fw_cfg"), _) => self.has_no_fw_cfg = true,
            (Some("no-module"), _) => self.refused.extend(first.map(str::to_owned)),
            (Some("round"), _) => drop(self.looked.get_or_insert_with(Instant::now)),
            (Some(_) | None, _) => {}
        }
    }
}

/// A running QEMU and its output. It is killed when dropped.
struct Running {
    child: Child,
    output: PipeReader,
    buffer: Vec<u8>,
    /// Kills QEMU if credimg itself is killed. It is dropped last.
    guard: Guard,
}

impl Running {
    fn start(words: &[OsString], hidden: &[OsString]) -> Result<Self, Failure> {
        let (name, arguments) =
            words.split_first().ok_or_else(|| Failure::bug(": no program to start"))?;
        let program = report::shown(Path::new(name));
        let failure = |error: io::Error| {
            let message = format!("cannot start {program}: {}", report::reason(&error));
            Failure::new(Exit::Command, message)
        };
        let guard = Guard::start(Path::new(OWN_PROGRAM)).map_err(failure)?;
        let (output, console) = io::pipe().map_err(failure)?;
        let errors = console.try_clone().map_err(failure)?;
        verbose::tell(|| format!("starting {program}"));
        let mut command = Command::new(name);
        for variable in hidden {
            command.env_remove(variable);
        }
        let child = command
            .args(arguments)
            .env("TMPDIR", MEMORY)
            .process_group(guard.group().as_raw_pid())
            .stdin(Stdio::null())
            .stdout(console)
            .stderr(errors)
            .spawn()
            .map_err(failure)?;
        Ok(Self { child, output, buffer: vec![0; LINE_MAX_BYTES], guard })
    }

    /// The next output, which is empty if there is none yet; none once QEMU has ended.
    fn read(&mut self) -> Result<Option<&[u8]>, Failure> {
        let failure = |error: io::Error| {
            Failure::new(
                Exit::Command,
                format!("cannot listen to the machine: {}", report::reason(&error)),
            )
        };
        match poll(&mut [PollFd::new(&self.output, PollFlags::IN)], Some(&TENTH)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Some(&[])),
            Ok(_) => {}
            Err(errno) => return Err(failure(errno.into())),
        }
        let got = self.output.read(&mut self.buffer).map_err(failure)?;
        Ok((got > 0).then(|| self.buffer.get(..got).unwrap_or_default()))
    }

    /// The failure of a machine that ended before the guest had reported everything.
    fn ended(mut self, last: &[String]) -> Failure {
        let status = self.child.wait().ok().and_then(|status| status.code());
        let message = match status {
            Some(0) | None => "the machine ended before it told anything".to_owned(),
            Some(code) => format!("QEMU ended with exit code {code}"),
        };
        let said = if last.is_empty() { "it said nothing".to_owned() } else { last.join("\n") };
        Failure::new(Exit::Command, message).hint(said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.guard.kill();
        let _ = self.child.wait();
    }
}

fn too_long(timeout: Duration, last: &[String]) -> Failure {
    let message = format!("the machine did not tell everything within {} s", timeout.as_secs());
    let hint =
        "--timeout gives it more, --verbose shows its console, --kernel takes another kernel";
    let hints = last.iter().map(|line| format!("its console says: {line}"));
    let hints: Vec<_> = hints.chain([hint.to_owned()]).collect();
    Failure::new(Exit::Command, message).hint(hints.join("\n"))
}
