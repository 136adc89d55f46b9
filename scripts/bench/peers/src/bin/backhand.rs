//! backhand DIRECTORY IMAGE COMPRESSION: a SquashFS image by the library of that name.
//!
//! The compression is `none`, `gzip`, `lz4`, `xz` or `zstd:LEVEL`.

use std::env::args;
use std::error::Error;
use std::fs::{File, Metadata};
use std::io::BufWriter;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use backhand::compression::{CompressionOptions, Compressor, Lz4, Zstd};
use backhand::{FilesystemCompressor, FilesystemWriter, NodeHeader};
use peers::sorted;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Writer = FilesystemWriter<'static, 'static, 'static>;

fn main() -> Result<()> {
    let [directory, image, compression] = &args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: backhand DIRECTORY IMAGE COMPRESSION".into());
    };
    let mut writer = Writer::default();
    writer.set_compressor(compressor(compression)?);
    let root = header(&Path::new(directory).metadata()?)?;
    writer.set_root_mode(root.permissions);
    writer.set_root_uid(root.uid);
    writer.set_root_gid(root.gid);
    writer.set_time(root.mtime);
    add(&mut writer, Path::new(directory), Path::new(directory))?;
    writer.write(BufWriter::with_capacity(256 << 10, File::create(image)?))?;
    Ok(())
}

fn compressor(name: &str) -> Result<FilesystemCompressor> {
    let (id, options) = match name.split_once(':').unwrap_or((name, "")) {
        ("none", _) => (Compressor::Uncompressed, None),
        ("gzip", _) => (Compressor::Gzip, None),
        ("xz", _) => (Compressor::Xz, None),
        ("lz4", _) => {
            (Compressor::Lz4, Some(CompressionOptions::Lz4(Lz4 { version: 1, flags: 0 })))
        }
        ("zstd", level) => {
            let zstd = Zstd { compression_level: level.parse()? };
            (Compressor::Zstd, Some(CompressionOptions::Zstd(zstd)))
        }
        (other, _) => return Err(format!("unknown compression: {other}").into()),
    };
    Ok(FilesystemCompressor::new(id, options)?)
}

fn header(metadata: &Metadata) -> Result<NodeHeader> {
    let permissions = u16::try_from(metadata.mode() & 0o7777)?;
    let time = u32::try_from(metadata.mtime())?;
    Ok(NodeHeader::new(permissions, metadata.uid(), metadata.gid(), time))
}

fn add(writer: &mut Writer, root: &Path, directory: &Path) -> Result<()> {
    for entry in sorted(directory)? {
        let (path, metadata) = (entry.path(), entry.metadata()?);
        let inside = path.strip_prefix(root)?;
        if metadata.is_dir() {
            writer.push_dir(inside, header(&metadata)?)?;
            add(writer, root, &path)?;
        } else {
            writer.push_file_from_path(&path, inside, header(&metadata)?)?;
        }
    }
    Ok(())
}
