//! Whom messages are about, where several machines are built at a time: each thread builds one.

use std::cell::RefCell;

thread_local! {
    /// The machine that this thread builds, with its warnings.
    static NOW: RefCell<Option<(String, Vec<String>)>> = const { RefCell::new(None) };
}

/// As long as it lives, what this thread says begins with a machine's name.
pub(crate) struct About(());

impl About {
    /// The machine of this name.
    pub(crate) fn machine(name: &str) -> Self {
        NOW.with_borrow_mut(|now| *now = Some((name.to_owned(), Vec::new())));
        Self(())
    }

    /// Its warnings so far, which are not told again.
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

/// Notes a warning; false where it is about no machine.
pub(super) fn note(warning: &str) -> bool {
    NOW.with_borrow_mut(|now| {
        let warnings = now.as_mut().map(|(_, warnings)| warnings.push(warning.to_owned()));
        warnings.is_some()
    })
}
