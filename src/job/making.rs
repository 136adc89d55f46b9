//! Makes a job's image as a complete file that is not yet in place, with everything that is to be
//! told of it.

use std::borrow::Cow;
use std::path::Path;

use credimg_formats::Sink;
use credimg_formats::verity::Sealed;

use super::Job;
use super::beside;
use super::collect::Collected;
use super::depfile::Dependencies;
use super::existing;
use super::image::{Image, Written};
use super::read_back;
use super::summary::{Delivery, Summary};
use crate::delivery::sidecar::{self, Sidecar};
use crate::host::output::{OutputFile, Permissions};
use crate::monitors::{Arguments, Attachment, Firmware, Machine};
use crate::report::Failure;
use crate::sources::assemble::Assembly;

/// What is needed to make the file of a job's image.
pub(crate) struct Making<'a> {
    pub(crate) job: &'a Job,
    pub(crate) output: &'a Path,
    /// Who may read the image and the files beside it.
    pub(crate) permissions: Permissions,
    /// Whether the image is read back.
    pub(crate) verifies: bool,
    /// Whether paths in the arguments are absolute.
    pub(crate) is_absolute: bool,
    pub(crate) printed: Printed,
}

/// The output that tells how the image is attached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Printed {
    Arguments,
    /// The JSON report, which holds the arguments.
    Report,
}

impl Printed {
    /// The name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arguments => "the arguments",
            Self::Report => "the report",
        }
    }
}

/// The arguments that attach the image, in the form in which they are told.
pub(crate) enum Attached {
    Text(Vec<u8>),
    /// Members of the report.
    Members(Attachment),
}

impl Attached {
    /// The text to print; a report holds this summary.
    pub(crate) fn printed(self, summary: &Summary) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Members(attachment) => {
                // This makes the losses warnings, which the report holds.
                summary.losses.warn();
                summary.report(&attachment)
            }
        }
    }
}

/// A build that is complete and not yet in place.
pub(crate) struct Ready {
    /// The new image; none where the existing one is kept.
    pub(crate) file: Option<OutputFile>,
    pub(crate) summary: Summary,
    pub(crate) attached: Attached,
    /// Whether `credimg args` would print the same arguments.
    pub(crate) knows_all: bool,
}

/// The private files and arguments of an image.
struct Beside {
    sidecars: Vec<Sidecar>,
    attached: Attached,
    knows_all: bool,
}

impl Beside {
    /// Writes the private files.
    fn add_to(&self, file: &mut OutputFile) -> Result<(), Failure> {
        self.sidecars.iter().try_for_each(|Sidecar { suffix, head, content }| match head {
            Some(head) => file.add_sidecar_behind(suffix, head, content.expose()),
            None => file.add_sidecar(suffix, content.expose()),
        })
    }
}

