//! `credimg verify`: whether an image is valid, and holds what a manifest says.

use std::path::Path;

use credimg_formats::luks::{Header, Version};
use credimg_formats::read::{Facts, Side, TreeReader};
use serde::Serialize;

use super::print;
use crate::cli::Verify;
use crate::host::random;
use crate::job::encryption;
use crate::job::expected;
use crate::look::contents::Contents;
use crate::look::differences::{self, Told, comparison};
use crate::look::opened::Opened;
use crate::look::records::{self, Fault};
use crate::report::{self, Exit, Failure, shown};

/// How many faults, and how many differences, are told one by one.
const TOLD_MAX: usize = 1000;
/// How many bytes of paths are told: those of a hostile image may be long.
const TOLD_MAX_BYTES: usize = 1 << 20;

pub(super) fn run(options: &Verify) -> anyhow::Result<()> {
    random::seed_tables()?;
    let mut report = Report::default();
    let opened = Opened::new(&options.look.image)?;
    let header = check_header(&opened, &mut report)?;
    if header.is_some() && options.look.key_file.is_none() {
        require_no_manifest(options)?;
        let message = "what is inside the encryption is not checked: --key-file opens it";
        report::warn(&format!("{}: {message}", shown(&options.look.image)));
    } else {
        check_inside(options, opened, header.as_ref(), &mut report)?;
    }
    report.valid = report.problems_total == 0;
    if options.json {
        let mut text = serde_json::to_vec(&report)?;
        text.push(b'\n');
        print(&text)?;
    }
    report.outcome(options)
}

/// The header of an encrypted image, and what is wrong with it.
fn check_header(image: &Opened, report: &mut Report) -> Result<Option<Header>, Failure> {
    let Some((header, storage)) = image.outside()? else { return Ok(None) };
    let more = records::check_volume(&storage, &mut |fault| report.add(fault));
    report.problems_total += more.map_err(|error| image.failure(&error))?;
    report.format = Some(match header.version() {
        Version::Luks1 => "luks1",
        Version::Luks2 => "luks2",
    });
    Ok(Some(header))
}

fn require_no_manifest(options: &Verify) -> Result<(), Failure> {
    if options.manifest.is_none() {
        return Ok(());
    }
    let message = format!("{} is encrypted", shown(&options.look.image));
    Err(Failure::new(Exit::Usage, message).hint("name the file of its key with --key-file"))
}

/// Checks what the image holds, by itself and against the manifest.
fn check_inside(
    options: &Verify,
    opened: Opened,
    header: Option<&Header>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let Verify { look, manifest, .. } = options;
    let contents = Contents::of(opened, &look.image, look.key_file.as_deref(), look.allow_cost)?;
    report.format = Some(contents.reader.facts().format);
    let Contents { reader, storage, .. } = &contents;
    let more =
        records::check(&**reader, storage, *contents.limits(), &mut |fault| report.add(fault));
    report.problems_total += more.map_err(|error| contents.failure(&error))?;
    // What is not valid is not compared.
    if let Some(manifest) = manifest.as_deref().filter(|_| report.problems_total == 0) {
        compare(options, manifest, &contents, header, report)?;
    }
    Ok(())
}

fn compare(
    options: &Verify,
    manifest: &Path,
    contents: &Contents,
    header: Option<&Header>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let facts = contents.reader.facts();
    let expected = expected::collect(options, manifest, facts, header)?;
    report.differences = Some(Vec::new());
    for (what, differs) in volume(&expected, facts, header) {
        if differs {
            report.differ(Told::of_volume(what), || {
                format!("the {what} is not that of the manifest")
            });
        }
    }
    let limits = *contents.limits();
    let wanted = (&TreeReader::new(&expected.tree) as _, expected::limits(limits));
    let outcome = credimg_formats::read::diff(
        wanted,
        (&*contents.reader, limits),
        &comparison(&[facts]),
        &mut |difference| {
            report.differ(Told::new(difference), || differences::fault(difference));
            Ok(())
        },
    );
    outcome.map_err(|(side, error)| match side {
        Side::Old => crate::job::image::explain(&error, facts.format),
        Side::New | Side::Caller => contents.failure(&error),
    })?;
    Ok(())
}

/// What of the volume itself differs.
fn volume(
    expected: &expected::Expected,
    facts: &Facts,
    header: Option<&Header>,
) -> [(&'static str, bool); 4] {
    let version = header.map(Header::version);
    let label = expected.label.as_deref().unwrap_or_default();
    let header_label = expected.label.as_deref().map(encryption::header_label);
    let is_other_header = header.is_some_and(|header| {
        header.version() == Version::Luks2 && header.label() != header_label.unwrap_or_default()
    });
    [
        ("format", facts.format != expected.format.name()),
        ("encryption", expected.luks.is_some_and(|luks| version != Some(luks.version()))),
        ("label", facts.format != "squashfs" && facts.label != label.as_bytes()),
        ("header's label", is_other_header),
    ]
}

/// What was found. The field names are stable: programs read them.
#[derive(Default, Serialize)]
struct Report {
    format: Option<&'static str>,
    valid: bool,
    /// The first ones.
    problems: Vec<Fault>,
    problems_total: u64,
    /// The first ones; none where nothing was compared.
    differences: Option<Vec<Told>>,
    differences_total: u64,
    /// The lines for people.
    #[serde(skip)]
    lines: Vec<String>,
    #[serde(skip)]
    told_bytes: usize,
}

impl Report {
    fn add(&mut self, fault: Fault) {
        self.problems_total += 1;
        if self.has_room(self.problems.len(), fault.message.len()) {
            self.lines.push(fault.text());
            self.problems.push(fault);
        }
    }

    fn differ(&mut self, told: Told, line: impl FnOnce() -> String) {
        self.differences_total += 1;
        let count = self.differences.as_ref().map_or(0, Vec::len);
        if self.has_room(count, told.len()) {
            self.lines.push(line());
            self.differences.get_or_insert_default().push(told);
        }
    }

    fn has_room(&mut self, count: usize, bytes: usize) -> bool {
        self.told_bytes = self.told_bytes.saturating_add(bytes);
        count < TOLD_MAX && self.told_bytes <= TOLD_MAX_BYTES
    }

    fn outcome(self, options: &Verify) -> anyhow::Result<()> {
        let image = shown(&options.look.image);
        let total = self.problems_total + self.differences_total;
        if total == 0 {
            if !options.quiet && !options.json {
                let rest = if options.manifest.is_some() {
                    " and holds what the manifest says"
                } else {
                    ""
                };
                report::note(&format!("{image} is valid{rest}"));
            }
            return Ok(());
        }
        let exit = if self.valid { Exit::Different } else { Exit::Image };
        if options.json {
            return Err(Failure::silent(exit).into());
        }
        let mut lines = self.lines;
        let told = lines.len();
        for line in &mut lines {
            *line = format!("{image}: {line}");
        }
        if total > told as u64 {
            lines.push(format!("{image}: and {} more", total - told as u64));
        }
        Err(Failure::new(exit, lines.join("\n")).into())
    }
}
