//! `credimg build`: manifest in, image and arguments out.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::naming;
use super::options::{Attach, Recipe, Sources};
use crate::delivery::sidecar;
use crate::fleet::one;
use crate::host::output::{self, OutputFile, StreamOutput};
use crate::job::Job;
use crate::job::depfile::Dependencies;
use crate::job::destination::{Destination, NewFile, Streamed};
use crate::job::files::{self, Files};
use crate::job::making::{Making, Printed, Ready};
use crate::job::old_output;
use crate::job::permissions;
use crate::job::read_back;
use crate::job::reports;
use crate::job::summary::{self, Summary};
use crate::monitors::Attachment;
use crate::report::verbose::Step;
use crate::report::{self, Exit, Failure, line};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  credimg build secrets.yaml -o chimera.erofs
  # An encrypted image, which QEMU opens with the key that is made
  credimg build secrets.yaml -o chimera.erofs --encrypt luks1 --key-out chimera.key
  SOURCE_DATE_EPOCH=0 credimg build secrets.yaml -o chimera.erofs \\
    --uuid 6f1c2f0e-5a0b-4c57-9d38-2f4c1a7b9e10  # the same bytes each time
  credimg build seed.yaml -o seed.iso  # a cloud-init seed, where the label is cidata
  credimg build secrets.yaml --format erofs -o - |
    ssh host 'umask 077; cat >chimera.erofs'  # for a machine of another host")]
pub struct Build {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// The image to write, or - for standard output (then no arguments are printed)
    #[arg(short, long, value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Owner of the image file, by names or numbers of this host; a user alone stands for the
    /// user's primary group as well [default: the caller]
    #[arg(long, value_name = "USER[:GROUP]")]
    pub owner: Option<String>,
    /// Let this user of the host read the image file. Root keeps the file then, and gives it to the
    /// user's primary group; with --owner or --mode, or for other callers, an access control list
    /// names the user
    #[arg(long, value_name = "USER")]
    pub reader: Option<String>,
    /// Mode of the image file, in octal [default: 0600; 0440 where --reader gives it to a group]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<String>,
    /// Leave an image alone that is there already and would be made again byte for byte but for
    /// a new UUID and time
    #[arg(long)]
    pub if_changed: bool,
    /// Write a dependency file for Make: the image depends on every file and directory read
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub depfile: Option<PathBuf>,
    /// Print no summary and no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Print absolute paths in the arguments; links in them stay as they are
    #[arg(long)]
    pub absolute: bool,
    /// Print a JSON report that holds the arguments, instead of the arguments and the summary; or
    /// write it to FILE instead of the summary
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, value_hint = ValueHint::FilePath)]
    #[expect(clippy::option_option, reason = "clap's type of an option that may have a value")]
    pub json: Option<Option<PathBuf>>,
    /// What is made, and of what.
    #[command(flatten)]
    pub recipe: Recipe,
    /// How the image is attached.
    #[command(flatten)]
    pub attach: Attach,
}

pub(super) fn run(options: &Build) -> Result<(), Failure> {
    let early = |failure| old_output::early(&options.output, "image", failure);
    let builder = Builder::new(options).map_err(early)?;
    builder.job.advise(options.quiet)?;
    if files::is_streamed(&options.output) {
        // A stream has no path by which arguments could attach it.
        let summary = builder.build_stream()?;
        return builder.tell(&summary).map_err(|failure| {
            delivered(vec![failure], "the image is on standard output, whole".to_owned())
        });
    }
    let built = builder.build_file()?;
    let Built { summary, printed, dependencies, .. } = &built;
    let mut told = vec![dependencies.commit(), builder.tell(summary)];
    if !printed.is_empty() {
        let named = |failure| naming(failure, options.printed().name());
        told.push(output::to_stdout(printed).map_err(named));
    }
    let is_printed = told.last().is_some_and(Result::is_ok) || printed.is_empty();
    let failures: Vec<_> = told.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() {
        return Ok(());
    }
    Err(delivered(failures, built.what_is_in_place(options, is_printed)))
}

impl Build {
    fn printed(&self) -> Printed {
        match self.json {
            Some(None) => Printed::Report,
            Some(Some(_)) | None => Printed::Arguments,
        }
    }

