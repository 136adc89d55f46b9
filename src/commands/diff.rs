//! `credimg diff`: which paths of two images differ, and in what.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use credimg_formats::Error;
use credimg_formats::read::{Facts, Side, diff};

use crate::host::output::Stdout;
use crate::look::contents::Contents;
use crate::look::differences::{self, Told, comparison};
use crate::look::opened::{Opened, no_encryption};
use crate::report::verbose::Step;
use crate::report::{Exit, Failure, json, line};

#[derive(Args, Debug)]
#[command(after_help = "\
Each line is + PATH for what NEW alone holds, - PATH for what OLD alone holds, or M PATH and what
differs: kind, content, target, device, mode, owner, time, xattrs or links. No value is shown. The
formats may differ: what one of them does not hold is compared as far as it does.

Exit codes: 0 alike, 1 different.

Examples:
  credimg diff old.erofs new.erofs
  credimg diff old.erofs new.erofs --key-file old.key --new-key-file new.key")]
pub struct Diff {
    /// The older image, a file
    #[arg(value_name = "OLD", value_hint = ValueHint::FilePath)]
    pub old: PathBuf,
    /// The newer image, a file
    #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
    pub new: PathBuf,
    /// Look into an encrypted OLD with the key in FILE, and into an encrypted NEW as well unless it
    /// has another one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// Look into an encrypted NEW with the key in FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub new_key_file: Option<PathBuf>,
    /// Derive keys whatever a header asks for: see `inspect`
    #[arg(long)]
    pub allow_cost: bool,
    /// Print a JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(options: &Diff) -> Result<(), Failure> {
    let standing = line::begin(true);
    let [old, new] = open(options)?;
    let step = Step::begin();
    let mut stdout = Stdout::open()?;
    let count = if options.json {
        print_json([&old, &new], &mut stdout)?
    } else {
        print_lines([&old, &new], &mut stdout)?
    };
    drop(standing);
    step.end(|| format!("compared {} with {}", old.shown(), new.shown()));
    stdout.finish()?;
    if count > 0 { Err(Failure::silent(Exit::Different)) } else { Ok(()) }
}

/// Both images, each with its key where it is encrypted.
fn open(options: &Diff) -> Result<[Contents; 2], Failure> {
    let Diff { old, new, key_file, new_key_file, allow_cost, .. } = options;
    let opened = [Opened::new(old)?, Opened::new(new)?];
    let [is_old_encrypted, is_new_encrypted] = opened.each_ref().map(|it| it.header.is_some());
    let (key_file, new_key_file) = (key_file.as_deref(), new_key_file.as_deref());
    // One key may be that of both.
    let is_idle =
        key_file.is_some() && !is_old_encrypted && (!is_new_encrypted || new_key_file.is_some());
    if is_idle {
        return Err(no_encryption("--key-file"));
    }
    if new_key_file.is_some() && !is_new_encrypted {
        return Err(no_encryption("--new-key-file"));
    }
    let [opened_old, opened_new] = opened;
    let contents =
        |opened, path: &Path, key: Option<&Path>| Contents::of(opened, path, key, *allow_cost);
    let old = contents(opened_old, old, key_file.filter(|_| is_old_encrypted))?;
    let key = new_key_file.or(key_file).filter(|_| is_new_encrypted);
    Ok([old, contents(opened_new, new, key)?])
}

/// Prints a line a difference, one for the label among them, and returns how many there are.
fn print_lines(images: [&Contents; 2], to: &mut Stdout) -> Result<u64, Failure> {
    let label = has_other_label(images.map(|image| image.reader.facts()));
    if label {
        writeln!(to, "V label").map_err(|error| to.failure(error))?;
    }
    let count =
        compare(images, &mut |difference| Ok(writeln!(to, "{}", differences::line(difference))?))?;
    Ok(count + u64::from(label))
}

/// Prints a JSON object, and returns how many differences it has.
fn print_json(images: [&Contents; 2], to: &mut Stdout) -> Result<u64, Failure> {
    let label = has_other_label(images.map(|image| image.reader.facts()));
    write!(to, "{},\"differences\":[", json::start()).map_err(|error| to.failure(error))?;
    let mut separator = "\n";
    if label {
        let outcome = tell(&Told::of_volume("label"), &mut separator, to);
        outcome.map_err(|error| to.failure(error))?;
    }
    let count = compare(images, &mut |it| Ok(tell(&Told::new(it), &mut separator, to)?))?;
    writeln!(to, "]}}").map_err(|error| to.failure(error))?;
    Ok(count + u64::from(label))
}

/// Prints an element of an array behind this separator, and makes it that of the next one.
fn tell(told: &Told, separator: &mut &str, to: &mut Stdout) -> io::Result<()> {
    let text = json::text(told)?;
    write!(to, "{separator}{text}")?;
    *separator = ",\n";
    Ok(())
}

fn compare(
    [old, new]: [&Contents; 2],
    each: &mut dyn FnMut(&credimg_formats::read::Difference<'_>) -> Result<(), Error>,
) -> Result<u64, Failure> {
    let respects = comparison(&[old.reader.facts(), new.reader.facts()]);
    let outcome =
        diff((&*old.reader, *old.limits()), (&*new.reader, *new.limits()), &respects, each);
    outcome.map_err(|(side, error)| match side {
        Side::Old | Side::Caller => old.failure(&error),
        Side::New => new.failure(&error),
    })
}

/// Whether the guest finds the two by other labels, where both formats have one.
fn has_other_label([old, new]: [&Facts; 2]) -> bool {
    let has_labels = [old, new].iter().all(|facts| facts.format.profile().has_label());
    has_labels && old.label != new.label
}
