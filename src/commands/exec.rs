//! `credimg exec`: manifest in, image in memory; then this process becomes the monitor that uses
//! it.
//!
//! Everything secret goes into sealed files in memory, whose descriptors the monitor inherits. No
//! secret is written to a disk, and none is in the monitor's arguments or environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueHint};
use credimg_formats::luks::Version;
use rustix::fs::Access;

use super::options::{Attach, Recipe, Sources};
use crate::delivery::guest::Guest;
use crate::delivery::sidecar::{self, Sidecar};
use crate::fleet::one;
use crate::host::memory::without_traces;
use crate::host::output::{MemoryFile, SealedFile};
use crate::host::signals;
use crate::job::Job;
use crate::job::destination::{Destination, Heir};
use crate::job::image::Written;
use crate::job::read_back;
use crate::monitors::qemu::{own_machine, taken_slots};
use crate::monitors::{Drive, DriveKey, Firmware, Machine, MachineType, Monitor, Place, Style};
use crate::report::{self, Exit, Failure, line, shown, verbose};
use crate::sources::assemble::Assembly;
use crate::sources::environment;

#[derive(Args, Debug)]
#[command(override_usage = "credimg exec <MANIFEST> [OPTIONS] -- <PROGRAM> [ARG]...")]
#[command(after_help = "\
The arguments that attach the image follow those of PROGRAM, or stand where one of these is {}.
Where one holds {image}, this becomes the image's path, and the drive is attached by it alone; so
does {initrd} become the path of the initrd with credentials. An -initrd of QEMU's own arguments is
taken for the guest's own, and replaced where credentials go by it.

PROGRAM takes the place of credimg: its process, terminal and exit code are its own. Exit code 6
says that it could not be started.

Examples:
  # QEMU with the machine's own disk; the arguments of the image follow
  credimg exec secrets.yaml -- qemu-system-x86_64 -m 1G -drive file=root.img,format=qcow2
  # A script that starts QEMU, and hands on what stands in place of {}
  credimg exec secrets.yaml --args blockdev -- ./start-vm.sh {}
  # A monitor that is told the path of the image
  credimg exec secrets.yaml --target cloud-hypervisor -- cloud-hypervisor --kernel vmlinux \\
    --disk path=root.img path={image},readonly=on,image_type=raw")]
pub struct Exec {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// Print no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// The monitor, looked up in PATH, or what starts it in its own place, and its arguments
    #[arg(value_name = "PROGRAM", last = true, required = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
    /// What is made, and of what.
    #[command(flatten)]
    pub recipe: Recipe,
    /// How the image is attached.
    #[command(flatten)]
    pub attach: Attach,
}

/// What is made in memory, and for which monitor: the options of the command line.
#[derive(Clone, Copy)]
pub(super) struct InMemory<'a> {
    pub(super) manifest: &'a Path,
    pub(super) quiet: bool,
    pub(super) command: &'a [OsString],
    pub(super) recipe: &'a Recipe,
    pub(super) attach: &'a Attach,
}

/// A word that is replaced by all arguments.
const ARGUMENTS: &str = "{}";
/// A part of a word that is replaced by the image's path.
const IMAGE: &str = "{image}";
/// A part of a word that is replaced by the initrd's path.
const INITRD: &str = "{initrd}";
/// Where `execvp` of the GNU C library looks if there is no PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

pub(super) fn run(options: &Exec) -> Result<(), Failure> {
    let Exec { manifest, quiet, command, recipe, attach } = options;
    let invocation = Invocation::new(command)?;
    let made =
        make_machine(&InMemory { manifest, quiet: *quiet, command, recipe, attach }, &invocation)?;

    let mut command = Command::new(&invocation.program);
    command.arg0(invocation.name).args(&made.words);
    for variable in &made.variables {
        command.env_remove(variable);
    }
    verbose::tell(|| format!("starting {}", shown(&invocation.program)));
    signals::let_through()?;
    made.pass_on()?;
    // This gives SIGPIPE, which Rust's runtime ignores, its default action again. Core dumps stay
    // off, as the monitor's memory will hold what the guest reads.
    let error = command.exec();
    let program = shown(&invocation.program);
    let message = format!("cannot start {program}: {}", report::reason(&error));
    Err(Failure::new(Exit::Command, message))
}

/// The arguments of a monitor, and what it inherits.
pub(super) struct Made {
    /// The words behind the program's name.
    pub(super) words: Vec<OsString>,
    /// What it does not inherit of the environment.
    pub(super) variables: Vec<OsString>,
    files: Vec<SealedFile>,
}

