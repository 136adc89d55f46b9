//! From a job to a file that is complete and not yet in place, with what is to be told of it.

use std::path::Path;

use credimg_formats::Sink;

use super::Job;
use super::beside;
use super::collect::Collected;
use super::depfile::Dependencies;
use super::existing;
use super::image::Image;
use super::read_back;
use super::summary::{Delivery, Summary};
use crate::delivery::sidecar::{self, Sidecar};
use crate::host::output::{OutputFile, Permissions};
use crate::monitors::{Arguments, Attachment, Firmware, Machine};
use crate::report::Failure;
use crate::sources::assemble::Assembly;

/// How a job's image becomes a file.
pub(crate) struct Making<'a> {
    pub(crate) job: &'a Job,
    pub(crate) output: &'a Path,
    /// Who may read what is made.
    pub(crate) permissions: Permissions,
    /// Whether the image is read back.
    pub(crate) verifies: bool,
    /// Whether paths in the arguments are absolute.
    pub(crate) is_absolute: bool,
    pub(crate) printed: Printed,
}

/// What tells how the image is attached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Printed {
    Arguments,
    /// The report, which holds the arguments.
    Report,
}

impl Printed {
    /// What messages call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arguments => "the arguments",
            Self::Report => "the report",
        }
    }
}

/// What attaches the image, as it is told.
pub(crate) enum Attached {
    Text(Vec<u8>),
    /// Members of the report.
    Members(Attachment),
}

impl Attached {
    /// What is to be printed, the report with this summary.
    pub(crate) fn printed(self, summary: &Summary) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Members(attachment) => {
                // The report has them, too.
                summary.losses.warn();
                summary.report(&attachment)
            }
        }
    }
}

/// A build that is complete, before it is put in place.
pub(crate) struct Ready {
    /// None where the existing image is kept.
    pub(crate) file: Option<OutputFile>,
    pub(crate) summary: Summary,
    pub(crate) attached: Attached,
    /// Whether `credimg args` would print the same arguments.
    pub(crate) knows_all: bool,
}

impl Making<'_> {
    /// What attaches the image to a machine that is given nothing else.
    pub(crate) fn arguments_alone(&self) -> Result<Attached, Failure> {
        self.arguments(self.job.drive.clone().into())
    }

    /// What attaches the image to this machine, which is given the job's drive.
    fn arguments(&self, machine: Machine) -> Result<Attached, Failure> {
        let Job { target, style, arguments, .. } = self.job;
        let known = arguments.as_ref().filter(|_| !self.is_absolute && machine.is_disk_alone());
        if let Some(arguments) = known {
            return self.attached(arguments);
        }
        let machine = if self.is_absolute { machine.absolute()? } else { machine };
        self.attached(&target.arguments(&machine, *style)?)
    }

    fn attached(&self, arguments: &Arguments) -> Result<Attached, Failure> {
        Ok(match self.printed {
            Printed::Arguments => Attached::Text(arguments.printed(self.job.style)?),
            Printed::Report => Attached::Members(arguments.reported()?),
        })
    }

    /// Makes a file of what was collected, and notes what it depends on.
    pub(crate) fn make(
        &self,
        mut collected: Collected,
        dependencies: &mut Dependencies,
    ) -> Result<Ready, Failure> {
        let job = self.job;
        dependencies.extend(std::mem::take(&mut collected.assembly.inputs));
        dependencies.render(self.output)?;
        let sidecars = job.sidecars(&collected.assembly)?;
        beside::require_names(self.output, &sidecars, self.permissions)?;
        let machine = self.machine(&collected.assembly, &sidecars);
        let has_key = machine.drive.as_ref().is_some_and(|drive| drive.key.is_some());
        let is_told = machine.firmware.public.is_empty() && machine.kernel_line.is_empty();
        let knows_all = is_told && !has_key;
        let attached = self.arguments(machine)?;
        if let Some(summary) = self.keep(&mut collected, &sidecars)? {
            return Ok(Ready { file: None, summary, attached, knows_all });
        }
        let mut file = OutputFile::create(self.output, self.permissions)?;
        for Sidecar { suffix, content } in &sidecars {
            file.add_sidecar(suffix, content.expose())?;
        }
        let summary = self.write(&collected, &sidecars, &mut file)?;
        if self.verifies {
            read_back::check(&job.image, &collected.assembly.tree, file.reread()?)?;
        }
        Ok(Ready { file: Some(file), summary, attached, knows_all })
    }

    /// What is told of the existing image where it is the one that would be
    /// written. Where it is not, the tree has the time of a new one.
    fn keep(
        &self,
        collected: &mut Collected,
        sidecars: &[Sidecar],
    ) -> Result<Option<Summary>, Failure> {
        let Self { output, job, permissions, .. } = self;
        let Some(existing) = &job.existing else { return Ok(None) };
        let same = job.like(existing);
        collected.assembly.date(same.build_time);
        if existing::has_sidecars(output, sidecars, *permissions)
            && let Some(size_bytes) = existing.compare(&same, &collected.assembly.tree)?
            && existing.is_at(output)
        {
            return Ok(Some(self.summary(&same, collected, sidecars, size_bytes).unchanged()));
        }
        collected.assembly.date(job.image.build_time);
        Ok(None)
    }

    fn machine(&self, assembly: &Assembly, sidecars: &[Sidecar]) -> Machine {
        let suffixes = sidecars.iter().map(|sidecar| sidecar.suffix.as_str());
        let firmware = Firmware {
            public: sidecar::public(&assembly.routes, self.job.settings.means.unlock.as_ref()),
            ..sidecar::firmware(self.output, suffixes)
        };
        let drive = Some(self.job.drive.clone());
        let kernel_line = self.job.kernel_line(&assembly.routes);
        Machine { drive, firmware, initrd: None, kernel_line }
    }

    /// Writes the image.
    pub(crate) fn write<S: Sink>(
        &self,
        collected: &Collected,
        sidecars: &[Sidecar],
        sink: &mut S,
    ) -> Result<Summary, Failure> {
        let image = &self.job.image;
        let size_bytes = image.write(&collected.assembly.tree, sink)?;
        Ok(self.summary(image, collected, sidecars, size_bytes))
    }

    fn summary(
        &self,
        image: &Image,
        collected: &Collected,
        sidecars: &[Sidecar],
        size_bytes: u64,
    ) -> Summary {
        let sidecars = sidecars.iter().map(|sidecar| sidecar.suffix.as_str());
        let Assembly { tree, routes, .. } = &collected.assembly;
        let delivery = Delivery::new(self.output, &self.job.manifest, routes, sidecars);
        let mut summary = Summary::new(self.job, image, tree, size_bytes, delivery);
        summary.losses = collected.losses(image);
        summary
    }
}
