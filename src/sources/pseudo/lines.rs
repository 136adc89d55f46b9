//! Pseudo files: lines to definitions, and where the data section begins.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Stat;
use zeroize::Zeroizing;

use super::definition::Definition;
use super::fault::{Fault, column};
use super::{DEFINITIONS_MAX, Definitions, parse};
use crate::host::at_rest::{Watched, being_written};
use crate::host::identity::{self, Identity};
use crate::host::open;
use crate::manifest::PseudoFile;
use crate::report::{Failure, Position, Problem, Problems, shown};
use crate::sources::files;

/// Longest line of a file in bytes, the newline counted (`MAX_LINE` of mksquashfs).
const LINE_MAX_BYTES: usize = 16384;
/// Most bytes before the data section. The data section itself has no limit.
const TEXT_MAX_BYTES: u64 = 16 << 20;
/// The line before the data section; a line that holds `#` alone follows it.
const DATA_MARKER: &[u8] = b"# START OF DATA - DO NOT MODIFY";
const DATA_MARKER_END: &[u8] = b"#\n";

/// A pseudo file with a data section, open as long as its definitions are.
pub(super) struct DataFile {
    pub(super) path: Arc<Path>,
    pub(super) file: File,
    /// What the file was when its definitions were read.
    pub(super) planned: Identity,
    /// Where the data section begins, in bytes.
    pub(super) start_bytes: u64,
    /// Its length in bytes.
    pub(super) length_bytes: u64,
}

/// Adds the definitions of `source` to `definitions`. Wrong ones are noted; a failure
/// is one of reading the file.
pub(super) fn read(
    source: &PseudoFile,
    definitions: &mut Definitions,
    problems: &mut Problems,
) -> Result<(), Failure> {
    let named = |failure: Failure| {
        let name = source.position.as_ref().map_or("--pseudo-file", |position| &*position.key_path);
        Failure { message: format!("{name}: {}", failure.message), ..failure }
    };
    let path: Arc<Path> = Arc::from(source.path.as_path());
    let (file, stat) = open::open_file(&path).map_err(named)?;
    let descriptor =
        file.try_clone().map_err(|error| named(files::unreadable_file(&path, &error)))?;
    let watched = Watched::begin(&descriptor, &stat, &path).map_err(named)?;
    definitions.files.push((Arc::clone(&path), stat));
    let outcome = read_open(file, &stat, &path, definitions, problems);
    // A change of the file explains whatever seemed wrong with it.
    if let Ok(false) = outcome {
        // Both descriptors have one position.
        let position = (&descriptor).stream_position();
        let position = position.map_err(|error| named(files::unreadable_file(&path, &error)))?;
        watched.end_at(position, &descriptor, &path).map_err(named)
    } else {
        watched.end(&descriptor, &path).map_err(named)?;
        outcome.map_err(|error| named(files::unreadable_file(&path, &error)))?;
        if watched.is_open_for_writing() {
            return Err(named(being_written(&path)));
        }
        Ok(())
    }
}

/// Adds the definitions of an open file; returns whether it was left before its end, at its
/// data section or at something wrong.
pub(super) fn read_open(
    file: File,
    stat: &Stat,
    path: &Arc<Path>,
    definitions: &mut Definitions,
    problems: &mut Problems,
) -> io::Result<bool> {
    let list = &mut definitions.list;
    let bytes = BufReader::new(file);
    let name: Arc<str> = Arc::from(shown(path));
    let reader = Reader {
        path: Arc::clone(path),
        name: Arc::clone(&name),
        bytes,
        consumed_bytes: 0,
        number: 0,
    };
    let Sections { lines, data } = match reader.sections(stat, DEFINITIONS_MAX - list.len()) {
        Ok(sections) => sections,
        Err(Stop::Unreadable(error)) => return Err(error),
        Err(Stop::Problem(problem)) => {
            problems.note(problem);
            return Ok(true);
        }
    };
    let data = data.map(Arc::new);
    for line in lines {
        let in_file = parse::InFile { data: data.as_ref() };
        match parse::definition(&line.text, Some(in_file)) {
            Ok((path_in_image, action)) => {
                let begin = line.text.len() - parse::trim_start(&line.text).len();
                let position = line.position(&name, begin);
                list.push(Definition { path: path_in_image, action, position, granted: None });
            }
            Err(fault) => {
                let position = line.position(&name, fault.offset);
                problems.note(fault.at(position));
            }
        }
    }
    Ok(data.is_some())
}

/// A logical line: physical lines that end with a backslash are joined.
struct Line {
    text: Zeroizing<Vec<u8>>,
    /// Number of the first physical line.
    number: u64,
    /// Where in `text` the second and each further physical line begins.
    breaks: Vec<usize>,
    /// Whether a newline ends it; none does at the end of some files.
    is_ended: bool,
}

impl Line {
    /// Where a byte of the text stands in `file`.
    fn position(&self, file: &Arc<str>, offset: usize) -> Position {
        let passed = self.breaks.partition_point(|begin| *begin <= offset);
        let begin = passed.checked_sub(1).and_then(|last| self.breaks.get(last)).copied();
        let physical = self.text.get(begin.unwrap_or(0)..).unwrap_or_default();
        let column = column(physical, offset - begin.unwrap_or(0));
        Position::new(file, self.number + passed as u64, column, "")
    }
}

