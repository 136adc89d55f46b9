//! Builders that differ in one number, which is in the image and in each file beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use tempfile::TempDir;

use super::content;

pub(crate) struct Builders {
    directory: TempDir,
}

impl Builders {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("out")).unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn output(&self, name: &str) -> PathBuf {
        self.path().join("out").join(name)
    }

    /// The command that builds this builder's set. Every third one has no file by fw_cfg.
    pub(crate) fn build(&self, number: usize, output: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.args(self.arguments(number, output));
        command
    }

    /// Builds with faults that strace injects.
    pub(crate) fn build_under_strace(
        &self,
        number: usize,
        output: &Path,
        faults: &[&str],
    ) -> Child {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(self.path().join(format!("log-{number}")));
        command.args(faults.iter().flat_map(|fault| ["-e", fault]));
        command.arg(env!("CARGO_BIN_EXE_credimg")).args(self.arguments(number, output));
        command.spawn().expect("strace must be installed")
    }

    /// Builds an image of its own, on a disk that needs so long for every fsync.
    pub(crate) fn build_slowly(&self, number: usize, milliseconds: u32) -> (usize, PathBuf, Child) {
        let output = self.output(&format!("image-{number}.erofs"));
        let delay = format!("inject=fsync:delay_enter={milliseconds}000");
        let child = self.build_under_strace(number, &output, &["trace=fsync", &delay]);
        (number, output, child)
    }

    /// Builds one image so many times, some at a time, and judges what is left. Returns the
    /// number of the builder whose set it is.
    pub(crate) fn race(&self, runs: usize, at_once: usize) -> usize {
        let output = self.output("image.erofs");
        let mut numbers = 1..=runs;
        let mut running: Vec<(usize, Child)> = Vec::new();
        loop {
            while running.len() < at_once
                && let Some(number) = numbers.next()
            {
                let mut command = self.build(number, &output);
                running.push((number, command.stderr(Stdio::piped()).spawn().unwrap()));
            }
            if running.is_empty() {
                break;
            }
            let (number, child) = running.remove(0);
            let done = child.wait_with_output().unwrap();
            let errors = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(done.status.success(), "{number}: {}: {errors}", done.status);
        }
        assert!(self.temporaries().is_empty());
        Self::whole_set(&output)
    }

    /// The number of the builder whose set of files is there; fails where it is a mixture.
    pub(crate) fn whole_set(output: &Path) -> usize {
        let name = output.file_name().unwrap().to_str().unwrap();
        let number = number_in(&content(output, "token"));
        let mut beside: Vec<_> = names(output.parent().unwrap());
        beside.retain(|other| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')));
        beside.sort_unstable();
        let mut expected = vec![format!("{name}.sidecars"), format!("{name}.smbios")];
        if !number.is_multiple_of(3) {
            expected.insert(0, format!("{name}.fw_cfg.item"));
        }
        assert_eq!(beside, expected, "beside the image of {number}");
        let suffixes = expected.iter().filter(|other| !other.ends_with(".sidecars"));
        let index = suffixes.map(|other| format!("{}\n", &other[name.len() + 1..]));
        let index: String = index.collect();
        let other = format!("{name}.sidecars");
        assert_eq!(fs::read_to_string(output.with_file_name(other)).unwrap(), index);
        for other in beside.into_iter().filter(|other| !other.ends_with(".sidecars")) {
            let bytes = fs::read(output.with_file_name(&other)).unwrap();
            assert_eq!(number_in(&bytes), number, "{other}");
        }
        number
    }

    pub(crate) fn temporaries(&self) -> Vec<String> {
        let entries = walkdir::WalkDir::new(self.path().join("out")).into_iter();
        let paths = entries.map(|entry| entry.unwrap().into_path().display().to_string());
        paths.filter(|path| path.contains(".credimg-")).collect()
    }

    fn arguments(&self, number: usize, output: &Path) -> Vec<PathBuf> {
        let manifest = self.path().join(format!("{number}.yaml"));
        let item = format!("  - {{name: item, text: number-{number:06}, via: fw_cfg}}\n");
        let item = if number.is_multiple_of(3) { "" } else { &item };
        let text = format!(
            "label: CHIMERA\ncredentials:\n  - {{name: token, text: number-{number:06}}}\n{item}\
             files:\n  - {{path: /token, text: number-{number:06}}}\n"
        );
        fs::write(&manifest, text).unwrap();
        let mut arguments = vec!["build".into(), manifest, "-o".into(), output.to_owned()];
        arguments.extend(["--args", "none", "--quiet"].map(PathBuf::from));
        arguments
    }
}

fn number_in(bytes: &[u8]) -> usize {
    let behind = |mark: &[u8]| {
        let at = bytes.windows(mark.len()).position(|window| window == mark)?;
        bytes.get(at + mark.len()..)
    };
    // An OEM string has it in base64.
    let decoded = behind(b"token=").map(|text| STANDARD.decode(text.get(..20).unwrap()).unwrap());
    let digits = decoded
        .as_deref()
        .map_or_else(|| behind(b"number-").expect("no number").get(..6), |text| text.get(7..));
    std::str::from_utf8(digits.unwrap()).unwrap().parse().unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
