//! Which machine messages are about. Several machines may be built at a time, each by one thread.

use std::cell::RefCell;

thread_local! {
    /// The machine that this thread builds, with its warnings.
    static NOW: RefCell<Option<(String, Vec<String>)>> = const { RefCell::new(None) };
}

/// While it lives, messages of this thread begin with a machine's name.
pub(crate) struct About(());

impl About {
    /// Begins messages about the machine with this name.
    pub(crate) fn machine(name: &str) -> Self {
        NOW.with_borrow_mut(|now| *now = Some((name.to_owned(), Vec::new())));
        Self(())
    }

    /// The warnings about the machine so far; the list is empty afterwards.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let Self(()) = self;
        let take = |(_, warnings): &mut (_, Vec<_>)| std::mem::take(warnings);
        NOW.with_borrow_mut(|now| now.as_mut().map(take).unwrap_or_default())
    }
}

impl Drop for About {
    fn drop(&mut self) {
        NOW.with_borrow_mut(|now| *now = None);
    }
}

/// The name of the machine that this thread builds.
pub(super) fn name() -> Option<String> {
    NOW.with_borrow(|now| now.as_ref().map(|(name, _)| name.clone()))
}

/// Notes a warning about the machine; false where this thread builds none.
pub(super) fn note(warning: &str) -> bool {
    NOW.with_borrow_mut(|now| {
        let warnings = now.as_mut().map(|(_, warnings)| warnings.push(warning.to_owned()));
        warnings.is_some()
    })
}
