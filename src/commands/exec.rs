//! `credimg exec`: manifest in, image in memory, and this process becomes the
//! monitor that has it.
//!
//! What is secret goes into sealed files in memory, whose descriptors the
//! monitor inherits: nothing of it is written to any disk, and neither the
//! monitor's arguments nor its environment hold any of it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueHint};
use rustix::fs::Access;

use super::options::{Attach, Recipe, Sources};
use crate::delivery::sidecar::{self, Sidecar};
use crate::host::memory::without_traces;
use crate::host::output::{self, MemoryFile, SealedFile};
use crate::host::signals;
use crate::job::encryption::{Encryption, Keeping};
use crate::job::progress::Progress;
use crate::job::read_back;
use crate::job::request::Request;
use crate::job::settings;
use crate::job::trusted;
use crate::manifest::{Format, Luks, Manifest};
use crate::monitors::{self, Drive, DriveKey, Firmware, Machine, MachineType, own_machine};
use crate::report::{self, Exit, Failure, shown};
use crate::sources::assemble::{Assembly, OwnFiles};
use crate::sources::environment;

/// `credimg exec`
#[derive(Args, Debug)]
#[command(after_help = "\
The arguments that attach the image follow those of PROGRAM, or stand where one of these is {}.
Where one holds {image}, this becomes the image's path, and the drive is attached by it alone.

PROGRAM takes the place of credimg: its process, terminal and exit code are its own. Exit code 6
says that it could not be started.

Examples:
  credimg exec secrets.yaml -- qemu-system-x86_64 -m 1G -drive file=root.img,format=qcow2
  credimg exec secrets.yaml --args blockdev -- setpriv --reuid=vm qemu-system-x86_64 {} -m 1G
  credimg exec secrets.yaml --target cloud-hypervisor -- cloud-hypervisor --kernel vmlinux \\
    --disk path=root.img path={image},readonly=on,image_type=raw")]
