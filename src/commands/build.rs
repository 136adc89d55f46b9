//! `credimg build`: manifest in, image and arguments out.

use std::path::PathBuf;
use std::time::Duration;

use credimg_formats::probe::Stamp;
use credimg_formats::{Sink, Timestamp, Tree};

use super::dependencies::Dependencies;
use super::existing::{self, Existing};
use super::image::Image;
use super::summary::Summary;
use super::{attach, print, settings};
use crate::assemble::{self, assemble_noting};
use crate::cli::Build;
use crate::manifest::{self, Format, Plan};
use crate::output::{self, OutputFile, StreamOutput};
use crate::progress::Progress;
use crate::report::{self, Failure};
use crate::source::command::Limits;
use crate::vm::{Drive, Machine};

pub(super) fn run(options: &Build) -> anyhow::Result<()> {
    let request = Request::new(options)?;
    let summary = if settings::is_streamed(&options.output) {
        request.build_stream(options)?
    } else {
        request.build_file(options)?
    };
    match &options.json {
        Some(file) => summary.write_json(file.as_deref())?,
        None if options.quiet => {}
        None => report::note(&summary.line()),
    }
    match &request.arguments {
        Some(arguments) => print(arguments),
        None => Ok(()),
    }
}

/// Everything that is checked before a source is read.
struct Request {
    plan: Plan,
    image: Image,
    drive: Drive,
    file: output::Options,
    /// None where the image is streamed: there is no path to attach.
    arguments: Option<Vec<u8>>,
}

impl Request {
    fn new(options: &Build) -> anyhow::Result<Self> {
        settings::require_file(options)?;
        settings::require_apart(options)?;
        let mut plan = manifest::load(&options.manifest)?;
        plan.pseudo.files.extend(settings::pseudo_files(&options.sources));
        let format = settings::format(options, &plan)?;
        let label = settings::label(options, &plan)?;
        let drive = attach::drive(&options.attach, label.as_deref(), &options.output)?;
        let machine = Machine { drive: Some(drive.clone()), ..Machine::default() };
        let render = || attach::render(&options.attach, &machine);
        let arguments = (!settings::is_streamed(&options.output)).then(render).transpose()?;
        let owner = settings::owner(options)?;
        let file = output::Options { owner, mode: Some(settings::mode(options)?) };
        let image = Image {
            format,
            label,
            uuid: settings::uuid(options)?,
            build_time: settings::build_time(options)?,
            compression: settings::compression(options, &plan, format)?,
            warns: true,
        };
        // A SquashFS image has no label, whatever the manifest says.
        attach::warn(
            &options.attach,
            image.label.as_deref().filter(|_| format != Format::Squashfs),
        );
        if format == Format::Squashfs && options.uuid.is_some() {
            report::warn("a SquashFS image has no UUID: --uuid has no effect");
        }
        if format == Format::Squashfs && image.label.is_some() && !options.quiet {
            report::note("a SquashFS image has no label: the drive's serial stands for it");
        }
        Ok(Self { plan, image, drive, file, arguments })
    }

    fn build_stream(&self, options: &Build) -> anyhow::Result<Summary> {
        let mut stream = StreamOutput::stdout()?;
        if self.image.format == Format::Squashfs {
            stream = stream.staged()?;
        }
        let mut progress = Progress::new(!options.quiet);
        let tree = self.collect(options, self.image.build_time, None, &mut progress)?;
        let summary = self.write(&tree, &mut stream, &mut progress, options)?;
        stream.finish()?;
        Ok(summary)
    }

    fn build_file(&self, options: &Build) -> anyhow::Result<Summary> {
        // Looked at before any command runs; the temporary is made after all of
        // them, so that no `dir:` finds it.
        let has_old = OutputFile::check(&options.output)?;
        let mut dependencies = Dependencies::new(options)?;
        let wanted = options.if_changed;
        let existing = wanted.then(|| Existing::open(&options.output, self.file)).flatten();
        let mut progress = Progress::new(!options.quiet);
        let made = self.make(options, existing.as_ref(), &mut dependencies, &mut progress);
        let (file, summary) =
            made.map_err(|error| if has_old { unchanged(error) } else { error })?;
        if let Some(file) = file {
            file.commit()?;
        } else if let Some(existing) = existing {
            existing.keep(&options.output)?;
        }
        dependencies.commit()?;
        Ok(summary)
    }

    /// The image in its temporary file; none where the existing one is the same.
    fn make(
        &self,
        options: &Build,
        existing: Option<&Existing>,
        dependencies: &mut Dependencies,
        progress: &mut Progress,
    ) -> anyhow::Result<(Option<OutputFile>, Summary)> {
        let build_time = existing.map_or(self.image.build_time, |_| existing::UNDATED);
        let mut tree = self.collect(options, build_time, dependencies.inputs(), progress)?;
        dependencies.render(options)?;
        if let Some(existing) = existing {
            let undated = existing::undated(&tree);
            let same = self.image_stamped(options, existing.stamp);
            existing::date(&mut tree, &undated, same.build_time);
            if let Some(size_bytes) = existing.compare(&same, &tree, progress)? {
                let summary = Summary::new(options, &same, &self.drive, &tree, size_bytes);
                return Ok((None, summary.unchanged()));
            }
            existing::date(&mut tree, &undated, self.image.build_time);
        }
        let mut file = OutputFile::create(&options.output, self.file)?;
        let summary = self.write(&tree, &mut file, progress, options)?;
        Ok((Some(file), summary))
    }

    /// The image as it was made before, but for what the caller asks for now.
    fn image_stamped(&self, options: &Build, stamp: Stamp) -> Image {
        let mut image = Image { warns: false, ..self.image.clone() };
        if let (Some(uuid), None) = (stamp.uuid, &options.uuid) {
            image.uuid = uuid;
        }
        if !settings::has_own_time(options) {
            image.build_time = stamp.build_time;
        }
        image
    }

    fn collect(
        &self,
        options: &Build,
        build_time: Timestamp,
        inputs: Option<&mut Vec<PathBuf>>,
        progress: &mut Progress,
    ) -> anyhow::Result<Tree> {
        let settings = assemble::Settings {
            build_time,
            commands: Limits {
                timeout: Duration::from_secs(u64::from(options.command_timeout)),
                output_max_bytes: Limits::OUTPUT_MAX_BYTES,
                show_stderr: options.command_stderr,
            },
            policy: settings::policy(&options.sources),
            output: settings::place(&options.output),
        };
        assemble_noting(&self.plan, &settings, inputs, &mut |step| {
            progress.show(|| {
                let assemble::Step { entry, entries, inodes } = step;
                let made = inodes - 1; // The root is always there.
                format!("reading: entry {} of {entries}, {made} made so far", entry + 1)
            });
        })
    }

    fn write<S: Sink>(
        &self,
        tree: &Tree,
        sink: &mut S,
        progress: &mut Progress,
        options: &Build,
    ) -> anyhow::Result<Summary> {
        let size_bytes = self.image.write(tree, sink, progress)?;
        Ok(Summary::new(options, &self.image, &self.drive, tree, size_bytes))
    }
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
