//! The way of data blocks into the image: in order, compressed by a few threads
//! where there are some, never more than a few blocks on the way.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread::Scope;

use super::format::BLOCK_RAW;
use crate::compress::{Compression, Packer};
use crate::content::{Secret, Sink};
use crate::wipe::without_traces;
use crate::zeros::is_zero;

/// How many blocks a thread may have waiting, besides the one that it compresses.
const WAITING_PER_THREAD: usize = 2;

/// The image's bytes so far.
pub(super) struct Output<'s> {
    sink: &'s mut dyn Sink,
    position: u64,
}

impl<'s> Output<'s> {
    pub(super) fn new(sink: &'s mut dyn Sink) -> Self {
        Self { sink, position: 0 }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Returns how many bytes there were.
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        let copied_bytes = self.sink.copy_from_file(file, length_bytes)?;
        self.position += copied_bytes;
        Ok(copied_bytes)
    }
}

/// Whose block it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    /// The next block of the file with this index.
    File(usize),
    /// The next fragment block.
    Fragment,
}

/// Is told of every block, in order, where it went.
pub(super) trait Ledger {
    /// `size` is the stored length with [`BLOCK_RAW`], 0 for a block that is all zero.
    fn enter(&mut self, owner: Owner, start: u64, size: u32);
}

/// Blocks on their way into the image.
pub(super) struct Queue<'s, 'o, L> {
    output: &'o mut Output<'s>,
    ledger: L,
    engine: Engine,
}

enum Engine {
    Here(Packer),
    Threads(Pool),
}

impl<'s, 'o, L: Ledger> Queue<'s, 'o, L> {
    /// A queue that compresses in the caller's thread, if at all.
    pub(super) fn here(output: &'o mut Output<'s>, ledger: L, packer: Packer) -> Self {
        Self { output, ledger, engine: Engine::Here(packer) }
    }

    /// A queue that lets `pool` compress.
    pub(super) fn threads(output: &'o mut Output<'s>, ledger: L, pool: Pool) -> Self {
        Self { output, ledger, engine: Engine::Threads(pool) }
    }

    /// The ledger as far as blocks have arrived.
    pub(super) fn ledger(&mut self) -> &mut L {
        &mut self.ledger
    }

    /// Takes the next block; one of a file that is all zero is not stored.
    pub(super) fn push(&mut self, owner: Owner, block: &[u8]) -> io::Result<()> {
        let is_hole = matches!(owner, Owner::File(_)) && is_zero(block);
        if is_hole {
            return self.push_holes(owner, 1);
        }
        match &mut self.engine {
            Engine::Here(packer) => {
                let stored = packer.pack(block);
                arrive(self.output, &mut self.ledger, owner, stored.bytes, stored.is_raw)
            }
            Engine::Threads(_) => self.submit(owner, block),
        }
    }

    /// Takes the next `count` blocks, of a file, which are all zero.
    pub(super) fn push_holes(&mut self, owner: Owner, count: u64) -> io::Result<()> {
        self.make_room()?;
        match &mut self.engine {
            Engine::Here(_) => self.enter_holes(owner, count),
            Engine::Threads(pool) => pool.on_the_way.push_back((owner, Awaited::Holes(count))),
        }
        Ok(())
    }

    fn enter_holes(&mut self, owner: Owner, count: u64) {
        for _ in 0..count {
            self.ledger.enter(owner, self.output.position(), 0);
        }
    }

    /// Whether blocks are stored as they are, and so may be [copied](Self::copy_from_file).
    pub(super) fn stores_raw(&self) -> bool {
        matches!(&self.engine, Engine::Here(packer) if packer.is_idle())
    }

    /// Takes `count` blocks of `block_bytes` from the file's offset on without
    /// looking at them: none may be all zero, and blocks must be stored as they
    /// are. Returns how many bytes there were.
    pub(super) fn copy_from_file(
        &mut self,
        owner: Owner,
        file: &File,
        block_bytes: u32,
        count: u64,
    ) -> io::Result<u64> {
        let start = self.output.position();
        let step_bytes = u64::from(block_bytes);
        let copied_bytes = self.output.copy_from_file(file, count * step_bytes)?;
        for index in 0..copied_bytes / step_bytes {
            self.ledger.enter(owner, start + index * step_bytes, block_bytes | BLOCK_RAW);
        }
        Ok(copied_bytes)
    }

