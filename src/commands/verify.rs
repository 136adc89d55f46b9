//! `credimg verify`: whether an image is valid, and holds what a manifest says.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueHint};
use credimg_formats::luks::{Header, Version};
use credimg_formats::read::{Side, TreeReader};
use credimg_formats::verity::Algorithm;
use credimg_formats::{hex_bytes, hex_text};
use serde::Serialize;

use super::options::{Attach, Look, Sources, formats, jobs, size, versions};
use super::print;
use crate::fleet::one;
use crate::host::random;
use crate::job::expected::{self, Volume};
use crate::job::wishes::{EncryptionWishes, SourceWishes, Wishes};
use crate::look::contents::Contents;
use crate::look::differences::{self, Told, comparison};
use crate::look::opened::{HashTree, Opened, Outside};
use crate::look::records::{self, Fault};
use crate::manifest::Format;
use crate::monitors::SmbiosForm;
use crate::report::verbose::Step;
use crate::report::{self, Exit, Failure, json, line, shown};
use crate::sources::command::Limits;

#[derive(Args, Debug)]
#[command(after_help = "\
Every record of the image is checked: superblock, checksums, directories, link counts, padding, and
that nothing overlaps. With --manifest its sources are read and its commands run as by a build, and
each path is compared: content, mode, owner, time, extended attributes. So are the label, the
encryption and the shape of the hash tree. Give the options that the image was built with. What differs is named, never shown.

Exit codes: 0 valid, 8 not valid, 1 valid but not what the manifest says.

Examples:
  credimg verify chimera.erofs
  credimg verify chimera.erofs --key-file chimera.key --encrypt luks2 --manifest secrets.yaml")]
pub struct Verify {
    /// The image.
    #[command(flatten)]
    pub look: Look,
    /// Compare with what a build of this manifest would hold, or - for standard input
    #[arg(long, value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: Option<PathBuf>,
    /// Check the image by its hash tree against this root hash [default: what the tree itself has,
    /// which whoever changed the image may have made]
    #[arg(long, value_name = "HEX")]
    pub root_hash: Option<RootHash>,
    /// Print nothing where all is well
    #[arg(short, long)]
    pub quiet: bool,
    /// Print a JSON object instead of lines
    #[arg(long)]
    pub json: bool,
    /// What the build of that manifest is told.
    #[command(flatten)]
    pub build: BuildOptions,
}

// What a build is told that decides what its image holds.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a flag of the command line each")]
pub struct BuildOptions {
    /// Image format, whatever the manifest says [default: the image's]
    #[arg(long, value_name = "FORMAT", value_parser = formats(), requires = "manifest")]
    pub format: Option<Format>,
    /// Volume label, whatever the manifest says
    #[arg(long, value_name = "LABEL", requires = "manifest")]
    pub label: Option<String>,
    /// Version of LUKS around the image, whatever the manifest says
    #[arg(long, value_name = "VERSION", value_parser = versions(), requires = "manifest")]
    pub encrypt: Option<Version>,
    /// Whether the image has a hash tree, whatever the manifest says
    #[arg(long, requires = "manifest")]
    pub verity: bool,
    /// Time of every entry without one, in seconds since 1970 [default: `SOURCE_DATE_EPOCH`, else
    /// the image's own]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, requires = "manifest")]
    pub mtime: Option<i64>,
    /// Do not miss what the image's format cannot hold
    #[arg(long, requires = "manifest")]
    pub lossy: bool,
    /// Most bytes of the content of all files, with a suffix as in 512M, 64G or 1T
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = size)]
    pub max_size: u64,
    /// Refuse sources that another user of the host can exchange, where the caller is root
    #[arg(long, requires = "manifest")]
    pub strict: bool,
    /// How credentials that go by SMBIOS are given to QEMU
    #[arg(long, value_name = "FORM", value_enum, default_value_t = SmbiosForm::File)]
    pub smbios: SmbiosForm,
    /// The guest's own initrd, as `build` is given it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "manifest")]
    pub initrd: Option<PathBuf>,
    /// Warn of what this guest drops, as in systemd=252,kernel=5.14,cvm=no,os=rhel-9,machine=q35
    #[arg(long, value_name = "FACTS", requires = "manifest")]
    pub guest: Option<String>,
    /// Seconds that a command of the manifest may take
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::TIMEOUT_SECONDS, value_parser = clap::value_parser!(u32).range(1..))]
    pub command_timeout: u32,
    /// Show what the manifest's commands print on standard error, and run them one at a time
    #[arg(long, requires = "manifest")]
    pub command_stderr: bool,
    /// How many commands of the manifest run at a time; with 1 each is run at its turn
    #[arg(long, value_name = "N", default_value_t = Limits::JOBS, value_parser = jobs())]
    pub jobs: u8,
    /// What the image is made of.
    #[command(flatten)]
    pub sources: Sources,
    /// How the image is attached, which decides where credentials are.
    #[command(flatten)]
    pub attach: Attach,
}

