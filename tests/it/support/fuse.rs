//! A file system whose server stops to answer, as one of the network does when that is gone.
//!
//! The server speaks the kernel's protocol itself (linux/fuse.h, 7.31). What it has not taken
//! from the kernel's queue waits so that SIGKILL ends it, like a request to NFS. Of what it has
//! taken and never answers only a read ahead can be given up by anybody.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Requests by their numbers in the protocol.
pub(crate) mod request {
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const FORGET: u32 = 2;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const SETATTR: u32 = 4;
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const READ: u32 = 15;
    pub(crate) const WRITE: u32 = 16;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const FLUSH: u32 = 25;
    pub(crate) const INIT: u32 = 26;
    pub(crate) const OPENDIR: u32 = 27;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const RELEASEDIR: u32 = 29;
    pub(crate) const CREATE: u32 = 35;
    pub(crate) const INTERRUPT: u32 = 36;
    pub(crate) const BATCH_FORGET: u32 = 42;
}

/// When the server stops.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hang {
    /// When it has answered a request of this kind.
    After(u32),
    /// When it has taken one, without an answer.
    At(u32),
}

/// Where it is mounted. Dropped, it goes, and whoever waits for it gets an error.
pub(crate) struct Hanging {
    place: std::path::PathBuf,
    is_over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Hanging {
    /// Mounts it. Names that begin with `dir` are directories, there is nothing under names
    /// that begin with `.` or `out`, and everything else is a file: 64 MiB of those that begin
    /// with `large`, 100 bytes of others.
    pub(crate) fn mount(place: &Path, hang: Hang) -> Self {
        fs::create_dir_all(place).unwrap();
        let device = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("hanging", place, "fuse", flags, &*options).expect("a FUSE mount");
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let server = std::thread::spawn(move || serve(device, hang, &flag));
        Self { place: place.to_owned(), is_over, server: Some(server) }
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.server.take().map(JoinHandle::join);
        let _ = unmount(&self.place, UnmountFlags::DETACH);
    }
}

/// Answers until it is time to stop, and then holds the device until it is over.
fn serve(mut device: File, hang: Hang, is_over: &AtomicBool) {
    let mut buffer = vec![0; 1 << 18];
    let mut hangs = false;
    let tick = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    while !is_over.load(Ordering::Relaxed) {
        if hangs {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        }
        if poll(&mut [PollFd::new(&device, PollFlags::IN)], Some(&tick)) == Ok(0) {
            continue;
        }
        let Ok(length) = device.read(&mut buffer) else { return };
        let request = &buffer[..length];
        let number = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().unwrap());
        let (kind, unique) = (number(4), &request[8..16]);
        if matches!(hang, Hang::At(at) if at == kind) {
            hangs = true;
            continue;
        }
        if let Some(answer) = answer(kind, u64::from(number(16)), &request[40..]) {
            let (error, body) = answer.map_or_else(|error| (-error, Vec::new()), |body| (0, body));
            let length = u32::try_from(16 + body.len()).unwrap();
            let head = [&length.to_le_bytes()[..], &error.to_le_bytes(), unique].concat();
            // The request may have been given up.
            let _ = device.write(&[head, body].concat());
        }
        hangs = matches!(hang, Hang::After(after) if after == kind);
    }
}

/// The number of an inode says what it is.
const ROOT: u64 = 1;
const DIRECTORY: u64 = 4;
const SMALL: u64 = 2;
const LARGE: u64 = 3;

/// What is answered: an error's number, or a body; none where the kernel waits for nothing.
fn answer(kind: u32, node: u64, body: &[u8]) -> Option<Result<Vec<u8>, i32>> {
    const ENOENT: i32 = 2;
    const ENOSYS: i32 = 38;
    Some(Ok(match kind {
        request::FORGET | request::BATCH_FORGET | request::INTERRUPT => return None,
        request::INIT => {
            let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
            // Version, read ahead, flags (asynchronous reads), queue, longest write, and so on.
            let body: Vec<u8> = words(&[7, 31, 1 << 17, 1, 0, 1 << 17, 1, 0]);
            [body, vec![0; 32]].concat()
        }
        request::LOOKUP if body.starts_with(b".") || body.starts_with(b"out") => {
            return Some(Err(ENOENT));
        }
        request::LOOKUP => entry(match body {
            [b'd', b'i', b'r', ..] => DIRECTORY,
            [b'l', b'a', b'r', b'g', b'e', ..] => LARGE,
            _ => SMALL,
        }),
        request::GETATTR | request::SETATTR => [vec![0; 16], attributes(node)].concat(),
        request::OPEN | request::OPENDIR => opened(),
        request::CREATE => [entry(SMALL), opened()].concat(),
        request::WRITE => [&body[16..20], &[0; 4]].concat(),
        request::STATFS => vec![0; 80],
        request::READ
        | request::READDIR
        | request::FLUSH
        | request::RELEASE
        | request::RELEASEDIR => Vec::new(),
        _ => return Some(Err(ENOSYS)),
    }))
}

/// A handle, and that closing it asks for nothing: the kernel would wait for that answer
/// through every signal, SIGKILL too.
fn opened() -> Vec<u8> {
    const NO_FLUSH: u64 = 1 << 5;
    [0, NO_FLUSH].iter().flat_map(|number: &u64| number.to_le_bytes()).collect()
}

/// What a name stands for.
fn entry(node: u64) -> Vec<u8> {
    [node.to_le_bytes().to_vec(), vec![0; 32], attributes(node)].concat()
}

fn attributes(node: u64) -> Vec<u8> {
    let (mode, size): (u32, u64) = match node {
        ROOT | DIRECTORY => (0o40_700, 0),
        LARGE => (0o100_600, 64 << 20),
        _ => (0o100_600, 100),
    };
    let numbers = [node, size, size.div_ceil(512), 0, 0, 0];
    let words = [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0];
    let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
    numbers.chain(words.iter().flat_map(|word: &u32| word.to_le_bytes())).collect()
}
