//! `credimg inspect`: what an image says of itself.

use std::path::Path;

use credimg_formats::luks::{Header, Version};
use credimg_formats::probe::Probe;
use serde::Serialize;

use super::opened::Opened;
use super::{encryption, print};
use crate::cli::Inspect;
use crate::keys::{self, Owners};
use crate::report::shown;

pub(super) fn run(options: &Inspect) -> anyhow::Result<()> {
    let image = Opened::new(&options.image)?;
    let mut report = Report::new(&image.probe, image.size_bytes);
    report.header = image.header.as_ref().map(HeaderReport::new);
    if let Some(file) = &options.key_file {
        if image.header.is_none() {
            return Err(encryption::no_encryption("--key-file").into());
        }
        let inside = image.inside(file, &keys::read(file, Owners::Any)?, options.allow_cost)?;
        let offset_bytes = image.header.as_ref().map_or(0, Header::payload_offset_bytes);
        let size_bytes = image.size_bytes.saturating_sub(offset_bytes);
        report.inside = inside.map(|probe| Box::new(Report::new(&probe, size_bytes)));
    }
    if options.json {
        let mut text = serde_json::to_vec(&report)?;
        text.push(b'\n');
        return print(&text);
    }
    print(report.lines().as_bytes())
}

/// What is told. The field names are stable: programs read them.
#[derive(Serialize)]
struct Report {
    format: &'static str,
    /// Bytes that are not UTF-8 are replaced.
    label: Option<String>,
    uuid: Option<String>,
    size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<HeaderReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<Box<Report>>,
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
                ("erofs", label.as_slice(), Some(credimg_formats::uuid_text(*uuid)))
            }
            Probe::Iso9660 { label, uuid } => ("iso9660", label.as_slice(), uuid.clone()),
            Probe::Squashfs {} => ("squashfs", &[][..], None),
            Probe::Luks { version, label, uuid } => {
                let format = match version {
                    Version::Luks1 => "luks1",
                    Version::Luks2 => "luks2",
                };
                (format, label.as_slice(), Some(uuid.clone()))
            }
        };
        let label = (!label.is_empty()).then(|| String::from_utf8_lossy(label).into_owned());
        Self { format, label, uuid, size_bytes, header: None, inside: None }
    }

    /// One line a thing, what is inside indented.
    fn lines(&self) -> String {
        let mut lines = vec![("format", self.format.to_owned())];
        let texts = [("label", &self.label), ("uuid", &self.uuid)];
        lines.extend(
            texts
                .into_iter()
                .filter_map(|(name, text)| Some((name, shown(Path::new(text.as_ref()?))))),
        );
        lines.push(("size", format!("{} bytes", self.size_bytes)));
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
