//! Pseudo files: lines to definitions, and where the data section begins.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use zeroize::Zeroizing;

use super::definition::Definition;
use super::place::{Fault, Place, Problem, Problems, column};
use super::{DEFINITIONS_MAX, parse};
use crate::manifest::PseudoFile;
use crate::report::{Exit, Failure, reason, shown};
use crate::source::host::{self, Identity};

/// Longest line of a file in bytes, the newline counted (`MAX_LINE` of mksquashfs).
const LINE_MAX_BYTES: usize = 16384;
/// Most bytes before the data section. The data section itself has no limit.
const TEXT_MAX_BYTES: u64 = 16 << 20;
/// The line before the data section; a line that holds `#` alone follows it.
const DATA_MARKER: &[u8] = b"# START OF DATA - DO NOT MODIFY";
const DATA_MARKER_END: &[u8] = b"#\n";

/// A pseudo file with a data section, open as long as its definitions are.
pub(super) struct DataFile {
    pub(super) path: Rc<Path>,
    pub(super) file: File,
    /// What the file was when its definitions were read.
    pub(super) planned: Identity,
    /// Where the data section begins, in bytes.
    pub(super) start_bytes: u64,
    /// Its length in bytes.
    pub(super) length_bytes: u64,
}

/// Adds the definitions of `source` to `list`. Wrong ones are noted; a failure
/// is one of reading the file.
pub(super) fn read(
    source: &PseudoFile,
    list: &mut Vec<Definition>,
    problems: &mut Problems,
) -> Result<(), Failure> {
    let named = |failure: Failure| {
        let name = source.position.as_ref().map_or("--pseudo-file", |position| &position.key_path);
        Failure { message: format!("{name}: {}", failure.message), ..failure }
    };
    let path: Rc<Path> = Rc::from(source.path.as_path());
    let (file, stat) = host::open_file(&path).map_err(named)?;
    let planned = Identity::of(&stat);
    let mut reader = Reader {
        path: Rc::clone(&path),
        bytes: BufReader::new(file),
        consumed_bytes: 0,
        number: 0,
    };
    let unreadable = |error: &io::Error| {
        let message = format!("cannot read {}: {}", shown(&path), reason(error));
        named(Failure::new(Exit::Source, message))
    };
    let mut lines = Vec::new();
    let mut has_data = false;
    while let Some(outcome) = reader.next().map_err(|error| unreadable(&error))? {
        let line = match outcome {
            Ok(line) => line,
            // What follows cannot be told apart any more.
            Err(problem) => {
                problems.note(problem);
                return Ok(());
            }
        };
        match line.text.trim_ascii_start() {
            [] => {}
            DATA_MARKER => {
                has_data = true;
                break;
            }
            [b'#', ..] => {}
            _ if list.len() + lines.len() == DEFINITIONS_MAX => {
                let message = format!("more than {DEFINITIONS_MAX} definitions");
                problems.note(Problem::new(line.place(&path, 0), message, None));
                return Ok(());
            }
            _ => lines.push(line),
        }
    }
    let data = if has_data { reader.data(&stat, planned, problems) } else { Ok(None) };
    let data = data.map_err(|error| unreadable(&error))?.map(Rc::new);
    for line in lines {
        let in_file = parse::InFile { data: data.as_ref() };
        match parse::definition(&line.text, Some(in_file)) {
            Ok((path_in_image, action)) => {
                let begin = line.text.len() - line.text.trim_ascii_start().len();
                let place = line.place(&path, begin);
                list.push(Definition { path: path_in_image, action, place });
            }
            Err(Fault { offset, message, hint }) => {
                problems.note(Problem::new(line.place(&path, offset), message, hint));
            }
        }
    }
    Ok(())
}

/// A logical line: physical lines that end with a backslash are joined.
struct Line {
    text: Zeroizing<Vec<u8>>,
    /// Number of the first physical line.
    number: u64,
    /// Where in `text` the second and each further physical line begins.
    breaks: Vec<usize>,
}

