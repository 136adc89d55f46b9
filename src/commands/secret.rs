//! `credimg secret`: secrets of QEMU's own, such as those of VNC, iSCSI, RBD and TLS,
//! wrapped with a machine's master key.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use credimg_formats::Secret as Bytes;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::print;
use crate::host::input;
use crate::keys::{self, wrap::Wrapped};
use crate::monitors::DriveId;
use crate::monitors::qemu::secrets;
use crate::report::{self, Exit, Failure, reason};

// Options of `credimg secret`, which has none but those of its commands.
#[derive(Args, Debug)]
pub struct Options {
    /// What to do with a secret.
    #[command(subcommand)]
    pub command: Secret,
}

// The commands of `credimg secret`.
#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Wrap standard input and print the -object that gives it to QEMU
    Wrap(Wrap),
    /// Print what an -object on standard input holds
    Unwrap(Unwrap),
}

#[derive(Args, Debug)]
#[command(after_help = "\
The master key itself goes to QEMU by a file:
  -object secret,id=credimg-master,file=chimera.master,format=base64

Example:
  vnc=$(pass show chimera/vnc | credimg secret wrap --master-key chimera.master --id vnc0 --trim) &&
  eval \"qemu-system-x86_64 \\
    -object secret,id=credimg-master,file=chimera.master,format=base64 $vnc \\
    -vnc unix:vnc.sock,password-secret=vnc0\"")]
pub struct Wrap {
    /// File of the master key, 32 bytes in base64
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub master_key: PathBuf,
    /// QEMU id of the secret
    #[arg(long)]
    pub id: String,
    /// QEMU id of the secret that holds the master key
    #[arg(long, value_name = "ID", default_value = "credimg-master")]
    pub keyid: String,
    /// Drop one newline at the secret's end
    #[arg(long)]
    pub trim: bool,
    /// Print a JSON object, as -object and QMP's object-add take it
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  credimg secret unwrap --master-key chimera.master <vnc.object  # vnc.object is what wrap printed")]
pub struct Unwrap {
    /// File of the master key, 32 bytes in base64
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub master_key: PathBuf,
}

/// Longest secret in bytes, and longest text that holds a wrapped one, in which four characters
/// stand for three bytes.
const SECRET_MAX_BYTES: usize = 1 << 20;
const TEXT_MAX_BYTES: usize = 2 * SECRET_MAX_BYTES;

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    match &options.command {
        Secret::Wrap(options) => wrap(options),
        Secret::Unwrap(options) => unwrap(options),
    }
}

fn wrap(options: &Wrap) -> Result<(), Failure> {
    let id = DriveId::of(&options.id, "--id")?;
    let keyid = DriveId::of(&options.keyid, "--keyid")?;
    if id == keyid {
        let message = "--id and --keyid are the same: QEMU takes an id once";
        return Err(Failure::new(Exit::Usage, message));
    }
    let master = keys::read_master(&options.master_key)?;
    if io::stdin().is_terminal() {
        report::note("type the secret, then Ctrl-D on a line of its own");
    }
    let mut bytes = read(SECRET_MAX_BYTES)?;
    keys::hold(&bytes);
    match bytes.last() {
        Some(b'\n') if options.trim => drop(bytes.pop()),
        Some(b'\n') => {
            report::warn("the secret ends in a newline, which is a part of it; --trim drops it");
        }
        _ => {}
    }
    if bytes.is_empty() {
        return Err(Failure::new(Exit::Source, "the secret on standard input is empty"));
    }
    let wrapped = master.wrap(&Bytes::new(std::mem::take(&mut *bytes)))?;
    print(&if options.json {
        secrets::wrapped_json(&id, &keyid, &wrapped)
    } else {
        secrets::wrapped_option(&id, &keyid, &wrapped)
    })
}

fn unwrap(options: &Unwrap) -> Result<(), Failure> {
    let master = keys::read_master(&options.master_key)?;
    let text = read(TEXT_MAX_BYTES)?;
    let wrapped = parse(&text).ok_or_else(|| {
        let message = "standard input holds no wrapped secret: expected iv= and data=";
        Failure::new(Exit::Source, message).hint("give it what `credimg secret wrap` printed")
    })?;
    let secret = master.unwrap(&wrapped).ok_or_else(|| {
        let message = "the master key does not open this secret, or it is damaged";
        Failure::new(Exit::Source, message).hint("each machine has a master key of its own")
    })?;
    print(secret.expose())
}

fn read(max_bytes: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let bytes = input::stdin().and_then(|stdin| input::read(&stdin, max_bytes));
    let bytes = bytes.map_err(|error: io::Error| {
        let failure = Failure::inside(&error).cloned();
        failure.unwrap_or_else(|| {
            let message = format!("cannot read standard input: {}", reason(&error));
            Failure::new(Exit::Source, message)
        })
    })?;
    if bytes.len() > max_bytes {
        let message = format!("standard input holds more than {} MiB", max_bytes >> 20);
        return Err(Failure::new(Exit::Source, message));
    }
    Ok(bytes)
}

/// Reads vector and data of an `-object`, as QEMU's options or as JSON.
pub(crate) fn parse(text: &[u8]) -> Option<Wrapped> {
    #[derive(Deserialize)]
    struct Object {
        iv: String,
        data: String,
    }
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    if let Ok(Object { iv, data }) = serde_json::from_str(text) {
        return Some(Wrapped { iv, data });
    }
    // Base64 has neither commas nor quotes. A report of `build --json` has options in words.
    let option = |name: &str| {
        let values = text.split([',', ' ', '\'', '"']).filter_map(|word| word.split_once('='));
        let (_, value) = values.into_iter().find(|(key, _)| *key == name)?;
        Some(value.to_owned())
    };
    Some(Wrapped { iv: option("iv")?, data: option("data")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_in_every_form_that_qemu_takes() {
        let expected = Wrapped { iv: "aXY=".to_owned(), data: "ZGE+dGE=".to_owned() };
        for text in [
            "-object secret,id=a,keyid=b,iv=aXY=,format=base64,data=ZGE+dGE=\n",
            "data=ZGE+dGE=,iv=aXY=",
            "-object 'secret,id=a,iv=aXY=,data=ZGE+dGE='",
            r#"{"qom-type": "secret", "id": "a", "iv": "aXY=", "data": "ZGE+dGE="}"#,
            r#"{"arguments":["-object","secret,id=a,iv=aXY=,format=base64,data=ZGE+dGE="]}"#,
        ] {
            assert_eq!(parse(text.as_bytes()), Some(expected.clone()), "{text}");
        }
        for text in ["", "secret,data=hunter2", "iv=aXY=", "{", r#"{"iv": 1}"#] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
