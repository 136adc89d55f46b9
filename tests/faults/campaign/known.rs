//! Findings that are known and not yet mended: they are counted, and fail no campaign.
//! Whoever mends one takes its line away.

use super::fault::{Fault, Point};

/// Whether a finding of this rule, at this call and by this fault, is known.
pub(super) fn is_known(rule: &str, what: &str, point: &Point, fault: Fault) -> bool {
    let is_done = matches!(fault, Fault::Done(_));
    let is_lasting = matches!(fault, Fault::From(_));
    let is_failing = matches!(fault, Fault::Fail(_) | Fault::One | Fault::Half);
    let is_search = ["lseek", "getdents64", "newfstatat", "openat", "statx", "fstat"];
    match rule {
        // Rust's own reading of a directory, and its random numbers.
        "panic" | "code" => ["getrandom", "close"].contains(&point.name),
        "mute" if what.contains("no message") => ["getrandom", "close"].contains(&point.name),
        // What fails before the output is opened, and after it is in place.
        "mute" => true,
        // Neither named nor removed.
        "temporary" => is_lasting || is_done || ["unlinkat", "openat"].contains(&point.name),
        "mixed" => is_lasting || is_done && point.name.starts_with("renameat"),
        "untrue" => is_done && point.name.starts_with("renameat") || point.name == "fsync",
        "silent" => is_failing && is_search.contains(&point.name) || point.name == "renameat2",
        "torn" => what.starts_with("report"),
        "next" => point.name.starts_with("renameat") || point.name == "fsync" || is_lasting,
        _ => false,
    }
}
