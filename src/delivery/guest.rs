//! What a guest drops that is older, or more closed, than the plan supposes.

use std::fmt;

use super::distribution::Distribution;
use super::mount::MOUNT_WORD;
use super::route::{Routes, Teller};
use crate::manifest::{Channel, Format, MOUNT_CREDENTIAL};
use crate::monitors::MachineType;
use crate::report::{Exit, Failure};

/// The first systemd that takes credentials from SMBIOS and fw_cfg, and the
/// first that knows `fstab.extra` and `ImportCredential=` (systemd's NEWS).
const FIRMWARE_SYSTEMD: u32 = 252;
const IMPORT_SYSTEMD: u32 = 254;
/// The first systemd that takes units from credentials, as `systemd.extra-unit.*`.
const UNIT_SYSTEMD: u32 = 256;
/// The first systemd with credentials at all: `LoadCredential=`.
const LOAD_SYSTEMD: u32 = 247;
/// The first systemd that takes credentials from the SMBIOS tables of a TDX guest, which its
/// firmware measures (src/core/import-creds.c, systemd's pull request 42835).
const TDX_SYSTEMD: u32 = 262;
/// The first Linux with EROFS in its final form, and with what every kernel in use has.
const EROFS_KERNEL: Kernel = Kernel { major: 5, minor: 4 };
const OLD_KERNEL: Kernel = Kernel { major: 2, minor: 6 };

/// What is known of a guest. The default knows nothing and expects the best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guest {
    /// Version of systemd.
    pub systemd: Option<u32>,
    /// Version of the kernel.
    pub kernel: Option<Kernel>,
    /// As which confidential machine it runs; none where its host sees its memory.
    pub confidential: Option<Confidential>,
    /// Its distribution.
    pub distribution: Option<Distribution>,
    /// The machine that QEMU emulates for it.
    pub machine_type: Option<MachineType>,
}

/// A kind of confidential machine, whose guest does not trust its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidential {
    /// AMD SEV or SEV-ES.
    Sev,
    /// AMD SEV-SNP.
    Snp,
    /// Intel TDX.
    Tdx,
    /// One of which nothing else is known.
    Unknown,
}

impl Confidential {
    /// What messages call its guest.
    fn title(self) -> &'static str {
        match self {
            Self::Sev => "an SEV guest",
            Self::Snp => "an SEV-SNP guest",
            Self::Tdx => "a TDX guest",
            Self::Unknown => "a confidential guest",
        }
    }
}

/// The version of a kernel, as far as it counts here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kernel {
    /// The number before the first dot.
    pub major: u32,
    /// The number behind it.
    pub minor: u32,
}

