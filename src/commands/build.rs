//! `credimg build`: manifest in, image and arguments out.

use credimg_formats::Sink;

use super::dependencies::Dependencies;
use super::encryption::{Encryption, Keeping};
use super::existing::{self, Existing, UNDATED};
use super::image::Image;
use super::request::Request;
use super::summary::{Delivery, Summary};
use super::{access, attach, beside, print, settings, trusted};
use crate::assemble::Assembly;
use crate::channels::sidecar::{self, Sidecar};
use crate::cli::{Build, Sources};
use crate::manifest::{Format, Plan};
use crate::output::{self, OutputFile, StreamOutput};
use crate::progress::Progress;
use crate::report::{self, Failure};
use crate::vm::{Firmware, Machine, Style};

pub(super) fn run(options: &Build) -> anyhow::Result<()> {
    let builder = Builder::new(options)?;
    let (summary, arguments) = if settings::is_streamed(&options.output) {
        // There is no path to attach.
        (builder.build_stream(options)?, Vec::new())
    } else {
        builder.build_file(options)?
    };
    match &options.json {
        Some(file) => summary.write_json(file.as_deref())?,
        None if options.quiet => {}
        None => {
            if let Some(encryption) = &builder.request.image.encryption {
                encryption.note();
            }
            report::note(&summary.line());
        }
    }
    if arguments.is_empty() { Ok(()) } else { print(&arguments) }
}

/// A build of a file or a stream, of which everything is checked but the sources.
struct Builder {
    request: Request,
    file: output::Options,
    /// With `--if-changed` the image that may stay as it is.
    existing: Option<Existing>,
}

impl Builder {
    fn new(options: &Build) -> anyhow::Result<Self> {
        settings::require_file(options)?;
        let Sources { trust, pseudo_file, .. } = &options.recipe.sources;
        let plan = trusted::load(&options.manifest, *trust, pseudo_file)?;
        settings::require_apart(options, &plan)?;
        let beside = settings::beside(&options.output)?;
        let mut place = settings::place(&options.output, &beside);
        settings::require_not_beside(options, &plan, &place)?;
        let (owner, reader) = (options.owner.as_deref(), options.reader.as_deref());
        let file = access::options(owner, &options.mode, reader, Some(sidecar::is_suffix))?;
        beside::require_replaceable(&options.output, &beside, file)?;
        let wanted = options.if_changed;
        let mut encryption = Self::encryption(options, &plan, file)?;
        let label = options.recipe.label.as_deref();
        let label = label.or(plan.label.as_ref().map(|label| label.text.as_str()));
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
            Request::new(&options.recipe, &options.attach, plan, place, encryption, kept_uuid)?;
        request.advise(&options.recipe, &options.attach, options.quiet);
        Ok(Self { request, file, existing })
    }

    /// The encryption that is asked for, whose key takes the place of nothing else.
    fn encryption(
        options: &Build,
        plan: &Plan,
        file: output::Options,
    ) -> Result<Option<Encryption>, Failure> {
        let Build { recipe, attach, output, .. } = options;
        let format = settings::format(recipe, output, plan)?;
        let choice = &recipe.encryption;
        let prints = !settings::is_streamed(output) && attach.style != Style::None;
        let keeping = if prints { Keeping::Arguments } else { Keeping::File };
        Encryption::new(choice, plan, format, attach.target, keeping, file)
    }

    fn build_stream(&self, options: &Build) -> anyhow::Result<Summary> {
        let mut stream = StreamOutput::stdout()?;
        if self.request.image.format == Format::Squashfs {
            stream = stream.staged()?;
        }
        let mut progress = Progress::new(!options.quiet);
        let build_time = self.request.image.build_time;
        let assembly = self.request.collect(build_time, None, &mut progress)?;
        let summary = self.write(&assembly, &[], &mut stream, &mut progress, options)?;
        stream.finish()?;
        Ok(summary)
    }

    /// Returns the arguments as well.
    fn build_file(&self, options: &Build) -> anyhow::Result<(Summary, Vec<u8>)> {
        // Looked at before any command runs; the temporary is made after all of
        // them, so that no `dir:` finds it.
        let has_old = OutputFile::check(&options.output)?;
        let mut dependencies = Dependencies::new(options)?;
        if let (Some(inputs), Some(encryption)) =
            (dependencies.inputs(), &self.request.image.encryption)
        {
            inputs.extend(encryption.inputs().cloned());
        }
        let mut progress = Progress::new(!options.quiet);
        let still_old = |error| if has_old { unchanged(error) } else { error };
        let Made { file, summary, mut arguments } =
            self.make(options, &mut dependencies, &mut progress).map_err(still_old)?;
        let encryption = self.request.image.encryption.as_ref();
        if file.is_some() && encryption.is_some_and(|encryption| encryption.key_file.is_none()) {
            // They hold the only copy of the key: somebody has it before the old image goes.
            print(&std::mem::take(&mut arguments)).map_err(still_old)?;
        }
        if let Some(file) = file {
            file.commit()?;
        } else if let Some(existing) = &self.existing {
            existing.keep(&options.output, self.file)?;
        }
        dependencies.commit()?;
        Ok((summary, arguments))
    }

