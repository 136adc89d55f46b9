//! `credimg build`: manifest in, image and arguments out.

use std::time::Duration;

use credimg_formats::{Sink, Tree};

use super::image::Image;
use super::summary::Summary;
use super::{attach, print, settings};
use crate::assemble::{self, assemble};
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
        let tree = self.collect(options, &mut progress)?;
        let summary = self.write(&tree, &mut stream, &mut progress, options)?;
        stream.finish()?;
        Ok(summary)
    }

    fn build_file(&self, options: &Build) -> anyhow::Result<Summary> {
        // Looked at before any command runs; the temporary is made after all of
        // them, so that no `dir:` finds it.
        let has_old = OutputFile::check(&options.output)?;
        let mut progress = Progress::new(!options.quiet);
        let made = self.collect(options, &mut progress).and_then(|tree| {
            let mut file = OutputFile::create(&options.output, self.file)?;
            let summary = self.write(&tree, &mut file, &mut progress, options)?;
            Ok((file, summary))
        });
        let (file, summary) =
            made.map_err(|error| if has_old { unchanged(error) } else { error })?;
        file.commit()?;
        Ok(summary)
    }

    fn collect(&self, options: &Build, progress: &mut Progress) -> anyhow::Result<Tree> {
        let settings = assemble::Settings {
            build_time: self.image.build_time,
            commands: Limits {
                timeout: Duration::from_secs(u64::from(options.command_timeout)),
                output_max_bytes: Limits::OUTPUT_MAX_BYTES,
                show_stderr: options.command_stderr,
            },
            policy: settings::policy(&options.sources),
            output: settings::place(&options.output),
        };
        assemble(&self.plan, &settings, &mut |step| {
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
