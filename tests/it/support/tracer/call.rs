//! One system call: its name, and what its arguments stand for.

use std::fs;
use std::path::{Path, PathBuf};

use nix::libc::{self, c_long, user_regs_struct};
use nix::unistd::Pid;

use super::memory::{self, Mapping};

/// What an argument is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A descriptor.
    Fd(usize),
    /// A path by the directory of a descriptor: the places of both.
    At(usize, usize),
    /// A path.
    Path(usize),
    /// How many bytes are to be transferred.
    Length(usize),
}

use Kind::{At, Fd, Length, Path as Named};

/// The system calls that a test may want by name.
const CALLS: &[(c_long, &str, &[Kind])] = &[
    (libc::SYS_access, "access", &[Named(0)]),
    (libc::SYS_arch_prctl, "arch_prctl", &[]),
    (libc::SYS_brk, "brk", &[]),
    (libc::SYS_chdir, "chdir", &[Named(0)]),
    (libc::SYS_clock_gettime, "clock_gettime", &[]),
    (libc::SYS_clock_nanosleep, "clock_nanosleep", &[]),
    (libc::SYS_clone, "clone", &[]),
    (libc::SYS_clone3, "clone3", &[]),
    (libc::SYS_close, "close", &[Fd(0)]),
    (libc::SYS_connect, "connect", &[Fd(0)]),
    (libc::SYS_copy_file_range, "copy_file_range", &[Fd(0), Fd(2), Length(4)]),
    (libc::SYS_dup, "dup", &[Fd(0)]),
    (libc::SYS_dup2, "dup2", &[Fd(0)]),
    (libc::SYS_dup3, "dup3", &[Fd(0)]),
    (libc::SYS_execve, "execve", &[Named(0)]),
    (libc::SYS_exit, "exit", &[]),
    (libc::SYS_exit_group, "exit_group", &[]),
    (libc::SYS_fallocate, "fallocate", &[Fd(0)]),
    (libc::SYS_fchmod, "fchmod", &[Fd(0)]),
    (libc::SYS_fchmodat, "fchmodat", &[At(0, 1)]),
    (libc::SYS_fchown, "fchown", &[Fd(0)]),
    (libc::SYS_fcntl, "fcntl", &[Fd(0)]),
    (libc::SYS_fdatasync, "fdatasync", &[Fd(0)]),
    (libc::SYS_fgetxattr, "fgetxattr", &[Fd(0)]),
    (libc::SYS_flistxattr, "flistxattr", &[Fd(0)]),
    (libc::SYS_flock, "flock", &[Fd(0)]),
    (libc::SYS_fremovexattr, "fremovexattr", &[Fd(0)]),
    (libc::SYS_fsetxattr, "fsetxattr", &[Fd(0)]),
    (libc::SYS_fstat, "fstat", &[Fd(0)]),
    (libc::SYS_fstatfs, "fstatfs", &[Fd(0)]),
    (libc::SYS_fsync, "fsync", &[Fd(0)]),
    (libc::SYS_ftruncate, "ftruncate", &[Fd(0)]),
    (libc::SYS_futex, "futex", &[]),
    (libc::SYS_getcwd, "getcwd", &[]),
    (libc::SYS_getdents64, "getdents64", &[Fd(0)]),
    (libc::SYS_geteuid, "geteuid", &[]),
    (libc::SYS_getpid, "getpid", &[]),
    (libc::SYS_getrandom, "getrandom", &[Length(1)]),
    (libc::SYS_gettid, "gettid", &[]),
    (libc::SYS_getuid, "getuid", &[]),
    (libc::SYS_ioctl, "ioctl", &[Fd(0)]),
    (libc::SYS_kill, "kill", &[]),
    (libc::SYS_linkat, "linkat", &[At(0, 1), At(2, 3)]),
    (libc::SYS_lseek, "lseek", &[Fd(0)]),
    (libc::SYS_lstat, "lstat", &[Named(0)]),
    (libc::SYS_madvise, "madvise", &[]),
    (libc::SYS_memfd_create, "memfd_create", &[]),
    (libc::SYS_mkdirat, "mkdirat", &[At(0, 1)]),
    (libc::SYS_mlock, "mlock", &[]),
    (libc::SYS_mmap, "mmap", &[]),
    (libc::SYS_mprotect, "mprotect", &[]),
    (libc::SYS_mremap, "mremap", &[]),
    (libc::SYS_munlock, "munlock", &[]),
    (libc::SYS_munmap, "munmap", &[]),
    (libc::SYS_nanosleep, "nanosleep", &[]),
    (libc::SYS_newfstatat, "newfstatat", &[At(0, 1)]),
    (libc::SYS_open, "open", &[Named(0)]),
    (libc::SYS_openat, "openat", &[At(0, 1)]),
    (libc::SYS_openat2, "openat2", &[At(0, 1)]),
    (libc::SYS_pidfd_open, "pidfd_open", &[]),
    (libc::SYS_pidfd_send_signal, "pidfd_send_signal", &[Fd(0)]),
    (libc::SYS_pipe2, "pipe2", &[]),
    (libc::SYS_poll, "poll", &[]),
    (libc::SYS_ppoll, "ppoll", &[]),
    (libc::SYS_prctl, "prctl", &[]),
    (libc::SYS_pread64, "pread64", &[Fd(0), Length(2)]),
    (libc::SYS_prlimit64, "prlimit64", &[]),
    (libc::SYS_pwrite64, "pwrite64", &[Fd(0), Length(2)]),
    (libc::SYS_read, "read", &[Fd(0), Length(2)]),
    (libc::SYS_readlink, "readlink", &[Named(0)]),
    (libc::SYS_readlinkat, "readlinkat", &[At(0, 1)]),
    (libc::SYS_readv, "readv", &[Fd(0)]),
    (libc::SYS_recvfrom, "recvfrom", &[Fd(0), Length(2)]),
    (libc::SYS_recvmsg, "recvmsg", &[Fd(0)]),
    (libc::SYS_rename, "rename", &[Named(0), Named(1)]),
    (libc::SYS_renameat, "renameat", &[At(0, 1), At(2, 3)]),
    (libc::SYS_renameat2, "renameat2", &[At(0, 1), At(2, 3)]),
    (libc::SYS_restart_syscall, "restart_syscall", &[]),
    (libc::SYS_rseq, "rseq", &[]),
    (libc::SYS_rt_sigaction, "rt_sigaction", &[]),
    (libc::SYS_rt_sigprocmask, "rt_sigprocmask", &[]),
    (libc::SYS_rt_sigreturn, "rt_sigreturn", &[]),
    (libc::SYS_sched_getaffinity, "sched_getaffinity", &[]),
    (libc::SYS_sched_yield, "sched_yield", &[]),
    (libc::SYS_sendfile, "sendfile", &[Fd(0), Fd(1), Length(3)]),
    (libc::SYS_sendto, "sendto", &[Fd(0), Length(2)]),
    (libc::SYS_set_robust_list, "set_robust_list", &[]),
    (libc::SYS_set_tid_address, "set_tid_address", &[]),
    (libc::SYS_setpgid, "setpgid", &[]),
    (libc::SYS_setsid, "setsid", &[]),
    (libc::SYS_sigaltstack, "sigaltstack", &[]),
    (libc::SYS_socket, "socket", &[]),
    (libc::SYS_socketpair, "socketpair", &[]),
    (libc::SYS_splice, "splice", &[Fd(0), Fd(2), Length(4)]),
    (libc::SYS_stat, "stat", &[Named(0)]),
    (libc::SYS_statfs, "statfs", &[Named(0)]),
    (libc::SYS_statx, "statx", &[At(0, 1)]),
    (libc::SYS_symlinkat, "symlinkat", &[At(1, 2)]),
    (libc::SYS_syncfs, "syncfs", &[Fd(0)]),
    (libc::SYS_tgkill, "tgkill", &[]),
    (libc::SYS_tkill, "tkill", &[]),
    (libc::SYS_uname, "uname", &[]),
    (libc::SYS_unlink, "unlink", &[Named(0)]),
    (libc::SYS_unlinkat, "unlinkat", &[At(0, 1)]),
    (libc::SYS_utimensat, "utimensat", &[At(0, 1)]),
    (libc::SYS_vfork, "vfork", &[]),
    (libc::SYS_wait4, "wait4", &[]),
    (libc::SYS_waitid, "waitid", &[]),
    (libc::SYS_write, "write", &[Fd(0), Length(2)]),
    (libc::SYS_writev, "writev", &[Fd(0)]),
];