impl Line {
    /// The place of a byte of the text.
    fn place(&self, file: &Rc<Path>, offset: usize) -> Place {
        let passed = self.breaks.partition_point(|begin| *begin <= offset);
        let begin = passed.checked_sub(1).and_then(|last| self.breaks.get(last)).copied();
        let physical = self.text.get(begin.unwrap_or(0)..).unwrap_or_default();
        Place::File {
            file: Rc::clone(file),
            line: self.number + passed as u64,
            column: column(physical, offset - begin.unwrap_or(0)),
        }
    }
}

struct Reader {
    path: Rc<Path>,
    bytes: BufReader<File>,
    consumed_bytes: u64,
    /// How many physical lines were read.
    number: u64,
}

impl Reader {
    /// The next logical line, or what is wrong with it; none at the end.
    fn next(&mut self) -> io::Result<Option<Result<Line, Problem>>> {
        let mut line =
            Line { text: Zeroizing::new(Vec::new()), number: self.number + 1, breaks: Vec::new() };
        loop {
            let begin = line.text.len();
            if begin > 0 {
                line.breaks.push(begin);
            }
            let limit_bytes = LINE_MAX_BYTES as u64;
            let got = self.bytes.by_ref().take(limit_bytes).read_until(b'\n', &mut line.text)?;
            if got == 0 {
                // A backslash at the file's end continues to nothing.
                return Ok((!line.text.is_empty()).then_some(Ok(line)));
            }
            self.number += 1;
            self.consumed_bytes += got as u64;
            if let Some(message) = self.fault(line.text.get(begin..).unwrap_or_default()) {
                let place =
                    Place::File { file: Rc::clone(&self.path), line: self.number, column: 1 };
                let hint =
                    message.contains("carriage").then_some("convert the file to Unix line ends");
                return Ok(Some(Err(Problem::new(place, message, hint))));
            }
            if line.text.last() == Some(&b'\n') {
                line.text.pop();
            }
            let physical = line.text.get(begin..).unwrap_or_default();
            if !physical.ends_with(b"\\") || physical.ends_with(b"\\\\") {
                return Ok(Some(Ok(line)));
            }
            line.text.pop();
        }
    }

    /// What is wrong with a physical line, its newline included.
    fn fault(&self, line: &[u8]) -> Option<String> {
        if line.len() == LINE_MAX_BYTES && !line.ends_with(b"\n") {
            return Some(format!("a line longer than {} bytes", LINE_MAX_BYTES - 1));
        }
        if line.contains(&0) {
            return Some("a NUL byte".to_owned());
        }
        if line.ends_with(b"\r\n") {
            return Some("a carriage return at the end of the line".to_owned());
        }
        (self.consumed_bytes > TEXT_MAX_BYTES)
            .then(|| format!("more than {TEXT_MAX_BYTES} bytes of definitions"))
    }

    /// The data section behind the marker that was read last.
    fn data(
        mut self,
        stat: &rustix::fs::Stat,
        planned: Identity,
        problems: &mut Problems,
    ) -> io::Result<Option<DataFile>> {
        let mut end = Vec::new();
        self.bytes.by_ref().take(DATA_MARKER_END.len() as u64).read_to_end(&mut end)?;
        if end != DATA_MARKER_END {
            let place = Place::File { file: self.path, line: self.number + 1, column: 1 };
            let message = "expected a line that holds `#` alone before the data";
            problems.note(Problem::new(place, message, None));
            return Ok(None);
        }
        let start_bytes = self.consumed_bytes + end.len() as u64;
        Ok(Some(DataFile {
            path: self.path,
            file: self.bytes.into_inner(),
            planned,
            start_bytes,
            length_bytes: host::size_bytes(stat).saturating_sub(start_bytes),
        }))
    }
}