impl BuildOptions {
    /// In plain values, with the key of the image.
    fn wishes(&self, key_file: Option<PathBuf>) -> Wishes {
        Wishes {
            format: self.format,
            label: self.label.clone(),
            lossy: self.lossy,
            encryption: EncryptionWishes {
                luks: self.encrypt,
                key_file,
                ..EncryptionWishes::default()
            },
            verity: self.verity,
            sources: SourceWishes {
                strict: self.strict,
                command_timeout_seconds: self.command_timeout,
                command_stderr: self.command_stderr,
                jobs: self.jobs,
                mtime: self.mtime,
                max_size_bytes: self.max_size,
                ..self.sources.wishes()
            },
            attach: self.attach.wishes(),
            smbios: self.smbios,
            guest: self.guest.clone(),
            initrd: self.initrd.clone(),
            ..Wishes::default()
        }
    }
}

/// The root hash that an image is to have.
#[derive(Clone, Debug)]
pub struct RootHash(Vec<u8>);

impl FromStr for RootHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lengths = Algorithm::ALL.map(Algorithm::digest_bytes);
        let bytes = hex_bytes(text).filter(|bytes| lengths.contains(&bytes.len()));
        bytes.map(Self).ok_or_else(|| "expected 64 or 128 hexadecimal digits".to_owned())
    }
}

/// How many faults, and how many differences, are told one by one.
const TOLD_MAX: usize = 1000;
/// How many bytes of paths are told: those of a hostile image may be long.
const TOLD_MAX_BYTES: usize = 1 << 20;

pub(super) fn run(options: &Verify) -> Result<(), Failure> {
    random::seed_tables()?;
    let standing = line::begin(!options.quiet);
    let mut report = Report::default();
    let opened = Opened::new(&options.look.image)?;
    let header = check_header(&opened, &mut report)?;
    if header.is_some() && options.look.key_file.is_none() {
        require_no_manifest(options)?;
        let tree = opened.tree()?;
        if tree.is_none() {
            require_no_root_hash(options, header.as_ref())?;
        }
        check_tree(options, tree.as_ref(), &mut report)?;
        let message = "what is inside the encryption is not checked: --key-file opens it";
        report::warn(&format!("{}: {message}", shown(&options.look.image)));
    } else {
        check_inside(options, opened, header.as_ref(), &mut report)?;
    }
    report.valid = report.problems_total == 0;
    drop(standing);
    if options.json {
        print(&json::line(&report)?)?;
    }
    report.outcome(options)
}

/// The header of an encrypted image, and what is wrong with it.
fn check_header(image: &Opened, report: &mut Report) -> Result<Option<Header>, Failure> {
    let Some(Outside { header, storage }) = image.outside()? else { return Ok(None) };
    let more = records::check_volume(&storage, &mut |fault| report.add(fault));
    report.problems_total += more.map_err(|error| image.failure(&error))?;
    report.format = Some(header.version().name());
    Ok(Some(header))
}

/// What is wrong with the image by its hash tree.
fn check_tree(
    options: &Verify,
    tree: Option<&HashTree>,
    report: &mut Report,
) -> Result<(), Failure> {
    let Some(tree) = tree else {
        if options.root_hash.is_some() {
            let message = "it has no hash tree, of which --root-hash would be".to_owned();
            report.add(Fault { offset_bytes: None, message });
        }
        return Ok(());
    };
    let step = Step::begin();
    let own = tree.root_hash()?;
    let root_hash = options.root_hash.as_ref().map_or(&own, |RootHash(bytes)| bytes);
    let problems = tree.check(root_hash)?;
    report.problems_total += problems.more;
    problems.kept.into_iter().for_each(|problem| report.add(problem.into()));
    report.root_hash = Some(hex_text(&own));
    step.end(|| "checked every byte by the hash tree".to_owned());
    Ok(())
}

fn require_no_manifest(options: &Verify) -> Result<(), Failure> {
    if options.manifest.is_none() {
        return Ok(());
    }
    let message = format!("{} is encrypted", shown(&options.look.image));
    Err(Failure::new(Exit::Usage, message).hint("name the file of its key with --key-file"))
}

/// The tree of a LUKS1 image is inside: without the key nobody can say that there is none.
fn require_no_root_hash(options: &Verify, header: Option<&Header>) -> Result<(), Failure> {
    let is_inside = match header.map(Header::version) {
        Some(Version::Luks1) => true,
        Some(Version::Luks2) | None => false,
    };
    if options.root_hash.is_none() || !is_inside {
        return Ok(());
    }
    let image = shown(&options.look.image);
    let message = format!("{image}: --root-hash is of a tree inside the encryption");
    Err(Failure::new(Exit::Usage, message).hint("name the file of its key with --key-file"))
}

