//! What the audit looks for: each rule's name, why it matters, and what to do instead.

/// A kind of inline secret. The names are part of the `--json` report and stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// An OEM string by value.
    SmbiosValue,
    /// A firmware configuration item by value.
    FwCfgString,
    /// `-object secret` with its data in clear.
    SecretData,
    /// A password or key among a drive's options.
    DrivePassword,
    /// A password of a remote display.
    DisplayPassword,
    /// User and password within a URL.
    UrlPassword,
    /// A credential on the kernel's command line.
    KernelCredential,
    /// A password on the kernel's command line.
    KernelPassword,
    /// A systemd credential by value.
    SetCredential,
    /// A secret in the environment of a unit or of an emulator.
    Environment,
    /// A secret in the environment of a container.
    ContainerEnvironment,
    /// A password or token in an option of curl or wget.
    DownloadPassword,
    /// An HTTP header with a token in the arguments of curl or wget.
    HttpHeader,
    /// The password of sshpass.
    Sshpass,
    /// The value of a libvirt secret.
    LibvirtSecret,
    /// The password of a guest's user.
    GuestPassword,
    /// The passphrase of an encrypted disk.
    DiskPassphrase,
}

impl Rule {
    /// Every rule, in the order of the documentation.
    pub const ALL: [Self; 17] = [
        Self::SmbiosValue,
        Self::FwCfgString,
        Self::SecretData,
        Self::DrivePassword,
        Self::DisplayPassword,
        Self::UrlPassword,
        Self::KernelCredential,
        Self::KernelPassword,
        Self::SetCredential,
        Self::Environment,
        Self::ContainerEnvironment,
        Self::DownloadPassword,
        Self::HttpHeader,
        Self::Sshpass,
        Self::LibvirtSecret,
        Self::GuestPassword,
        Self::DiskPassphrase,
    ];

    /// The name that reports use: lower case, with hyphens.
    pub fn name(self) -> &'static str {
        match self {
            Self::SmbiosValue => "smbios-value",
            Self::FwCfgString => "fw-cfg-string",
            Self::SecretData => "secret-data",
            Self::DrivePassword => "drive-password",
            Self::DisplayPassword => "display-password",
            Self::UrlPassword => "url-password",
            Self::KernelCredential => "kernel-credential",
            Self::KernelPassword => "kernel-password",
            Self::SetCredential => "set-credential",
            Self::Environment => "environment",
            Self::ContainerEnvironment => "container-environment",
            Self::DownloadPassword => "download-password",
            Self::HttpHeader => "http-header",
            Self::Sshpass => "sshpass",
            Self::LibvirtSecret => "libvirt-secret",
            Self::GuestPassword => "guest-password",
            Self::DiskPassphrase => "disk-passphrase",
        }
    }

    /// Why it is reported: lower case, without a full stop.
    pub fn why(self) -> &'static str {
        match self {
            Self::SmbiosValue => {
                "every user of the host can read an OEM string that is given by value"
            }
            Self::FwCfgString => {
                "every user of the host can read a firmware item that is given by value"
            }
            Self::SecretData => "data= without keyid= and iv= is the secret in clear",
            Self::DrivePassword => "every user of the host can read a drive's password or key",
            Self::DisplayPassword => "the display's password is written out",
            Self::UrlPassword => "the URL holds a password",
            Self::KernelCredential | Self::KernelPassword => {
                "the kernel's command line is readable on the host and in /proc/cmdline of the guest"
            }
            Self::SetCredential => "unit files and arguments are readable for everybody",
            Self::Environment => {
                "a unit's or domain's environment is readable beyond its service, and inherited"
            }
            Self::ContainerEnvironment => {
                "every user of the host can read the arguments, and the engine keeps the environment"
            }
            Self::DownloadPassword | Self::Sshpass => {
                "every user of the host can read a password in arguments"
            }
            Self::HttpHeader => "every user of the host can read a header in arguments",
            Self::LibvirtSecret => "the value of a secret is written out",
            Self::GuestPassword => "the password of a guest's user is written out",
            Self::DiskPassphrase => "the passphrase of a disk is written out",
        }
    }

    /// The safe form to use instead.
    pub fn instead(self) -> &'static str {
        match self {
            Self::SmbiosValue => {
                "a secrets disk, -smbios file=BLOB, or type=11,path=FILE from QEMU 10.0 on"
            }
            Self::FwCfgString => {
                "-fw_cfg name=NAME,file=FILE, in libvirt <entry name='NAME' file='FILE'/>"
            }
            Self::SecretData => "-object secret,id=ID,file=FILE",
            Self::DrivePassword => {
                "password-secret=ID or key-secret=ID with -object secret,id=ID,file=FILE; \
                 for rbd a keyring file"
            }
            Self::DisplayPassword => {
                "-spice password-secret=ID with -object secret,id=ID,file=FILE; \
                 in libvirt a <listen type='socket'/> without a password"
            }
            Self::UrlPassword => {
                "a URL without it: curl --netrc-file FILE, -drive …,password-secret=ID, \
                 git's credential helper"
            }
            Self::KernelCredential => {
                "a secrets disk, or -fw_cfg name=opt/io.systemd.credentials/ID,file=FILE"
            }
            Self::KernelPassword => {
                "a password's hash in the kickstart or preseed, an SSH key, or a secrets disk"
            }
            Self::SetCredential => {
                "LoadCredential= or --load-credential=ID:FILE, ImportCredential=, \
                 SetCredentialEncrypted="
            }
            Self::Environment => "LoadCredential=ID:FILE and the file under $CREDENTIALS_DIRECTORY",
            Self::ContainerEnvironment => {
                "--env-file FILE, -e NAME from the engine's own environment, or the engine's secrets"
            }
            Self::DownloadPassword => "curl --netrc-file FILE or --config FILE; wget --config=FILE",
            Self::HttpHeader => "curl --header @FILE or --config FILE; wget --config=FILE",
            Self::Sshpass => "an SSH key, or sshpass -f FILE",
            Self::LibvirtSecret => {
                "virsh secret-set-value UUID --file FILE, and a reference to the secret"
            }
            Self::GuestPassword => {
                "a password's hash, virt-customize --root-password file:FILE, an SSH key, \
                 or a secrets disk"
            }
            Self::DiskPassphrase => {
                "--key ID:file:FILE for guestfish and virt tools, cryptsetup --key-file, \
                 or a passphrase that is typed in"
            }
        }
    }
}
