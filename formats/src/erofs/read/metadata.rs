//! Reads what is no content, through a small cache, and counts the work.

use std::sync::{Mutex, PoisonError};

use zerocopy::FromBytes;

use super::{corrupt, unreadable};
use crate::content::Buffer;
use crate::error::Result;
use crate::read::{Limits, Meter, Storage};

/// The cache holds pieces of the image of this length, at multiples of it.
const WINDOW_BYTES: u64 = 16 << 10;

/// The image, read in small pieces of which the last ones are kept.
pub(super) struct Metadata {
    storage: Box<dyn Storage>,
    size_bytes: u64,
    meter: Meter,
    /// Each window has one slot that it can be in.
    windows: Mutex<Vec<Option<Window>>>,
}

struct Window {
    number: u64,
    bytes: Buffer,
}

impl Metadata {
    pub(super) fn new(storage: Box<dyn Storage>, limits: &Limits) -> Result<Self> {
        let size_bytes = storage.size_bytes().map_err(unreadable)?;
        // No more slots than the image has windows.
        let windows = (limits.cache_bytes as u64).min(size_bytes) / WINDOW_BYTES + 1;
        let slots = usize::try_from(windows).unwrap_or(1);
        let windows = Mutex::new(std::iter::repeat_with(|| None).take(slots).collect());
        Ok(Self { storage, size_bytes, meter: Meter::new(limits.work_bytes), windows })
    }

    pub(super) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// How long the image is, whatever it says.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Counts work that reads nothing.
    pub(super) fn charge(&self, bytes: u64) -> Result<()> {
        self.meter.charge(bytes)
    }

    /// Refuses a stretch that the image does not have.
    pub(super) fn check_range(&self, offset_bytes: u64, length_bytes: u64) -> Result<()> {
        match offset_bytes.checked_add(length_bytes) {
            Some(end_bytes) if end_bytes <= self.size_bytes => Ok(()),
            Some(end_bytes) => Err(corrupt(format!(
                "the image is cut off: expected {end_bytes} bytes or more, got {}",
                self.size_bytes
            ))),
            None => Err(corrupt(format!("an address beyond the end of any image: {offset_bytes}"))),
        }
    }

    /// Fills all of `buffer` from `offset_bytes` on.
    pub(super) fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<()> {
        self.check_range(offset_bytes, buffer.len() as u64)?;
        self.meter.charge(buffer.len() as u64)?;
        let mut at_bytes = offset_bytes;
        let mut free = buffer;
        while !free.is_empty() {
            let within = usize::try_from(at_bytes % WINDOW_BYTES).unwrap_or(0);
            let taken = self.copy(at_bytes / WINDOW_BYTES, within, free)?;
            let (_, later) = free.split_at_mut(taken);
            free = later;
            at_bytes += taken as u64;
        }
        Ok(())
    }

    /// A record of so many bytes.
    pub(super) fn record<T: FromBytes>(&self, offset_bytes: u64) -> Result<T> {
        let mut bytes = Buffer::zeroed(size_of::<T>());
        self.read(offset_bytes, &mut bytes)?;
        T::read_from_bytes(&bytes).map_err(|_| corrupt("a record is cut off"))
    }

    /// Fills as much of `into` as one window has from byte `within` on, and returns how much.
    fn copy(&self, number: u64, within: usize, into: &mut [u8]) -> Result<usize> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = windows.len() as u64;
        let index = usize::try_from(number % slots.max(1)).unwrap_or(0);
        let slot = windows.get_mut(index).ok_or_else(crate::error::inconsistent)?;
        let window = match slot {
            Some(window) if window.number == number => window,
            _ => slot.insert(self.window(number)?),
        };
        let there = window.bytes.get(within..).unwrap_or_default();
        let length = there.len().min(into.len());
        if length == 0 {
            return Err(corrupt("the image is shorter than it was"));
        }
        let (filled, _) = into.split_at_mut(length);
        filled.copy_from_slice(there.split_at(length).0);
        Ok(length)
    }

    fn window(&self, number: u64) -> Result<Window> {
        let start_bytes = number * WINDOW_BYTES;
        let length_bytes = self.size_bytes.saturating_sub(start_bytes).min(WINDOW_BYTES);
        self.meter.charge(length_bytes)?;
        let mut bytes = Buffer::zeroed(usize::try_from(length_bytes).unwrap_or(0));
        self.storage.read_exact_at(start_bytes, &mut bytes)?;
        Ok(Window { number, bytes })
    }
}