impl Kernel {
    /// Reads major and minor version; the rest may go on as that of `uname -r` does.
    fn parse(text: &str) -> Option<Self> {
        let (major, rest) = text.split_once('.')?;
        let minor = rest.split(|byte: char| !byte.is_ascii_digit()).next()?;
        Some(Self { major: number(major)?, minor: number(minor)? })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

impl Guest {
    /// Reads `systemd=252,kernel=5.14,cvm=no,os=rhel-9,machine=q35`, in any order; none need
    /// be there. Behind the machine may stand its properties `pcie` and `acpi`. An error is of
    /// exit code 2.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut guest = Self::default();
        let mut given = Vec::new();
        for part in text.split(',') {
            let (key, value) = part.split_once('=').ok_or_else(usage)?;
            if given.contains(&key) {
                return Err(usage());
            }
            given.push(key);
            match key {
                "systemd" => guest.systemd = Some(number(value).ok_or_else(usage)?),
                "kernel" => guest.kernel = Some(Kernel::parse(value).ok_or_else(usage)?),
                "os" => guest.distribution = Some(distribution(value)?),
                "cvm" => guest.confidential = confidential(value)?,
                "machine" => guest.machine_type = Some(value.parse().map_err(machine_usage)?),
                "pcie" | "acpi" if matches!(value, "on" | "off") => {
                    let machine = guest.machine_type.ok_or_else(usage)?;
                    guest.machine_type = Some(machine.with(key, value));
                }
                _ => return Err(usage()),
            }
        }
        Ok(guest)
    }

    /// What the guest will not do with a disk of this format and this plan, one
    /// line each with the way to mend it.
    pub fn warnings(&self, format: Format, routes: &Routes) -> Vec<String> {
        let mut warnings = Vec::new();
        // One that is not known yet may become one of the firmware.
        let channels = routes.routes.iter().map(|route| route.channel.unwrap_or(Channel::Smbios));
        let may_use_firmware = channels.clone().any(Channel::is_firmware);
        if may_use_firmware && let Some(systemd) = self.systemd_before(FIRMWARE_SYSTEMD) {
            warnings.push(format!(
                "systemd {systemd} takes no credentials from the firmware, {FIRMWARE_SYSTEMD} \
                 does: give them `via: disk`"
            ));
        }
        if let Some((kind, hint)) = channels.clone().find_map(|channel| self.doubt(channel)) {
            warnings.push(format!(
                "{kind} ignores credentials of the firmware, as the host could forge them: give \
                 them `via: disk`{hint}"
            ));
        }
        warnings.extend(self.opening_warning(routes));
        warnings.extend(routes.mount.as_ref().and_then(|mount| self.mount_warning(mount.by)));
        if !routes.routes.is_empty() {
            warnings.extend(self.service_warning());
        }
        let of_distribution = || match format {
            Format::Erofs => self.distribution?.erofs_warning(),
            Format::Squashfs | Format::Iso9660 => None,
        };
        warnings.extend(self.kernel_warning(format).or_else(of_distribution));
        warnings
    }

    /// The version of its systemd, where that is known and older than `version`.
    fn systemd_before(&self, version: u32) -> Option<u32> {
        self.systemd.filter(|systemd| *systemd < version)
    }

    /// The guest as messages call it, where it does not trust what comes by `channel`, and
    /// whether there is a way by which it would.
    fn doubt(&self, channel: Channel) -> Option<(&'static str, &'static str)> {
        let kind = self.confidential?;
        let hint = match (kind, channel) {
            // Whoever attests the guest measures its initrd as well.
            (_, Channel::Disk | Channel::Initrd) => return None,
            (Confidential::Tdx, Channel::Smbios) => {
                if self.systemd.is_some_and(|systemd| systemd >= TDX_SYSTEMD) {
                    return None;
                }
                "; systemd 262 trusts OEM strings there"
            }
            (Confidential::Tdx, Channel::FwCfg) => "; systemd 262 trusts `via: smbios` there",
            (
                Confidential::Sev | Confidential::Snp | Confidential::Unknown,
                Channel::Smbios | Channel::FwCfg,
            ) => "",
        };
        Some((kind.title(), hint))
    }

    /// As [`Self::doubt`], of what tells the guest something that is no secret.
    fn doubt_of(&self, by: Teller) -> Option<(&'static str, &'static str)> {
        match by {
            Teller::Channel(channel) => self.doubt(channel),
            Teller::Argument => self.doubt(Channel::Smbios),
            Teller::KernelLine => None,
        }
    }

    fn service_warning(&self) -> Option<String> {
        if let Some(systemd) = self.systemd_before(LOAD_SYSTEMD) {
            return Some(format!(
                "systemd {systemd} has no credentials, {LOAD_SYSTEMD} has: give the service \
                 `files` with an owner instead"
            ));
        }
        let systemd = self.systemd_before(IMPORT_SYSTEMD)?;
        Some(format!(
            "systemd {systemd} ignores ImportCredential=, {IMPORT_SYSTEMD} knows it: use \
             LoadCredential= as `credimg guest-unit` prints it"
        ))
    }

    fn mount_warning(&self, by: Teller) -> Option<String> {
        let what = match by {
            Teller::Channel(_) | Teller::Argument => MOUNT_CREDENTIAL,
            Teller::KernelLine => MOUNT_WORD,
        };
        if let Some(systemd) = self.systemd_before(IMPORT_SYSTEMD) {
            return Some(format!(
                "systemd {systemd} ignores {what}, {IMPORT_SYSTEMD} mounts the disk by it: \
                 install what `credimg guest-unit` prints"
            ));
        }
        let (kind, hint) = self.doubt_of(by)?;
        Some(format!(
            "{kind} ignores {what}, as the host could forge it: install what `credimg guest-unit` \
             prints{hint}"
        ))
    }

    fn opening_warning(&self, routes: &Routes) -> Option<String> {
        let opening = routes.opening?;
        if let Some((kind, hint)) = self.doubt_of(opening.by) {
            return Some(if opening.has_key {
                format!(
                    "{kind} ignores the key that comes by the firmware, as the host could forge \
                     it: give it the key otherwise{hint}"
                )
            } else {
                format!(
                    "{kind} ignores the unit that checks the disk, as the host could forge it: \
                     install what `credimg guest-unit --image` prints{hint}"
                )
            });
        }
        let systemd = self.systemd_before(UNIT_SYSTEMD)?;
        if systemd < FIRMWARE_SYSTEMD && opening.has_key {
            return Some(format!(
                "systemd {systemd} takes no key from the firmware, {FIRMWARE_SYSTEMD} does: \
                 install what `credimg guest-unit` prints, with the path of a key file of the \
                 guest in it"
            ));
        }
        Some(format!(
            "systemd {systemd} takes no units from credentials, {UNIT_SYSTEMD} opens the disk by \
             one: install what `credimg guest-unit` prints"
        ))
    }

    fn kernel_warning(&self, format: Format) -> Option<String> {
        let (first, hint) = match format {
            Format::Erofs => (EROFS_KERNEL, ": use `format: squashfs`"),
            Format::Squashfs | Format::Iso9660 => (OLD_KERNEL, ""),
        };
        let kernel = self.kernel.filter(|kernel| *kernel < first)?;
        Some(format!("Linux {kernel} does not read {}, {first} does{hint}", format.name()))
    }
}

fn usage() -> Failure {
    let message = "--guest: expected systemd=, kernel=, cvm=, os= and machine=, each at most once, as \
                   in systemd=252,kernel=5.14,cvm=no,os=rhel-9,machine=q35";
    Failure::new(Exit::Usage, message)
        .hint("in the guest `systemctl --version` and `uname -r` tell the versions")
}

fn confidential(text: &str) -> Result<Option<Confidential>, Failure> {
    match text {
        "no" => Ok(None),
        "yes" => Ok(Some(Confidential::Unknown)),
        "sev" => Ok(Some(Confidential::Sev)),
        "snp" => Ok(Some(Confidential::Snp)),
        "tdx" => Ok(Some(Confidential::Tdx)),
        _ => {
            let message = "--guest: cvm: expected no, yes, sev, snp or tdx";
            let hint = "in the guest `systemd-detect-virt --cvm` tells it";
            Err(Failure::new(Exit::Usage, message).hint(hint))
        }
    }
}

fn distribution(text: &str) -> Result<Distribution, Failure> {
    Distribution::parse(text)
        .map_err(|expected| Failure::new(Exit::Usage, format!("--guest: os: {expected}")))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn machine_usage(reason: String) -> Failure {
    Failure::new(Exit::Usage, format!("--guest: machine: {reason}"))
        .hint("it is the machine type that QEMU is started with, by -M or -machine")
}

fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::delivery::route::{Mount, Opening, Route};

    #[test]
    fn guests_are_read() {
        let known = Guest {
            systemd: Some(252),
            kernel: Some(Kernel { major: 5, minor: 14 }),
            ..Guest::default()
        };
        assert_eq!(Guest::parse("systemd=252,kernel=5.14,cvm=no").unwrap(), known);
        assert_eq!(Guest::parse("kernel=5.14.0-570.el9.x86_64,systemd=252").unwrap(), known);
        for (text, expected) in [
            ("no", None),
            ("yes", Some(Confidential::Unknown)),
            ("sev", Some(Confidential::Sev)),
            ("snp", Some(Confidential::Snp)),
            ("tdx", Some(Confidential::Tdx)),
        ] {
            let guest = Guest::parse(&format!("cvm={text}")).unwrap();
            assert_eq!(guest.confidential, expected, "{text}");
        }
        let guest = Guest::parse("machine=microvm,pcie=on,cvm=no").unwrap();
        assert_eq!(guest.machine_type, "microvm,pcie=on".parse().ok());
        for bad in [
            "",
            "systemd",
            "systemd=",
            "systemd=v252",
            "systemd=+252",
            "kernel=5",
            "kernel=5.",
            "kernel=.4",
            "cvm=maybe",
            "distro=debian",
            "os=rehl-9",
            "os=rhel",
            "cvm=no,",
            "cvm=no,cvm=yes",
            "systemd=1,systemd=2",
            "machine=",
            "machine=raspi3b",
            "pcie=on,machine=microvm",
            "machine=microvm,pcie=1",
        ] {
            assert_eq!(Guest::parse(bad).unwrap_err().exit, Exit::Usage, "{bad}");
        }
    }

    /// The first words of each warning.
    fn warnings(guest: &str, routes: &Routes) -> Vec<String> {
        let warnings = Guest::parse(guest).unwrap().warnings(Format::Erofs, routes);
        let first = |text: String| text.split(',').next().unwrap().to_owned();
        warnings.into_iter().map(first).collect()
    }

    /// Of each kind, what it drops of a credential and of the lines that mount the disk.
    #[test]
    fn a_confidential_guest_trusts_what_is_measured() {
        let by = |channel| Routes {
            routes: vec![Route { channel: Some(channel), why: String::new() }],
            mount: Some(Mount { by: Teller::Channel(channel), fstab: String::new() }),
            ..Routes::default()
        };
        for (guest, channel, expected) in [
            ("cvm=tdx,systemd=262", Channel::Smbios, None),
            ("cvm=tdx,systemd=261", Channel::Smbios, Some("a TDX guest")),
            ("cvm=tdx", Channel::Smbios, Some("a TDX guest")),
            ("cvm=tdx,systemd=262", Channel::FwCfg, Some("a TDX guest")),
            ("cvm=snp,systemd=262", Channel::Smbios, Some("an SEV-SNP guest")),
            ("cvm=sev,systemd=262", Channel::FwCfg, Some("an SEV guest")),
            ("cvm=yes,systemd=262", Channel::Smbios, Some("a confidential guest")),
            ("cvm=snp,systemd=262", Channel::Initrd, None),
            ("cvm=no", Channel::Smbios, None),
        ] {
            let expected: Vec<_> = expected
                .iter()
                .flat_map(|kind| {
                    ["credentials of the firmware", "fstab.extra"]
                        .map(|what| format!("{kind} ignores {what}"))
                })
                .collect();
            assert_eq!(warnings(guest, &by(channel)), expected, "{guest} {channel:?}");
        }
    }

    #[test]
    fn warns_of_what_is_dropped_and_of_nothing_else() {
        let route = |channel| Route { channel, why: String::new() };
        let disk_by = |by| Routes {
            routes: vec![route(Some(Channel::Disk))],
            mount: Some(Mount { by, fstab: String::new() }),
            ..Routes::default()
        };
        let disk = disk_by(Teller::Channel(Channel::Smbios));
        let by_kernel = disk_by(Teller::KernelLine);
        assert_eq!(warnings("cvm=yes", &by_kernel), [""; 0]);
        let import = "systemd 253 ignores ImportCredential=";
        let mount_extra = "systemd 253 ignores systemd.mount-extra";
        assert_eq!(warnings("systemd=253", &by_kernel), [mount_extra, import]);
        let fstab = "systemd 253 ignores fstab.extra";
        assert_eq!(warnings("systemd=253", &disk), [fstab, import]);
        assert_eq!(warnings("systemd=254,kernel=5.4", &disk), [""; 0]);
        assert_eq!(warnings("cvm=yes", &disk), ["a confidential guest ignores fstab.extra"]);
        assert_eq!(warnings("kernel=4.19", &disk), ["Linux 4.19 does not read erofs"]);
        assert_eq!(warnings("kernel=4.18,os=rhel-8", &disk), ["Linux 4.18 does not read erofs"]);
        assert_eq!(warnings("kernel=5.14,os=rhel-9", &disk), ["rhel 9 does not read erofs"]);
        for channel in [Some(Channel::Smbios), Some(Channel::FwCfg), None] {
            let firmware = Routes { routes: vec![route(channel)], ..Routes::default() };
            let expected = [
                "systemd 251 takes no credentials from the firmware",
                "systemd 251 ignores ImportCredential=",
            ];
            assert_eq!(warnings("systemd=251", &firmware), expected);
            let expected = ["a confidential guest ignores credentials of the firmware"];
            assert_eq!(warnings("cvm=yes", &firmware), expected);
        }
        let by = Teller::Channel(Channel::Smbios);
        let opening = Some(Opening { by, has_key: true });
        let encrypted = Routes { opening, ..Routes::default() };
        let expected = ["systemd 255 takes no units from credentials"];
        assert_eq!(warnings("systemd=255", &encrypted), expected);
        assert_eq!(warnings("systemd=256", &encrypted), [""; 0]);
        let expected = ["systemd 251 takes no key from the firmware"];
        assert_eq!(warnings("systemd=251", &encrypted), expected);
        let expected = ["a confidential guest ignores the key that comes by the firmware"];
        assert_eq!(warnings("cvm=yes", &encrypted), expected);
        let none = "systemd 246 has no credentials";
        assert_eq!(warnings("systemd=246", &disk), ["systemd 246 ignores fstab.extra", none]);
        assert_eq!(warnings("systemd=200,cvm=yes", &Routes::default()), [""; 0]);
        let guest = Guest::parse("kernel=2.5").unwrap();
        let warnings = guest.warnings(Format::Squashfs, &Routes::default());
        assert_eq!(warnings, ["Linux 2.5 does not read squashfs, 2.6 does"]);
        let guest = Guest::parse("os=rhel-9").unwrap();
        assert_eq!(guest.warnings(Format::Iso9660, &Routes::default()), [""; 0]);
    }
}