    /// Waits for all blocks to arrive and returns the ledger.
    pub(super) fn finish(mut self) -> io::Result<L> {
        while self.settle_one()? {}
        Ok(self.ledger)
    }

    /// Waits until one more block may be on the way.
    fn make_room(&mut self) -> io::Result<()> {
        while matches!(&self.engine, Engine::Threads(pool) if pool.on_the_way.len() >= pool.capacity)
        {
            self.settle_one()?;
        }
        Ok(())
    }

    fn submit(&mut self, owner: Owner, block: &[u8]) -> io::Result<()> {
        self.make_room()?;
        let Engine::Threads(pool) = &mut self.engine else { return Ok(()) };
        let (reply, receiver) = mpsc::sync_channel(1);
        let job = Job { block: Secret::from(block), reply };
        pool.jobs.send(job).map_err(|_| thread_died())?;
        pool.on_the_way.push_back((owner, Awaited::Block(receiver)));
        Ok(())
    }

    /// Waits for the oldest block on the way; false where there is none.
    fn settle_one(&mut self) -> io::Result<bool> {
        let Engine::Threads(pool) = &mut self.engine else { return Ok(false) };
        let Some((owner, awaited)) = pool.on_the_way.pop_front() else { return Ok(false) };
        match awaited {
            Awaited::Holes(count) => self.enter_holes(owner, count),
            Awaited::Block(receiver) => {
                let done = receiver.recv().map_err(|_| thread_died())?;
                arrive(self.output, &mut self.ledger, owner, done.bytes.expose(), done.is_raw)?;
            }
        }
        Ok(true)
    }
}

/// Threads that compress, for as long as the pool lives.
pub(super) struct Pool {
    jobs: Sender<Job>,
    on_the_way: VecDeque<(Owner, Awaited)>,
    capacity: usize,
}

/// What the threads share.
pub(super) struct Jobs {
    receiver: Mutex<Receiver<Job>>,
}

struct Job {
    block: Secret,
    reply: SyncSender<Done>,
}

struct Done {
    bytes: Secret,
    is_raw: bool,
}

enum Awaited {
    /// So many blocks in a row.
    Holes(u64),
    Block(Receiver<Done>),
}

impl Pool {
    /// A pool and what its threads, once started, take their jobs from.
    pub(super) fn new(threads: usize) -> (Self, Jobs) {
        let (jobs, receiver) = mpsc::channel();
        let capacity = threads * (1 + WAITING_PER_THREAD);
        let pool = Self { jobs, on_the_way: VecDeque::with_capacity(capacity), capacity };
        (pool, Jobs { receiver: Mutex::new(receiver) })
    }
}

impl Jobs {
    /// Starts `threads` threads, or as many as the system admits, which end when the pool is
    /// dropped. An error where there is none.
    pub(super) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        threads: usize,
        compression: Compression,
        block_bytes: usize,
    ) -> io::Result<()> {
        for index in 0..threads {
            // The system keeps the stacks of threads that have ended.
            let compress = move || {
                let mut packer = Packer::new(compression, block_bytes);
                while let Some(job) = self.next() {
                    job.run(&mut packer);
                }
            };
            let thread = std::thread::Builder::new();
            match thread.spawn_scoped(scope, move || without_traces(compress)) {
                Ok(_) => {}
                Err(error) if index == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn next(&self) -> Option<Job> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }
}

impl Job {
    fn run(self, packer: &mut Packer) {
        let stored = packer.pack(self.block.expose());
        let (bytes, is_raw) = (Secret::from(stored.bytes), stored.is_raw);
        // Nobody listens any more where the image failed meanwhile.
        let _ = self.reply.send(Done { bytes, is_raw });
    }
}

fn arrive(
    output: &mut Output<'_>,
    ledger: &mut impl Ledger,
    owner: Owner,
    bytes: &[u8],
    is_raw: bool,
) -> io::Result<()> {
    let start = output.position();
    output.write(bytes)?;
    // A block is at most 1 MiB.
    let length = u32::try_from(bytes.len()).unwrap_or_default();
    ledger.enter(owner, start, if is_raw { length | BLOCK_RAW } else { length });
    Ok(())
}

fn thread_died() -> io::Error {
    io::Error::other("internal error: a compressing thread ended early")
}
