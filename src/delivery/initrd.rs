//! Credentials that go behind the guest's own initrd: a small archive, which Linux unpacks over
//! what the initrd holds. The guest's own part is never changed.

pub(crate) mod newc;

use std::fmt::Write;

use credimg_formats::Secret;

use self::newc::Archive;

/// The first systemd that hands on what lies in `/run/credentials/@initrd` when it leaves the
/// initrd, and the first that takes credentials from `/.extra` of the initrd (systemd's NEWS).
const HANDED_ON_SYSTEMD: u32 = 254;
const EXTRA_SYSTEMD: u32 = 262;
/// Paths in the initrd: of our lines for systemd-tmpfiles, and of the directory where systemd
/// itself looks for credentials.
const TMPFILES_CONF: &str = "usr/lib/tmpfiles.d/credimg.conf";
pub(crate) const EXTRA_DIRECTORY: &str = ".extra/system_credentials";
/// The directory that an archive of credentials begins with, in each form. Its values lie below.
pub(crate) const EXTRA_TOP: &str = ".extra";
pub(crate) const TMPFILES_TOP: &str = ".credimg";
/// A line for systemd-tmpfiles that copies a credential: its name stands between these two, and
/// the path that it is copied from, without its slash, behind them.
const COPY_START: &str = "C \"/run/credentials/@initrd/";
const COPY_END: &str = "\" 0400 root root - /";
/// Linux finds an archive only at a multiple of this.
const ALIGNMENT_BYTES: u64 = 4;

/// What the planner knows of the guest's own initrd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestInitrd {
    /// Its length.
    pub size_bytes: u64,
    /// How it takes credentials, or the reason why it cannot, in lower case and without a full
    /// stop.
    pub form: Result<Form, String>,
    /// A warning for builds that send something by it: it could not be looked into to its end.
    pub doubt: Option<String>,
    /// Whether the machine is given a copy of it even where no credential goes by it.
    pub is_always_given: bool,
}

/// How credentials lie in an initrd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Files of their own, and lines for systemd-tmpfiles that copy them to where the guest's
    /// systemd takes them from when it leaves the initrd: from systemd 254 on.
    #[default]
    Tmpfiles,
    /// Files where systemd itself takes them from: from systemd 262 on.
    Extra,
}

/// What the names in an initrd tell of it, as far as it matters for credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Whether systemd is its first process, or can be.
    pub has_systemd: bool,
    /// Whether systemd-tmpfiles is there.
    pub has_tmpfiles: bool,
    /// What has made it.
    pub maker: Maker,
    /// The version of its systemd.
    pub systemd: Option<u32>,
    /// Why it could not be looked into to its end, in lower case and without a full stop.
    pub unread: Option<&'static str>,
    /// Why Linux would not come to what lies behind it.
    pub closed: Option<Closed>,
}

/// What keeps Linux from unpacking what lies behind an initrd
/// (`init/initramfs.c` and `init/main.c` of Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It ends in the middle of something, or holds what was changed: Linux goes no further.
    Damaged,
    /// It holds what Linux knows no way to unpack: Linux goes no further.
    Unknown,
    /// A boot configuration, which Linux finds at the very end alone.
    BootConfig,
}

impl Closed {
    /// The reason, in lower case and without a full stop.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Damaged => "it is damaged, and Linux unpacks nothing behind that",
            Self::Unknown => "it is no initrd, or holds what Linux cannot unpack",
            Self::BootConfig => "a boot configuration is behind it, which has to be the last",
        }
    }

    /// What helps.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Damaged | Self::Unknown => {
                "name the file that the guest's kernel is started with as its initrd, unharmed"
            }
            Self::BootConfig => "take it off with `bootconfig -d`, as Linux would not find it",
        }
    }
}

/// What the end of an initrd with a boot configuration is (Documentation/admin-guide/bootconfig.rst
/// of Linux). Boot loaders may add up to three zeros.
const BOOT_CONFIG_END: &[u8] = b"#BOOTCONFIG\n";
const BOOT_CONFIG_ZEROS_MAX: usize = 3;

/// Whether a file that ends so has a boot configuration behind its initrd.
pub fn has_boot_config(end: &[u8]) -> bool {
    let zeros = end.iter().rev().take(BOOT_CONFIG_ZEROS_MAX).take_while(|byte| **byte == 0).count();
    end.get(..end.len() - zeros).is_some_and(|end| end.ends_with(BOOT_CONFIG_END))
}

