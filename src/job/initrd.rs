//! Chooses the guest's own initrd, and finds out whether credentials can go behind it.

use std::path::Path;
use std::sync::Arc;

use super::destination::Destination;
use super::wishes::Wishes;
use crate::delivery::guest::Guest;
use crate::delivery::initrd::{Closed, Form, GuestInitrd, IS_OURS};
use crate::host::steady::Steady;
use crate::look;
use crate::manifest::{Channel, Manifest};
use crate::report::{Exit, Failure, shown};

/// The guest's own initrd, opened, and what the planner has to know of it.
pub(super) struct OwnInitrd {
    pub(super) file: Arc<Steady>,
    pub(super) told: GuestInitrd,
    /// Why nothing can go behind it at all.
    closed: Option<Closed>,
}

/// The guest's own initrd: the one that `--initrd` names, or else the one in the monitor's own
/// arguments. None where neither names one.
///
/// If the option's initrd cannot take credentials, that is an error of exit code 4. If that of the
/// arguments cannot, the planner is told the reason and sends nothing by it.
pub(super) fn own(
    wishes: &Wishes,
    destination: &Destination,
    guest: &Guest,
) -> Result<Option<OwnInitrd>, Failure> {
    if let Some(path) = &wishes.initrd {
        if destination.is_stream() {
            let message = "--initrd has no meaning for an image on standard output";
            return Err(Failure::new(Exit::Usage, message).hint("name a file with -o"));
        }
        let mut own = open(path, guest)?;
        own.told.is_always_given = true;
        return match &own.told.form {
            Ok(_) => Ok(Some(own)),
            Err(reason) => Err(refused(path, reason, own.closed)),
        };
    }
    destination.initrd().map(|path| open(path, guest)).transpose()
}

/// What the planner is told of the guest's own initrd. Where nothing is written, nobody may have named
/// one although the manifest sends something by it: then one that takes credentials is supposed, as
/// the build that is foreseen will be given one.
pub(super) fn told(
    own: Option<&OwnInitrd>,
    manifest: &Manifest,
    destination: &Destination,
) -> Option<GuestInitrd> {
    if let Some(own) = own {
        return Some(own.told.clone());
    }
    let is_written = match destination {
        Destination::File(_) | Destination::Stream(_) | Destination::Memory(_) => true,
        Destination::Compared(_) | Destination::Nothing => false,
    };
    let mut asked = manifest.credentials.iter().map(|credential| credential.via);
    (!is_written && asked.any(|via| via == Some(Channel::Initrd))).then(|| GuestInitrd {
        size_bytes: 0,
        form: Ok(Form::default()),
        doubt: None,
        is_always_given: false,
    })
}

fn open(path: &Path, guest: &Guest) -> Result<OwnInitrd, Failure> {
    let file = Steady::open(path).map_err(|failure| {
        // Hints of errors about sources speak of manifests; only that of a policy fits here.
        if failure.exit == Exit::Source { Failure { hint: None, ..failure } } else { failure }
    })?;
    let contents = look::initrd::look(&file)?;
    let doubt = contents.unread.map(|reason| {
        format!("whether {} takes credentials is not known for certain: {reason}", shown(path))
    });
    let form = contents.form(guest.systemd);
    let size_bytes = file.size_bytes();
    let told = GuestInitrd { size_bytes, form, doubt, is_always_given: false };
    Ok(OwnInitrd { file: Arc::new(file), told, closed: contents.closed })
}

fn refused(path: &Path, reason: &str, closed: Option<Closed>) -> Failure {
    let message = format!("no credentials can go by the initrd {}: {reason}", shown(path));
    if reason == IS_OURS {
        return Failure::new(Exit::Source, message).hint("name the guest's own, as it was before");
    }
    if let Some(closed) = closed {
        return Failure::new(Exit::Source, message).hint(closed.hint());
    }
    Failure::new(Exit::Source, message).hint(
        "make the guest's initrd with dracut, or with mkinitcpio's hook systemd; or leave \
         --initrd out, and give the credentials `via: disk`",
    )
}
