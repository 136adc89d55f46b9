//! What people should know of the image that they ask for, before it is made.

use super::Job;
use super::drive;
use super::seed;
use super::xattrs;
use crate::manifest::Format;
use crate::report::{self, Failure};

impl Job {
    /// Prints the advice. Errors are those of the arguments.
    pub(crate) fn advise(&self, is_quiet: bool) -> Result<(), Failure> {
        if let Some(note) = self.target.opening_note(&self.drive)?.filter(|_| !is_quiet) {
            report::note(&note);
        }
        for warning in xattrs::warnings(&self.manifest) {
            report::warn(&warning);
        }
        let label = self.image.label.as_deref();
        let profile = self.image.format.profile();
        drive::warn(self.target, self.drive.bus, label.filter(|_| profile.has_label()));
        if self.image.options.joliet {
            report::warn(
                "a Joliet tree has no owners and modes: where it is mounted, every user may read \
                 every file",
            );
        }
        if self.has_own_uuid {
            match self.image.format {
                Format::Erofs => {}
                Format::Squashfs => {
                    report::warn("a SquashFS image has no UUID: --uuid has no effect");
                }
                Format::Iso9660 => {
                    report::warn("the UUID of an ISO 9660 image is its time: --uuid has no effect");
                }
            }
        }
        // A disk that the guest opens is found by its header or serial.
        let is_opened = self.settings.means.unlock.is_some();
        if let Some(warning) = seed::is_hidden(label).filter(|_| is_opened) {
            report::warn(&warning);
        }
        let has_serial = self.target.sets_serial() && !is_opened;
        // Nobody misses a label that was only made of a machine's name.
        let is_missed =
            label.is_some() && !self.manifest.label.as_ref().is_some_and(|it| it.is_made);
        if !profile.has_label() && is_missed && has_serial && !is_quiet {
            let title = profile.title;
            report::note(&format!(
                "a {title} image has no label: the drive's serial stands for it"
            ));
        }
        Ok(())
    }
}
