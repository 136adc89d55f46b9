//! `credimg build`: manifest in, image and arguments out.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use credimg_formats::Sink;

use super::options::{Attach, Recipe, Sources};
use crate::delivery::sidecar::{self, Sidecar};
use crate::host::output::{self, OutputFile, StreamOutput};
use crate::job::access;
use crate::job::beside;
use crate::job::dependencies::Dependencies;
use crate::job::encryption::{Encryption, Keeping};
use crate::job::existing::{self, Existing};
use crate::job::image::Image;
use crate::job::news;
use crate::job::progress::Progress;
use crate::job::read_back;
use crate::job::reports;
use crate::job::request::{Collected, Request};
use crate::job::settings;
use crate::job::summary::{self, Delivery, Summary};
use crate::job::trusted;
use crate::manifest::{Format, Manifest};
use crate::monitors::{Firmware, Machine, Style};
use crate::report::{self, Exit, Failure};
use crate::sources::assemble::Assembly;

/// `credimg build`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  credimg build secrets.yaml -o chimera.erofs
  credimg build secrets.yaml -o chimera.erofs --encrypt luks1 --key-out /run/credimg/chimera.key
  SOURCE_DATE_EPOCH=0 credimg build --uuid 6f1c… secrets.yaml -o chimera.erofs  # reproducible
  credimg build seed.yaml -o seed.iso  # a cloud-init seed, where the label is cidata
  credimg build secrets.yaml --format erofs -o - | ssh host 'cat > chimera.erofs'")]
pub struct Build {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// The image to write, or - for standard output (then no arguments are printed)
    #[arg(short, long, value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// What is made, and of what.
    #[command(flatten)]
    pub recipe: Recipe,
    /// How the image is attached.
    #[command(flatten)]
    pub attach: Attach,
    /// Owner of the image file, by names or numbers of this host; a user alone stands for the
    /// user's primary group as well [default: the caller]
    #[arg(long, value_name = "USER[:GROUP]")]
    pub owner: Option<String>,
    /// Let this user of the host read the image file as well, by an access control list
    #[arg(long, value_name = "USER")]
    pub reader: Option<String>,
    /// Mode of the image file, in octal
    #[arg(long, value_name = "MODE", default_value = "0600")]
    pub mode: String,
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
    /// Write a JSON report to FILE instead of the summary [default FILE: standard error]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, value_hint = ValueHint::FilePath)]
    #[expect(clippy::option_option, reason = "clap's type of an option that may have a value")]
    pub json: Option<Option<PathBuf>>,
}

pub(super) fn run(options: &Build) -> Result<(), Failure> {
    let builder =
        Builder::new(options).map_err(|error| news::early(&options.output, "image", error))?;
    if settings::is_streamed(&options.output) {
        // There is no path to attach.
        let summary = builder.build_stream(options)?;
        return builder.tell(options, &summary).map_err(|error| {
            delivered(vec![error], "the image is on standard output, whole".to_owned())
        });
    }
    let built = builder.build_file(options)?;
    let Built { summary, arguments, dependencies, .. } = &built;
    let mut told = vec![dependencies.commit(), builder.tell(options, summary)];
    if !arguments.is_empty() {
        told.push(output::to_stdout(arguments).map_err(of_arguments));
    }
    let is_printed = told.last().is_some_and(Result::is_ok) || arguments.is_empty();
    let errors: Vec<_> = told.into_iter().filter_map(Result::err).collect();
    if errors.is_empty() {
        return Ok(());
    }
    Err(delivered(errors, built.news(options, is_printed)))
}

/// A build of a file or a stream, of which everything is checked but the sources.
struct Builder {
    request: Request,
    file: output::Options,
    /// With `--if-changed` the image that may stay as it is.
    existing: Option<Existing>,
}

impl Builder {
    fn new(options: &Build) -> Result<Self, Failure> {
        settings::require_file(options)?;
        let Sources { trust, pseudo_file, .. } = &options.recipe.sources;
        let manifest = trusted::load(&options.manifest, *trust, pseudo_file)?;
        settings::require_apart(options, &manifest)?;
        let beside = settings::beside(&options.output)?;
        let mut place = settings::place(&options.output, &beside);
        settings::require_not_beside(options, &manifest, &place)?;
        settings::require_streams_apart(options, &place)?;
        let (owner, reader) = (options.owner.as_deref(), options.reader.as_deref());
        let file = access::options(owner, &options.mode, reader, Some(sidecar::is_suffix))?;
        beside::require_replaceable(&options.output, &beside, file)?;
        let wanted = options.if_changed;
        let mut encryption = Self::encryption(options, &manifest, file)?;
        let label = options.recipe.label.as_deref();
        let label = label.or(manifest.label.as_ref().map(|label| label.text.as_str()));
        let encrypted = encryption.as_ref().map(|encryption| (encryption, label));
        let open = || Existing::open(&options.output, file, encrypted);
        let existing = wanted.then(open).flatten();
        let header_uuid = existing.as_ref().and_then(Existing::header_uuid);
        if let (Some(encryption), Some(uuid)) = (&mut encryption, header_uuid) {
            // The guest finds the disk by it.
            encryption.uuid = uuid;
        }
        let kept_uuid = existing.as_ref().and_then(|existing| existing.stamp.uuid);
        place.keys = encryption.as_ref().map_or_else(Vec::new, Encryption::input_ids);
        let place = (options.output.as_path(), place);
        let request =
            Request::new(&options.recipe, &options.attach, manifest, place, encryption, kept_uuid)?;
        request.advise(&options.recipe, &options.attach, options.quiet);
        Ok(Self { request, file, existing })
    }

