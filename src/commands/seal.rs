//! `credimg seal`: manifest in, a sealed blob for a shared directory and the
//! arguments that share it out.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum, ValueHint};
use credimg_formats::{Kind, Sink, Tree};
use serde::Serialize;

use super::naming;
use super::options::{Sources, WhichMachine, jobs, size};
use crate::delivery::means::Means;
use crate::delivery::sidecar::{self, Value};
use crate::fleet::one;
use crate::host::output::{self, OutputFile, StreamOutput};
use crate::job;
use crate::job::files;
use crate::job::image;
use crate::job::links;
use crate::job::old_output;
use crate::job::permissions;
use crate::job::progress::{self, Counted};
use crate::job::wishes::SourceWishes;
use crate::job::xattrs;
use crate::keys;
use crate::keys::identity::Identity;
use crate::manifest::{Channel, Manifest, manifest_name};
use crate::monitors::qemu::share::{self, Share};
use crate::monitors::{self, Arguments, Attachment, MachineType, Style};
use crate::report::{self, Exit, Failure, json, line, shown};
use crate::seal::age::Sealed;
use crate::seal::tar;
use crate::sources::assemble::{self, Assembly, OwnFiles};
use crate::sources::command::Limits;

#[derive(Args, Debug)]
#[command(after_help = "\
The blob is an age file of a tar archive. Its key goes to the guest by an SMBIOS OEM string, the
credential age.identity, from the private file FILE.smbios beside the key file.

Example:
  share=$(credimg seal secrets.yaml -o share/chimera.tar.age --key-out chimera.key) &&
  eval \"qemu-system-x86_64 -m 1G $share\"")]
#[expect(clippy::struct_excessive_bools, reason = "a flag of the command line each")]
pub struct Seal {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// The blob to write, in the directory that is shared, or - for standard output (then no
    /// arguments are printed)
    #[arg(short, long, value_name = "BLOB", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// The key, an age identity file outside the share: made where there is none, and used as it
    /// is where there is one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_out: PathBuf,
    /// Time of every entry without one, in seconds since 1970 [default: `SOURCE_DATE_EPOCH`,
    /// else now]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub mtime: Option<i64>,
    /// Most bytes of the files sealed, together, with a suffix as in 512M, 64G or 1T
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = size)]
    pub max_size: u64,
    /// Refuse sources that another user of the host can exchange, where the caller is root
    #[arg(long)]
    pub strict: bool,
    /// Which machine. Without SMBIOS tables the key goes by fw_cfg, from `FILE.fw_cfg.age.identity`.
    #[command(flatten)]
    pub machine: WhichMachine,
    /// Style of the printed arguments
    #[arg(long = "args", value_name = "STYLE", default_value = "shell", value_parser = share_style())]
    pub style: Style,
    /// Owner of the blob and of the key's FILE.smbios, which QEMU's user reads; a user alone stands for
    /// the user's primary group as well [default: the caller]
    #[arg(long, value_name = "USER[:GROUP]")]
    pub owner: Option<String>,
    /// Let this user of the host read both. Root keeps them then, and gives them to the user's
    /// primary group; with --owner or --mode, or for other callers, an access control list names
    /// the user
    #[arg(long, value_name = "USER")]
    pub reader: Option<String>,
    /// Mode of the blob and of the key's FILE.smbios, in octal [default: 0600; 0440 where --reader
    /// gives them to a group]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<String>,
    /// Seconds that a command of the manifest may take
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::TIMEOUT_SECONDS, value_parser = clap::value_parser!(u32).range(1..))]
    pub command_timeout: u32,
    /// Show what the manifest's commands print on standard error, and run them one at a time
    #[arg(long)]
    pub command_stderr: bool,
    /// How many commands of the manifest run at a time; with 1 each is run at its turn
    #[arg(long, value_name = "N", default_value_t = Limits::JOBS, value_parser = jobs())]
    pub jobs: u8,
    /// Print no summary and no progress; the warning stays
    #[arg(short, long)]
    pub quiet: bool,
    /// Print a JSON report that holds the arguments, instead of the arguments and the summary
    #[arg(long)]
    pub json: bool,
    /// What the blob is made of.
    #[command(flatten)]
    pub sources: Sources,
}

