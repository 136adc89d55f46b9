//! What a fleet says of one machine, in words of the monitors.

use clap::ValueEnum;

use crate::manifest::At;
use crate::monitors::Monitor;
use crate::report::{Exit, Failure};

/// The monitor of a machine's `target`.
pub(crate) fn target(text: &At<String>) -> Result<Monitor, Failure> {
    Monitor::from_str(&text.value, false).map_err(|_| {
        let values = Monitor::all().iter().filter_map(Monitor::to_possible_value);
        let names: Vec<_> = values.map(|value| value.get_name().to_owned()).collect();
        let message = format!("{}: expected one of {}", text.at, names.join(", "));
        Failure::new(Exit::Manifest, message)
    })
}