impl Made {
    /// Has programs that are started from now on inherit all files.
    pub(super) fn pass_on(&self) -> Result<(), Failure> {
        self.files.iter().try_for_each(SealedFile::pass_on)
    }
}

/// Makes everything that the machine is given.
pub(super) fn make_machine(
    options: &InMemory<'_>,
    invocation: &Invocation<'_>,
) -> Result<Made, Failure> {
    let Attach { style, .. } = *options.attach;
    let target = target(options);
    // A monitor that cannot inherit an image is an error before a source is read.
    target.words(&Machine::default(), style)?;
    let Inheritance { machine, image, mut files, variables } =
        without_traces(|| make(options, invocation))?;
    let words = invocation.words(target, style, machine, &image.path())?;
    files.push(image);
    Ok(Made { words, variables, files })
}

/// The monitor that is started. The `target` of a fleet's machine does not count: it may be a
/// program that drives a monitor, as libvirt does.
fn target(options: &InMemory<'_>) -> Monitor {
    options.attach.target.unwrap_or_default()
}

/// The machine type that the monitor's own arguments name. Warns if an option names another one, or
/// if nothing is known of it.
fn own_machine(options: &InMemory<'_>, is_fleet: bool) -> Result<Option<MachineType>, Failure> {
    let InMemory { recipe, attach, command, .. } = *options;
    if !target(options).is_told_machine() {
        return Ok(None);
    }
    let own = own_machine::read(command);
    let guest = recipe.guest.as_deref().map(Guest::parse).transpose()?;
    let wish = attach.machine.wishes().machine_type(is_fleet)?;
    let named = wish.or(guest.and_then(|guest| guest.machine_type));
    if let (Some(named), Some(own)) = (named, own)
        && !named.is_like(own)
    {
        report::warn(&format!(
            "the arguments of the program start the machine type {}, and what it gets is for {}, \
             as an option says: the guest may miss its disk or its credentials",
            own.name(),
            named.name()
        ));
    }
    if named.is_none() && own == Some(MachineType::UNKNOWN) {
        report::warn(
            "what this machine's firmware carries is not known: everything goes onto the disk; \
             --machine names one that is known",
        );
    }
    Ok(own)
}

/// What the monitor inherits.
struct Inheritance {
    machine: Machine,
    image: SealedFile,
    /// The files that the firmware reads.
    files: Vec<SealedFile>,
    /// What it does not inherit of the environment.
    variables: Vec<OsString>,
}

/// Reads every source and fills the files. All other memory that has held a secret is wiped when
/// this returns: later, when another program takes over, nothing is dropped any more.
fn make(options: &InMemory<'_>, invocation: &Invocation<'_>) -> Result<Inheritance, Failure> {
    let Sources { trust, pseudo_file, .. } = &options.recipe.sources;
    let manifest =
        one::load(options.manifest, options.attach.machine.name(), trust.trust, pseudo_file, None)?;
    let own_machine = own_machine(options, manifest.machine.is_some())?;
    // The monitor's environment must not show what the image holds.
    let variables = environment::sources(&manifest).cloned().collect();
    let heir = Heir {
        machine_type: own_machine,
        free_place: invocation.free_place(),
        initrd: invocation.own_initrd(options)?,
    };
    let mut wishes = options.recipe.wishes(options.attach);
    wishes.attach.target = Some(target(options));
    let job = Job::new(manifest, &wishes, Destination::Memory(heir))?;
    require_delivery(&job, invocation)?;
    job.advise(options.quiet)?;
    if let Some(encryptor) = job.image.encryptor.as_ref().filter(|_| !options.quiet) {
        encryptor.note();
    }
    let _standing = line::begin(!options.quiet);
    let collected = job.collect()?;
    collected.losses(&job.image).warn();
    let assembly = collected.assembly;
    let (image, written) = write_image(&job, &assembly, options.recipe.verify)?;
    let unlock = job.unlock(written.sealed.as_ref())?;
    let sidecars = job.sidecars(&assembly, unlock.as_ref())?;
    let mut files = Vec::with_capacity(sidecars.len());
    for Sidecar { head, content, .. } in &sidecars {
        let mut file = MemoryFile::create("a credential in memory")?;
        head.as_ref().map_or(Ok(()), |head| head.copy_to(file.sink()))?;
        file.write(content.expose())?;
        files.push(file.seal()?);
    }
    // QEMU opens these by their paths: for `-smbios` and `-fw_cfg` it takes no set of descriptors.
    let suffixes = sidecars.iter().map(|sidecar| sidecar.suffix.as_str());
    let firmware = Firmware {
        public: sidecar::public(&assembly.routes, unlock.as_ref()),
        ..sidecar::firmware_of(suffixes.clone().zip(files.iter().map(SealedFile::path)))
    };
    let initrd = sidecar::initrd_of(suffixes.zip(files.iter().map(SealedFile::path)));
    let key = drive_key(&job, &mut files)?;
    let (path, descriptor) = (image.path(), Some(image.number()));
    let kernel_line = job.kernel_line(&assembly.routes);
    let drive = Some(Drive { path, descriptor, key, ..job.drive });
    let machine = Machine { drive, firmware, initrd, kernel_line };
    Ok(Inheritance { machine, image, files, variables })
}