    fn report_file(&self) -> Option<&Path> {
        self.json.as_ref()?.as_deref()
    }
}

/// A build of a file or a stream. Everything is checked but the sources.
struct Builder<'a> {
    options: &'a Build,
    job: Job,
    /// Who may read the image and the files beside it.
    permissions: output::Permissions,
}

impl<'a> Builder<'a> {
    fn new(options: &'a Build) -> Result<Self, Failure> {
        let Build { recipe, output, depfile, .. } = options;
        let is_streamed = files::is_streamed(output);
        if is_streamed {
            require_no_file(options)?;
        }
        let Sources { trust, pseudo_file, .. } = &recipe.sources;
        let manifest = one::load(
            &options.manifest,
            options.attach.machine.name(),
            trust.trust,
            pseudo_file,
            Some(&**output).filter(|_| !is_streamed),
        )?;
        let wishes = recipe.wishes(&options.attach);
        let (owner, reader) = (options.owner.as_deref(), options.reader.as_deref());
        let permissions = permissions::of_build(
            manifest.machine.as_ref(),
            owner,
            options.mode.as_deref(),
            reader,
        )?;
        let files = Files {
            manifest: &manifest,
            image: output,
            keys: &wishes.encryption,
            initrd: wishes.initrd.as_deref(),
            depfile: depfile.as_deref(),
            report: options.report_file(),
        };
        let own_files = files.own_files(permissions)?;
        let destination = if is_streamed {
            Destination::Stream(Streamed { permissions, own_files })
        } else {
            let (path, if_changed) = (output.clone(), options.if_changed);
            let notes_inputs = depfile.is_some();
            Destination::File(NewFile { path, permissions, own_files, if_changed, notes_inputs })
        };
        let builder = Self { options, job: Job::new(manifest, &wishes, destination)?, permissions };
        if !is_streamed {
            // Arguments that cannot be printed are an error before anything is read.
            builder.making().require_told()?;
        }
        Ok(builder)
    }

    fn making(&self) -> Making<'_> {
        let Build { output, recipe, absolute, .. } = self.options;
        Making {
            job: &self.job,
            output,
            permissions: self.permissions,
            verifies: recipe.verify,
            is_absolute: *absolute,
            printed: self.options.printed(),
        }
    }

    fn build_stream(&self) -> Result<Summary, Failure> {
        let (image, verifies) = (&self.job.image, self.options.recipe.verify);
        let mut stream = StreamOutput::stdout()?;
        if image.format.profile().rewrites_start || verifies {
            stream = stream.staged()?;
        }
        let _standing = line::begin(!self.options.quiet);
        let collected = self.job.collect()?;
        let (summary, written) = self.making().write(&collected, &mut stream)?;
        if let Some(staged) = stream.reread()?.filter(|_| verifies) {
            read_back::check(image, &collected.assembly.tree, staged, &written)?;
        }
        stream.finish()?;
        Ok(summary)
    }

    /// Makes the image and puts it in place. It is told of afterwards.
    fn build_file(&self) -> Result<Built, Failure> {
        let Build { output, depfile, quiet, .. } = self.options;
        // For a machine of a fleet it may be another file than the one that was named.
        let manifest = &self.job.manifest.path;
        // The place is checked before any command runs. The temporary is made after all of them, so
        // that no `dir:` finds it.
        let early = |failure| old_output::early(output, "image", failure);
        let has_old = OutputFile::check(output).map_err(early)?;
        if let Some(file) = self.options.report_file() {
            reports::check(file, summary::REPORT_HINT).map_err(early)?;
        }
        let mut dependencies = Dependencies::new(depfile.as_deref(), manifest).map_err(early)?;
        dependencies.extend(self.job.image.key_inputs().cloned());
        let _standing = line::begin(!quiet);
        let still_old =
            |failure| if has_old { old_output::unchanged("image", failure) } else { failure };
        if self.holds_the_key() {
            output::require_reader().map_err(|failure| still_old(self.of_the_key(failure)))?;
        }
        let ready = self.make(&mut dependencies).map_err(still_old)?;
        let Ready { file, summary, attached, knows_all } = ready;
        let mut printed = attached.printed(&summary).map_err(still_old)?;
        if file.is_some() && self.holds_the_key() {
            // They are printed before the old image is replaced, as they may hold the only copy of
            // the key.
            output::hand_over(&std::mem::take(&mut printed))
                .map_err(|failure| still_old(self.of_the_key(failure)))?;
        }
        let is_new = file.is_some();
        let step = Step::begin();
        if let Some(file) = file {
            file.commit_with_sidecars(&sidecar::is_suffix)?;
            step.end(|| format!("put {} in place, on the disk", report::shown(output)));
        } else if let Some(existing) = &self.job.existing {
            existing.keep(output, self.permissions).map_err(early)?;
        }
        Ok(Built { summary, printed, dependencies, is_new, knows_all })
    }

    fn make(&self, dependencies: &mut Dependencies) -> Result<Ready, Failure> {
        self.making().make(self.job.collect()?, dependencies)
    }

    /// The failure of arguments that could not be printed and hold the only copy of the key.
    fn of_the_key(&self, failure: Failure) -> Failure {
        let with_key = match self.options.printed() {
            Printed::Arguments => "the arguments, which hold the only copy of the key,",
            Printed::Report => "the report, which holds the only copy of the key,",
        };
        let hint = "send standard output somewhere, or keep the key in a file with --key-out";
        naming(failure, with_key).hint(hint)
    }

    /// Whether the arguments hold the only copy of the key.
    fn holds_the_key(&self) -> bool {
        let encryptor = self.job.image.encryptor.as_ref();
        encryptor.is_some_and(|encryptor| encryptor.key_file.is_none())
    }

    /// Prints the summary, or writes the report if it goes into a file.
    fn tell(&self, summary: &Summary) -> Result<(), Failure> {
        if self.options.printed() == Printed::Report {
            return Ok(());
        }
        summary.losses.warn();
        match self.options.report_file() {
            Some(file) => reports::replace(file, &summary.report(&Attachment::default())?)?,
            None if self.options.quiet => {}
            None => {
                if let Some(encryptor) = &self.job.image.encryptor {
                    encryptor.note();
                }
                report::note(&summary.line());
            }
        }
        Ok(())
    }
}

