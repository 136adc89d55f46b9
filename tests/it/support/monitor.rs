//! A QEMU that is asked over its monitor what it has opened.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A QEMU that is stopped before its first instruction.
pub(crate) struct Qemu {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Qemu {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("qemu-system-x86_64 and the shell must be installed");
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut qemu = Self { child, stdin, stdout };
        qemu.execute(&json!({"execute": "qmp_capabilities"}));
        qemu
    }

    /// Runs a monitor command and returns what it returns.
    pub(crate) fn execute(&mut self, command: &Value) -> Value {
        // A QEMU that did not start has closed its end; its own message is on stderr.
        let _ = writeln!(self.stdin, "{command}");
        loop {
            let mut line = String::new();
            self.stdout.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "QEMU ended before it answered {command}");
            let answer: Value = serde_json::from_str(&line).unwrap();
            assert!(answer.get("error").is_none(), "{command}: {answer}");
            if let Some(value) = answer.get("return") {
                return value.clone();
            }
        }
    }

    /// The serial of the device that `block`, an element of query-block's answer, belongs to.
    pub(crate) fn serial_of(&mut self, block: &Value) -> String {
        let arguments = json!({"path": block["qdev"], "property": "serial"});
        let serial = self.execute(&json!({"execute": "qom-get", "arguments": arguments}));
        serial.as_str().unwrap().to_owned()
    }

    /// Serial and length in bytes of each drive; all are raw and read-only, down to the file.
    pub(crate) fn drives(&mut self) -> BTreeSet<(String, u64)> {
        let nodes = self.execute(&json!({"execute": "query-named-block-nodes"}));
        for node in nodes.as_array().unwrap() {
            assert_eq!(node["ro"], true, "{node}");
        }
        let blocks = self.execute(&json!({"execute": "query-block"}));
        let mut drives = BTreeSet::new();
        for block in blocks.as_array().unwrap() {
            let inserted = &block["inserted"];
            assert_eq!((&inserted["drv"], &inserted["ro"]), (&json!("raw"), &json!(true)));
            let size_bytes = inserted["image"]["virtual-size"].as_u64().unwrap();
            drives.insert((self.serial_of(block), size_bytes));
        }
        drives
    }

    /// Inodes of the files below `directory` that QEMU has open; all are open for reading only.
    pub(crate) fn inodes_below(&self, directory: &Path) -> BTreeSet<u64> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let mut inodes = BTreeSet::new();
        for entry in fs::read_dir(process.join("fd")).unwrap() {
            let entry = entry.unwrap();
            // What QEMU closes meanwhile is no file of ours.
            if !fs::read_link(entry.path()).is_ok_and(|path| path.starts_with(directory)) {
                continue;
            }
            inodes.insert(fs::metadata(entry.path()).unwrap().ino());
            let info = fs::read_to_string(process.join("fdinfo").join(entry.file_name())).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            let access = u32::from_str_radix(flags.trim(), 8).unwrap() & 3;
            assert_eq!(access, 0, "open for writing: {info}");
        }
        inodes
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
