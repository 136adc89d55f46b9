//! `credimg check`: what a build would make, without running a command or
//! opening a file of a source.

mod plan;
mod table;

use std::path::PathBuf;

use clap::{Args, ValueHint};
use credimg_formats::luks::Version;
use serde::Serialize;

use super::options::{Sources, Volume, WhichMachine, size};
use super::print;
use crate::delivery::route::Routes;
use crate::fleet::one;
use crate::job::Job;
use crate::job::destination::Destination;
use crate::job::encryption::{self, is_opened_by_guest};
use crate::job::links;
use crate::job::loss;
use crate::job::reach;
use crate::job::seed;
use crate::job::trusted;
use crate::job::wishes::{AttachWishes, SourceWishes, Wishes};
use crate::job::xattrs;
use crate::manifest::Manifest;
use crate::monitors::{Monitor, Serial, Style};
use crate::report::{self, Exit, Failure, json};
use crate::sources::pseudo::{self, Definitions};
use crate::sources::rehearsal::rehearse;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  credimg check secrets.yaml
  # What libvirt and an old guest make of it, where a warning counts as an error
  credimg check secrets.yaml --target libvirt --guest systemd=252,kernel=5.14,cvm=no --strict")]
#[expect(missing_docs, reason = "its description is that of the command")]
pub struct Check {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// What the build will be told of the volume.
    #[command(flatten)]
    pub volume: Volume,
    /// Virtual machine monitor that credentials go through [default: that of the fleet's machine,
    /// else qemu]
    #[arg(long, value_enum)]
    pub target: Option<Monitor>,
    /// Style of the arguments that will be printed
    #[arg(long = "args", value_name = "STYLE", value_enum, default_value_t = Style::Shell)]
    pub style: Style,
    /// Which machine.
    #[command(flatten)]
    pub machine: WhichMachine,
    /// The guest's own initrd, as `build` is given it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub initrd: Option<PathBuf>,
    /// Warn of what this guest drops, as in systemd=252,kernel=5.14,cvm=no,os=rhel-9,machine=q35
    #[arg(long, value_name = "FACTS")]
    pub guest: Option<String>,
    /// Most bytes of the image that will be built, with a suffix as in 512M, 64G or 1T
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = size)]
    pub max_size: u64,
    /// Exit with 5 where there is a warning
    #[arg(long)]
    pub strict: bool,
    /// Print a JSON report of the plan instead of tables; it holds the warnings
    #[arg(long)]
    pub json: bool,
    /// What the image is made of.
    #[command(flatten)]
    pub sources: Sources,
}

/// Stands for the serial where nothing depends on it.
const NO_SERIAL: &str = "none";

/// The plan for programs. The field names are stable.
#[derive(Serialize)]
struct Report {
    manifest: String,
    /// None where the output's name decides it.
    format: Option<&'static str>,
    label: Option<String>,
    /// None where the image's name decides it, or the label gives none.
    serial: Option<String>,
    encryption: Option<&'static str>,
    /// Whether there is a hash tree.
    verity: bool,
    entries: Vec<plan::Planned>,
    credentials: Vec<plan::Value>,
    limits: Vec<plan::Limit>,
    kernel_arguments: Vec<String>,
    warnings: Vec<String>,
}

pub(super) fn run(options: &Check) -> Result<(), Failure> {
    let Sources { trust, pseudo_file, .. } = &options.sources;
    let manifest =
        one::load(&options.manifest, options.machine.name(), trust.trust, pseudo_file, None)?;
    let luks = encryption::version(options.volume.encrypt, &manifest);
    let has_values = manifest.values().next().is_some();
    let has_tree = options.volume.verity || manifest.verity.is_some();
    let is_opened = has_tree || luks.is_some_and(is_opened_by_guest);
    let is_told = has_values || manifest.mount.is_some() || is_opened;
    let mut wishes = options.wishes();
    if !is_told && options.guest.is_none() {
        // Then nothing depends on the serial, and the build may be given one.
        wishes.attach.serial.get_or_insert_with(|| NO_SERIAL.to_owned());
    }
    let job = Job::new(manifest, &wishes, Destination::Nothing)?;
    let definitions = pseudo::load(&job.manifest)?;
    pseudo::require_allowed(job.settings.policy, &job.manifest, &definitions)?;
    let mut warnings = foresee(&job, &definitions, trust.trust)?;
    let mut routes = None;
    if is_told || options.guest.is_some() {
        let foreseen = job.foreseen_routes()?;
        warnings.extend(foreseen.warnings.iter().cloned());
        warnings.extend(job.guest.warnings(job.image.format, &foreseen));
        routes = Some(foreseen).filter(|_| is_told);
    }
    let tell_warnings = || warnings.iter().for_each(|warning| report::warn(warning));
    if options.json {
        tell_warnings();
        print(&json::line(&options.report(&job, &definitions, luks, routes.as_ref()))?)?;
    } else {
        print(text(&job, &definitions, luks, routes.as_ref()).as_bytes())?;
        tell_warnings();
    }
    if options.strict && !warnings.is_empty() {
        let message = "--strict: a warning counts as an error";
        return Err(Failure::new(Exit::Policy, message));
    }
    Ok(())
}