/// What has made an initrd, as far as it matters for credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Maker {
    /// Anything else, such as dracut. It can take credentials.
    #[default]
    Other,
    /// initramfs-tools.
    InitramfsTools,
    /// A build of credimg: credentials of an image are behind it already.
    Build,
}

/// Why no second set of credentials goes behind an initrd. Files of one name replace each other, so
/// the guest would miss credentials or have those of another image.
pub const IS_OURS: &str = "credentials of an image are behind it already";

/// Whether `end` is the end of an initrd that has credentials of an image behind it.
pub fn is_ours(end: &[u8]) -> bool {
    let holds = |name: &str| end.windows(name.len()).any(|window| window == name.as_bytes());
    holds(TMPFILES_CONF) || holds(EXTRA_DIRECTORY)
}

impl Contents {
    /// Whether the rest of the initrd can tell nothing more that matters.
    pub fn is_settled(&self) -> bool {
        self.has_systemd && self.has_tmpfiles && self.systemd.is_some()
    }

    /// How this initrd takes credentials, or the reason why it cannot. `guest_systemd` is the
    /// version that the user has named. If no version is known, the form is the one that every
    /// systemd from 254 on takes.
    pub fn form(&self, guest_systemd: Option<u32>) -> Result<Form, String> {
        match self.maker {
            Maker::Other => {}
            Maker::InitramfsTools => {
                let reason = "it is made by initramfs-tools, which starts no systemd in it";
                return Err(reason.to_owned());
            }
            Maker::Build => return Err(IS_OURS.to_owned()),
        }
        if let Some(closed) = self.closed {
            return Err(closed.reason().to_owned());
        }
        let systemd = [self.systemd, guest_systemd].into_iter().flatten().min();
        if let Some(old) = systemd.filter(|systemd| *systemd < HANDED_ON_SYSTEMD) {
            return Err(format!(
                "systemd {old} takes no credentials from an initrd, {HANDED_ON_SYSTEMD} does"
            ));
        }
        // What was not looked into may hold what is needed.
        let has = |is_seen: bool| is_seen || self.unread.is_some();
        if systemd.is_some_and(|it| it >= EXTRA_SYSTEMD) && has(self.has_systemd) {
            Ok(Form::Extra)
        } else if has(self.has_tmpfiles) {
            Ok(Form::Tmpfiles)
        } else {
            Err("it holds no systemd-tmpfiles, which would put them in place".to_owned())
        }
    }
}

/// What is appended to the guest's own initrd, which has this length, so that its systemd takes
/// these credentials: pairs of name and value. Empty where there are none.
pub fn behind(initrd_bytes: u64, form: Form, credentials: &[(&str, &[u8])]) -> Secret {
    if credentials.is_empty() {
        return Secret::new(Vec::new());
    }
    let mut archive = Archive::behind(padding_bytes(initrd_bytes));
    match form {
        Form::Extra => extra(&mut archive, credentials),
        Form::Tmpfiles => tmpfiles(&mut archive, credentials),
    }
    archive.finish()
}

/// The number of zeros between the two, which Linux skips. There are at least four, because nothing
/// else ends an initrd that lz4 has packed (`lib/decompress_unlz4.c` of Linux).
fn padding_bytes(initrd_bytes: u64) -> usize {
    let over = initrd_bytes % ALIGNMENT_BYTES;
    let padding = ALIGNMENT_BYTES + (ALIGNMENT_BYTES - over) % ALIGNMENT_BYTES;
    usize::try_from(padding).unwrap_or(0)
}

/// Adds the credentials as files where systemd itself takes them from (systemd-stub(7)).
fn extra(archive: &mut Archive, credentials: &[(&str, &[u8])]) {
    archive.directory(EXTRA_TOP, 0o555);
    archive.directory(EXTRA_DIRECTORY, 0o700);
    for (name, value) in credentials {
        archive.file(&format!("{EXTRA_DIRECTORY}/{name}.cred"), 0o400, value);
    }
}