/// What was sealed. The field names are stable: programs read them.
#[derive(Serialize)]
struct Report {
    blob: String,
    share: String,
    key_file: String,
    key_made: bool,
    /// The channel by which the guest gets the key, and the file that carries it.
    channel: &'static str,
    carrier: String,
    files: usize,
    archive_bytes: u64,
    #[serde(flatten)]
    attachment: Attachment,
    warnings: Vec<String>,
}

/// The credential by which the guest gets the identity.
const CREDENTIAL: &str = "age.identity";
/// What follows the key file's name and a dot in the name of the file that carries it: an
/// SMBIOS structure, or an item of fw_cfg where the machine has no SMBIOS tables.
const STRUCTURE: &str = "smbios";
const ITEM: &str = "fw_cfg.age.identity";

impl Seal {
    fn wishes(&self) -> SourceWishes {
        SourceWishes {
            strict: self.strict,
            command_timeout_seconds: self.command_timeout,
            command_stderr: self.command_stderr,
            jobs: self.jobs,
            mtime: self.mtime,
            max_size_bytes: self.max_size,
            ..self.sources.wishes()
        }
    }
}

/// The styles that carry a share: those without `-drive` and without a configuration file,
/// which holds no OEM strings.
fn share_style() -> impl TypedValueParser<Value = Style> {
    PossibleValuesParser::new(["shell", "lines", "json", "none"])
        .try_map(|text| Style::from_str(&text, false))
}

pub(super) fn run(options: &Seal) -> Result<(), Failure> {
    let early = |error| old_output::early(&options.output, "blob", error);
    let blob = Blob::new(options).map_err(early)?;
    let stream = blob.share.is_none().then(StreamOutput::stdout).transpose()?;
    let standing = line::begin(!options.quiet);
    let tree = blob.collect()?;
    let (identity, is_new) = Identity::read_or_make(&options.key_out).map_err(early)?;
    let made = match stream {
        None => blob.write_file(options, &tree, &identity)?,
        Some(stream) => blob.write_stream(stream, &tree, &identity)?,
    };
    drop(standing);
    if !options.quiet && !options.json {
        if is_new {
            report::note(&format!("made the key file {}", shown(&options.key_out)));
        }
        let output = if blob.share.is_some() { &shown(&options.output) } else { "standard output" };
        report::note(&format!("wrote {output}: {}", made.text()));
    }
    blob.warn();
    let (printed, name, it) = match blob.report(options, is_new, &made)? {
        Some(report) => (report, "the report", "it"),
        None => (blob.printed(options)?, "the arguments", "them"),
    };
    if printed.is_empty() {
        return Ok(());
    }
    output::to_stdout(&printed).map_err(|failure| {
        let blob = shown(&options.output);
        naming(failure, name).hint(format!(
            "the new blob {blob} is in place: the same `credimg seal` makes another and prints {it}"
        ))
    })
}

/// A blob of which everything is checked but the sources.
struct Blob {
    manifest: Manifest,
    /// The directory that the guest writes in; none where the blob is streamed.
    share: Option<Share>,
    /// The channel by which the guest gets the identity.
    channel: Channel,
    /// The file of the firmware that carries it.
    carrier: PathBuf,
    /// Who may read the blob and the carrier.
    permissions: output::Permissions,
    /// What the tree is made with.
    settings: assemble::Settings,
    /// What shares it out; none where the blob is streamed.
    arguments: Option<Arguments>,
}

