//! What the tests need of the host: tools, a directory, loop mounts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use credimg_formats::{Result, Sink, Source};

/// Runs a tool that must succeed.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?} cannot start ({error}); `make setup` installs the reference tools")
    });
    assert!(
        output.status.success(),
        "{command:?} failed: {}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Where `make setup` has put what is unpacked and not installed.
pub(crate) fn cache() -> PathBuf {
    // The repository, whichever of its packages is tested.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().find(|path| path.join("scripts/setup-tools").exists());
    let default = || root.unwrap_or(here).join(".cache");
    std::env::var_os("CREDIMG_CACHE").map_or_else(default, PathBuf::from)
}

/// Has two threads do the work of half the seeds each: whoever calls tools waits most of the time.
pub(crate) fn halves(seeds: Range<u64>, work: impl Fn(Range<u64>) + Sync) {
    let middle = seeds.start.midpoint(seeds.end);
    std::thread::scope(|scope| {
        scope.spawn(|| work(seeds.start..middle));
        work(middle..seeds.end);
    });
}

/// A whole host file as a source.
pub(crate) struct Whole(pub(crate) PathBuf);

impl Source for Whole {
    fn stream(&self, planned_bytes: u64, sink: &mut dyn Sink) -> Result<()> {
        let file = File::open(&self.0)?;
        sink.copy_from_file(&file, planned_bytes)?;
        Ok(())
    }
}

/// A directory of the test's own, removed at its end.
pub(crate) struct Scratch(PathBuf);

/// Those that tests have just now.
static IN_USE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

impl Scratch {
    /// The directory for this purpose, which no other test that runs has.
    pub(crate) fn new(purpose: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(purpose);
        let is_new = IN_USE.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
        assert!(is_new, "two tests use {} at a time", path.display());
        unmount_below(&path);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("mnt")).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Mounts `image` by the kernel and looks at it.
    pub(crate) fn mounted(&self, file_system: &str, image: &Path, look: impl FnOnce(&Path)) {
        let root = self.path("mnt");
        let options = ["-t", file_system, "-o", "loop,ro"];
        run(Command::new("mount").args(options).arg(image).arg(&root));
        // Unmount whatever the look says.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look(&root)));
        unmount(&root);
        leave_to_holder(image);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Unmounts what a run that was killed has left there.
fn unmount_below(path: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let roots = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
    roots.filter(|root| root.starts_with(path)).for_each(unmount);
}

/// A program that another test has just started holds all open files until it runs.
fn unmount(root: &Path) {
    for _ in 0..100 {
        let output = Command::new("umount").arg(root).output().unwrap();
        if output.status.success() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    run(Command::new("umount").arg(root));
}

/// Somebody else's mount namespace, such as one of a program in a sandbox, can have a copy of the
/// mount, which keeps the loop device. A mount of the same file would take that device again, and
/// show what the file held then: so the image becomes another file of the same name and content.
fn leave_to_holder(image: &Path) {
    let devices = std::fs::read_dir("/sys/block").unwrap().map(|entry| entry.unwrap().path());
    let mut files = devices.flat_map(|it| std::fs::read_to_string(it.join("loop/backing_file")));
    if files.any(|file| Path::new(file.trim_end()) == image) {
        let copy = image.with_extension("copy");
        std::fs::copy(image, &copy).unwrap();
        std::fs::rename(&copy, image).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
        IN_USE.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Leaves holes where the image holds zeros, so that huge images are quick to write.
pub(crate) struct SparseSink {
    file: File,
    position: u64,
}

impl SparseSink {
    pub(crate) fn create(path: &Path) -> Self {
        Self { file: File::create(path).unwrap(), position: 0 }
    }

    /// Gives the file its whole length, which it returns.
    pub(crate) fn finish(self) -> u64 {
        self.file.set_len(self.position).unwrap();
        self.position
    }
}

impl io::Write for SparseSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().any(|byte| *byte != 0) {
            self.file.write_all_at(bytes, self.position)?;
        }
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for SparseSink {
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        assert!(bytes.len() as u64 <= back_bytes, "only what is written can be rewritten");
        self.file.write_all_at(bytes, self.position - back_bytes)
    }
}
