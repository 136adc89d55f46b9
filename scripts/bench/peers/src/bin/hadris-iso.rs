//! hadris-iso DIRECTORY IMAGE: an ISO 9660 image with Rock Ridge by the library of that name.

use std::env::args;
use std::error::Error;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use hadris_iso::read::PathSeparator;
use hadris_iso::write::options::{BaseIsoLevel, CreationFeatures, IsoFormatOptions};
use hadris_iso::write::{
    FileSource, InputEntry, InputEntryKind, InputMetadata, InputTree, IsoImageWriter,
};
use peers::sorted;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let [directory, image] = &args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: hadris-iso DIRECTORY IMAGE".into());
    };
    let tree = InputTree::new(PathSeparator::ForwardSlash, entries(Path::new(directory))?);
    let options = IsoFormatOptions {
        volume_name: "BENCH".to_owned(),
        system_id: None,
        volume_set_id: None,
        publisher_id: None,
        preparer_id: None,
        application_id: None,
        sector_size: 2048,
        path_separator: PathSeparator::ForwardSlash,
        // Names of 8 characters would make it search for free ones, minutes for D.
        features: CreationFeatures {
            filenames: BaseIsoLevel::Level2 { supports_lowercase: false, supports_rrip: true },
            ..CreationFeatures::rock_ridge()
        },
        strict_charset: false,
    };
    // It reads back what it wrote.
    let file = File::options().read(true).write(true).create_new(true).open(image)?;
    IsoImageWriter::create(file, tree, options)?;
    Ok(())
}

fn entries(directory: &Path) -> Result<Vec<InputEntry>> {
    let mut found = Vec::new();
    for entry in sorted(directory)? {
        let (path, metadata) = (entry.path(), entry.metadata()?);
        let kind = if metadata.is_dir() {
            InputEntryKind::Directory(entries(&path)?)
        } else {
            let opened = path.clone();
            InputEntryKind::Source(FileSource::new(metadata.len(), move || {
                Ok(Box::new(File::open(&opened)?))
            }))
        };
        let name = entry.file_name().into_string().map_err(|_| "a name is not UTF-8")?;
        found.push(InputEntry { name: Arc::new(name), kind, metadata: kept(&metadata) });
    }
    Ok(found)
}

fn kept(metadata: &Metadata) -> InputMetadata {
    InputMetadata {
        mode: Some(metadata.mode() & 0o7777),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
        modified: Some(metadata.mtime()),
        ..InputMetadata::default()
    }
}
