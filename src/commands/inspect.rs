//! `credimg inspect`: what an image says of itself, and how much it holds.

use std::path::Path;

use clap::Args;
use credimg_formats::luks::Header;
use credimg_formats::probe::Probe;
use credimg_formats::read::Storage;
use credimg_formats::{ErrorKind, Format};
use serde::Serialize;

use super::options::Look;
use super::print;
use crate::host::random;
use crate::keys::{self, Owners};
use crate::look::contents;
use crate::look::opened::{HashTree, Inside, Opened, no_encryption};
use crate::look::tally::Tally;
use crate::report::{self, Failure, json, shown};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  credimg inspect chimera.erofs
  credimg inspect chimera.erofs --key-file chimera.key --json")]
pub struct Inspect {
    /// The image.
    #[command(flatten)]
    pub look: Look,
    /// Print a JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(options: &Inspect) -> Result<(), Failure> {
    let report = look(Opened::new(&options.look.image)?, options)?;
    if options.json {
        return print(&json::line(&report)?);
    }
    print(report.lines().as_bytes())
}

fn look(image: Opened, options: &Inspect) -> Result<Report, Failure> {
    // Walks use hash tables, which need random numbers.
    random::seed_tables()?;
    let mut report = Report::new(&image.probe, image.size_bytes);
    report.add_tree(image.tree()?.as_ref())?;
    let path = shown(&options.look.image);
    match (&image.header, &options.look.key_file) {
        (None, None) => {
            report.contents = holdings(image.into_storage(None, false)?, &path)?;
        }
        (None, Some(_)) => return Err(no_encryption("--key-file")),
        (Some(header), None) => report.header = Some(HeaderReport::new(header)),
        (Some(header), Some(file)) => {
            report.header = Some(HeaderReport::new(header));
            let key = keys::read(file, Owners::Any)?;
            let size_bytes = image.size_bytes.saturating_sub(header.payload_offset_bytes());
            if let Some(Inside { probe, storage, tree }) =
                image.inside(file, &key, options.look.allow_cost)?
            {
                let mut inside = Report::new(&probe, size_bytes);
                inside.add_tree(tree.as_ref())?;
                inside.contents = holdings(storage, &path)?;
                report.inside = Some(Box::new(inside));
            }
        }
    }
    Ok(report)
}

/// Counts what the image in `storage` holds. None, with a warning, if it is not valid or cannot be
/// read here: then what it says of itself may be wanted all the more. A read that fails is an
/// error.
fn holdings(storage: Box<dyn Storage>, path: &str) -> Result<Option<Tally>, Failure> {
    match Tally::of(storage) {
        Ok(tally) => Ok(Some(tally)),
        Err(error) if error.kind() == ErrorKind::Source => {
            Err(contents::failure(path, None, &error))
        }
        Err(error) => {
            report::warn(&format!("{path}: what it holds is not told: {error}"));
            Ok(None)
        }
    }
}

/// The report for programs. The field names are stable.
#[derive(Serialize)]
struct Report {
    format: &'static str,
    /// The volume label, in which bytes that are not UTF-8 are replaced.
    label: Option<String>,
    uuid: Option<String>,
    size_bytes: u64,
    /// The root hash and the place of the hash tree, if the image has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    root_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_offset_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<HeaderReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<Box<Report>>,
    /// None of an encrypted image without its key, and of one that cannot be read.
    #[serde(flatten)]
    contents: Option<Tally>,
}

/// What the header of an encrypted image says.
#[derive(Serialize)]
struct HeaderReport {
    cipher: String,
    key_bits: usize,
    hash: &'static str,
    sector_bytes: usize,
    payload_offset_bytes: u64,
    slots: Vec<Slot>,
}

/// A key slot in use.
#[derive(Serialize)]
struct Slot {
    index: usize,
    kdf: String,
}

impl Report {
    fn new(probe: &Probe, size_bytes: u64) -> Self {
        let (format, label, uuid) = match probe {
            Probe::Erofs { label, uuid, .. } => {
                (Format::Erofs.name(), label.as_slice(), Some(credimg_formats::uuid_text(*uuid)))
            }
            Probe::Iso9660 { label, uuid } => {
                (Format::Iso9660.name(), label.as_slice(), uuid.clone())
            }
            Probe::Squashfs {} => (Format::Squashfs.name(), &[][..], None),
            Probe::Luks { version, label, uuid } => {
                (version.name(), label.as_slice(), Some(uuid.clone()))
            }
        };
        let label = (!label.is_empty()).then(|| String::from_utf8_lossy(label).into_owned());
        Self {
            format,
            label,
            uuid,
            size_bytes,
            root_hash: None,
            hash_offset_bytes: None,
            header: None,
            inside: None,
            contents: None,
        }
    }

    fn add_tree(&mut self, tree: Option<&HashTree>) -> Result<(), Failure> {
        let tree = tree.map(HashTree::told).transpose()?;
        self.hash_offset_bytes = tree.as_ref().map(|tree| tree.offset_bytes);
        self.root_hash = tree.map(|tree| tree.root_hash);
        Ok(())
    }

    /// The text for people: a line for each fact, those of what is inside indented.
    fn lines(&self) -> String {
        let mut lines = vec![("format", self.format.to_owned())];
        let texts = [("label", &self.label), ("uuid", &self.uuid)];
        lines.extend(
            texts
                .into_iter()
                .filter_map(|(name, text)| Some((name, shown(Path::new(text.as_ref()?))))),
        );
        lines.push(("size", format!("{} bytes", self.size_bytes)));
        if let (Some(root_hash), Some(offset_bytes)) = (&self.root_hash, self.hash_offset_bytes) {
            lines.push(("tree", format!("from byte {offset_bytes} on, root hash {root_hash}")));
        }
        if let Some(HeaderReport {
            cipher,
            key_bits,
            hash,
            sector_bytes,
            payload_offset_bytes,
            slots,
        }) = &self.header
        {
            lines.push(("cipher", format!("{cipher}, a key of {key_bits} bits, {hash}")));
            lines.push(("sectors", format!("{sector_bytes} bytes")));
            lines.push(("payload", format!("from byte {payload_offset_bytes} on")));
            let slot = |Slot { index, kdf }: &Slot| ("key slot", format!("{index}: {kdf}"));
            lines.extend(slots.iter().map(slot));
        }
        lines.extend(self.contents.iter().flat_map(Tally::lines));
        let line = |(name, text): (&str, String)| format!("{name:<8}  {text}\n");
        let mut text: String = lines.into_iter().map(line).collect();
        if let Some(inside) = &self.inside {
            text.push_str("inside\n");
            text.extend(inside.lines().lines().map(|line| format!("  {line}\n")));
        }
        text
    }
}

impl HeaderReport {
    fn new(header: &Header) -> Self {
        let slots = header.slots().iter();
        Self {
            cipher: header.cipher(),
            key_bits: 8 * header.key_bytes(),
            hash: header.hash(),
            sector_bytes: header.sector_bytes(),
            payload_offset_bytes: header.payload_offset_bytes(),
            slots: slots.map(|slot| Slot { index: slot.index, kdf: slot.kdf.clone() }).collect(),
        }
    }
}
