//! `credimg fleet check`: isolation, and the matrix of who gets what.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use serde::Serialize;

use super::template;
use crate::commands::options::Trust;
use crate::commands::print;
use crate::fleet::isolation::{self, Files};
use crate::fleet::matrix::Secret;
use crate::job::trusted;
use crate::report::{Failure, json, terminal};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  credimg fleet check fleet.yaml
  # Who gets the API token
  credimg fleet check fleet.yaml --json |
    jq '.secrets[] | select(.name == \"api.token\") | .own + .shared'")]
pub struct Check {
    /// The fleet's manifest, or - for standard input
    #[arg(value_name = "FLEET", value_hint = ValueHint::FilePath)]
    pub fleet: PathBuf,
    /// Where the images will go, with {machine} for the name of each machine [default: what the
    /// manifest says]
    #[arg(short, long, value_name = "TEMPLATE")]
    pub output: Option<String>,
    /// Print a JSON report in place of the matrix
    #[arg(long)]
    pub json: bool,
    /// Whom the manifest is taken from.
    #[command(flatten)]
    pub trust: Trust,
}

/// The matrix for programs. The field names are stable.
#[derive(Serialize)]
struct Report<'a> {
    fleet: String,
    machines: &'a [String],
    secrets: Vec<Secret<'a>>,
}

pub(super) fn run(options: &Check) -> Result<(), Failure> {
    let fleet = trusted::load_fleet(&options.fleet, options.trust.trust)?;
    let given = template(options.output.as_deref(), "--output")?;
    let output = given.as_ref().or(fleet.output());
    let isolated = isolation::require(&fleet, &Files { output, ..Files::default() })?;
    let matrix = isolated.matrix();
    if options.json {
        let (machines, secrets) = (&*matrix.machines, matrix.secrets());
        let fleet = json::path(&options.fleet);
        return print(&json::line(&Report { fleet, machines, secrets })?);
    }
    print(matrix.table(terminal::is_coloured(&io::stdout())).as_bytes())
}