/// An error if an option needs a file and the image goes to standard output.
fn require_no_file(options: &Build) -> Result<(), Failure> {
    let option = match options {
        Build { if_changed: true, .. } => "--if-changed",
        Build { depfile: Some(_), .. } => "--depfile",
        Build { json: Some(None), .. } => {
            let message = "the image goes to standard output, so the report cannot go there";
            let hint = "write the report into a file with --json=FILE";
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        }
        Build { if_changed: false, depfile: None, json: None | Some(Some(_)), .. } => return Ok(()),
    };
    let message = format!("{option} has no meaning for an image on standard output");
    Err(Failure::new(Exit::Usage, message).hint("name a file with -o"))
}

/// A build whose image is in place.
struct Built {
    summary: Summary,
    /// The arguments, or the report that holds them, unless they are printed already.
    printed: Vec<u8>,
    dependencies: Dependencies,
    /// Whether the image is a new one.
    is_new: bool,
    knows_all: bool,
}

impl Built {
    /// Says what is in place, for the hint of a failure to deliver something else.
    fn what_is_in_place(&self, options: &Build, is_printed: bool) -> String {
        let image = report::shown(&options.output);
        let place = if self.is_new {
            format!("the new image {image} is in place")
        } else {
            format!("the image {image} is in place, as it was")
        };
        if is_printed {
            place
        } else if options.printed() == Printed::Report {
            format!("{place}: the same build with --if-changed prints the report")
        } else if self.knows_all {
            let again = "with the options of this build, prints them";
            format!("{place}: `credimg args {image}`, {again}")
        } else {
            format!("{place}: the same build with --if-changed prints them")
        }
    }
}

/// The failure of what could not be delivered. `hint` tells which image is in place.
fn delivered(failures: Vec<Failure>, hint: String) -> Failure {
    let is_interrupted = failures.iter().any(|failure| failure.exit == Exit::Interrupted);
    let exit = if is_interrupted { Exit::Interrupted } else { Exit::Output };
    let messages: Vec<_> = failures.into_iter().map(|failure| failure.message).collect();
    Failure::new(exit, messages.join("\n")).hint(hint)
}
