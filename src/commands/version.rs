//! `credimg --version`: which program this is.

use std::sync::LazyLock;

/// The features that a packager may leave out.
const FEATURES: [(&str, bool); 2] =
    [("leases", cfg!(feature = "leases")), ("seal", cfg!(feature = "seal"))];

static LONG: LazyLock<String> = LazyLock::new(|| {
    let commit = option_env!("CREDIMG_COMMIT").unwrap_or("unknown commit");
    let features: Vec<_> =
        FEATURES.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(" ") };
    format!("{} ({commit}, features: {features})", env!("CARGO_PKG_VERSION"))
});

/// The version, the commit with its date, and the features. No commit is known of sources without
/// git, nor of a build for development.
pub(super) fn long() -> &'static str {
    &LONG
}
