//! How each credential reaches the guest: by the firmware or on the disk.
//!
//! `route` chooses, within the `limits`, before anything is written; `sidecar` names and
//! fills the private files that the firmware's values are in, `smbios` makes the structure
//! that holds OEM strings. `device` says by what the guest finds the disk, `mount` how its
//! systemd mounts it, `unlock` how that opens an encrypted one, `units` what does both in an
//! older guest. `guest` tells what an older guest drops, `distribution` what distributions
//! leave out.
//!
//! Invariant: `route` knows names and lengths, never a value, and no value
//! reaches an argument: arguments name files.

pub mod device;
pub mod distribution;
pub mod guest;
pub mod initrd;
pub mod limits;
pub mod means;
pub mod mount;
pub mod route;
pub mod sidecar;
mod smbios;
pub mod units;
pub mod unlock;
pub mod verity;
