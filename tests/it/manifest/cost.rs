//! What hostile manifests cost. It has a process of its own, whose memory it measures.

mod fleets;

use std::fs;
use std::path::Path;
use std::time::Duration;

use credimg::manifest::parse_any;

use crate::support::alone::alone;
use crate::support::clock::process_time;

/// Inputs of almost 1 MiB made to cost much, each with what it is refused for,
/// or nothing where it is a valid manifest.
fn hostile() -> Vec<(&'static str, String, &'static str)> {
    let size = (1 << 20) - 64;
    let fill = |head: &str, piece: &str| {
        head.to_owned() + &piece.repeat((size - head.len()) / piece.len())
    };
    let numbered = |head: &str, piece: &dyn Fn(usize) -> String| {
        let mut text = head.to_owned();
        for number in 0.. {
            let next = piece(number);
            if text.len() + next.len() > size {
                break;
            }
            text += &next;
        }
        text
    };
    let deep_path = format!("  - {{path: {}/", "/a".repeat(2000));
    vec![
        ("brackets", fill("x: ", "["), "nested deeper"),
        ("braces", fill("", "{a: "), "nested deeper"),
        ("dashes", fill("", "- "), "nested deeper"),
        ("question marks", fill("", "? "), "nested deeper"),
        ("colons", fill("", ":"), "a colon where none"),
        ("empty items", fill("files:\n", "- \n"), "expected a mapping"),
        ("flow items", fill("files: [", "x,") + "]", "expected a mapping"),
        ("entries", numbered("files:\n", &|n| format!("- {{path: a{n}, text: ''}}\n")), ""),
        ("one path", fill("files:\n", "- {path: a, text: ''}\n"), "taken by"),
        ("deep paths", numbered("files:\n", &|n| format!("{deep_path}{n}, text: ''}}\n")), ""),
        ("unknown keys", numbered("", &|n| format!("k{n}: x\n")), "unknown key"),
        ("equal keys", fill("", "label: x\n"), "given twice"),
        ("long key", fill("", "f") + ": x\n", "not valid YAML"),
        ("long text", fill("files: [{path: /a, text: '", "x") + "'}]", ""),
        ("long number", fill("files: [{path: /a, text: ", "9") + "}]", "got a number"),
        ("long name", fill("files: [{text: x, path: ", "9a") + "}]", "at most 4095"),
        ("anchors", fill("", "&a "), "anchors and aliases"),
        ("aliases", fill("", "*a "), "anchors and aliases"),
        ("tags", fill("", "!a "), "tags"),
        ("directives", fill("", "%TAG ! tag:x,2000:\n"), "directives"),
        ("documents", fill("", "---\n"), "more than one"),
        ("comments", fill("", "#\n"), "empty"),
        ("line feeds", fill("", "\n"), "empty"),
        ("spaces", fill("", " "), "empty"),
        ("quotes", fill("", "'"), "got text"),
        ("open quote", fill("files: \"", "\\\\\n"), "not valid YAML"),
        ("block text", fill("files: |\n", " x\n"), "expected a list"),
        ("folded text", fill("files: >\n", " x\n\n"), "expected a list"),
        ("plain text", fill("files: x\n", " x\n"), "expected a list"),
        ("block header", fill("files: |\n", "\n"), "expected a list"),
        (
            "xattrs",
            numbered("files:\n- path: a\n  text: x\n  xattrs:\n", &|n| format!("   user.{n}: x\n")),
            "",
        ),
        ("words", fill("files:\n- path: a\n  command: [x", ",x") + "]\n", ""),
    ]
}

/// The largest resident set of this process so far, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn hostile_manifests_cost_little() {
    if !alone(concat!(module_path!(), "::hostile_manifests_cost_little")) {
        return;
    }
    // The promise is 2 s; a build for debugging is about ten times as slow.
    let limit = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 2 });
    for (name, text, _) in hostile() {
        assert!(text.len() > 1_000_000 && text.len() <= 1 << 20, "{name}: {} bytes", text.len());
    }
    for (name, text, expected) in hostile().into_iter().chain(fleets::hostile()) {
        let start = process_time();
        let outcome = parse_any(text.as_bytes(), Path::new("m"));
        let elapsed = process_time().checked_sub(start).unwrap();
        match outcome {
            Ok(_) => assert_eq!(expected, "", "{name} is accepted"),
            Err(error) => {
                let error = error.to_string();
                assert!(!expected.is_empty() && error.contains(expected), "{name}: {error}");
            }
        }
        assert!(elapsed < limit, "{name} took {elapsed:?}");
        assert!(peak_kib() < 256 << 10, "{name} brought the peak to {} KiB", peak_kib());
    }
}
