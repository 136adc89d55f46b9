//! A directory of the host that the guest mounts: QEMU's SMB server, `-nic user,smb=`.
//!
//! QEMU writes the path into a configuration file for Samba's smbd (`slirp_smb` in
//! net/slirp.c) and starts that for each connection. What of a path survives there was
//! measured with QEMU 7.2 and Samba 4.17: a value ends with its line, loses white space
//! at its end and all but one character of it inside, goes on with the next line after
//! a backslash at the end, loses quotes at its ends, and `%` begins a substitution.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{escaped, firmware_arguments};
use crate::monitors::{Arguments, Firmware, Style};
use crate::report::{Exit, Failure, shown};

/// A directory that smbd can share.
#[derive(Clone, Debug)]
pub struct Share(PathBuf);

impl Share {
    /// Checks an absolute path; what smbd would read otherwise is an error of [`Exit::Usage`].
    pub fn new(path: PathBuf) -> Result<Self, Failure> {
        let fault = match path.to_str() {
            _ if !path.is_absolute() => "is not absolute",
            None => "is not UTF-8",
            Some(text) if text.contains(char::is_control) => "holds control characters",
            Some(text) if text.contains('%') => "holds a percent sign, which stands for a name",
            Some(text) if text.contains('"') => "holds a double quote",
            Some(text) if text.contains("  ") => "holds several spaces in a row",
            Some(text) if text.ends_with(' ') => "ends in a space",
            Some(text) if text.ends_with('\\') => "ends in a backslash, which continues a line",
            Some(_) => return Ok(Self(path)),
        };
        let message =
            format!("QEMU's SMB server cannot share the directory {}: it {fault}", shown(&path));
        Err(Failure::new(Exit::Usage, message).hint("use another directory"))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// The arguments that give the guest the share and what its firmware carries. The guest
/// finds the share as `//10.0.2.4/qemu`.
///
/// `restrict=on`: the network card is there for the share alone. Without it the guest
/// would reach the host's own services at 10.0.2.2 and all that the host reaches;
/// the SMB server is exempt from it. DHCP names no gateway then, so that the card
/// stands beside the machine's real one. virtio-net, because every Linux made for
/// virtual machines has its driver, and some have no other.
pub fn arguments(share: &Share, firmware: &Firmware, has_pci: bool) -> Arguments {
    let mut arguments = firmware_arguments(firmware);
    let directory = escaped(share.path().as_os_str().as_bytes());
    let model = if has_pci { "virtio-net-pci" } else { "virtio-net-device" };
    let card = format!("user,model={model},restrict=on,smb=");
    arguments.extend([b"-nic".to_vec(), [card.as_bytes(), &directory].concat()]);
    Arguments::Words(arguments)
}

/// The arguments in this style. A path of the firmware's files that it cannot carry is an error
/// of [`Exit::Usage`].
pub fn printed(arguments: &Arguments, style: Style) -> Result<Vec<u8>, Failure> {
    let refusal = |style: &str, fault: &str| {
        let message = format!("the style {style} cannot carry the key file's path: it {fault}");
        Failure::new(Exit::Usage, message).hint("use --args shell, or another path")
    };
    match style {
        Style::Shell | Style::None => arguments.printed(style),
        Style::Lines => arguments.printed(style).map_err(|_| refusal("lines", "holds a newline")),
        Style::Json => arguments.printed(style).map_err(|_| refusal("json", "is not UTF-8")),
        Style::Blockdev
        | Style::Readconfig
        | Style::Api
        | Style::Disk
        | Style::Sysinfo
        | Style::Secret => {
            Err(Failure::new(Exit::Usage, "a share has the styles shell, lines, json and none"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::ffi::OsStr;

    use super::*;
    use crate::monitors::SmbiosFile;

    fn rendered(directory: &str, style: Style) -> String {
        let smbios = vec![SmbiosFile::Structure("it's, a.key.smbios".into())];
        let firmware = Firmware { smbios, ..Firmware::default() };
        let share = Share::new(directory.into()).unwrap();
        String::from_utf8(printed(&arguments(&share, &firmware, true), style).unwrap()).unwrap()
    }

    #[test]
    fn arguments_are_escaped_for_qemu_and_for_the_style() {
        let expected = "-smbios 'file=it'\\''s,, a.key.smbios' \
                        -nic 'user,model=virtio-net-pci,restrict=on,smb=/a b,,c;#'\n";
        assert_eq!(rendered("/a b,c;#", Style::Shell), expected);
        let expected = "-smbios\nfile=it's,, a.key.smbios\n\
                        -nic\nuser,model=virtio-net-pci,restrict=on,smb=/a\n";
        assert_eq!(rendered("/a", Style::Lines), expected);
        let expected = "[\"-smbios\",\"file=it's,, a.key.smbios\",\
                        \"-nic\",\"user,model=virtio-net-pci,restrict=on,smb=/a\"]\n";
        assert_eq!(rendered("/a", Style::Json), expected);
        assert_eq!(rendered("/a", Style::None), "");
    }

    #[test]
    fn paths_that_smbd_would_read_otherwise_are_refused() {
        let refused = |bytes: &[u8]| Share::new(OsStr::from_bytes(bytes).into()).unwrap_err();
        for (path, expected) in [
            (&b"a"[..], "it is not absolute"),
            (b"/\xff", "it is not UTF-8"),
            (b"/a\nread only=no", "it holds control characters"),
            (b"/a\tb", "it holds control characters"),
            (b"/a\x7f", "it holds control characters"),
            (b"/%U", "it holds a percent sign"),
            (b"/a\"", "it holds a double quote"),
            (b"/a  b", "it holds several spaces"),
            (b"/a ", "it ends in a space"),
            (b"/a\\", "it ends in a backslash"),
        ] {
            let failure = refused(path);
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains(expected), "{}", failure.message);
        }
        for path in ["/", "/a;b", "/#a", "/a\\b", "/a=b", "/[a]", "/$HOME", "/\u{e9}", "/ a"] {
            assert!(Share::new(path.into()).is_ok(), "{path}");
        }
    }
}
