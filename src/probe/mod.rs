//! Starts the machine that QEMU's arguments describe, with a kernel and a program of ours in place
//! of what is on its disks, and compares what arrives there with what was sent.
//!
//! The program is `init/`, for the guest's processor. It tells keyed hashes alone, by the console;
//! the key is another one each time. ARCHITECTURE.md says more of how the two talk.
//!
//! Invariant: nothing that was sent stands in QEMU's arguments that did not before, nor in any
//! output, and no disk that can be written is opened.

mod arguments;
mod drivers;
mod guest;
mod initrd;
mod kernel;
#[path = "../../init/mark.rs"]
mod mark;
mod modules;
mod program;
mod properties;
mod sent;
#[path = "../../init/tables.rs"]
mod tables;
mod tail;
mod verdict;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use self::arguments::Own;
use self::initrd::{Initrd, PROGRAM};
use self::kernel::Kernel;
use self::mark::Key;
use self::modules::Modules;
use self::sent::Thing;
pub use self::sent::Way;
pub use self::verdict::{Judged, Verdict};
use crate::host::output::{MemoryFile, SealedFile};
use crate::host::random;
use crate::monitors::qemu::own_machine;
use crate::monitors::{Board, MachineType};
use crate::report::{Exit, Failure};

/// What a probe is made with.
pub struct Setup<'a> {
    /// QEMU, perhaps with what starts it before and its arguments behind.
    pub words: &'a [OsString],
    /// What QEMU does not inherit of the environment.
    pub hidden: &'a [OsString],
    /// Another kernel than the host's.
    pub kernel: Option<PathBuf>,
    /// Where its modules are, if not where they belong.
    pub modules: Option<PathBuf>,
    /// Another program than the own one.
    pub init: Option<PathBuf>,
    /// How long the machine may take.
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
    let own = Own::read(arguments)?;
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
        let mut disks = things.iter().filter(|thing| thing.way == Way::Disk);
        disks.any(|disk| !verdict::has_arrived(disk, told))
    })?;
    Ok(verdict::judge(things, &told, machine_type, modules.as_ref()))
}

/// What the machine unpacks.
fn initrd(
    program: &[u8],
    key: &[u8],
    things: &[Thing],
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
    // As the guest's own initrd has it: the last archive.
    file.write(tail)?;
    file.seal()
}

/// What the kernel is told. It says little; what it says of a panic ends the machine.
fn kernel_line(machine: MachineType, architecture: &str, own: &Own) -> Vec<u8> {
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

/// The arguments that stand in place of the machine's own kernel, console and network.
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
