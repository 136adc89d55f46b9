//! How what a monitor is told is written.

use clap::ValueEnum;

/// How the arguments are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Style {
    /// One line of -drive and -device, quoted for the shell's `eval`
    #[default]
    Shell,
    /// One argument a line, unquoted
    Lines,
    /// A JSON array of strings, one an argument
    Json,
    /// One line of -blockdev and -device, quoted for the shell
    Blockdev,
    /// A configuration file for -readconfig
    Readconfig,
    /// JSON as the monitor's API takes it
    Api,
    /// libvirt's `<disk>` alone, for virsh attach-device
    Disk,
    /// libvirt's `<sysinfo>` alone
    Sysinfo,
    /// libvirt's `<secret>` for a LUKS1 image, for virsh secret-define
    Secret,
    /// Nothing
    None,
}

impl Style {
    /// Whether anything is printed.
    pub(crate) fn is_printed(self) -> bool {
        match self {
            Self::None => false,
            Self::Shell
            | Self::Lines
            | Self::Json
            | Self::Blockdev
            | Self::Readconfig
            | Self::Api
            | Self::Disk
            | Self::Sysinfo
            | Self::Secret => true,
        }
    }
}