impl Blob {
    fn new(options: &Seal) -> Result<Self, Failure> {
        if options.json && files::is_streamed(&options.output) {
            let message = "the blob goes to standard output, so the report cannot go there";
            return Err(Failure::new(Exit::Usage, message).hint("name a file with -o"));
        }
        if files::is_streamed(&options.key_out) {
            let failure = Failure::new(Exit::Usage, "the key is not written to standard output");
            return Err(failure.hint("name a file with --key-out"));
        }
        let share = share(options)?;
        let outside = |name, path| match &share {
            Some(share) => require_outside(share.path(), name, path),
            None => Ok(()),
        };
        outside("key file", &options.key_out)?;
        if options.manifest != Path::new("-") {
            // Before it is read: a guest that writes the manifest runs commands on the host.
            outside("manifest", &options.manifest)?;
        }
        let Sources { trust, pseudo_file, .. } = &options.sources;
        let manifest =
            one::load(&options.manifest, options.machine.name(), trust.trust, pseudo_file, None)?;
        let machine = options.machine.wishes().machine_type(manifest.machine.is_some())?;
        let (channel, suffix) = channel(machine)?;
        let carrier = sidecar::path(&options.key_out, suffix);
        require_plain(&manifest)?;
        for file in &manifest.pseudo.files {
            outside("pseudo file", &file.path)?;
        }
        // The guest could put a link there that leads to any file of the host.
        for path in manifest.entries.iter().filter_map(|entry| entry.source.host_path()) {
            outside("source", path)?;
        }
        require_apart(options, &carrier, &manifest)?;
        let arguments = share.as_ref().map(|share| {
            let firmware = sidecar::firmware(&options.key_out, [suffix]);
            let has_pci = machine.is_none_or(MachineType::has_pci);
            share::arguments(share, &firmware, has_pci)
        });
        if let Some(arguments) = &arguments {
            // Whether they can be told, before anything is read.
            share::printed(arguments, options.style)?;
            options.json.then(|| arguments.reported()).transpose()?;
        }
        // Whether it is one, before anything is read in vain.
        Identity::check(&options.key_out)?;
        OutputFile::check(&carrier)?;
        let blob = Some(&*options.output).filter(|output| !files::is_streamed(output));
        let replaced = blob.map(|blob| files::replaced("blob", blob)).into_iter();
        let own_files = OwnFiles {
            others: replaced.chain([files::replaced(CARRIER, &carrier)]).collect(),
            keys: files::id(std::fs::metadata(&options.key_out)).into_iter().collect(),
            ..OwnFiles::default()
        };
        files::require_no_source(&manifest, &own_files)?;
        let (owner, reader) = (options.owner.as_deref(), options.reader.as_deref());
        let permissions = permissions::of_options(owner, options.mode.as_deref(), reader)?;
        let wishes = options.wishes();
        let settings = assemble::Settings {
            output: own_files,
            ..job::settings(&wishes, job::build_time(&wishes)?)
        };
        Ok(Self { manifest, share, channel, carrier, permissions, settings, arguments })
    }

    /// The arguments in the style that is asked for.
    fn printed(&self, options: &Seal) -> Result<Vec<u8>, Failure> {
        let arguments = self.arguments.as_ref();
        arguments.map_or_else(|| Ok(Vec::new()), |it| share::printed(it, options.style))
    }

    /// The report, where one is asked for.
    fn report(
        &self,
        options: &Seal,
        is_new: bool,
        made: &Made,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let (Some(share), Some(arguments)) = (&self.share, &self.arguments) else {
            return Ok(None);
        };
        if !options.json {
            return Ok(None);
        }
        let attachment =
            if options.style.is_printed() { arguments.reported()? } else { Attachment::default() };
        let report = Report {
            blob: json::path(&options.output),
            share: json::path(share.path()),
            key_file: json::path(&options.key_out),
            key_made: is_new,
            channel: self.channel.name(),
            carrier: json::path(&self.carrier),
            files: made.files,
            archive_bytes: made.archive_bytes,
            attachment,
            warnings: report::warnings(),
        };
        json::line(&report).map(Some)
    }

    fn collect(&self) -> Result<Tree, Failure> {
        let assembly =
            assemble::assemble(&self.manifest, &self.settings, &mut progress::show_step)?;
        let Assembly { tree, warning, .. } = assembly;
        // Where the guest unpacks it is not known.
        let warnings = links::warnings(&tree, None, None).into_iter();
        for warning in warnings.chain(xattrs::warnings(&self.manifest)).chain(warning) {
            report::warn(&warning);
        }
        tar::check(&tree).map_err(|error| image::explain(&error, "tar"))?;
        Ok(tree)
    }

