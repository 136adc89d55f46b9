//! A hash tree of dm-verity behind what a storage holds. Without the feature `verity` none is known.

#![cfg_attr(
    not(feature = "verity"),
    expect(
        clippy::unnecessary_wraps,
        reason = "as with the feature, where looking for one may fail"
    )
)]

use super::{Account, Storage};
use crate::error::Result;
#[cfg(feature = "verity")]
use crate::verity;

/// Tells what the bytes of the tree are, where there is one.
#[cfg(feature = "verity")]
pub(super) fn account(storage: &dyn Storage, account: &mut dyn Account) -> Result<()> {
    match verity::find(storage)? {
        Some(found) => verity::account(storage, &found, account),
        None => Ok(()),
    }
}

/// Tells nothing.
#[cfg(not(feature = "verity"))]
pub(super) fn account(_: &dyn Storage, _: &mut dyn Account) -> Result<()> {
    Ok(())
}

/// What is before the tree, or all where there is none.
#[cfg(feature = "verity")]
pub(super) fn data(storage: &dyn Storage) -> Result<Box<dyn Storage + '_>> {
    Ok(match verity::find(storage)? {
        Some(found) => Box::new(verity::Data::new(storage, &found)),
        None => Box::new(storage),
    })
}

/// All of it.
#[cfg(all(feature = "luks", not(feature = "verity")))]
pub(super) fn data(storage: &dyn Storage) -> Result<Box<dyn Storage + '_>> {
    Ok(Box::new(storage))
}
