//! What takes over a minute: campaigns over many machines, kernels and sizes. `make
//! test-long` runs them; `make test` has a small part of each.

mod initrd;
mod kernels;
mod libvirt;
mod machines;
mod placement;
mod probe;
mod verity;
mod vmspawn;