    /// Writes the blob into its temporary, then puts the key's carrier in place, then the
    /// blob; the key is there already.
    fn write_file(
        &self,
        options: &Seal,
        tree: &Tree,
        identity: &Identity,
    ) -> Result<Made, Failure> {
        let of_blob = |error| old_output::of("blob", error);
        let early = |error| old_output::early(&options.output, "blob", error);
        let has_old = OutputFile::check(&options.output).map_err(early)?;
        let mut file = OutputFile::create(&options.output, self.permissions)
            .map_err(|error| early(of_blob(error)))?;
        let made = keys::without_traces(|| write(tree, identity, &mut file)).map_err(of_blob)?;
        self.write_carrier(identity).map_err(|error| of_carrier(error, has_old))?;
        file.commit().map_err(of_blob)?;
        Ok(made)
    }

    fn write_stream(
        &self,
        mut stream: StreamOutput,
        tree: &Tree,
        identity: &Identity,
    ) -> Result<Made, Failure> {
        self.write_carrier(identity).map_err(|error| old_output::of("file", error))?;
        let made = keys::without_traces(|| write(tree, identity, &mut stream))?;
        stream.finish()?;
        Ok(made)
    }

    /// Writes the OEM string, or the item, that carries the identity. It lies in
    /// the key file's directory, so that its way onto the disk takes along the
    /// name of a key file that another builder has just made.
    fn write_carrier(&self, identity: &Identity) -> Result<(), Failure> {
        let (name, channel) = (CREDENTIAL.to_owned(), self.channel);
        let value = Value { name, channel, secret: keys::held(identity.line().clone()) };
        let mut file = OutputFile::create(&self.carrier, self.permissions)?;
        // Base64 goes by the stack.
        let pack = || sidecar::pack(&[value], None, &Means::default(), None);
        for sidecar in keys::without_traces(pack)? {
            keys::hold(sidecar.content.expose());
            std::io::Write::write_all(&mut file, sidecar.content.expose())
                .map_err(|error| image::explain(&error.into(), "the key's carrier"))?;
        }
        file.commit()
    }

    /// Always: what is in a share is easily taken for what the host has put there.
    fn warn(&self) {
        let place = self.share.as_ref().map(|share| format!(" {}", shown(share.path())));
        report::warn(&format!(
            "the guest can write in the share{}: it can replace and remove what lies there, the \
             blob too, or put an older one back; what opens with the key is authentic, while names \
             and other files prove nothing",
            place.unwrap_or_default()
        ));
    }
}

/// The failure of the key's carrier, before the blob is put in place.
fn of_carrier(failure: Failure, has_old: bool) -> Failure {
    failure.hint(if has_old { "the old blob is unchanged" } else { "no blob was written" })
}

/// What messages call the file that carries the key to the guest.
const CARRIER: &str = "key's own file";

/// What was sealed.
struct Made {
    files: usize,
    /// The length of the archive.
    archive_bytes: u64,
}

impl Made {
    /// For people.
    fn text(&self) -> String {
        let Self { files, archive_bytes } = *self;
        let plural = if files == 1 { "" } else { "s" };
        let size = report::human_size(archive_bytes);
        format!("a sealed tar archive, {files} file{plural}, {size}")
    }
}

/// Seals the tree.
fn write<S: Sink>(tree: &Tree, identity: &Identity, sink: &mut S) -> Result<Made, Failure> {
    // The headers are small beside it.
    let total_bytes = image::content_bytes(tree);
    let mut sealed =
        Sealed::new(identity, sink).map_err(|error| image::explain(&error.into(), "age"))?;
    let mut counted = Counted::new(&mut sealed, total_bytes);
    tar::write(tree, &mut counted).map_err(|error| image::explain(&error, "tar"))?;
    let archive_bytes = counted.done_bytes();
    sealed.finish().map_err(|error| image::explain(&error.into(), "age"))?;
    let files = tree.inodes().filter(|(_, inode)| matches!(inode.kind(), Kind::File(_))).count();
    Ok(Made { files, archive_bytes })
}

