//! The system calls that the program needs, for Linux on x86-64 and on 64-bit Arm. All unsafe code
//! is in this file: there is no library to do it, and the rest of credimg has none.

use core::arch::{asm, global_asm};
use core::ops::Range;
use core::panic::PanicInfo;
use core::ptr::null_mut;

/// Numbers of system calls: `arch/x86/entry/syscalls/syscall_64.tbl` of Linux.
#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const READ: usize = 0;
    pub(super) const WRITE: usize = 1;
    pub(super) const CLOSE: usize = 3;
    pub(super) const IOCTL: usize = 16;
    pub(super) const NANOSLEEP: usize = 35;
    pub(super) const MOUNT: usize = 165;
    pub(super) const REBOOT: usize = 169;
    pub(super) const GETDENTS64: usize = 217;
    pub(super) const OPENAT: usize = 257;
    pub(super) const FINIT_MODULE: usize = 313;
}

/// Numbers of system calls: `include/uapi/asm-generic/unistd.h` of Linux.
#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const IOCTL: usize = 29;
    pub(super) const MOUNT: usize = 40;
    pub(super) const OPENAT: usize = 56;
    pub(super) const CLOSE: usize = 57;
    pub(super) const GETDENTS64: usize = 61;
    pub(super) const READ: usize = 63;
    pub(super) const WRITE: usize = 64;
    pub(super) const NANOSLEEP: usize = 101;
    pub(super) const REBOOT: usize = 142;
    pub(super) const FINIT_MODULE: usize = 273;
}

/// Makes a path relative to the working directory (fcntl.h).
const CURRENT_DIRECTORY: usize = (-100_isize).cast_unsigned();
const READ_ONLY: usize = 0;
const WRITE_ONLY: usize = 1;
/// The size of a disk in bytes (linux/fs.h).
const BLKGETSIZE64: usize = 0x8008_1272;
/// Sends a command of SCSI (scsi/sg.h), and asks what an ATA drive says of itself (linux/hdreg.h).
const SG_IO: usize = 0x2285;
const HDIO_GET_IDENTITY: usize = 0x030d;
/// The place of the serial in what an ATA drive says of itself.
const ATA_SERIAL: Range<usize> = 20..40;
/// The page of a SCSI disk that holds its serial behind a header of four bytes (SPC-4, 7.8.18).
const SERIAL_PAGE: u8 = 0x80;
/// The arguments of reboot(2).
const MAGIC: [usize; 2] = [0xfee1_dead, 672_274_793];
const RESTART: usize = 0x0123_4567;
/// The longest path that the program uses, with its zero byte.
pub(crate) const PATH_BYTES: usize = 512;

#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "call {begin}", "ud2", begin = sym crate::begin);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "bl {begin}", "brk #1", begin = sym crate::begin);

/// Makes a system call.
unsafe fn call(number: usize, arguments: [usize; 5]) -> Result<usize, ErrorNumber> {
    let [first, second, third, fourth, fifth] = arguments;
    let answer: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: these registers are those of the system call; it changes rcx and r11 besides.
    unsafe {
        asm!("syscall", inlateout("rax") number => answer, in("rdi") first, in("rsi") second,
            in("rdx") third, in("r10") fourth, in("r8") fifth,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: these registers are those of the system call, which changes no other one.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") first => answer, in("x1") second,
            in("x2") third, in("x3") fourth, in("x4") fifth, options(nostack));
    }
    usize::try_from(answer).map_err(|_| ErrorNumber(answer.unsigned_abs()))
}

/// The number of an error, as in errno(3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ErrorNumber(usize);

impl ErrorNumber {
    pub(crate) const EXISTS: Self = Self(17);
    const NOT_THERE: Self = Self(2);
}

/// An open file.
pub(crate) struct File(usize);

impl File {
    /// Opens the file at `path`, which ends in a zero byte, to read it.
    pub(crate) fn open(path: &[u8]) -> Result<Self, ErrorNumber> {
        Self::open_with(path, READ_ONLY)
    }

    /// Opens the file at `path`, which ends in a zero byte, to write into it.
    pub(crate) fn open_to_write(path: &[u8]) -> Result<Self, ErrorNumber> {
        Self::open_with(path, WRITE_ONLY)
    }

    fn open_with(path: &[u8], flags: usize) -> Result<Self, ErrorNumber> {
        let path = ending_in_zero(path);
        // SAFETY: `path` ends in a zero byte.
        unsafe { call(number::OPENAT, [CURRENT_DIRECTORY, path.as_ptr() as usize, flags, 0, 0]) }
            .map(Self)
    }

