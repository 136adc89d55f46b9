//! Files that are read ahead of the writer: with thousands of small ones, opening and checking
//! each takes longer than writing them. Files of a few blocks are read by some threads, several
//! at a time into one buffer; longer ones stay with the writer, as its sink may have the kernel
//! copy them.

use std::fs::File;
use std::io::{self, Write};
use std::iter::Peekable;

use crate::ahead::{Taker, work_ahead};
use crate::content::{Buffer, Content, Sink, read_full};
use crate::error::{Error, Result, inconsistent};

/// A longer file is not read ahead.
const LONGEST_BYTES: u64 = 64 << 10;
/// How much is read at a time, of how many files.
const BATCH_BYTES: usize = 128 << 10;
const BATCH_FILES: usize = 64;
/// Starting a thread takes as long as reading some ten files.
const FEWEST_FILES: usize = 64;

/// Calls `write`, which streams exactly these `contents`, in this order, by the [`ReadAhead`] that
/// it is given. Where there are enough of them, and more than one thread, they are read ahead.
pub(crate) fn with_read_ahead<'c, T>(
    threads: usize,
    contents: impl Iterator<Item = &'c Content> + Clone + Send,
    write: impl FnOnce(&mut ReadAhead<'_, 'c>) -> Result<T>,
) -> Result<T> {
    let contents = contents.filter(|content| is_read_ahead(content));
    let is_worth_it = threads > 1 && contents.clone().nth(FEWEST_FILES - 1).is_some();
    if !is_worth_it {
        return write(&mut ReadAhead { taker: None, batch: Batch::default(), next: 0, start: 0 });
    }
    let batches = Batches(contents.peekable());
    work_ahead(threads, batches, read, |taker| {
        write(&mut ReadAhead { taker: Some(taker), batch: Batch::default(), next: 0, start: 0 })
    })
}

fn is_read_ahead(content: &Content) -> bool {
    match content {
        Content::Memory(_) => false,
        Content::Stream { length_bytes, .. } => *length_bytes <= LONGEST_BYTES,
    }
}

/// Streams contents, of which some are read already.
pub(crate) struct ReadAhead<'a, 'c> {
    /// None where nothing is read ahead.
    taker: Option<&'a Taker<'a, Batch<'c>>>,
    batch: Batch<'c>,
    /// Index in the batch of the file that is next, and where it begins.
    next: usize,
    start: usize,
}

impl<'c> ReadAhead<'_, 'c> {
    /// Streams `content`, which is the next one, as [`Content::stream`] does.
    pub(crate) fn stream(&mut self, content: &'c Content, sink: &mut dyn Sink) -> Result<()> {
        match self.taker {
            Some(taker) if is_read_ahead(content) => {
                sink.write_all(self.next_of(taker, content)?)?;
                Ok(())
            }
            Some(_) | None => content.stream(sink),
        }
    }

    fn next_of(&mut self, taker: &Taker<'_, Batch<'c>>, content: &'c Content) -> Result<&[u8]> {
        if self.next == self.batch.contents.len() {
            let batch = taker.next().ok_or_else(inconsistent)?;
            taker.give_back(std::mem::replace(&mut self.batch, batch));
            (self.next, self.start) = (0, 0);
        }
        let is_next = self.batch.contents.get(self.next);
        if !is_next.is_some_and(|next| std::ptr::eq(*next, content)) {
            return Err(inconsistent());
        }
        if self.next == self.batch.read
            && let Some(error) = self.batch.error.take()
        {
            return Err(error);
        }
        let end = self.start + content_bytes(content);
        let bytes = self.batch.bytes.get(self.start..end).ok_or_else(inconsistent)?;
        (self.next, self.start) = (self.next + 1, end);
        Ok(bytes)
    }
}

/// Files that were read together, one behind the other.
#[derive(Default)]
struct Batch<'c> {
    contents: Vec<&'c Content>,
    bytes: Buffer,
    /// How many of them were read, and what was wrong with the next one.
    read: usize,
    error: Option<Error>,
}

/// Puts contents together that are read at a time.
struct Batches<I: Iterator>(Peekable<I>);

impl<'c, I: Iterator<Item = &'c Content>> Iterator for Batches<I> {
    type Item = Vec<&'c Content>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.0.next()?;
        let mut length_bytes = content_bytes(first);
        let mut batch = vec![first];
        while batch.len() < BATCH_FILES {
            let fits = |next: &&Content| length_bytes + content_bytes(next) <= BATCH_BYTES;
            let Some(content) = self.0.next_if(fits) else { break };
            length_bytes += content_bytes(content);
            batch.push(content);
        }
        Some(batch)
    }
}

fn read<'c>(contents: Vec<&'c Content>, spare: Option<Batch<'c>>) -> Batch<'c> {
    let length_bytes = contents.iter().map(|content| content_bytes(content)).sum();
    let bytes = spare.map(|spare| spare.bytes).filter(|bytes| bytes.len() >= length_bytes);
    let mut bytes = bytes.unwrap_or_else(|| Buffer::zeroed(length_bytes));
    let mut room: &mut [u8] = &mut bytes;
    let mut read = 0;
    let mut error = None;
    for content in &contents {
        let (window, rest) = room.split_at_mut(content_bytes(content).min(room.len()));
        if let Err(fault) = content.stream(&mut Window(window)) {
            error = Some(fault);
            break;
        }
        (room, read) = (rest, read + 1);
    }
    Batch { contents, bytes, read, error }
}