/// An error if something would not reach the monitor or its guest. No source is read before.
fn require_delivery(job: &Job, invocation: &Invocation) -> Result<(), Failure> {
    if let Some(encryptor) = &job.image.encryptor {
        match encryptor.luks() {
            Version::Luks1 if invocation.has_image() => {
                let message =
                    format!("{IMAGE} attaches the image as it is, and QEMU is to open this one");
                let hint = format!("leave {IMAGE} out, or use LUKS2, which the guest opens");
                return Err(Failure::new(Exit::Usage, message).hint(hint));
            }
            Version::Luks1 | Version::Luks2 => {}
        }
        if encryptor.key_file.is_none() && job.is_closed()? {
            let message = "the key would be in this process alone, and does not reach the guest";
            let hint = "give --key-file or --key-out, or use another target";
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        }
    }
    if !invocation.has_room() && job.may_need_arguments(invocation.has_mark(INITRD))? {
        return Err(no_room());
    }
    Ok(())
}

/// The key by which QEMU opens an encrypted image. It is added to `files`, unless it is wrapped in
/// the arguments.
fn drive_key(job: &Job, files: &mut Vec<SealedFile>) -> Result<Option<DriveKey>, Failure> {
    let Some(encryptor) = &job.image.encryptor else { return Ok(None) };
    match (encryptor.luks(), &job.drive.key) {
        (Version::Luks2, _) => Ok(None),
        (Version::Luks1, Some(key @ DriveKey::Wrapped { .. })) => Ok(Some(key.clone())),
        (Version::Luks1, None | Some(DriveKey::File(_))) => {
            let mut file = MemoryFile::create("a key in memory")?;
            file.write(encryptor.key.secret().expose())?;
            let file = file.seal()?;
            let key = DriveKey::File(file.path());
            files.push(file);
            Ok(Some(key))
        }
    }
}

/// Writes the image into memory. No other place does.
fn write_image(
    job: &Job,
    assembly: &Assembly,
    verifies: bool,
) -> Result<(SealedFile, Written), Failure> {
    let mut file = MemoryFile::create("the image in memory")?;
    let written = job.image.write(&assembly.tree, file.sink())?;
    if verifies {
        read_back::check(&job.image, &assembly.tree, file.reread()?, &written)?;
    }
    Ok((file.seal()?, written))
}

/// The program and its arguments, as the command line has them.
pub(super) struct Invocation<'a> {
    name: &'a OsStr,
    /// The path at which the program was found.
    program: PathBuf,
    words: &'a [OsString],
}

impl<'a> Invocation<'a> {
    pub(super) fn new(command: &'a [OsString]) -> Result<Self, Failure> {
        let (name, words) = command
            .split_first()
            .ok_or_else(|| Failure::new(Exit::Usage, "there is no program to start"))?;
        if words.iter().filter(|word| *word == ARGUMENTS).count() > 1 {
            let message = format!("{ARGUMENTS} can be there once: an image is attached once");
            return Err(Failure::new(Exit::Usage, message));
        }
        let program = find(name, std::env::var_os("PATH").as_deref())?;
        Ok(Self { name, program, words })
    }

    /// The first place for a disk that the program's arguments leave free.
    fn free_place(&self) -> Place {
        taken_slots::free_place(self.words.iter().map(|word| word.as_bytes()))
    }

    fn has_arguments(&self) -> bool {
        self.words.iter().any(|word| word == ARGUMENTS)
    }

    fn has_image(&self) -> bool {
        self.has_mark(IMAGE)
    }

    fn has_mark(&self, mark: &str) -> bool {
        self.words.iter().any(|word| replaced(word, mark, OsStr::new("")) != *word)
    }

