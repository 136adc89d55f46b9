//! `credimg fleet list`: who is in a fleet, for scripts, hooks and Makefiles.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::commands::options::Trust;
use crate::commands::print;
use crate::job::trusted;
use crate::manifest::Loaded;
use crate::report::Failure;

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  credimg fleet list fleet.yaml --only 'chimera*'")]
pub struct List {
    /// The manifest of the fleet
    #[arg(value_name = "FLEET", value_hint = ValueHint::FilePath)]
    pub fleet: PathBuf,
    /// Print only machines of this name, which may have the wildcards *, ? and [...] (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub only: Vec<String>,
    /// Whom the manifest is taken from.
    #[command(flatten)]
    pub trust: Trust,
}

pub(super) fn run(options: &List) -> Result<(), Failure> {
    let fleet = match trusted::load_any(&options.fleet, options.trust.trust)? {
        Loaded::Many(fleet) => fleet,
        // A script asks this of whatever manifest the host has.
        Loaded::One(_) => return Ok(()),
    };
    let selected = if options.only.is_empty() {
        (0..fleet.machines().len()).collect()
    } else {
        fleet.select(&options.only)?
    };
    let machines = selected.iter().filter_map(|index| fleet.machines().get(*index));
    let lines: String = machines.flat_map(|machine| [&*machine.name, "\n"]).collect();
    print(lines.as_bytes())
}