impl Making<'_> {
    /// An error if the arguments for a machine with the image and nothing else cannot be told.
    pub(crate) fn require_told(&self) -> Result<(), Failure> {
        let machine = self.job.drive.clone().into();
        let arguments = self.arguments(machine)?;
        match self.printed {
            Printed::Arguments => arguments.printed(self.job.style).map(drop),
            Printed::Report => arguments.require_reported(),
        }
    }

    /// The arguments that attach the image to this machine, which has the job's drive.
    fn arguments(&self, machine: Machine) -> Result<Cow<'_, Arguments>, Failure> {
        let Job { target, style, arguments, .. } = self.job;
        let known = arguments.as_ref().filter(|_| !self.is_absolute && machine.is_disk_alone());
        if let Some(arguments) = known {
            return Ok(Cow::Borrowed(arguments));
        }
        let machine = if self.is_absolute { machine.absolute()? } else { machine };
        Ok(Cow::Owned(target.arguments(&machine, *style)?))
    }

    fn attached(&self, arguments: &Arguments) -> Result<Attached, Failure> {
        Ok(match self.printed {
            Printed::Arguments => Attached::Text(arguments.printed(self.job.style)?),
            Printed::Report => Attached::Members(arguments.reported()?),
        })
    }

    /// Makes the file from what was collected, and notes the dependencies.
    pub(crate) fn make(
        &self,
        mut collected: Collected,
        dependencies: &mut Dependencies,
    ) -> Result<Ready, Failure> {
        let job = self.job;
        dependencies.extend(std::mem::take(&mut collected.assembly.inputs));
        dependencies.render(self.output)?;
        // Their texts about a hash tree that is not written yet are as long as the real ones.
        let mut beside = self.beside(&collected.assembly, None)?;
        beside::require_names(self.output, &beside.sidecars, self.permissions, job)?;
        if let Some(ready) = self.keep(&mut collected, &beside)? {
            return Ok(ready);
        }
        let mut file = OutputFile::create(self.output, self.permissions)?;
        if job.image.verity.is_none() {
            beside.add_to(&mut file)?;
        }
        let written = job.image.write(&collected.assembly.tree, &mut file)?;
        if written.sealed.is_some() {
            beside = self.beside(&collected.assembly, written.sealed.as_ref())?;
            beside.add_to(&mut file)?;
        }
        if self.verifies {
            read_back::check(&job.image, &collected.assembly.tree, file.reread()?, &written)?;
        }
        let summary = self.summary(&job.image, &collected, &beside.sidecars, &written);
        let Beside { attached, knows_all, .. } = beside;
        Ok(Ready { file: Some(file), summary, attached, knows_all })
    }

    /// The existing image, if it is the one that would be written. If it is not, the tree gets the
    /// time of a new one.
    fn keep(&self, collected: &mut Collected, foreseen: &Beside) -> Result<Option<Ready>, Failure> {
        let Self { output, job, permissions, .. } = self;
        let Some(existing) = &job.existing else { return Ok(None) };
        let same = job.like(existing);
        collected.assembly.date(same.build_time);
        let has = |beside: &Beside| existing::has_sidecars(output, &beside.sidecars, *permissions);
        // With a hash tree the private files are known only when the image is.
        let is_possible = same.verity.is_some() || has(foreseen);
        if is_possible
            && let Some(written) = existing.compare(&same, &collected.assembly.tree)?
            && existing.is_at(output)
        {
            let beside = self.beside(&collected.assembly, written.sealed.as_ref())?;
            if written.sealed.is_none() || has(&beside) {
                let summary = self.summary(&same, collected, &beside.sidecars, &written);
                let summary = summary.unchanged();
                let Beside { attached, knows_all, .. } = beside;
                return Ok(Some(Ready { file: None, summary, attached, knows_all }));
            }
        }
        collected.assembly.date(job.image.build_time);
        Ok(None)
    }

    /// The private files and arguments of the image with the hash tree `sealed`, or with one that
    /// is foreseen.
    fn beside(&self, assembly: &Assembly, sealed: Option<&Sealed>) -> Result<Beside, Failure> {
        let unlock = self.job.unlock(sealed)?;
        let sidecars = self.job.sidecars(assembly, unlock.as_ref())?;
        let suffixes = sidecars.iter().map(|sidecar| sidecar.suffix.as_str());
        let firmware = Firmware {
            public: sidecar::public(&assembly.routes, unlock.as_ref()),
            ..sidecar::firmware(self.output, suffixes.clone())
        };
        let initrd = sidecar::initrd(self.output, suffixes);
        let drive = self.job.drive.clone();
        let kernel_line = self.job.kernel_line(&assembly.routes);
        let is_told = firmware.public.is_empty() && kernel_line.is_empty();
        let knows_all = is_told && drive.key.is_none();
        let machine = Machine { drive: Some(drive), firmware, initrd, kernel_line };
        let attached = self.attached(&*self.arguments(machine)?)?;
        Ok(Beside { sidecars, attached, knows_all })
    }

    /// Writes the image to a place beside which no file can lie.
    pub(crate) fn write(
        &self,
        collected: &Collected,
        sink: &mut dyn Sink,
    ) -> Result<(Summary, Written), Failure> {
        let image = &self.job.image;
        let written = image.write(&collected.assembly.tree, sink)?;
        Ok((self.summary(image, collected, &[], &written), written))
    }

    fn summary(
        &self,
        image: &Image,
        collected: &Collected,
        sidecars: &[Sidecar],
        written: &Written,
    ) -> Summary {
        let sidecars = sidecars.iter().map(|sidecar| sidecar.suffix.as_str());
        let Assembly { tree, routes, .. } = &collected.assembly;
        let delivery = Delivery::new(self.output, &self.job.manifest, routes, sidecars);
        let mut summary = Summary::new(self.job, image, tree, written, delivery);
        summary.losses = collected.losses(image);
        summary
    }
}