struct Reader {
    path: Arc<Path>,
    /// The file as messages call it.
    name: Arc<str>,
    bytes: BufReader<File>,
    consumed_bytes: u64,
    /// How many physical lines were read.
    number: u64,
}

/// What a file holds.
struct Sections {
    /// The lines that hold a definition.
    lines: Vec<Line>,
    /// The data section behind them.
    data: Option<DataFile>,
}

/// Why a file is not read to its end.
enum Stop {
    Unreadable(io::Error),
    /// What follows cannot be told apart.
    Problem(Problem),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl Reader {
    /// The whole file but the data itself, with at most so many definitions.
    fn sections(mut self, stat: &Stat, definitions_max: usize) -> Result<Sections, Stop> {
        let mut lines = Vec::new();
        while let Some(line) = self.next()? {
            match parse::trim_start(&line.text) {
                [] => {}
                DATA_MARKER => {
                    return Ok(Sections { lines, data: Some(self.data(stat, &line)?) });
                }
                [b'#', ..] => {}
                _ if lines.len() == definitions_max => {
                    let message = format!("more than {DEFINITIONS_MAX} definitions");
                    let position = line.position(&self.name, 0);
                    return Err(Stop::Problem(Fault::new(0, message).at(position)));
                }
                _ => lines.push(line),
            }
        }
        Ok(Sections { lines, data: None })
    }

    /// The next logical line; none at the end.
    fn next(&mut self) -> Result<Option<Line>, Stop> {
        let mut line = Line {
            text: Zeroizing::new(Vec::new()),
            number: self.number + 1,
            breaks: Vec::new(),
            is_ended: false,
        };
        loop {
            let begin = line.text.len();
            let limit_bytes = LINE_MAX_BYTES as u64;
            let got = self.bytes.by_ref().take(limit_bytes).read_until(b'\n', &mut line.text)?;
            if got == 0 {
                // A backslash at the file's end continues to nothing.
                return Ok((!line.text.is_empty()).then_some(line));
            }
            if self.number >= line.number {
                line.breaks.push(begin);
            }
            self.number += 1;
            self.consumed_bytes += got as u64;
            let physical = line.text.get(begin..).unwrap_or_default();
            if let Err(fault) = self.check(physical) {
                let column = column(physical, fault.offset);
                let position = Position::new(&self.name, self.number, column, "");
                return Err(Stop::Problem(fault.at(position)));
            }
            line.is_ended = line.text.last() == Some(&b'\n');
            if line.is_ended {
                line.text.pop();
            }
            let physical = line.text.get(begin..).unwrap_or_default();
            if !physical.ends_with(b"\\") || physical.ends_with(b"\\\\") {
                return Ok(Some(line));
            }
            line.text.pop();
        }
    }

    /// Refuses a physical line, its newline included, that cannot be one of definitions.
    fn check(&self, line: &[u8]) -> Result<(), Fault> {
        if line.len() == LINE_MAX_BYTES && !line.ends_with(b"\n") {
            let message = format!("a line longer than {} bytes", LINE_MAX_BYTES - 1);
            return Err(Fault::new(0, message));
        }
        if let Some(offset) = line.iter().position(|byte| *byte == 0) {
            return Err(Fault::new(offset, "a NUL byte"));
        }
        if self.number == 1 && line.starts_with(b"\xef\xbb\xbf") {
            let hint = "save the file without one";
            return Err(
                Fault::new(0, "a byte order mark, which would become part of a name").hint(hint)
            );
        }
        if line.ends_with(b"\r\n") {
            let message = "a carriage return at the end of the line";
            let hint = "convert the file to Unix line ends";
            return Err(Fault::new(line.len() - 2, message).hint(hint));
        }
        if self.consumed_bytes > TEXT_MAX_BYTES {
            return Err(Fault::new(0, format!("more than {TEXT_MAX_BYTES} bytes of definitions")));
        }
        Ok(())
    }

    /// The data section behind `marker`, the line that was read last.
    fn data(mut self, stat: &Stat, marker: &Line) -> Result<DataFile, Stop> {
        let mut end = Vec::new();
        self.bytes.by_ref().take(DATA_MARKER_END.len() as u64).read_to_end(&mut end)?;
        if end != DATA_MARKER_END {
            let position = if marker.is_ended {
                Position::new(&self.name, self.number + 1, 1, "")
            } else {
                marker.position(&self.name, marker.text.len())
            };
            let message = "expected a line that holds `#` alone before the data";
            return Err(Stop::Problem(Fault::new(0, message).at(position)));
        }
        let start_bytes = self.consumed_bytes + end.len() as u64;
        Ok(DataFile {
            path: self.path,
            file: self.bytes.into_inner(),
            planned: Identity::of(stat),
            start_bytes,
            length_bytes: identity::size_bytes(stat).saturating_sub(start_bytes),
        })
    }
}