/// A system call of a thread that is stopped at its entry or exit.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The thread's process, whose memory can be read.
    pub(crate) process: Pid,
    pub(crate) thread: Pid,
    /// The thread's place in the order in which threads, and processes, came; the first is 0.
    pub(crate) thread_index: usize,
    /// Its place among the calls of the thread.
    pub(crate) ordinal: usize,
    pub(crate) number: c_long,
    pub(crate) arguments: [u64; 6],
}

impl Call {
    pub(super) fn new(
        thread: Pid,
        process: Pid,
        thread_index: usize,
        ordinal: usize,
        registers: &user_regs_struct,
    ) -> Self {
        let r = registers;
        let arguments = [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9];
        let number = r.orig_rax.cast_signed();
        Self { process, thread, thread_index, ordinal, number, arguments }
    }

    /// Its name; empty where it is not among those that are known by name.
    pub(crate) fn name(&self) -> &'static str {
        self.known().map_or("", |(_, name, _)| name)
    }

    /// The length that it is to transfer, with the place of the argument.
    pub(crate) fn length(&self) -> Option<(usize, u64)> {
        let kinds = self.known().map_or(&[][..], |(.., kinds)| kinds);
        let place = kinds.iter().find_map(|kind| match kind {
            Length(place) => Some(*place),
            At(..) | Fd(_) | Named(_) => None,
        })?;
        Some((place, self.arguments[place]))
    }

    /// The paths that it is about, also those of its descriptors, as far as they are known.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let kinds = self.known().map_or(&[][..], |(.., kinds)| kinds);
        kinds.iter().filter_map(|kind| self.path(*kind)).collect()
    }

    /// Whether the last component of one of its paths is this.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.paths().iter().any(|path| path.file_name().is_some_and(|last| last == name))
    }

    /// An argument as it stands.
    pub(crate) fn argument(&self, place: usize) -> u64 {
        self.arguments[place]
    }

    /// The string that an argument points to.
    pub(crate) fn string(&self, place: usize) -> Option<Vec<u8>> {
        memory::string(self.process, self.arguments[place])
    }

    /// What the process has in its memory, as far as it can read it itself.
    pub(crate) fn memory(&self) -> Vec<Mapping> {
        memory::mappings(self.process)
    }

    fn known(&self) -> Option<&'static (c_long, &'static str, &'static [Kind])> {
        CALLS.iter().find(|(number, ..)| *number == self.number)
    }

    fn path(&self, kind: Kind) -> Option<PathBuf> {
        match kind {
            Fd(place) => self.descriptor(self.arguments[place]),
            At(directory, name) => {
                let name = String::from_utf8(self.string(name)?).ok()?;
                if Path::new(&name).is_absolute() {
                    return Some(name.into());
                }
                Some(self.descriptor(self.arguments[directory])?.join(name))
            }
            Named(place) => Some(String::from_utf8(self.string(place)?).ok()?.into()),
            Length(_) => None,
        }
    }

    fn descriptor(&self, number: u64) -> Option<PathBuf> {
        // Descriptors are of 32 bits; the upper half says nothing.
        let low = u32::try_from(number & u64::from(u32::MAX)).unwrap().cast_signed();
        let name = if low == libc::AT_FDCWD { "cwd".to_owned() } else { format!("fd/{low}") };
        fs::read_link(format!("/proc/{}/{name}", self.process)).ok()
    }
}

/// The register of an argument.
pub(super) fn argument(registers: &mut user_regs_struct, place: usize) -> &mut u64 {
    let r = registers;
    let places = [&mut r.rdi, &mut r.rsi, &mut r.rdx, &mut r.r10, &mut r.r8, &mut r.r9];
    places.into_iter().nth(place).expect("six arguments")
}

/// The process of a thread.
pub(super) fn process_of(thread: Pid) -> Option<Pid> {
    status_line(thread, "Tgid:")
}

/// The parent of a process.
pub(super) fn parent_of(process: Pid) -> Option<Pid> {
    status_line(process, "PPid:")
}

fn status_line(pid: Pid, key: &str) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().parse().ok().map(Pid::from_raw)
}