    /// What the file at `path` holds, as far as it fits into `buffer`.
    pub(crate) fn read_all<'b>(path: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], ErrorNumber> {
        Self::open(path)?.read_start(buffer)
    }

    /// What stands from here on, as far as it fits into `buffer`.
    pub(crate) fn read_start<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], ErrorNumber> {
        let mut length = 0;
        while let Some(free) = buffer.get_mut(length..).filter(|free| !free.is_empty()) {
            // SAFETY: the kernel writes into `free`, and no further than it is long.
            let got = unsafe {
                call(number::READ, [self.0, free.as_mut_ptr() as usize, free.len(), 0, 0])
            }?;
            if got == 0 {
                break;
            }
            length += got;
        }
        Ok(buffer.get(..length).unwrap_or_default())
    }

    /// Writes these bytes. An error is ignored, as nobody could be told of it.
    pub(crate) fn write(&self, bytes: &[u8]) {
        // SAFETY: the kernel reads what `bytes` holds.
        let _ =
            unsafe { call(number::WRITE, [self.0, bytes.as_ptr() as usize, bytes.len(), 0, 0]) };
    }

    /// The size of the disk that this is; 0 where it is none.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let mut size_bytes = 0_u64;
        // SAFETY: this call writes one number of 64 bits.
        let _ = unsafe {
            call(number::IOCTL, [self.0, BLKGETSIZE64, (&raw mut size_bytes) as usize, 0, 0])
        };
        size_bytes
    }

    /// Reads the serial of the SCSI disk that this is; returns its length.
    pub(crate) fn scsi_serial(&self, serial: &mut [u8; 256]) -> Result<usize, ErrorNumber> {
        // INQUIRY, one of the pages of vital data.
        let command = [0x12, 1, SERIAL_PAGE, 0, 255, 0];
        let mut page = [0_u8; 256];
        let mut order = ScsiOrder::new(&command, &mut page);
        // SAFETY: what the order points to lives as long as this call.
        unsafe { call(number::IOCTL, [self.0, SG_IO, (&raw mut order) as usize, 0, 0]) }?;
        match (order.status, page) {
            (0, [_, SERIAL_PAGE, _, length, ref text @ ..]) => {
                let text = text.get(..usize::from(length)).unwrap_or(text);
                serial.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
                Ok(text.len())
            }
            _ => Err(ErrorNumber::NOT_THERE),
        }
    }

    /// Reads the serial of the ATA drive that this is; returns its length.
    pub(crate) fn ata_serial(&self, serial: &mut [u8; 256]) -> Result<usize, ErrorNumber> {
        let mut identity = [0_u8; 512];
        let place = identity.as_mut_ptr() as usize;
        // SAFETY: this call writes one sector.
        unsafe { call(number::IOCTL, [self.0, HDIO_GET_IDENTITY, place, 0, 0]) }?;
        let text = identity.get(ATA_SERIAL).unwrap_or_default();
        serial.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
        Ok(text.len())
    }

    /// Loads the module that the file holds; `parameters` ends in a zero byte.
    pub(crate) fn load_module(&self, parameters: &[u8]) -> Result<(), ErrorNumber> {
        let parameters = ending_in_zero(parameters);
        // SAFETY: `parameters` ends in a zero byte.
        unsafe { call(number::FINIT_MODULE, [self.0, parameters.as_ptr() as usize, 0, 0, 0]) }
            .map(drop)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: nobody uses the descriptor any more.
        let _ = unsafe { call(number::CLOSE, [self.0, 0, 0, 0, 0]) };
    }
}

/// A command of SCSI and what comes of it: `struct sg_io_hdr` of scsi/sg.h.
#[repr(C)]
struct ScsiOrder {
    interface: i32,
    direction: i32,
    command_bytes: u8,
    sense_bytes: u8,
    parts: u16,
    data_bytes: u32,
    data: *mut u8,
    command: *const u8,
    sense: *mut u8,
    timeout_milliseconds: u32,
    flags: u32,
    number: i32,
    tag: *mut u8,
    status: u8,
    other_statuses: [u8; 7],
    missing_bytes: i32,
    duration_milliseconds: u32,
    info: u32,
}

impl ScsiOrder {
    /// A command that answers with data.
    fn new(command: &[u8; 6], data: &mut [u8; 256]) -> Self {
        Self {
            interface: i32::from(b'S'),
            direction: -3,
            command_bytes: 6,
            sense_bytes: 0,
            parts: 0,
            data_bytes: 255,
            data: data.as_mut_ptr(),
            command: command.as_ptr(),
            sense: null_mut(),
            timeout_milliseconds: 5000,
            flags: 0,
            number: 0,
            tag: null_mut(),
            status: 0,
            other_statuses: [0; 7],
            missing_bytes: 0,
            duration_milliseconds: 0,
            info: 0,
        }
    }
}