/// Adds each credential as a file with a number for its name, which needs no quotes, and lines of
/// tmpfiles.d(5) that copy each file to the credential's name.
fn tmpfiles(archive: &mut Archive, credentials: &[(&str, &[u8])]) {
    let mut lines =
        "d /run/credentials 0755 root root -\nd /run/credentials/@initrd 0700 root root -\n"
            .to_owned();
    archive.directory(TMPFILES_TOP, 0o700);
    for (index, (name, value)) in credentials.iter().enumerate() {
        archive.file(&format!("{TMPFILES_TOP}/{index}"), 0o400, value);
        let name = escaped(name);
        // A String takes everything.
        let _ = writeln!(lines, "{COPY_START}{name}{COPY_END}{TMPFILES_TOP}/{index}");
    }
    // Linux sets the modes of directories that exist already. These are the usual ones.
    for directory in ["usr", "usr/lib", "usr/lib/tmpfiles.d"] {
        archive.directory(directory, 0o755);
    }
    archive.file(TMPFILES_CONF, 0o444, lines.as_bytes());
}

/// A name for use in double quotes of tmpfiles.d(5), where a backslash begins an escape and `%` a
/// specifier.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")
}

/// The name of the credential that this line for systemd-tmpfiles copies from `/PATH`.
pub(crate) fn copied_name(line: &str, path: &str) -> Option<String> {
    let name = line.strip_suffix(path)?.strip_suffix(COPY_END)?.strip_prefix(COPY_START)?;
    let mut letters = name.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        // Behind both stands the letter that is meant.
        let is_start = matches!(letter, '\\' | '%');
        plain.push(if is_start { letters.next()? } else { letter });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_the_older_of_the_versions() {
        let dracut = |systemd| Contents {
            has_systemd: true,
            has_tmpfiles: true,
            systemd,
            ..Contents::default()
        };
        for (seen, said, expected) in [
            (None, None, Ok(Form::Tmpfiles)),
            (None, Some(254), Ok(Form::Tmpfiles)),
            (None, Some(262), Ok(Form::Extra)),
            (Some(262), None, Ok(Form::Extra)),
            (Some(257), None, Ok(Form::Tmpfiles)),
            (Some(257), Some(262), Ok(Form::Tmpfiles)),
            (Some(262), Some(261), Ok(Form::Tmpfiles)),
            (Some(252), None, Err("systemd 252 takes no credentials from an initrd, 254 does")),
            (None, Some(253), Err("systemd 253 takes no credentials from an initrd, 254 does")),
        ] {
            let form = dracut(seen).form(said);
            assert_eq!(form, expected.map_err(str::to_owned), "{seen:?} {said:?}");
        }
    }

    #[test]
    fn an_initrd_without_systemd_takes_none() {
        let tools = Contents { maker: Maker::InitramfsTools, ..Contents::default() };
        let unread = Some("it is packed by lzo");
        for contents in [tools.clone(), Contents { unread, ..tools }] {
            let reason = contents.form(Some(262)).err();
            let expected = "it is made by initramfs-tools, which starts no systemd in it";
            assert_eq!(reason.as_deref(), Some(expected));
        }
        let reason = Contents::default().form(Some(262)).err();
        let expected = "it holds no systemd-tmpfiles, which would put them in place";
        assert_eq!(reason.as_deref(), Some(expected));
        let unread = Contents { unread, ..Contents::default() };
        assert_eq!(unread.form(None), Ok(Form::Tmpfiles));
        assert_eq!(unread.form(Some(262)), Ok(Form::Extra));
    }

    #[test]
    fn the_archive_begins_at_a_multiple_of_four_behind_zeros() {
        for length in 0..9 {
            let padding = padding_bytes(length);
            assert!(
                (4..8).contains(&padding) && (length + padding as u64).is_multiple_of(4),
                "{length}"
            );
        }
        assert!(behind(7, Form::Extra, &[]).expose().is_empty());
    }

    #[test]
    fn a_name_stands_for_itself_in_a_line_of_tmpfiles() {
        let name = "a b=c,d%e\"\\";
        assert_eq!(escaped(name), "a b=c,d%%e\\\"\\\\");
        let line = format!("{COPY_START}{}{COPY_END}.credimg/7", escaped(name));
        assert_eq!(copied_name(&line, ".credimg/7").as_deref(), Some(name));
        assert_eq!(copied_name(&line, "credimg/7"), None);
    }
}
