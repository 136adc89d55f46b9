//! Credentials from the manifest to the files that carry them: limits, exact
//! values, and files that come and go together.

mod beside;
mod guests;
mod inputs;
mod items;
mod limits;
mod machines;
mod mount_options;
mod planner;
mod sets;
mod values;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::Output;

use crate::support::host::{Host, stderr, stdout};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// One credential of a manifest in a line.
fn credential(name: &str, value: &[u8], via: &str) -> String {
    let value = STANDARD.encode(value);
    format!("- {{name: {name:?}, base64: {value:?}, via: {via}}}\n")
}

/// A manifest of these credentials.
fn manifest(credentials: impl IntoIterator<Item = String>) -> String {
    let credentials: String = credentials.into_iter().collect();
    format!("label: CHIMERA\ncredentials:\n{credentials}")
}

/// The report of a build that must succeed.
fn built(host: &Host, options: &[&str]) -> Value {
    let output = host.build(&[options, &["--json=report"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&fs::read(host.path("report")).unwrap()).unwrap()
}

/// How many credentials of a report go by each channel.
fn channels(report: &Value) -> BTreeMap<String, usize> {
    let mut channels = BTreeMap::new();
    for credential in report["credentials"].as_array().unwrap() {
        *channels.entry(credential["via"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    channels
}

/// The OEM strings of a raw structure, read as SMBIOS 3.7 describes it.
fn oem_strings(structure: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(structure[..2], [11, 5], "type and length");
    let mut rest = &structure[5..];
    let mut strings = Vec::new();
    while rest != [0] {
        let end = rest.iter().position(|byte| *byte == 0).unwrap();
        assert!(end > 0, "an empty string ends the structure");
        strings.push(rest[..end].to_vec());
        rest = &rest[end + 1..];
    }
    assert_eq!(usize::from(structure[4]), strings.len(), "the count");
    strings
}

/// Names and values of credentials in OEM strings, as systemd reads them.
fn imported(strings: &[Vec<u8>]) -> BTreeMap<String, Vec<u8>> {
    let import = |string: &Vec<u8>| {
        let text = std::str::from_utf8(string).unwrap();
        let text = text.strip_prefix("io.systemd.credential.binary:").unwrap();
        let (name, value) = text.split_once('=').unwrap();
        (name.to_owned(), STANDARD.decode(value).unwrap())
    };
    strings.iter().map(import).collect()
}

/// A build that must fail: its code, and what it says first.
fn refused(output: &Output) -> (i32, String) {
    assert_eq!(stdout(output), "");
    let said = stderr(output);
    let first = said.lines().next().unwrap();
    let message = first.strip_prefix("credimg: error: ").unwrap();
    (output.status.code().unwrap(), message.to_owned())
}
