//! `credimg build`: manifest in, image and arguments out.

use std::time::Duration;

use credimg_formats::Sink;

use super::image::Image;
use super::summary::{Credentials, Summary};
use super::{attach, print, settings};
use crate::assemble::{self, Assembly, assemble};
use crate::channels::guest::Guest;
use crate::channels::plan::Means;
use crate::channels::sidecar::{self, Sidecar};
use crate::cli::Build;
use crate::manifest::{self, Format, Plan};
use crate::output::{self, OutputFile, StreamOutput};
use crate::progress::Progress;
use crate::report::{self, Failure};
use crate::source::command::Limits;
use crate::vm::{Drive, Firmware, Machine};

pub(super) fn run(options: &Build) -> anyhow::Result<()> {
    let request = Request::new(options)?;
    let (summary, arguments) = if settings::is_streamed(&options.output) {
        // There is no path to attach.
        (request.build_stream(options)?, Vec::new())
    } else {
        request.build_file(options)?
    };
    match &options.json {
        Some(file) => summary.write_json(file.as_deref())?,
        None if options.quiet => {}
        None => report::note(&summary.line()),
    }
    if arguments.is_empty() { Ok(()) } else { print(&arguments) }
}

/// Everything that is checked before a source is read.
struct Request {
    plan: Plan,
    image: Image,
    drive: Drive,
    file: output::Options,
    means: Means,
    guest: Guest,
}

impl Request {
    fn new(options: &Build) -> anyhow::Result<Self> {
        settings::require_apart(options)?;
        let mut plan = manifest::load(&options.manifest)?;
        plan.pseudo.files.extend(settings::pseudo_files(&options.sources));
        let format = settings::format(options, &plan)?;
        let label = settings::label(options.label.as_deref(), &plan)?;
        let drive = attach::drive(&options.attach, label.as_deref(), &options.output)?;
        if !settings::is_streamed(&options.output) {
            // Whether the style carries the path, before anything is read.
            attach::render(&options.attach, &drive.clone().into())?;
        }
        let file = output::Options {
            owner: settings::owner(options)?,
            mode: Some(settings::mode(options)?),
            is_sidecar: Some(sidecar::is_suffix),
        };
        let guest = settings::guest(options.guest.as_deref())?;
        let image = Image {
            format,
            label,
            uuid: settings::uuid(options)?,
            build_time: settings::build_time(options)?,
            compression: settings::compression(options, &plan, format)?,
        };
        if let Some(warning) = options.attach.bus.warning() {
            report::warn(warning);
        }
        if format == Format::Squashfs && options.uuid.is_some() {
            report::warn("a SquashFS image has no UUID: --uuid has no effect");
        }
        if format == Format::Squashfs && image.label.is_some() && !options.quiet {
            report::note("a SquashFS image has no label: the drive's serial stands for it");
        }
        let means = attach::means(options, &image, &drive);
        Ok(Self { plan, image, drive, file, means, guest })
    }

    fn build_stream(&self, options: &Build) -> anyhow::Result<Summary> {
        let mut stream = StreamOutput::stdout()?;
        if self.image.format == Format::Squashfs {
            stream = stream.staged()?;
        }
        let mut progress = Progress::new(!options.quiet);
        let assembly = self.collect(options, &mut progress)?;
        let summary = self.write(&assembly, &[], &mut stream, &mut progress, options)?;
        stream.finish()?;
        Ok(summary)
    }

    /// Returns the arguments as well.
    fn build_file(&self, options: &Build) -> anyhow::Result<(Summary, Vec<u8>)> {
        // Looked at before any command runs; the temporary is made after all of
        // them, so that no `dir:` finds it.
        let has_old = OutputFile::check(&options.output)?;
        let mut progress = Progress::new(!options.quiet);
        let made = self.collect(options, &mut progress).and_then(|assembly| {
            let Assembly { routes, values, .. } = &assembly;
            let sidecars = sidecar::pack(values, routes.mount.as_ref(), &self.means)?;
            let machine = self.machine(&assembly, &sidecars, options);
            let arguments = attach::render(&options.attach, &machine)?;
            let mut file = OutputFile::create(&options.output, self.file)?;
            for Sidecar { suffix, content } in &sidecars {
                file.add_sidecar(suffix, content.expose())?;
            }
            let summary = self.write(&assembly, &sidecars, &mut file, &mut progress, options)?;
            Ok((file, summary, arguments))
        });
        let (file, summary, arguments) =
            made.map_err(|error| if has_old { unchanged(error) } else { error })?;
        file.commit()?;
        Ok((summary, arguments))
    }

    fn machine(&self, assembly: &Assembly, sidecars: &[Sidecar], options: &Build) -> Machine {
        let suffixes = sidecars.iter().map(|sidecar| sidecar.suffix.as_str());
        let firmware = Firmware {
            public: sidecar::public(assembly.routes.mount.as_ref()),
            ..sidecar::firmware(&options.output, suffixes)
        };
        Machine { drive: Some(self.drive.clone()), firmware }
    }

    fn collect(&self, options: &Build, progress: &mut Progress) -> anyhow::Result<Assembly> {
        let settings = assemble::Settings {
            build_time: self.image.build_time,
            commands: Limits {
                timeout: Duration::from_secs(u64::from(options.command_timeout)),
                output_max_bytes: Limits::OUTPUT_MAX_BYTES,
                show_stderr: options.command_stderr,
            },
            policy: settings::policy(&options.sources),
            output: settings::place(&options.output),
            means: self.means.clone(),
        };
        let assembly = assemble(&self.plan, &settings, &mut |step| {
            progress.show(|| {
                let assemble::Step { entry, entries, inodes } = step;
                let made = inodes - 1; // The root is always there.
                format!("reading: entry {} of {entries}, {made} made so far", entry + 1)
            });
        })?;
        let routes = &assembly.routes;
        for warning in routes.warnings.iter().chain(&self.guest.warnings(self.image.format, routes))
        {
            report::warn(warning);
        }
        Ok(assembly)
    }

    fn write<S: Sink>(
        &self,
        assembly: &Assembly,
        sidecars: &[Sidecar],
        sink: &mut S,
        progress: &mut Progress,
        options: &Build,
    ) -> anyhow::Result<Summary> {
        let size_bytes = self.image.write(&assembly.tree, sink, progress)?;
        let sidecars = sidecars.iter().map(|sidecar| sidecar.suffix.as_str());
        let credentials = Credentials::new(&options.output, &self.plan, &assembly.routes, sidecars);
        Ok(Summary::new(options, &self.image, &self.drive, &assembly.tree, size_bytes, credentials))
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
