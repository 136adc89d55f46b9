//! Starts the machine that QEMU's arguments describe and compares what arrives in it with what was
//! sent. The machine runs a kernel and a program of ours, not what is on its disks.
//!
//! That program is `init/`, compiled for the guest's processor. It reports keyed hashes on the
//! console, never the content itself, and every run has a new key. ARCHITECTURE.md describes the
//! lines that it prints.
//!
//! Invariant: nothing that was sent appears in QEMU's arguments unless it was there before, nor in
//! any output, and no writable disk is opened.

mod arguments;
mod drivers;
mod guest;
mod initrd;
mod kernel;
#[path = "../../init/keyed_hash.rs"]
mod keyed_hash;
mod modules;
mod program;
mod properties;
mod sent;
#[path = "../../init/smbios.rs"]
mod smbios;
mod tail;
mod verdict;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use self::arguments::MachineArguments;
use self::initrd::{Initrd, PROGRAM};
use self::kernel::Kernel;
use self::keyed_hash::Key;
use self::modules::Modules;
pub use self::sent::Carrier;
use self::sent::Sent;
pub use self::verdict::{Judged, Verdict};
use crate::host::output::{MemoryFile, SealedFile};
use crate::host::random;
use crate::monitors::qemu::own_machine;
use crate::monitors::{Board, MachineType};
use crate::report::{Exit, Failure};

/// What a probe is made with.
pub struct Setup<'a> {
    /// QEMU with its arguments; a program that starts it, such as `env`, may stand before.
    pub words: &'a [OsString],
    /// Names of environment variables that QEMU does not inherit.
    pub hidden: &'a [OsString],
    /// The kernel to start, in place of the host's.
    pub kernel: Option<PathBuf>,
    /// The directory of the kernel's modules, where it is not in its usual place.
    pub modules: Option<PathBuf>,
    /// A program for the guest to start, in place of the one that belongs to credimg.
    pub init: Option<PathBuf>,
    /// How long the guest may take to report everything once.
    pub timeout: Duration,
}

/// Starts the machine, and says of each thing that was sent whether it has arrived.
pub fn run(setup: &Setup) -> Result<Vec<Judged>, Failure> {
    let Some((start, architecture)) = own_machine::position(setup.words) else {
        let message = "no word behind -- is a QEMU";
        let hint = "a script or shell cannot be probed: give the arguments that it starts \
                    qemu-system-... with";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    };
    let (before, arguments) = setup.words.split_at_checked(start + 1).unwrap_or_default();
    let own = MachineArguments::read(arguments)?;
    let mut random = Zeroizing::new([0; 16]);
    random::fill(&mut *random)?;
    let key = Key::new(&*random);
    let end = sent::end_of_initrd(&own)?;
    let things = sent::things(&own, &end, &key)?;
    if things.is_empty() {
        let message = "these arguments send nothing";
        let hint = "name a manifest, or add what `credimg args` prints";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let kernel = Kernel::find(setup.kernel.as_deref(), setup.modules.as_deref(), architecture)?;
    let modules = kernel.modules.as_deref().map(Modules::open).transpose()?;
    let program = program::find(setup.init.as_deref(), architecture)?;
    let initrd = initrd(&program, &*random, &things, modules.as_ref(), &end)?;

    let machine_type = own_machine::read(setup.words).unwrap_or(MachineType::UNKNOWN);
    let mut words = before.to_vec();
    words.extend(own.kept.iter().cloned());
    words.extend(ours(&kernel, &initrd, kernel_line(machine_type, architecture, &own)));
    initrd.pass_on()?;
    let told = guest::run(&words, setup.hidden, setup.timeout, |told| {
        let mut disks = things.iter().filter(|thing| thing.carrier == Carrier::Disk);
        disks.any(|disk| !verdict::has_arrived(disk, told))
    })?;
    Ok(verdict::judge(things, &told, machine_type, modules.as_ref()))
}

/// The initrd of the probe. Behind it comes a copy of the archive of credentials that ends the
/// machine's own initrd.
fn initrd(
    program: &[u8],
    key: &[u8],
    things: &[Sent],
    modules: Option<&Modules>,
    end_of_own: &[u8],
) -> Result<SealedFile, Failure> {
    let mut initrd = Initrd::new(program);
    initrd.add_own("key", key);
    if let Some(modules) = modules {
        let wanted: BTreeSet<_> = things.iter().flat_map(|thing| &thing.drivers).copied().collect();
        let mut names = String::new();
        for module in modules.load(&wanted)? {
            initrd.add_own(&format!("{}.ko", module.name), &module.content);
            names = names + &module.name + "\n";
        }
        initrd.add_own("modules", names.as_bytes());
    }
    let (tail, members) = tail::archive(end_of_own).unwrap_or_default();
    let paths = members.iter().map(|member| member.path).collect::<Vec<_>>();
    initrd.add_own("files", &paths.join(&b'\n'));
    let mut file = MemoryFile::create("the initrd in memory")?;
    file.write(initrd.finish().expose())?;
    // Credentials are the last archive here, as they are in the machine's own initrd.
    file.write(tail)?;
    file.seal()
}

/// The command line of the kernel. It keeps the kernel quiet, and has a panic end the machine.
fn kernel_line(machine: MachineType, architecture: &str, own: &MachineArguments) -> Vec<u8> {
    let is_x86 = architecture != "aarch64";
    let console = if is_x86 { "ttyS0" } else { "ttyAMA0" };
    let mut line = format!(
        "console={console} quiet panic=-1 rdinit=/{PROGRAM} maxcpus=1 usb_storage.delay_use=0"
    );
    if is_x86 {
        // A busy host is too slow for the kernel's test of the timer, which ends in a panic.
        line += " no_timer_check";
    }
    if machine.board == Board::Microvm && !own.asks_kvm() {
        // Without the clock of KVM it has nothing to measure its time by.
        line += " tsc_early_khz=2500000";
    }
    let words = own.words.iter().filter(|word| sent::is_for_guest(word));
    words.fold(line.into_bytes(), |line, word| [&line[..], b" ", word].concat())
}

/// The arguments that replace the machine's own kernel, console and network.
fn ours(kernel: &Kernel, initrd: &SealedFile, line: Vec<u8>) -> Vec<OsString> {
    let fixed = [
        "-display",
        "none",
        "-vga",
        "none",
        "-nic",
        "none",
        "-monitor",
        "none",
        "-parallel",
        "none",
        "-serial",
        "stdio",
        "-no-reboot",
        // With a kernel of the host's fw_cfg has one item more than it may have room for.
        "-global",
        "fw_cfg_io.x-file-slots=64",
        "-global",
        "fw_cfg_mem.x-file-slots=64",
    ];
    let mut words: Vec<OsString> = fixed.into_iter().map(OsString::from).collect();
    words.extend(["-kernel".into(), kernel.image.clone().into_os_string()]);
    words.extend(["-initrd".into(), initrd.path().into_os_string()]);
    words.extend(["-append".into(), OsString::from_vec(line)]);
    words
}
