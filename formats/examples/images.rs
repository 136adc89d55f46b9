//! Makes one tree into an image of each format, into a file and through a pipe, and into an
//! encrypted volume: `cargo run -p credimg-formats --example images -- DIRECTORY`.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use credimg_formats::{Content, ForwardOnly, Image, Kind, Metadata, Mode, Secret, Tree};
use credimg_formats::{erofs, iso9660, luks, squashfs};

pub(crate) fn make(directory: &Path) -> Result<(), Box<dyn Error>> {
    let dir = Metadata {
        mode: Mode::of::<0o500>(),
        mtime: SystemTime::now().into(),
        ..Metadata::default()
    };
    let [file, link] =
        [Mode::of::<0o400>(), Mode::SYMLINK].map(|mode| Metadata { mode, ..dir.clone() });
    let mut tree = Tree::new(dir.clone());
    tree.insert_at("/api/token", file.clone(), Kind::file("hunter2\n"), &dir)?;
    let users = Content::from_file(File::open("/etc/passwd")?)?;
    tree.insert_at("/etc/passwd", file, Kind::file(users), &dir)?;
    tree.insert_at("/current", link, Kind::symlink("api/token"), &dir)?;

    let erofs = erofs::Plan::new(&tree, erofs::Options::new().label("SECRETS".parse()?))?;
    let options = squashfs::Options::new().compression("zstd:3".parse()?).cut_fractions(true);
    let squashfs = squashfs::Plan::new(&tree, options)?;
    let options = iso9660::Options::new().volume_id("SECRETS".parse()?).cut_fractions(true);
    let iso9660 = iso9660::Plan::new(&tree, options)?;
    let images: [(&str, &dyn Image); 3] =
        [("erofs", &erofs), ("squashfs", &squashfs), ("iso", &iso9660)];
    for (name, image) in images {
        let mut file = BufWriter::new(File::create(directory.join(name))?);
        image.write(&mut file)?;
        file.flush()?;
        let copy = File::create(directory.join(format!("piped.{name}")))?;
        let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(copy).spawn()?;
        let mut pipe = ForwardOnly::new(cat.stdin.take().ok_or("no pipe")?);
        if image.write(&mut pipe).is_err() {
            // SquashFS writes its first bytes last.
            let mut memory = Vec::new();
            image.write(&mut memory)?;
            pipe.write_all(&memory)?;
        }
        drop(pipe);
        cat.wait()?;
    }
    let mut random = [0; luks::VolumeKey::BYTES + luks::RANDOM_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let (key, random) = random.split_first_chunk().ok_or("too short")?;
    let (volume_key, random) = (luks::VolumeKey::new(key)?, Secret::from(random));
    let passphrase = Secret::from("correct horse battery staple");
    let options = luks::Options::new(luks::Version::Luks2, &passphrase, &volume_key, &random);
    let mut file = BufWriter::new(File::create(directory.join("luks"))?);
    luks::Plan::new(options.label("SECRETS".parse()?))?.write(&erofs, &mut file)?;
    Ok(file.flush()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    make(Path::new(&std::env::args_os().nth(1).ok_or("which directory?")?))
}