pub struct Exec {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// What is made, and of what.
    #[command(flatten)]
    pub recipe: Recipe,
    /// How the image is attached.
    #[command(flatten)]
    pub attach: Attach,
    /// Print no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// The monitor, looked up in PATH, or what starts it in its own place, and its arguments
    #[arg(value_name = "PROGRAM", last = true, required = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// A word that is this one stands for all the arguments.
const ARGUMENTS: &str = "{}";
/// In a word this stands for the image's path.
const IMAGE: &str = "{image}";
/// Where `execvp` of the GNU C library looks without a PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// Stands for the image's path until it has one.
const SOME_DESCRIPTOR: &str = "/proc/self/fd/3";

pub(super) fn run(options: &Exec) -> Result<(), Failure> {
    let Exec { command, .. } = options;
    let invocation = Invocation::new(command)?;
    let attach = &with_machine(options)?;
    // Whether this monitor inherits anything, before a source is read.
    attach.target.words(&Machine::default(), attach.style)?;
    let Made { machine, image, files, variables } =
        without_traces(|| make(options, attach, &invocation))?;
    let words = invocation.words(attach, machine, &image.path())?;

    let mut command = Command::new(&invocation.program);
    command.arg0(invocation.name).args(words);
    for variable in variables {
        command.env_remove(variable);
    }
    signals::let_through()?;
    for file in files.iter().chain([&image]) {
        file.pass_on()?;
    }
    // Gives SIGPIPE, which Rust's runtime ignores, its default action again. Core
    // dumps stay off: the monitor's memory will hold what the guest reads.
    let error = command.exec();
    let program = shown(&invocation.program);
    let message = format!("cannot start {program}: {}", report::reason(&error));
    Err(Failure::new(Exit::Command, message))
}

/// How the image is attached, to the machine that the monitor's own arguments name where
/// no option does.
fn with_machine(options: &Exec) -> Result<Attach, Failure> {
    let Exec { recipe, attach, command, .. } = options;
    let mut attach = attach.clone();
    if !attach.target.is_told_machine() {
        return Ok(attach);
    }
    let own = own_machine::read(command);
    let guest = settings::guest(recipe.guest.as_deref())?;
    if let Some(named) = attach.machine.or(guest.machine_type) {
        if let Some(own) = own.filter(|own| !named.is_like(*own)) {
            report::warn(&format!(
                "the arguments of the program start the machine type {}, and what it gets is \
                 for {}, as an option says: the guest may miss its disk or its credentials",
                own.name(),
                named.name()
            ));
        }
        return Ok(attach);
    }
    attach.machine = own;
    if attach.machine == Some(MachineType::UNKNOWN) {
        report::warn(
            "what this machine's firmware carries is not known: everything goes onto the disk; \
             --machine names one that is known",
        );
    }
    Ok(attach)
}

/// What the monitor inherits.
struct Made {
    machine: Machine,
    image: SealedFile,
    /// The firmware's.
    files: Vec<SealedFile>,
    /// What it does not inherit of the environment.
    variables: Vec<OsString>,
}

/// Reads every source and fills the files. Whatever else has held a secret is
/// wiped when this returns: nothing is dropped where another program takes over.
fn make(options: &Exec, attach: &Attach, invocation: &Invocation) -> Result<Made, Failure> {
    let Sources { trust, pseudo_file, .. } = &options.recipe.sources;
    let mut manifest = trusted::load(&options.manifest, *trust, pseudo_file)?;
    // There is no name whose extension would tell it.
    manifest.format.get_or_insert(Format::Erofs);
    // Whoever reads the monitor's environment shall not find there what the image holds.
    let variables = environment::sources(&manifest).cloned().collect();
    let request = request(options, attach, manifest, invocation)?;
    let mut progress = Progress::new(!options.quiet);
    let collected = request.collect(request.image.build_time, false, &mut progress)?;
    collected.losses(&request.image).warn();
    let assembly = collected.assembly;
    let sidecars = request.sidecars(&assembly)?;
    let image = write_image(&request, &assembly, &mut progress, options.recipe.verify)?;
    let mut files = Vec::with_capacity(sidecars.len());
    for Sidecar { content, .. } in &sidecars {
        let mut file = MemoryFile::create("a credential in memory")?;
        file.write(content.expose())?;
        files.push(file.seal()?);
    }
    // QEMU opens these by name: where it reads `-smbios` and `-fw_cfg` it looks
    // into no set of descriptors.
    let suffixes = sidecars.iter().map(|sidecar| sidecar.suffix.as_str());
    let firmware = Firmware {
        public: sidecar::public(assembly.routes.mount.as_ref()),
        ..sidecar::firmware_of(suffixes.zip(files.iter().map(SealedFile::path)))
    };
    let key = drive_key(&request, &mut files)?;
    let (path, descriptor) = (image.path(), Some(image.number()));
    let drive = Some(Drive { path, descriptor, key, ..request.drive });
    Ok(Made { machine: Machine { drive, firmware }, image, files, variables })
}

/// Everything that is checked before a source is read.
fn request(
    options: &Exec,
    attach: &Attach,
    manifest: Manifest,
    invocation: &Invocation,
) -> Result<Request, Failure> {
    let Exec { recipe, quiet, .. } = options;
    let path = Path::new(SOME_DESCRIPTOR);
    let format = settings::format(recipe, path, &manifest)?;
    let file = output::Options::default();
    let (choice, target) = (&recipe.encryption, attach.target);
    let encryption = Encryption::new(choice, &manifest, format, target, Keeping::Memory, file)?;
    let keys = encryption.as_ref().map_or_else(Vec::new, Encryption::input_ids);
    let place = (path, OwnFiles { keys, ..OwnFiles::default() });
    let request = Request::new(recipe, attach, manifest, place, encryption, None)?;
    let is_opened = request.image.encryption.as_ref().is_some_and(|it| it.luks == Luks::Luks1);
    if is_opened && invocation.has_image() {
        let message = format!("{IMAGE} attaches the image as it is, and QEMU is to open this one");
        let hint = format!("leave {IMAGE} out, or use LUKS2, which the guest opens");
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let is_lost = request.image.encryption.as_ref().is_some_and(|it| it.key_file.is_none());
    if is_lost && request.is_closed()? {
        let message = "the key would be in this process alone, and does not reach the guest";
        let hint = "give --key-file or --key-out, or use another target";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    if !invocation.has_room() && request.may_need_firmware()? {
        return Err(no_room());
    }
    request.advise(recipe, attach, *quiet);
    if let Some(encryption) = request.image.encryption.as_ref().filter(|_| !*quiet) {
        encryption.note();
    }
    Ok(request)
}

/// What QEMU opens an encrypted image with: unless it is wrapped in the arguments, the
/// key is one more of the `files`.
fn drive_key(request: &Request, files: &mut Vec<SealedFile>) -> Result<Option<DriveKey>, Failure> {
    match (&request.image.encryption, &request.drive.key) {
        (Some(encryption), None | Some(DriveKey::File(_))) if encryption.luks == Luks::Luks1 => {
            let mut file = MemoryFile::create("a key in memory")?;
            file.write(encryption.key.secret().expose())?;
            let file = file.seal()?;
            let key = DriveKey::File(file.path());
            files.push(file);
            Ok(Some(key))
        }
        (_, key) => Ok(key.clone()),
    }
}

/// The one place that an image passes on its way into memory.
fn write_image(
    request: &Request,
    assembly: &Assembly,
    progress: &mut Progress,
    verifies: bool,
) -> Result<SealedFile, Failure> {
    let mut file = MemoryFile::create("the image in memory")?;
    request.image.write(&assembly.tree, file.sink(), progress)?;
    if verifies {
        read_back::check(&request.image, &assembly.tree, file.reread()?)?;
    }
    file.seal()
}

/// The program and its words, as the command line has them.
struct Invocation<'a> {
    name: &'a OsStr,
    /// Where it was found.
    program: PathBuf,
    words: &'a [OsString],
}

impl<'a> Invocation<'a> {
    fn new(command: &'a [OsString]) -> Result<Self, Failure> {
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

    fn has_arguments(&self) -> bool {
        self.words.iter().any(|word| word == ARGUMENTS)
    }

    fn has_image(&self) -> bool {
        self.words.iter().any(|word| replaced(word, OsStr::new("")) != *word)
    }

    /// Whether there is a place for arguments of the firmware.
    fn has_room(&self) -> bool {
        self.has_arguments() || !self.has_image()
    }

    /// The words with what gives `machine` to the monitor. Where one of them
    /// places the image itself, the drive is theirs.
    fn words(
        &self,
        attach: &Attach,
        mut machine: Machine,
        image: &Path,
    ) -> Result<Vec<OsString>, Failure> {
        if self.has_image() {
            machine.drive = None;
        }
        if let (Some(drive), None) = (&mut machine.drive, attach.place) {
            drive.place = monitors::free_place(self.words.iter().map(|word| word.as_bytes()));
        }
        let mut arguments = attach.target.words(&machine, attach.style)?;
        if !self.has_room() && !arguments.is_empty() {
            return Err(no_room());
        }
        let mut words = Vec::with_capacity(self.words.len() + arguments.len());
        for word in self.words {
            if word == ARGUMENTS {
                words.append(&mut arguments);
            } else {
                words.push(replaced(word, image.as_os_str()));
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

/// The word with `image` in every place that is kept for it.
fn replaced(word: &OsStr, image: &OsStr) -> OsString {
    let mark = IMAGE.as_bytes();
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        let (before, from_mark) = rest.split_at(at);
        bytes.extend([before, image.as_bytes()].concat());
        rest = from_mark.strip_prefix(mark).unwrap_or_default();
    }
    bytes.extend(rest);
    OsString::from_vec(bytes)
}

/// The program as `execvp` finds it, before anything is read for it in vain.
fn find(name: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, Failure> {
    let here = Path::new(".");
    let candidates: Vec<PathBuf> = if name.as_bytes().contains(&b'/') {
        vec![name.into()]
    } else if name.is_empty() {
        Vec::new()
    } else {
        let directories = std::env::split_paths(path.unwrap_or(OsStr::new(DEFAULT_PATH)));
        // An empty item is the working directory; without a slash it would be looked up again.
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
    Err(Failure::new(Exit::Usage, message).hint(hint))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}
