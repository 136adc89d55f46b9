//! What distributions leave out of their kernels, although Linux of that version has it.

/// A distribution of a guest, by the names of its os-release(5): `ID` and, where it matters,
/// the beginning of `VERSION_ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distribution {
    id: &'static str,
    version: Option<u32>,
    erofs: Erofs,
}

/// Which releases of a distribution read EROFS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Erofs {
    /// All that are in use.
    All,
    /// Those from this one on.
    From(u32),
    /// None so far.
    None,
    /// None without a change of the guest: modprobe(8) is told not to load the module.
    Blocked,
}

/// By `ID`. What is not here is not known, rather than good.
const KNOWN: [(&str, Erofs); 20] = [
    // Debian 10 and Ubuntu 18.04 have a kernel before 5.4.
    ("debian", Erofs::From(11)),
    ("ubuntu", Erofs::From(20)),
    ("fedora", Erofs::All),
    ("arch", Erofs::All),
    // Kernels of RHEL 8 and 9 are built without it, but for those of composefs
    // (merge request 4123 of CentOS Stream 9's kernel).
    ("rhel", Erofs::From(10)),
    ("centos", Erofs::From(10)),
    ("rocky", Erofs::From(10)),
    ("almalinux", Erofs::From(10)),
    ("ol", Erofs::From(10)),
    // Releases count days; it came with pull request 2693 of flatcar/scripts.
    ("flatcar", Erofs::From(4259)),
    // siderolabs/pkgs, pull request 1232
    ("talos", Erofs::None),
    // `fs_blacklist` of suse-module-tools
    ("opensuse-leap", Erofs::Blocked),
    ("opensuse-tumbleweed", Erofs::Blocked),
    ("opensuse-microos", Erofs::Blocked),
    ("opensuse-leap-micro", Erofs::Blocked),
    ("sles", Erofs::Blocked),
    ("sled", Erofs::Blocked),
    ("sles_sap", Erofs::Blocked),
    ("sl-micro", Erofs::Blocked),
    ("sle-micro", Erofs::Blocked),
];

impl Distribution {
    /// Reads `ID`, or `ID-VERSION` of which the first number counts. An error is what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Some IDs hold a hyphen themselves: the longest that fits is the one.
        let fitting = KNOWN.iter().filter_map(|(id, erofs)| {
            let rest = text.strip_prefix(id)?;
            let version = match rest.strip_prefix('-') {
                Some(version) => Some(version),
                None if rest.is_empty() => None,
                None => return None,
            };
            Some((*id, *erofs, version))
        });
        let Some((id, erofs, version)) = fitting.max_by_key(|(id, ..)| id.len()) else {
            let ids: Vec<_> = KNOWN.iter().map(|(id, _)| *id).collect();
            return Err(format!("expected the ID of /etc/os-release, one of {}", ids.join(", ")));
        };
        let number = |version: &str| {
            let digits = version.split(|byte: char| !byte.is_ascii_digit()).next()?;
            digits.parse().ok()
        };
        let expected = || format!("expected ID and version, as in os={id}-10");
        let version = version.map(|version| number(version).ok_or_else(expected)).transpose()?;
        match (erofs, version) {
            (Erofs::From(_), None) => Err(expected()),
            (Erofs::From(_), Some(_)) | (Erofs::All | Erofs::None | Erofs::Blocked, _) => {
                Ok(Self { id, version, erofs })
            }
        }
    }

    /// Why the guest does not read EROFS, and what it reads instead; none where it does.
    pub fn erofs_warning(self) -> Option<String> {
        let Self { id, version, erofs } = self;
        let hint = "use `format: squashfs`";
        match erofs {
            Erofs::All => None,
            Erofs::From(first) => version
                .filter(|version| *version < first)
                .map(|version| format!("{id} {version} does not read erofs, {first} does: {hint}")),
            Erofs::None => Some(format!("{id} does not read erofs: {hint}")),
            Erofs::Blocked => Some(format!(
                "{id} does not load erofs (60-blacklist_fs-erofs.conf of modprobe.d): {hint}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn distributions_read_erofs_or_say_what_to_use() {
        for good in
            ["debian-12", "ubuntu-24.04", "fedora", "fedora-42", "rhel-10.0", "flatcar-4459.2.1"]
        {
            assert_eq!(Distribution::parse(good).unwrap().erofs_warning(), None, "{good}");
        }
        let suse = "does not load erofs (60-blacklist_fs-erofs.conf of modprobe.d)";
        for (bad, expected) in [
            ("debian-10", "debian 10 does not read erofs, 11 does"),
            ("rhel-9.6", "rhel 9 does not read erofs, 10 does"),
            ("centos-9", "centos 9 does not read erofs, 10 does"),
            ("flatcar-4230.2.0", "flatcar 4230 does not read erofs, 4259 does"),
            ("talos", "talos does not read erofs"),
            ("talos-1.10", "talos does not read erofs"),
            ("sles-15.6", &format!("sles {suse}")),
            ("opensuse-leap-micro-6.1", &format!("opensuse-leap-micro {suse}")),
            ("opensuse-tumbleweed-20260101", &format!("opensuse-tumbleweed {suse}")),
        ] {
            let warning = Distribution::parse(bad).unwrap().erofs_warning().unwrap();
            assert_eq!(warning, format!("{expected}: use `format: squashfs`"));
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for bad in ["", "rehl-9", "rhel9", "RHEL-9"] {
            let error = Distribution::parse(bad).unwrap_err();
            assert!(error.contains("one of debian, ubuntu, fedora"), "{bad}: {error}");
        }
        for bad in ["rhel", "rhel-", "rhel-x", "debian--1"] {
            let error = Distribution::parse(bad).unwrap_err();
            assert!(error.starts_with("expected ID and version, as in os="), "{bad}: {error}");
        }
    }
}