/// The plan for people.
fn text(
    job: &Job,
    definitions: &Definitions,
    luks: Option<Version>,
    routes: Option<&Routes>,
) -> String {
    let mut text = table(&job.manifest, definitions);
    // A heading alone would look as if something had been lost.
    if routes.is_some() && plan::entries(&job.manifest, definitions).is_empty() {
        text.clear();
    }
    if let Some(luks) = luks {
        text.push_str(opener(luks));
    }
    if job.image.verity.is_some() {
        text.push_str("\nwith a hash tree: the guest checks the disk by it\n");
    }
    if let Some(routes) = routes {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&table::values(&plan::values(job, routes), &plan::limits(job, routes)));
    }
    text
}

impl Check {
    fn report(
        &self,
        job: &Job,
        definitions: &Definitions,
        luks: Option<Version>,
        routes: Option<&Routes>,
    ) -> Report {
        let Job { image, manifest, drive, .. } = job;
        let of_label = || Serial::from_label(image.label.as_deref()?).ok();
        let own = self.volume.serial.is_some().then(|| drive.serial.clone());
        Report {
            manifest: json::path(&self.manifest),
            format: job.is_format_known.then(|| image.format.name()),
            label: image.label.clone(),
            serial: own.or_else(of_label).map(|serial| serial.as_str().to_owned()),
            encryption: luks.map(Version::name),
            verity: image.verity.is_some(),
            entries: plan::entries(manifest, definitions),
            credentials: routes.map(|routes| plan::values(job, routes)).unwrap_or_default(),
            limits: routes.map(|routes| plan::limits(job, routes)).unwrap_or_default(),
            kernel_arguments: routes.map(Routes::kernel_arguments).unwrap_or_default(),
            warnings: report::warnings(),
        }
    }

    fn wishes(&self) -> Wishes {
        let wishes = self.volume.wishes();
        let (target, machine) = (self.target, self.machine.wishes());
        let max_size_bytes = self.max_size;
        Wishes {
            sources: SourceWishes { max_size_bytes, ..self.sources.wishes() },
            attach: AttachWishes { target, machine, style: self.style, ..wishes.attach },
            guest: self.guest.clone(),
            initrd: self.initrd.clone(),
            ..wishes
        }
    }
}

/// What a build will warn of, as far as that goes without reading a source; an error where it
/// is certain to fail.
fn foresee(job: &Job, definitions: &Definitions, trust: bool) -> Result<Vec<String>, Failure> {
    let Job { manifest, image, .. } = job;
    let rehearsal = rehearse(manifest, definitions, job.settings.max_size_bytes)?;
    let mut warnings = reach::foresee(&rehearsal);
    let known_format = job.is_format_known.then_some(image.format);
    if let Some(format) = known_format {
        warnings.extend(seed::foresee(format, image.label.as_deref(), manifest, definitions)?);
        warnings.extend(loss::foresee(&rehearsal.tree, format, image.options.joliet));
    }
    warnings.extend(links::foresee(manifest, definitions, rehearsal, known_format));
    warnings.extend(xattrs::warnings(manifest));
    warnings.extend(trusted::foresee(trust, manifest, definitions));
    Ok(warnings)
}

/// Who opens the image.
fn opener(luks: Version) -> &'static str {
    match luks {
        Version::Luks1 => "\nencrypted by LUKS1: QEMU opens it, the guest sees the plain disk\n",
        Version::Luks2 => "\nencrypted by LUKS2: the guest opens it\n",
    }
}

/// The plan of the files as aligned columns, one line an entry in the manifest's order, then one
/// line a pseudo definition. Never content, host paths, arguments or link targets.
pub fn table(manifest: &Manifest, definitions: &Definitions) -> String {
    table::entries(&plan::entries(manifest, definitions))
}