/// An open directory.
pub(crate) struct Directory(File);

impl Directory {
    /// Opens the directory at `path`, which ends in a zero byte.
    pub(crate) fn open(path: &[u8]) -> Result<Self, ErrorNumber> {
        File::open(path).map(Self)
    }

    /// Calls `name` with the name of each entry that does not begin with a dot.
    pub(crate) fn each(&self, mut name: impl FnMut(&[u8])) {
        let mut buffer = [0_u8; 4096];
        loop {
            // SAFETY: the kernel writes into `buffer`, and no further than it is long.
            let got = unsafe {
                let place = buffer.as_mut_ptr() as usize;
                call(number::GETDENTS64, [self.0.0, place, buffer.len(), 0, 0])
            };
            let mut entries = buffer.get(..got.unwrap_or(0)).unwrap_or_default();
            if entries.is_empty() {
                return;
            }
            // struct linux_dirent64: 16 bytes, the entry's length in two, its type, its name.
            while let Some([low, high, _, text @ ..]) = entries.get(16..) {
                let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
                if !text.starts_with(b".") {
                    name(text);
                }
                let length = usize::from(u16::from_le_bytes([*low, *high]));
                entries = entries.get(length..).unwrap_or_default();
            }
        }
    }
}

/// Mounts a file system that the kernel makes up; both names end in a zero byte.
pub(crate) fn mount(file_system: &[u8], place: &[u8]) {
    let (kind, place) = (ending_in_zero(file_system), ending_in_zero(place));
    // SAFETY: all three texts end in a zero byte, and there is no data.
    let _ = unsafe {
        let kind = kind.as_ptr() as usize;
        call(number::MOUNT, [kind, place.as_ptr() as usize, kind, 0, 0])
    };
}

/// Waits.
pub(crate) fn sleep(milliseconds: i64) {
    let time = [milliseconds / 1000, milliseconds % 1000 * 1_000_000];
    // SAFETY: a time is two numbers of 64 bits; what is left of it is not asked for.
    let _ = unsafe { call(number::NANOSLEEP, [time.as_ptr() as usize, 0, 0, 0, 0]) };
}

/// Ends the machine: a QEMU that may not restart it ends then.
pub(crate) fn restart() -> ! {
    loop {
        // SAFETY: it has no pointer.
        let _ = unsafe { call(number::REBOOT, [MAGIC[0], MAGIC[1], RESTART, 0, 0]) };
        sleep(1000);
    }
}

/// Text of at most `N` bytes; what does not fit is left out.
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], length: 0 }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The path of these parts, with its zero byte; one that is too long is nobody's.
pub(crate) fn join(parts: &[&[u8]]) -> [u8; PATH_BYTES] {
    let mut path = Text::<PATH_BYTES>::new();
    for part in parts {
        path.add(part);
    }
    if path.length == PATH_BYTES { [0; PATH_BYTES] } else { path.bytes }
}

/// The text, or an empty one where it has no zero byte.
fn ending_in_zero(text: &[u8]) -> &[u8] {
    if text.contains(&0) { text } else { &[0] }
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    restart()
}

/// What Rust's own library is built to call where a panic unwinds the stack; here none does.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

// The compiler calls these wherever bytes are copied, set or compared. A library of C has
// them, and here is none.

/// # Safety
/// As memcpy(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    for at in 0..length {
        // SAFETY: both are `length` bytes long.
        unsafe { to.add(at).write(from.add(at).read()) }
    }
    to
}

/// # Safety
/// As memmove(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    if to.cast_const() <= from {
        // SAFETY: what is read has not been written yet, from the first byte on.
        return unsafe { memcpy(to, from, length) };
    }
    for at in (0..length).rev() {
        // SAFETY: both are `length` bytes long.
        unsafe { to.add(at).write(from.add(at).read()) }
    }
    to
}

/// # Safety
/// As memset(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    for at in 0..length {
        // SAFETY: it is `length` bytes long.
        unsafe { to.add(at).write(byte.to_le_bytes()[0]) }
    }
    to
}

/// # Safety
/// As memcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    for at in 0..length {
        // SAFETY: both are `length` bytes long.
        let (one, other) = unsafe { (one.add(at).read(), other.add(at).read()) };
        if one != other {
            return i32::from(one) - i32::from(other);
        }
    }
    0
}

/// # Safety
/// As bcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    // SAFETY: the caller has promised the same.
    unsafe { memcmp(one, other, length) }
}