/// Length of a content that is read ahead.
fn content_bytes(content: &Content) -> usize {
    usize::try_from(content.len()).unwrap_or(usize::MAX)
}

/// What is left to be filled.
struct Window<'b>(&'b mut [u8]);

impl<'b> Window<'b> {
    /// The next bytes, at most so many.
    fn take(&mut self, length: usize) -> &'b mut [u8] {
        let window = std::mem::take(&mut self.0);
        let (taken, rest) = window.split_at_mut(length.min(window.len()));
        self.0 = rest;
        taken
    }
}

impl Write for Window<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.take(bytes.len());
        let taken = room.len();
        room.copy_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Window<'_> {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        let room = self.take(usize::try_from(length_bytes).unwrap_or(usize::MAX));
        Ok(read_full(file, room)? as u64)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.take(usize::try_from(length_bytes).unwrap_or(usize::MAX)).fill(0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::sync::Mutex;
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use super::*;
    use crate::{ErrorKind, Source};

    /// Delivers so many bytes of its number; tells who read it.
    struct Numbered<'t> {
        number: usize,
        is_broken: bool,
        readers: &'t Mutex<Vec<ThreadId>>,
    }

    impl Source for Numbered<'static> {
        fn stream(&self, planned_bytes: u64, sink: &mut dyn Sink) -> Result<()> {
            self.readers.lock().unwrap().push(thread::current().id());
            // Later ones of a batch take longer, those of another thread less.
            thread::sleep(Duration::from_micros((self.number * 31 % 200) as u64));
            let byte = u8::try_from(self.number % 251).unwrap();
            let half = planned_bytes / 2;
            sink.write_all(&vec![byte; usize::try_from(half).unwrap()])?;
            if self.is_broken {
                return Err(Error::new(ErrorKind::Changed, format!("file {}", self.number)));
            }
            if self.number.is_multiple_of(3) {
                sink.write_zeros(planned_bytes - half)?;
            } else {
                sink.write_all(&vec![byte; usize::try_from(planned_bytes - half).unwrap()])?;
            }
            Ok(())
        }
    }

    fn contents(
        lengths: impl Iterator<Item = u64>,
        broken: &[usize],
        readers: &'static Mutex<Vec<ThreadId>>,
    ) -> Vec<Content> {
        let content = |(number, length_bytes): (usize, u64)| {
            if number % 17 == 5 {
                return Content::from(vec![1; usize::try_from(length_bytes).unwrap()]);
            }
            let is_broken = broken.contains(&number);
            let source = Box::new(Numbered { number, is_broken, readers });
            Content::Stream { length_bytes, source }
        };
        lengths.enumerate().map(content).collect()
    }

    fn stream(contents: &[Content], threads: usize) -> (Vec<u8>, Result<()>) {
        let mut all = Vec::new();
        let outcome = with_read_ahead(threads, contents.iter(), |reads| {
            contents.iter().try_for_each(|content| reads.stream(content, &mut all))
        });
        (all, outcome)
    }

    /// Empty files, some of a few blocks, and some too long to be read ahead.
    fn lengths(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|index| if index % 40 == 7 { 70_000 } else { index * 977 % 65_537 })
    }

    #[test]
    fn any_number_of_threads_reads_the_same() {
        static READERS: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());
        let contents = contents(lengths(400), &[], &READERS);
        let (one, outcome) = stream(&contents, 1);
        outcome.unwrap();
        assert!(READERS.lock().unwrap().drain(..).all(|id| id == thread::current().id()));
        for threads in [0, 2, 5, 100] {
            let (other, outcome) = stream(&contents, threads);
            outcome.unwrap();
            assert!(one == other, "{threads} threads");
            let mut readers: Vec<_> = READERS.lock().unwrap().drain(..).collect();
            assert_eq!(readers.len(), 400 - 24, "each is read once");
            readers.dedup();
            assert_eq!(readers.len() > 1, threads > 1, "{threads} threads");
        }
    }

    #[test]
    fn the_error_is_that_of_the_first_file_that_has_one() {
        static READERS: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());
        // File 7 is long, and so not read ahead; 40 and 41 are of one batch.
        for (broken, first) in [(vec![300, 41, 40], 40), (vec![299, 7], 7), (vec![0], 0)] {
            let contents = contents(lengths(400), &broken, &READERS);
            let (before, _) = stream(&contents, 1);
            for threads in [1, 2, 5] {
                let (all, outcome) = stream(&contents, threads);
                assert_eq!(outcome.unwrap_err().to_string(), format!("file {first}"));
                // What the broken file has delivered before nobody needs.
                let common = before.len().min(all.len());
                assert!(before.get(..common) == all.get(..common), "{threads} threads");
            }
        }
    }

    #[test]
    fn a_few_files_are_read_by_the_caller() {
        static READERS: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());
        let contents = contents(lengths(50), &[], &READERS);
        stream(&contents, 5).1.unwrap();
        assert!(READERS.lock().unwrap().iter().all(|id| *id == thread::current().id()));
    }

    #[test]
    fn who_streams_another_order_is_told() {
        static READERS: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());
        let contents = contents(lengths(400), &[], &READERS);
        let outcome = with_read_ahead(2, contents.iter(), |reads| {
            contents.iter().rev().try_for_each(|content| reads.stream(content, &mut Vec::new()))
        });
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Bug);
    }
}
