//! The crate as those use it who have its documentation alone.

#[expect(dead_code, reason = "its main is for people")]
#[path = "../../../examples/images.rs"]
mod images;
mod judges;
mod sinks;
mod values;

use std::path::PathBuf;

/// A path of this test's own, where nothing lies.
fn scratch(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("strangers-{name}"));
    let _ = std::fs::remove_file(&path);
    let _ = std::fs::remove_dir_all(&path);
    path
}