/// The channel by which a machine of this type gets the key, and how the file is called.
fn channel(machine: Option<MachineType>) -> Result<(Channel, &'static str), Failure> {
    let Some(machine) = machine else { return Ok((Channel::Smbios, STRUCTURE)) };
    if machine.carries(Channel::Smbios).is_ok() {
        return Ok((Channel::Smbios, STRUCTURE));
    }
    match machine.carries(Channel::FwCfg) {
        Ok(()) => Ok((Channel::FwCfg, ITEM)),
        Err(reason) => {
            let message = format!("the key does not reach the guest: {}: {reason}", machine.name());
            Err(Failure::new(Exit::Usage, message).hint("`credimg build` makes a disk"))
        }
    }
}

/// The directory of the blob, which is what the guest gets; none where the blob is streamed.
fn share(options: &Seal) -> Result<Option<Share>, Failure> {
    if files::is_streamed(&options.output) {
        return Ok(None);
    }
    OutputFile::check(&options.output)?;
    let parent = options.output.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = monitors::absolute_path(parent.unwrap_or(Path::new(".")))?;
    Ok(Some(Share::new(directory)?))
}

/// An error where the key's carrier would replace a file that is read or written besides.
fn require_apart(options: &Seal, carrier: &Path, manifest: &Manifest) -> Result<(), Failure> {
    let files = [("manifest", options.manifest.as_path()), ("blob", options.output.as_path())];
    let pseudo = manifest.pseudo.files.iter().map(|file| ("pseudo file", file.path.as_path()));
    let mut files = files.into_iter().filter(|(_, path)| *path != Path::new("-")).chain(pseudo);
    let Some((name, path)) = files.find(|(_, path)| files::is_same(carrier, path)) else {
        return Ok(());
    };
    let message = format!("the {name} {} has the name of the {CARRIER}", shown(path));
    Err(Failure::new(Exit::Usage, message).hint("give it another name"))
}

/// An error where the manifest asks for what a share cannot do.
fn require_plain(manifest: &Manifest) -> Result<(), Failure> {
    let place = if let Some(credential) = manifest.credentials.first() {
        format!("{}: credentials go", credential.entry.position)
    } else if let Some(item) = manifest.fw_cfg.first() {
        format!("{}: items of fw_cfg go", item.entry.position)
    } else if let Some(encrypt) = &manifest.encrypt {
        format!("{}: a blob is always encrypted, and LUKS goes", encrypt.position)
    } else if manifest.mount.is_some() {
        format!("{}: `mount` goes", manifest_name(&manifest.path))
    } else {
        return Ok(());
    };
    let failure = Failure::new(Exit::Manifest, format!("{place} with a disk, not with a share"));
    Err(failure.hint("`credimg build` makes the disk"))
}

/// An error of [`Exit::Policy`] where the way to `path`, which messages call `name`,
/// leads into the directory `share`: as it is written, for the guest may turn a link
/// there elsewhere, or as it ends, for it may be a link itself. It need not exist.
fn require_outside(share: &Path, name: &str, path: &Path) -> Result<(), Failure> {
    let Some(share_id) = files::id(std::fs::metadata(share)) else { return Ok(()) };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let ends = [parent.unwrap_or(Path::new(".")), path].map(std::fs::canonicalize);
    let ways = ends.into_iter().chain([std::path::absolute(path)]);
    let is_inside = |place: &Path| {
        place.ancestors().any(|above| files::id(std::fs::metadata(above)) == Some(share_id))
    };
    // What cannot be resolved is not there, and its directory is no place to make it in.
    if !ways.flatten().any(|place| is_inside(&place)) {
        return Ok(());
    }
    let message = format!(
        "the {name} {} lies in the share {}, where the guest reads and writes",
        shown(path),
        shown(share)
    );
    Err(Failure::new(Exit::Policy, message).hint("put it into a directory outside the share"))
}
