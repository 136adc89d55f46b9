//! How each credential reaches the guest, and how the guest finds, opens and mounts the disk.
//!
//! Before anything is written, `route` chooses a channel for each credential: `means` says which
//! channels are open, `limits` what they hold. `sidecar` names and fills the private files beside
//! the image, `smbios` makes the structure with OEM strings, and `initrd` what goes behind the
//! guest's own initrd.
//!
//! `device` says how the guest names the disk, `mount` how its systemd mounts it, `unlock` how its
//! systemd opens a disk that is encrypted or has a hash tree, `verity` what it is told of such a
//! tree, and `units` what does all that in an older guest. `guest` tells what an older guest
//! ignores, `distribution` what distributions leave out of their kernels.
//!
//! Invariant: `route` knows names and lengths, never a value, and no secret value reaches an
//! argument: arguments name files.

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
