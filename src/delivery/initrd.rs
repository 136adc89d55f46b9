//! Credentials that go behind the guest's own initrd.

use std::path::PathBuf;

/// The guest's own initrd, which is never changed, and how its systemd takes credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestInitrd {
    /// Where it lies.
    pub path: PathBuf,
    /// What the guest takes.
    pub form: Form,
}

/// How credentials lie in an initrd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Files of their own, and lines for systemd-tmpfiles that copy them to where the guest's
    /// systemd takes them from when it leaves the initrd: from systemd 254 on.
    #[default]
    Tmpfiles,
    /// Files where systemd itself takes them from: from systemd 262 on.
    Extra,
}