    fn make(
        &self,
        options: &Build,
        dependencies: &mut Dependencies,
        progress: &mut Progress,
    ) -> anyhow::Result<Made> {
        let Self { request, existing, .. } = self;
        let build_time = existing.as_ref().map_or(request.image.build_time, |_| UNDATED);
        let mut assembly = request.collect(build_time, dependencies.inputs(), progress)?;
        dependencies.render(options)?;
        let sidecars = request.sidecars(&assembly)?;
        let machine = self.machine(&assembly, &sidecars, options);
        let arguments = attach::render(&options.attach, &machine)?;
        if let Some(summary) = self.keep(&mut assembly, &sidecars, progress, options)? {
            return Ok(Made { file: None, summary, arguments });
        }
        let mut file = OutputFile::create(&options.output, self.file)?;
        for Sidecar { suffix, content } in &sidecars {
            file.add_sidecar(suffix, content.expose())?;
        }
        let summary = self.write(&assembly, &sidecars, &mut file, progress, options)?;
        Ok(Made { file: Some(file), summary, arguments })
    }

    /// What is told of the existing image where it is the one that would be
    /// written. Where it is not, the tree has the time of a new one.
    fn keep(
        &self,
        assembly: &mut Assembly,
        sidecars: &[Sidecar],
        progress: &mut Progress,
        options: &Build,
    ) -> anyhow::Result<Option<Summary>> {
        let Some(existing) = &self.existing else { return Ok(None) };
        let mut same = Image { warns: false, ..self.request.image.clone() };
        if let (Some(uuid), None) = (existing.stamp.uuid, &options.recipe.uuid) {
            same.uuid = uuid;
        }
        if !settings::has_own_time(options.recipe.mtime) {
            same.build_time = existing.stamp.build_time;
        }
        let undated = existing::undated(&assembly.tree);
        existing::date(&mut assembly.tree, &undated, same.build_time);
        if existing::has_sidecars(&options.output, sidecars, self.file)
            && let Some(size_bytes) = existing.compare(&same, &assembly.tree, progress)?
            && existing.is_at(&options.output)
        {
            let summary = self.summary(options, &same, assembly, sidecars, size_bytes);
            return Ok(Some(summary.unchanged()));
        }
        existing::date(&mut assembly.tree, &undated, self.request.image.build_time);
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
        assembly: &Assembly,
        sidecars: &[Sidecar],
        sink: &mut S,
        progress: &mut Progress,
        options: &Build,
    ) -> anyhow::Result<Summary> {
        let size_bytes = self.request.image.write(&assembly.tree, sink, progress)?;
        Ok(self.summary(options, &self.request.image, assembly, sidecars, size_bytes))
    }

    fn summary(
        &self,
        options: &Build,
        image: &Image,
        assembly: &Assembly,
        sidecars: &[Sidecar],
        size_bytes: u64,
    ) -> Summary {
        let sidecars = sidecars.iter().map(|sidecar| sidecar.suffix.as_str());
        let Request { plan, drive, .. } = &self.request;
        let delivery = Delivery::new(&options.output, plan, &assembly.routes, sidecars);
        Summary::new(options, image, drive, &assembly.tree, size_bytes, delivery)
    }
}

/// What a build has made, before it is put in place.
struct Made {
    /// None where the existing image is kept.
    file: Option<OutputFile>,
    summary: Summary,
    arguments: Vec<u8>,
}

/// Adds to an error's hint that the old image is as it was.
fn unchanged(mut error: anyhow::Error) -> anyhow::Error {
    const NEWS: &str = "the old image is unchanged";
    if let Some(failure) = error.downcast_mut::<Failure>() {
        failure.hint = match failure.hint.take() {
            Some(hint) if hint.contains(NEWS) => Some(hint),
            Some(hint) => Some(format!("{hint}; {NEWS}")),
            None => Some(NEWS.to_owned()),
        };
    }
    error
}