    /// The index of the word in which QEMU's own arguments name an initrd.
    fn initrd_at(&self, target: Monitor) -> Option<usize> {
        let is_mark = |at: &usize| self.words.get(*at).is_some_and(|word| word == INITRD);
        // The program's name is the first word: only where a word is a QEMU is the meaning of
        // `-initrd` known.
        let words: Vec<_> =
            std::iter::once(self.name).chain(self.words.iter().map(|it| &**it)).collect();
        let at = own_machine::initrd(&words).filter(|_| target.is_told_machine())?;
        at.checked_sub(1).filter(|at| !is_mark(at))
    }

    /// The guest's own initrd, as QEMU's arguments name it. An error if an option names one as
    /// well, or if there is none to replace `{initrd}` by.
    fn own_initrd(&self, options: &InMemory<'_>) -> Result<Option<PathBuf>, Failure> {
        let at = self.initrd_at(target(options));
        let has_mark = self.has_mark(INITRD);
        match (&options.recipe.initrd, at) {
            (Some(_), Some(_)) => {
                let message = "--initrd and the program's own -initrd name two initrds";
                let hint = format!("leave one of them out, or write -initrd {INITRD}");
                Err(Failure::new(Exit::Usage, message).hint(hint))
            }
            (None, _) if has_mark => {
                let message = format!("{INITRD} stands for an initrd, and none is given");
                let hint = "name the guest's own initrd with --initrd";
                Err(Failure::new(Exit::Usage, message).hint(hint))
            }
            (Some(_), None) => Ok(None),
            (None, at) => Ok(at.and_then(|at| self.words.get(at)).map(PathBuf::from)),
        }
    }

    /// Whether the command line has a place for the firmware's arguments.
    fn has_room(&self) -> bool {
        self.has_arguments() || !self.has_image()
    }

    /// The program's arguments together with those that give it `machine`. If one of them places
    /// the image itself, they attach the drive, too.
    fn words(
        &self,
        target: Monitor,
        style: Style,
        mut machine: Machine,
        image: &Path,
    ) -> Result<Vec<OsString>, Failure> {
        if self.has_image() {
            machine.drive = None;
        }
        let initrd_at = self.initrd_at(target);
        let initrd =
            if self.has_mark(INITRD) || initrd_at.is_some() { machine.initrd.take() } else { None };
        let mut arguments = target.words(&machine, style)?;
        if !self.has_room() && !arguments.is_empty() {
            return Err(no_room());
        }
        let mut words = Vec::with_capacity(self.words.len() + arguments.len());
        for (at, word) in self.words.iter().enumerate() {
            match &initrd {
                _ if word == ARGUMENTS => words.append(&mut arguments),
                Some(initrd) if initrd_at == Some(at) => words.push(initrd.into()),
                Some(initrd) => {
                    let word = replaced(word, INITRD, initrd.as_os_str());
                    words.push(replaced(&word, IMAGE, image.as_os_str()));
                }
                None => words.push(replaced(word, IMAGE, image.as_os_str())),
            }
        }
        words.append(&mut arguments);
        Ok(words)
    }
}

fn no_room() -> Failure {
    let message = format!("{IMAGE} attaches the disk alone, and the guest gets more than that");
    let hint = format!("write {ARGUMENTS} where the other arguments go");
    Failure::new(Exit::Usage, message).hint(hint)
}

/// The word with every `mark` in it replaced by `path`.
fn replaced(word: &OsStr, mark: &str, path: &OsStr) -> OsString {
    let mark = mark.as_bytes();
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        let (before, from_mark) = rest.split_at(at);
        bytes.extend([before, path.as_bytes()].concat());
        rest = from_mark.strip_prefix(mark).unwrap_or_default();
    }
    bytes.extend(rest);
    OsString::from_vec(bytes)
}

/// Finds the program as `execvp` does. This is done early, so that nothing is read in vain.
fn find(name: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, Failure> {
    let here = Path::new(".");
    let candidates: Vec<PathBuf> = if name.as_bytes().contains(&b'/') {
        vec![name.into()]
    } else if name.is_empty() {
        Vec::new()
    } else {
        let directories = std::env::split_paths(path.unwrap_or(OsStr::new(DEFAULT_PATH)));
        // An empty item is the working directory. With its path in front the program is not looked
        // up again.
        directories.map(|directory| here.join(directory).join(name)).collect()
    };
    if let Some(program) = candidates.iter().find(|candidate| is_executable(candidate)) {
        return Ok(program.clone());
    }
    let is_there = candidates.iter().any(|candidate| candidate.exists());
    let fault =
        if is_there { "it is no file that may be executed" } else { "there is no such file" };
    let message = format!("cannot start {}: {fault}", shown(Path::new(name)));
    let hint = "behind -- stand the monitor, which is looked up in PATH, and its arguments";
    Err(Failure::new(Exit::Command, message).hint(hint))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}