    /// The encryption that is asked for, whose key takes the place of nothing else.
    fn encryption(
        options: &Build,
        manifest: &Manifest,
        file: output::Options,
    ) -> Result<Option<Encryption>, Failure> {
        let Build { recipe, attach, output, .. } = options;
        let format = settings::format(recipe, output, manifest)?;
        let choice = &recipe.encryption;
        let prints = !settings::is_streamed(output) && attach.style != Style::None;
        let keeping = if prints { Keeping::Arguments } else { Keeping::File };
        Encryption::new(choice, manifest, format, attach.target, keeping, file)
    }

    fn build_stream(&self, options: &Build) -> Result<Summary, Failure> {
        let mut stream = StreamOutput::stdout()?;
        if self.request.image.format == Format::Squashfs || options.recipe.verify {
            stream = stream.staged()?;
        }
        let mut progress = Progress::new(!options.quiet);
        let build_time = self.request.image.build_time;
        let collected = self.request.collect(build_time, false, &mut progress)?;
        let summary = self.write(&collected, &[], &mut stream, &mut progress, options)?;
        if let Some(staged) = stream.reread()?.filter(|_| options.recipe.verify) {
            read_back::check(&self.request.image, &collected.assembly.tree, staged)?;
        }
        stream.finish()?;
        Ok(summary)
    }

    /// Puts the image in place; what there is to tell of it is told afterwards.
    fn build_file(&self, options: &Build) -> Result<Built, Failure> {
        // Looked at before any command runs; the temporary is made after all of
        // them, so that no `dir:` finds it.
        let early = |error| news::early(&options.output, "image", error);
        let has_old = OutputFile::check(&options.output).map_err(early)?;
        if let Some(Some(file)) = &options.json {
            reports::check(file, summary::REPORT_HINT).map_err(early)?;
        }
        let mut dependencies = Dependencies::new(options).map_err(early)?;
        if let Some(encryption) = &self.request.image.encryption {
            dependencies.extend(encryption.inputs().cloned());
        }
        let mut progress = Progress::new(!options.quiet);
        let still_old = |error| if has_old { news::unchanged("image", error) } else { error };
        if self.holds_the_key() {
            output::require_reader().map_err(|failure| still_old(of_the_key(failure)))?;
        }
        let Made { file, summary, mut arguments, knows_all } =
            self.make(options, &mut dependencies, &mut progress).map_err(still_old)?;
        if file.is_some() && self.holds_the_key() {
            // Somebody has them before the old image goes.
            output::hand_over(&std::mem::take(&mut arguments))
                .map_err(|failure| still_old(of_the_key(failure)))?;
        }
        let is_new = file.is_some();
        if let Some(file) = file {
            file.commit()?;
        } else if let Some(existing) = &self.existing {
            existing.keep(&options.output, self.file).map_err(early)?;
        }
        Ok(Built { summary, arguments, dependencies, is_new, knows_all })
    }

    /// Whether the arguments hold the only copy of the key.
    fn holds_the_key(&self) -> bool {
        let encryption = self.request.image.encryption.as_ref();
        encryption.is_some_and(|encryption| encryption.key_file.is_none())
    }

    /// The report or the summary.
    fn tell(&self, options: &Build, summary: &Summary) -> Result<(), Failure> {
        summary.losses.warn();
        match &options.json {
            Some(file) => summary.write_json(file.as_deref())?,
            None if options.quiet => {}
            None => {
                if let Some(encryption) = &self.request.image.encryption {
                    encryption.note();
                }
                report::note(&summary.line());
            }
        }
        Ok(())
    }

    fn make(
        &self,
        options: &Build,
        dependencies: &mut Dependencies,
        progress: &mut Progress,
    ) -> Result<Made, Failure> {
        let Self { request, .. } = self;
        let build_time = request.image.build_time;
        let mut collected = request.collect(build_time, dependencies.are_wanted(), progress)?;
        dependencies.extend(std::mem::take(&mut collected.assembly.inputs));
        dependencies.render(options)?;
        let sidecars = request.sidecars(&collected.assembly)?;
        let machine = self.machine(&collected.assembly, &sidecars, options);
        let arguments = options.attach.target.render(&machine, options.attach.style)?;
        let has_key = machine.drive.as_ref().is_some_and(|drive| drive.key.is_some());
        let knows_all = machine.firmware.public.is_empty() && !has_key;
        if let Some(summary) = self.keep(&mut collected, &sidecars, progress, options)? {
            return Ok(Made { file: None, summary, arguments, knows_all });
        }
        let mut file = OutputFile::create(&options.output, self.file)?;
        for Sidecar { suffix, content } in &sidecars {
            file.add_sidecar(suffix, content.expose())?;
        }
        let summary = self.write(&collected, &sidecars, &mut file, progress, options)?;
        if options.recipe.verify {
            read_back::check(&request.image, &collected.assembly.tree, file.reread()?)?;
        }
        Ok(Made { file: Some(file), summary, arguments, knows_all })
    }

