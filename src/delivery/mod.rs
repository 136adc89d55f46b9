//! How each credential reaches the guest: by the firmware or on the disk.
//!
//! `plan` chooses, within the limits of `budget`, before anything is written;
//! `sidecar` names and fills the private files that the firmware's values are
//! in, `smbios` makes the structure that holds OEM strings, `mount` says how
//! the guest's systemd finds the disk, `unlock` how it opens an encrypted one, `guest` what an
//! older guest drops, `distribution` what distributions leave out.
//!
//! Invariant: `plan` knows names and lengths, never a value, and no value
//! reaches an argument: arguments name files.

pub mod budget;
pub mod distribution;
pub mod guest;
pub mod mount;
pub mod route;
pub mod sidecar;
mod smbios;
pub mod units;
pub mod unlock;