/// Checks what the image holds, by itself and against the manifest.
fn check_inside(
    options: &Verify,
    opened: Opened,
    header: Option<&Header>,
    report: &mut Report,
) -> Result<(), Failure> {
    let Verify { look, manifest, .. } = options;
    let contents = Contents::of(opened, &look.image, look.key_file.as_deref(), look.allow_cost)?;
    report.format = Some(contents.reader.facts().format.name());
    let Contents { reader, storage, tree, .. } = &contents;
    check_tree(options, tree.as_ref(), report)?;
    let step = Step::begin();
    let more =
        records::check(&**reader, storage, *contents.limits(), &mut |fault| report.add(fault));
    report.problems_total += more.map_err(|error| contents.failure(&error))?;
    step.end(|| format!("checked every record of {}", contents.shown()));
    // What is not valid is not compared.
    if let Some(manifest) = manifest.as_deref().filter(|_| report.problems_total == 0) {
        compare(options, manifest, &contents, header, report)?;
    }
    Ok(())
}

fn compare(
    options: &Verify,
    manifest: &Path,
    contents: &Contents,
    header: Option<&Header>,
    report: &mut Report,
) -> Result<(), Failure> {
    let Sources { trust, pseudo_file, .. } = &options.build.sources;
    let manifest =
        one::load(manifest, options.build.attach.machine.name(), trust.trust, pseudo_file, None)?;
    let wishes = options.build.wishes(options.look.key_file.clone());
    let facts = contents.reader.facts();
    let hash_tree = contents.tree.as_ref().map(|tree| &tree.found);
    let volume = Volume { facts, header, hash_tree };
    let expected = expected::collect(manifest, &wishes, &options.look.image, volume)?;
    let step = Step::begin();
    report.differences = Some(Vec::new());
    for what in &expected.of_volume {
        report.differ(Told::of_volume(what), || format!("the {what} is not that of the manifest"));
    }
    let limits = *contents.limits();
    let wanted = (&TreeReader::new(&expected.tree, facts.format) as _, expected::limits(limits));
    let outcome = credimg_formats::read::diff(
        wanted,
        (&*contents.reader, limits),
        &comparison(&[facts]),
        &mut |difference| {
            report.differ(Told::new(difference), || differences::fault(difference));
            Ok(())
        },
    );
    outcome.map_err(|(side, error)| match side {
        Side::Old => crate::job::image::explain(&error, facts.format.name()),
        Side::New | Side::Caller => contents.failure(&error),
    })?;
    step.end(|| format!("compared {} with what a build would make", contents.shown()));
    Ok(())
}

/// What was found. The field names are stable: programs read them.
#[derive(Default, Serialize)]
struct Report {
    format: Option<&'static str>,
    valid: bool,
    /// The one that its hash tree has, where it has one.
    root_hash: Option<String>,
    /// The first ones.
    problems: Vec<Fault>,
    problems_total: u64,
    /// The first ones; none where nothing was compared.
    differences: Option<Vec<Told>>,
    differences_total: u64,
    /// The lines for people.
    #[serde(skip)]
    lines: Vec<String>,
    #[serde(skip)]
    told_bytes: usize,
}

impl Report {
    fn add(&mut self, fault: Fault) {
        self.problems_total += 1;
        if self.has_room(self.problems.len(), fault.message.len()) {
            self.lines.push(fault.text());
            self.problems.push(fault);
        }
    }

    fn differ(&mut self, told: Told, line: impl FnOnce() -> String) {
        self.differences_total += 1;
        let count = self.differences.as_ref().map_or(0, Vec::len);
        if self.has_room(count, told.len()) {
            self.lines.push(line());
            self.differences.get_or_insert_default().push(told);
        }
    }

    fn has_room(&mut self, count: usize, bytes: usize) -> bool {
        self.told_bytes = self.told_bytes.saturating_add(bytes);
        count < TOLD_MAX && self.told_bytes <= TOLD_MAX_BYTES
    }

    fn outcome(self, options: &Verify) -> Result<(), Failure> {
        let image = shown(&options.look.image);
        let total = self.problems_total + self.differences_total;
        if total == 0 {
            if !options.quiet && !options.json {
                // What it is worth is for the reader to say, who may know what it has to be.
                if let (Some(root_hash), None) = (&self.root_hash, &options.root_hash) {
                    report::note(&format!("{image} has the root hash {root_hash}"));
                }
                let rest = if options.manifest.is_some() {
                    " and holds what the manifest says"
                } else {
                    ""
                };
                report::note(&format!("{image} is valid{rest}"));
            }
            return Ok(());
        }
        let exit = if self.valid { Exit::Different } else { Exit::Image };
        if options.json {
            return Err(Failure::silent(exit));
        }
        let mut lines = self.lines;
        let told = lines.len();
        for line in &mut lines {
            *line = format!("{image}: {line}");
        }
        if total > told as u64 {
            lines.push(format!("{image}: and {} more", total - told as u64));
        }
        Err(Failure::new(exit, lines.join("\n")))
    }
}