    /// What is told of the existing image where it is the one that would be
    /// written. Where it is not, the tree has the time of a new one.
    fn keep(
        &self,
        collected: &mut Collected,
        sidecars: &[Sidecar],
        progress: &mut Progress,
        options: &Build,
    ) -> Result<Option<Summary>, Failure> {
        let Some(existing) = &self.existing else { return Ok(None) };
        let mut same = Image { warns: false, ..self.request.image.clone() };
        if let (Some(uuid), None) = (existing.stamp.uuid, &options.recipe.uuid) {
            same.uuid = uuid;
        }
        if !settings::has_own_time(options.recipe.mtime) {
            same.build_time = existing.stamp.build_time;
        }
        collected.assembly.date(same.build_time);
        if existing::has_sidecars(&options.output, sidecars, self.file)
            && let Some(size_bytes) = existing.compare(&same, &collected.assembly.tree, progress)?
            && existing.is_at(&options.output)
        {
            let summary = self.summary(options, &same, collected, sidecars, size_bytes);
            return Ok(Some(summary.unchanged()));
        }
        collected.assembly.date(self.request.image.build_time);
        Ok(None)
    }

    fn machine(&self, assembly: &Assembly, sidecars: &[Sidecar], options: &Build) -> Machine {
        let suffixes = sidecars.iter().map(|sidecar| sidecar.suffix.as_str());
        let firmware = Firmware {
            public: sidecar::public(assembly.routes.mount.as_ref()),
            ..sidecar::firmware(&options.output, suffixes)
        };
        Machine { drive: Some(self.request.drive.clone()), firmware }
    }

    fn write<S: Sink>(
        &self,
        collected: &Collected,
        sidecars: &[Sidecar],
        sink: &mut S,
        progress: &mut Progress,
        options: &Build,
    ) -> Result<Summary, Failure> {
        let size_bytes = self.request.image.write(&collected.assembly.tree, sink, progress)?;
        Ok(self.summary(options, &self.request.image, collected, sidecars, size_bytes))
    }

    fn summary(
        &self,
        options: &Build,
        image: &Image,
        collected: &Collected,
        sidecars: &[Sidecar],
        size_bytes: u64,
    ) -> Summary {
        let sidecars = sidecars.iter().map(|sidecar| sidecar.suffix.as_str());
        let Request { manifest, drive, .. } = &self.request;
        let Assembly { tree, routes, .. } = &collected.assembly;
        let delivery = Delivery::new(&options.output, manifest, routes, sidecars);
        let mut summary = Summary::new(options, image, drive, tree, size_bytes, delivery);
        summary.losses = collected.losses(image);
        summary
    }
}

/// What a build has made, before it is put in place.
struct Made {
    /// None where the existing image is kept.
    file: Option<OutputFile>,
    summary: Summary,
    arguments: Vec<u8>,
    /// Whether `credimg args` would print the same ones.
    knows_all: bool,
}

/// A build whose image is in place.
struct Built {
    summary: Summary,
    /// Those that are still to be printed.
    arguments: Vec<u8>,
    dependencies: Dependencies,
    /// Whether the image is a new one.
    is_new: bool,
    knows_all: bool,
}

impl Built {
    /// What is in place, for the hint where something else could not be delivered.
    fn news(&self, options: &Build, is_printed: bool) -> String {
        let image = report::shown(&options.output);
        let place = if self.is_new {
            format!("the new image {image} is in place")
        } else {
            format!("the image {image} is in place, as it was")
        };
        if is_printed {
            place
        } else if self.knows_all {
            let again = "with the options of this build, prints them";
            format!("{place}: `credimg args {image}`, {again}")
        } else {
            format!("{place}: the same build with --if-changed prints them")
        }
    }
}

/// The failure of what could not be delivered, with news of the image.
fn delivered(failures: Vec<Failure>, news: String) -> Failure {
    let is_interrupted = failures.iter().any(|failure| failure.exit == Exit::Interrupted);
    let exit = if is_interrupted { Exit::Interrupted } else { Exit::Output };
    let messages: Vec<_> = failures.into_iter().map(|failure| failure.message).collect();
    Failure::new(exit, messages.join("\n")).hint(news)
}

/// The failure of arguments that could not be printed.
fn of_arguments(failure: Failure) -> Failure {
    let message = failure.message.replacen("write to", "write the arguments to", 1);
    Failure { message, ..failure }
}

/// The failure of arguments that hold the only copy of a key.
fn of_the_key(failure: Failure) -> Failure {
    let with_key = "write the arguments, which hold the only copy of the key, to";
    let message = failure.message.replacen("write to", with_key, 1);
    let hint = "send standard output somewhere, or keep the key in a file with --key-out";
    Failure { message, ..failure }.hint(hint)
}
