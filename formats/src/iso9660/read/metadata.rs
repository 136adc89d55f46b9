//! Records come through windows of the image, of which a few are kept: what is next to each
//! other is read at once, and what is asked for again is mostly there.

use std::sync::{Mutex, PoisonError};

use crate::content::Buffer;
use crate::error::{Error, Result, corrupt, unreadable};
use crate::read::{Limits, Meter, Storage};

const WINDOW_BYTES: usize = 32 << 10;
/// Most windows that are kept, and fewest.
const WINDOWS: std::ops::RangeInclusive<usize> = 2..=64;

/// The image, and what is known of it.
pub(super) struct Image {
    storage: Box<dyn Storage>,
    size_bytes: u64,
    meter: Meter,
    windows_max: usize,
    windows: Mutex<Windows>,
}

#[derive(Default)]
struct Windows {
    kept: Vec<Window>,
    /// Counts the uses, so that the window which was not used for longest gives way.
    clock: u64,
}

/// A part of the image. Content of files may lie beside the records: it is wiped.
struct Window {
    number: u64,
    used: u64,
    bytes: Buffer,
}

impl Image {
    pub(super) fn new(storage: Box<dyn Storage>, limits: Limits) -> Result<Self> {
        let size_bytes = storage.size_bytes().map_err(unreadable)?;
        let windows_max =
            (limits.cache_bytes / WINDOW_BYTES).clamp(*WINDOWS.start(), *WINDOWS.end());
        let (meter, windows) = (Meter::new(limits.work_bytes), Mutex::default());
        Ok(Self { storage, size_bytes, meter, windows_max, windows })
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Fills `buffer` with records from `offset_bytes` on.
    pub(super) fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<()> {
        self.meter.charge(buffer.len() as u64)?;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut at, mut rest) = (offset_bytes, buffer);
        while !rest.is_empty() {
            let window = self.window(&mut windows, at / WINDOW_BYTES as u64)?;
            let start = usize::try_from(at % WINDOW_BYTES as u64).unwrap_or_default();
            let there = window.get(start..).filter(|there| !there.is_empty());
            let there = there.ok_or_else(|| self.cut_off(offset_bytes))?;
            let length = there.len().min(rest.len());
            let (now, later) = rest.split_at_mut(length);
            now.copy_from_slice(there.get(..length).unwrap_or_default());
            (at, rest) = (at.saturating_add(length as u64), later);
        }
        Ok(())
    }

    /// Fills `buffer` with content from `offset_bytes` on, of which nothing is kept.
    pub(super) fn read_content(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<()> {
        self.meter.charge(buffer.len() as u64)?;
        let end_bytes = offset_bytes.checked_add(buffer.len() as u64);
        if end_bytes.is_none_or(|end_bytes| end_bytes > self.size_bytes) {
            return Err(self.cut_off(offset_bytes));
        }
        self.storage.read_exact_at(offset_bytes, buffer)
    }

    /// What is behind the end of the image.
    pub(super) fn cut_off(&self, offset_bytes: u64) -> Error {
        let size_bytes = self.size_bytes;
        let message = format!(
            "the image is cut off: it goes on to byte {offset_bytes}, but has {size_bytes} bytes"
        );
        corrupt(message)
    }

    fn window<'w>(&self, windows: &'w mut Windows, number: u64) -> Result<&'w [u8]> {
        windows.clock += 1;
        let clock = windows.clock;
        let place = match windows.kept.iter().position(|window| window.number == number) {
            Some(place) => place,
            None => self.load(windows, number)?,
        };
        let window = windows.kept.get_mut(place).ok_or_else(|| self.cut_off(0))?;
        window.used = clock;
        Ok(&window.bytes)
    }

    /// Reads a window in the place of the one that was not used for longest.
    fn load(&self, windows: &mut Windows, number: u64) -> Result<usize> {
        let start_bytes = number.saturating_mul(WINDOW_BYTES as u64);
        let left_bytes = self.size_bytes.saturating_sub(start_bytes);
        let length = usize::try_from(left_bytes).unwrap_or(WINDOW_BYTES).min(WINDOW_BYTES);
        if length == 0 {
            return Err(self.cut_off(start_bytes));
        }
        self.meter.charge(length as u64)?;
        let mut bytes = Buffer::zeroed(length);
        self.storage.read_exact_at(start_bytes, &mut bytes)?;
        let window = Window { number, used: 0, bytes };
        if windows.kept.len() < self.windows_max {
            windows.kept.push(window);
            return Ok(windows.kept.len() - 1);
        }
        let oldest = windows.kept.iter().enumerate().min_by_key(|(_, window)| window.used);
        let place = oldest.map_or(0, |(place, _)| place);
        if let Some(old) = windows.kept.get_mut(place) {
            *old = window;
        }
        Ok(place)
    }
}
