//! `credimg fleet build`: one manifest in, an image for each machine out.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{homeless, template};
use crate::commands::options::{Attach, Recipe};
use crate::commands::print;
use crate::fleet::isolation::{self, Files};
use crate::fleet::run::{self, Order, Templates};
use crate::host::signals;
use crate::job::reports;
use crate::job::summary;
use crate::job::trusted;
use crate::job::wishes::Wishes;
use crate::report::{self, Exit, Failure};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  credimg fleet build fleet.yaml -o 'out/{machine}/disk.erofs'
  # Those of some machines, where the manifest says by `output` where they go
  credimg fleet build fleet.yaml --only 'chimera*' --if-changed
  # An encrypted image for each machine, with a key of its own
  credimg fleet build fleet.yaml -o 'out/{machine}.erofs' --encrypt luks1 \\
    --key-out 'keys/{machine}.key'")]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Build {
    /// The fleet's manifest, or - for standard input
    #[arg(value_name = "FLEET", value_hint = ValueHint::FilePath)]
    pub fleet: PathBuf,
    /// The images to write, with {machine} for the name of each machine; directories of that name
    /// are made [default: what the manifest says]
    #[arg(short, long, value_name = "TEMPLATE")]
    pub output: Option<String>,
    /// Build only the machines of this name, which may have the wildcards *, ? and [...]
    /// (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub only: Vec<String>,
    /// Leave images alone that are there already and would be made again byte for byte but for a
    /// new UUID and time
    #[arg(long)]
    pub if_changed: bool,
    /// Take a value that reaches two machines by different sources, with a warning
    #[arg(long)]
    pub allow_equal: bool,
    /// Write a dependency file for Make for each machine, with {machine} in its name
    #[arg(long, value_name = "TEMPLATE")]
    pub depfile: Option<String>,
    /// Print no summary and no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Report absolute paths in the arguments; links in them stay as they are
    #[arg(long)]
    pub absolute: bool,
    /// Print a JSON report of what came of each machine, with the arguments that attach its image;
    /// or write it to FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, value_hint = ValueHint::FilePath)]
    #[expect(clippy::option_option, reason = "clap's type of an option that may have a value")]
    pub json: Option<Option<PathBuf>>,
    /// What is made, and of what. Key files and initrds are templates.
    #[command(flatten)]
    pub recipe: Recipe,
    /// How each image is attached.
    #[command(flatten)]
    pub attach: Attach,
}

pub(super) fn run(options: &Build) -> Result<(), Failure> {
    require_no_single(options)?;
    let Build { recipe, fleet, output, depfile, .. } = options;
    let fleet = trusted::load_fleet(fleet, recipe.sources.trust.trust)?;
    let output = template(output.as_deref(), "--output")?;
    let output =
        output.as_ref().or(fleet.output()).ok_or_else(|| homeless(&options.fleet, "go"))?;
    let depfile = template(depfile.as_deref(), "--depfile")?;
    if let Some(depfile) = depfile.as_ref().filter(|depfile| !depfile.names_machine()) {
        return Err(
            depfile.refused("all machines would have one dependency file: `{machine}` is missing")
        );
    }
    let mut wishes = recipe.wishes(&options.attach);
    let of_machines = templates(&mut wishes)?;
    let templates = [("--key-file", &of_machines.key_file), ("--key-out", &of_machines.key_out)];
    let templates: Vec<_> =
        templates.into_iter().filter_map(|(option, key)| Some((option, key.as_ref()?))).collect();
    let report_file = options.json.as_ref().and_then(Option::as_deref);
    let files = Files {
        output: Some(output),
        depfile: depfile.as_ref(),
        report: report_file,
        keys: &templates,
        initrd: of_machines.initrd.as_ref(),
        ..Files::default()
    };
    isolation::require(&fleet, &files)?;
    let machines = match &*options.only {
        [] => (0..fleet.machines().len()).collect(),
        globs => fleet.select(globs)?,
    };
    if let Some(file) = report_file {
        reports::check(file, summary::REPORT_HINT)?;
    }
    let order = Order {
        fleet: &fleet,
        machines,
        output,
        depfile: depfile.as_ref(),
        wishes,
        templates: of_machines,
        pseudo_files: &recipe.sources.pseudo_file,
        report: report_file,
        is_reported: options.json.is_some(),
        is_absolute: options.absolute,
        if_changed: options.if_changed,
        verifies: recipe.verify,
        allows_equal: options.allow_equal,
        is_quiet: options.quiet,
    };
    let done = run::run(&order)?;
    // Also after a signal, which is told last.
    let told = signals::answered(|| match (&options.json, report_file) {
        (None, _) => Ok(()),
        (Some(_), Some(file)) => reports::replace(file, &done.json(&order)?),
        (Some(_), None) => print(&done.json(&order)?),
    });
    if !options.quiet {
        report::note(&done.line());
    }
    signals::check()?;
    // What each machine has failed by is told already.
    done.exit().map_or(told, |exit| Err(Failure::silent(exit)))
}

/// The files of the options that are templates; the wishes are left without them.
fn templates(wishes: &mut Wishes) -> Result<Templates, Failure> {
    let of_path = |path: Option<PathBuf>, option| {
        let Some(path) = path else { return Ok(None) };
        let text = path
            .to_str()
            .ok_or_else(|| Failure::new(Exit::Usage, format!("{option}: a template is UTF-8")))?;
        template(Some(text), option)
    };
    let encryption = &mut wishes.encryption;
    Ok(Templates {
        key_file: of_path(encryption.key_file.take(), "--key-file")?,
        key_out: of_path(encryption.key_out.take(), "--key-out")?,
        initrd: of_path(wishes.initrd.take(), "--initrd")?,
    })
}

/// An error where an option would give all machines what each has for itself.
fn require_no_single(options: &Build) -> Result<(), Failure> {
    let Build { recipe, attach, .. } = options;
    if attach.machine.name().is_some() {
        let message = "--machine: `fleet build` builds all machines";
        let hint = "`--only NAME` builds one of them, and --machine-type names QEMU's machine type";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let (option, hint) = if recipe.label.is_some() {
        ("--label", "`label` of the manifest may hold {machine}")
    } else if recipe.uuid.is_some() {
        ("--uuid", "each image gets a random one")
    } else if attach.serial.is_some() {
        ("--serial", "each is made of the image's label or name")
    } else if attach.id.is_some() {
        ("--id", "each is made of the drive's serial")
    } else {
        return Ok(());
    };
    Err(Failure::new(Exit::Usage, format!("{option}: all machines would have the same one"))
        .hint(hint))
}
