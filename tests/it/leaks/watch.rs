//! Runs a case in a directory with files to build from, and looks for secrets in everything
//! that comes of it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::leaks::canary::{BESIDE, CONTENT, PRINTED, SCALAR, VARIABLE, shows};
use crate::leaks::case::{Case, Place};
use crate::leaks::files;

/// A command of manifests: notes its words and its variables, prints a secret on both streams.
const PROBE: &str = "#!/bin/sh\n\
    { tr '\\0' '\\n' <\"/proc/$$/cmdline\"; env; } >\"$(mktemp out/words.XXXXXX)\"\n\
    echo PRINTED; echo PRINTED >&2; [ \"$1\" != fail ]\n";
/// What takes the place of a monitor.
const MONITOR: &str = "#!/bin/sh\n\
    { tr '\\0' '\\n' <\"/proc/$$/cmdline\"; env; } >\"$(mktemp out/words.XXXXXX)\"\n";

/// A directory in which the program runs.
pub(crate) struct Bench(TempDir);

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let write = |name: &str, content: &[u8], mode: u32| {
            let path = bench.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for name in ["keys/host", "tls/key.pem", "tls/sub/cert.pem", "id"] {
            write(name, CONTENT.as_bytes(), 0o600);
        }
        write("box.tar", &files::tar(&[("box/key", CONTENT.as_bytes())]), 0o600);
        write("extra.pf", b"/from-file f 400 0 0 ./probe\n", 0o600);
        write("luks.key", "0123456789abcdef".repeat(4).as_bytes(), 0o600);
        write("master.key", b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", 0o600);
        write("probe", PROBE.replace("PRINTED", PRINTED).as_bytes(), 0o700);
        write("monitor", MONITOR.as_bytes(), 0o700);
        bench
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs the case; returns its exit code and one line for each leak.
    pub(crate) fn run(&mut self, case: &Case) -> (i32, Vec<String>) {
        let out = self.path().join("out");
        let _ = fs::remove_dir_all(&out);
        let _ = fs::remove_file(&out);
        fs::create_dir(&out).unwrap();
        for (name, content) in &case.files {
            fs::write(self.path().join(name), content).unwrap();
            let private = fs::Permissions::from_mode(0o600);
            fs::set_permissions(self.path().join(name), private).unwrap();
        }
        let program = case.program.unwrap_or(env!("CARGO_BIN_EXE_credimg"));
        let mut command = Command::new(case.before.map_or(program, |_| "/bin/bash"));
        if let Some(before) = case.before {
            command.args(["-c", &format!("{before}; exec \"$0\" \"$@\""), program]);
        }
        let mut child = command
            .args(&case.arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("CI_TOKEN", VARIABLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Who does not read it closes it early.
        let _ = child.stdin.take().unwrap().write_all(&case.stdin);
        let output = child.wait_with_output().unwrap();
        let code = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap());
        let streams_image = case.arguments.windows(2).any(|pair| pair == ["-o", "-"]);
        let mut seen = vec![("standard error", output.stderr)];
        if !streams_image {
            seen.push(("standard output", output.stdout));
        }
        seen.extend(self.traces());
        let mut leaks = Vec::new();
        for (place, text) in &seen {
            for canary in shown(case, code, place, text) {
                let text = String::from_utf8_lossy(text);
                leaks.push(format!("{canary} in {place} (exit {code}): {case:?}\n{text}\n"));
            }
        }
        if (case.program.is_none() && code > 8) || [101, 134].contains(&code) {
            leaks.push(format!("exit code {code} of {case:?}"));
        }
        (code, leaks)
    }

    /// What lies in `out` afterwards: names, reports, and what commands have seen.
    fn traces(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut traces = Vec::new();
        for entry in fs::read_dir(self.path().join("out")).into_iter().flatten() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_encoded_bytes();
            let place = if name.starts_with(b"words.") {
                Some("a command's words and variables")
            } else if name.ends_with(b".json") || name.ends_with(b".d") {
                Some("the report")
            } else {
                None
            };
            if let Some(place) = place {
                traces.push((place, fs::read(entry.path()).unwrap_or_default()));
            }
            traces.push(("a file name", name));
        }
        traces
    }
}

/// The secrets of which `text` shows a piece, though it must not.
fn shown(case: &Case, code: i32, place: &str, text: &[u8]) -> Vec<&'static str> {
    let is_named = match case.place {
        Place::Secret => false,
        Place::Name => code != 3,
        Place::Definition => true,
    };
    let is_of_a_command = place == "a command's words and variables" && case.program.is_none();
    let is_monitor = case.arguments.first().is_some_and(|command| command == "exec");
    let may_show = |canary: &str| match canary {
        // A monitor keeps the variables of its caller but those that are sources.
        VARIABLE => is_of_a_command && is_monitor && !case.what.contains("env: CI_TOKEN"),
        // What the manifest itself puts into a command's words is the user's own doing.
        BESIDE => is_of_a_command,
        SCALAR => is_of_a_command || is_named,
        _ => false,
    };
    let canaries = [CONTENT, VARIABLE, PRINTED, BESIDE, SCALAR];
    canaries.into_iter().filter(|canary| !may_show(canary) && shows(text, canary)).collect()
}
