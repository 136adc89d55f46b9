//! `credimg fleet args`: the arguments of one machine's image, which exists.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::{homeless, template};
use crate::commands::args::{How, print_arguments};
use crate::commands::options::Trust;
use crate::job::{fleet_machine, trusted};
use crate::monitors::Monitor;
use crate::report::Failure;

/// The manifest of the host's own fleet, from which its units and hooks build.
const OF_HOST: &str = "/etc/credimg/fleet.yaml";

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  eval \"qemu-system-x86_64 -m 1G $(credimg fleet args chimera --fleet fleet.yaml)\"")]
pub struct AttachMachine {
    /// The machine
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The manifest of the fleet
    #[arg(long, value_name = "FILE", default_value = OF_HOST, value_hint = ValueHint::FilePath)]
    pub fleet: PathBuf,
    /// Where the images are, with {machine} in it [default: `output` of the manifest]
    #[arg(short, long, value_name = "TEMPLATE")]
    pub output: Option<String>,
    /// Whom the manifest is taken from.
    #[command(flatten)]
    pub trust: Trust,
    /// What is known of the image, and how it is attached.
    #[command(flatten)]
    pub how: How,
}

pub(super) fn run(options: &AttachMachine) -> Result<(), Failure> {
    let fleet = trusted::load_fleet(&options.fleet, options.trust.trust).map_err(|failure| {
        if options.fleet == Path::new(OF_HOST) && !options.fleet.exists() {
            failure.hint("name the manifest of your fleet with --fleet")
        } else {
            failure
        }
    })?;
    let index = fleet.find(&options.name)?;
    let machine = fleet.machines().get(index).ok_or_else(|| Failure::bug(": no such machine"))?;
    let wished = template(options.output.as_deref(), "--output")?;
    let output = wished.as_ref().or(fleet.output());
    let output = output.ok_or_else(|| homeless(&options.fleet, "are"))?;
    let target = match (options.how.attach.target, &machine.target) {
        (Some(target), _) => target,
        (None, Some(text)) => fleet_machine::target(text)?,
        (None, None) => Monitor::default(),
    };
    // SquashFS holds no label, of which the build has made the serial.
    let label = fleet.manifest_of(index)?.label.map(|label| label.text);
    print_arguments(&output.of(machine)?, target, label.as_deref(), &options.how)
}
