//! Every key of the manifest: its name, what its value is, what holds without it, what it
//! goes with, and since when it is there.
//!
//! The schema, its errors and the reference come from these tables: a key that is not here
//! does not exist.

use super::source::SourceKey;

/// One key of a mapping.
#[derive(Debug)]
pub struct Key {
    /// The key as it is written.
    pub name: &'static str,
    /// What its value is, in words.
    pub value: &'static str,
    /// Whether it has to be there, and what holds where it is not.
    pub presence: Presence,
    /// The sources, formats or other values that it is for; none where it goes with all.
    pub only_with: &'static [&'static str],
    /// What it says, in words.
    pub meaning: &'static str,
    /// The first version of credimg that knows it.
    pub since: &'static str,
}

/// Whether a key has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It has to be there.
    Required,
    /// It is one of the sources, of which there has to be exactly one.
    Source(SourceKey),
    /// It may be missing; this holds then, in words.
    Optional(&'static str),
}

impl Key {
    const fn required(name: &'static str, value: &'static str, meaning: &'static str) -> Self {
        Self::new(name, value, Presence::Required, meaning)
    }

    const fn optional(
        name: &'static str,
        value: &'static str,
        without: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self::new(name, value, Presence::Optional(without), meaning)
    }

    const fn new(
        name: &'static str,
        value: &'static str,
        presence: Presence,
        meaning: &'static str,
    ) -> Self {
        Self { name, value, presence, only_with: &[], meaning, since: "0.1.0" }
    }

    const fn only_with(mut self, others: &'static [&'static str]) -> Self {
        self.only_with = others;
        self
    }

    /// Which source it is, if it is one.
    pub fn source(&self) -> Option<SourceKey> {
        match self.presence {
            Presence::Source(source) => Some(source),
            Presence::Required | Presence::Optional(_) => None,
        }
    }
}

/// The keys of the manifest itself.
pub const MANIFEST: &[Key] = &[
    Key::optional(
        "label",
        "text",
        "no label; in a fleet that of each machine's name",
        "the volume's label; in lower case also the serial",
    ),
    Key::optional(
        "format",
        "`erofs`, `squashfs` or `iso9660`",
        "that of the output's extension",
        "the image's format",
    ),
    Key::optional(
        "compression",
        "name and level, as `zstd:19`",
        "none",
        "how file content is compressed",
    )
    .only_with(&["squashfs"]),
    Key::optional("joliet", "true or false", "false", "whether there is a Joliet tree")
        .only_with(&["iso9660"]),
    Key::optional("encrypt", "mapping", "not encrypted", "how the image is encrypted"),
    Key::optional(
        "verity",
        "true, false, or a mapping",
        "false",
        "whether the image has a hash tree, by which the guest checks it",
    ),
    Key::optional(
        "defaults",
        "mapping",
        "those of each key",
        "attributes of what no entry says otherwise for",
    ),
    Key::optional("files", "list of entries", "no entries", "what goes into the image"),
    Key::optional(
        "credentials",
        "list of credentials",
        "no credentials",
        "what the guest's systemd gets as credentials",
    ),
    Key::optional(
        "fw_cfg",
        "list of items",
        "no items",
        "other items of QEMU's firmware configuration device",
    ),
    Key::optional(
        "mount",
        "absolute path, or a mapping",
        "`/run/secrets` where credentials are on the disk or open it, else none",
        "where the guest's systemd mounts the disk",
    ),
    Key::optional(
        "pass_env",
        "list of names",
        "no variables",
        "environment variables that commands see besides the usual ones",
    ),
    Key::optional(
        "pseudo",
        "list of texts or mappings",
        "no definitions",
        "pseudo definitions of mksquashfs",
    ),
    Key::optional(
        "pseudo_files",
        "list of host paths or mappings",
        "no files",
        "files of pseudo definitions",
    ),
    Key::optional(
        "machines",
        "mapping of names to settings",
        "one machine, without a name",
        "the machines of a fleet",
    ),
    Key::optional(
        "output",
        "host path with `{machine}`",
        "that of the command line",
        "where the images of a fleet go",
    )
    .only_with(&["machines"]),
];

/// The keys of a machine.
pub const MACHINE: &[Key] = &[
    Key::optional("owner", "user of this host", "the caller", "whose the image is"),
    Key::optional("reader", "user of this host", "nobody", "who else may read the image"),
    Key::optional(
        "format",
        "`erofs`, `squashfs` or `iso9660`",
        "that of the manifest",
        "the image's format",
    ),
    Key::optional("target", "name of a monitor", "that of the command line", "its monitor"),
    Key::optional("vars", "mapping of names to values", "no variables", "values for placeholders"),
    Key::optional("label", "text", "that of the manifest", "the volume's label"),
];

/// The keys of a `to` that leaves machines out.
pub const TO: &[Key] =
    &[Key::required("not", "name, glob, or a list of these", "which machines do not get it")];

/// The keys of a pseudo definition.
pub const PSEUDO: &[Key] =
    &[Key::required("definition", "text", "the definition itself"), GRANTED_TO, SHARED];

/// The keys of a file of pseudo definitions.
pub const PSEUDO_FILE: &[Key] =
    &[Key::required("file", "host path", "the file of definitions"), GRANTED_TO, SHARED];

/// The keys of `encrypt`.
pub const ENCRYPT: &[Key] = &[
    Key::required("luks", "1 or 2", "the version of LUKS: QEMU opens 1, the guest opens 2"),
    Key::optional(
        "key",
        "host path, or `generate`",
        "that of the command line",
        "the file that holds the key",
    ),
    Key::optional("sector_size", "512 or 4096", "the format's", "bytes that are encrypted at once")
        .only_with(&["luks: 2"]),
];

/// The keys of `verity`.
pub const VERITY: &[Key] = &[
    Key::optional(
        "salt",
        "hexadecimal digits, or `-` for none",
        "made of the image's UUID, label and time",
        "what is hashed with every block",
    ),
    Key::optional("uuid", "UUID", "made as the salt is", "the UUID of the tree"),
    Key::optional(
        "data_block",
        "512, 1024, 2048 or 4096",
        "4096; 2048 of ISO 9660",
        "bytes that are checked at once, and the guest's sector",
    ),
    Key::optional("hash_block", "512, 1024, 2048 or 4096", "4096", "bytes of a block of hashes"),
];

/// The keys of `mount`.
pub const MOUNT: &[Key] = &[
    Key::required("path", "absolute path", "where the guest mounts the disk"),
    Key::optional(
        "options",
        "options of mount(8)",
        "none",
        "options besides `ro,nosuid,nodev,noexec`",
    ),
];

/// The keys of `defaults`.
pub const DEFAULTS: &[Key] = &[
    Key::optional("owner", "`UID:GID`", "`0:0`", "user and group id"),
    Key::optional("mode", "octal digits", "0400", "mode of files"),
    Key::optional("dir_mode", "octal digits", "0500", "mode of directories"),
    Key::optional(
        "mtime",
        "whole seconds, or a time as `2024-02-29T12:00:00Z`",
        "the build's time",
        "modification time",
    ),
    Key::optional(
        "xattrs",
        "names and values",
        "none",
        "extended attributes of everything that can have them",
    ),
];

/// The keys of an entry of `files`.
pub const ENTRY: &[Key] = &[
    Key::required("path", "path in the image", "where it stands"),
    FILE,
    Key::new(
        "dir",
        "host path",
        Presence::Source(SourceKey::Dir),
        "a directory of the host with all below it",
    ),
    Key::new(
        "tar",
        "host path",
        Presence::Source(SourceKey::Tar),
        "what a tar archive holds, plain or packed with gzip, xz or zstd",
    ),
    TEXT,
    BASE64,
    COMMAND,
    SHELL,
    ENV,
    Key::new("symlink", "target", Presence::Source(SourceKey::Symlink), "a symbolic link"),
    Key::optional("owner", "`UID:GID`, or `keep`", "that of `defaults`", "user and group id"),
    Key::optional("mode", "octal digits, or `keep`", "that of `defaults`", "mode of files")
        .only_with(&["file", "dir", "tar", "text", "base64", "command", "shell", "env"]),
    Key::optional(
        "dir_mode",
        "octal digits, or `keep`",
        "that of `defaults`",
        "mode of directories",
    )
    .only_with(&["dir", "tar"]),
    Key::optional(
        "mtime",
        "whole seconds, a time as `2024-02-29T12:00:00Z`, or `keep`",
        "that of `defaults`",
        "modification time",
    ),
    TRIM,
    Key::optional(
        "xattrs",
        "names and values; with `tar` also `none`",
        "none",
        "extended attributes",
    ),
    Key::optional(
        "xattrs_recursive",
        "true or false",
        "false",
        "whether everything below has these `xattrs` too",
    )
    .only_with(&["dir", "tar"]),
    Key::optional(
        "links",
        "`keep` or `follow`",
        "`keep`",
        "whether what symbolic links lead to is stored in their place",
    )
    .only_with(&["dir"]),
    Key {
        presence: Presence::Optional("an error in a fleet; a `symlink` goes to all"),
        ..GRANTED_TO
    },
    SHARED,
];

/// The keys of a credential.
pub const CREDENTIAL: &[Key] = &[
    Key::required("name", "name of a credential", "its name by systemd's rules"),
    FILE,
    TEXT,
    BASE64,
    COMMAND,
    SHELL,
    ENV,
    TRIM,
    Key::optional(
        "via",
        "`auto`, `disk`, `smbios`, `fw_cfg` or `initrd`",
        "`auto`",
        "by which channel it goes",
    ),
    GRANTED_TO,
    SHARED,
];

/// The keys of an item of `fw_cfg`.
pub const FW_CFG: &[Key] = &[
    Key::required("name", "name that begins with `opt/`", "the item's whole name"),
    FILE,
    TEXT,
    BASE64,
    COMMAND,
    SHELL,
    ENV,
    TRIM,
    GRANTED_TO,
    SHARED,
];

/// The keys of an extended attribute's value that is not plain text.
pub const XATTR_VALUE: &[Key] = &[Key::required("base64", "base64", "the value's bytes")];

const FILE: Key =
    Key::new("file", "host path", Presence::Source(SourceKey::File), "a file of the host");
const TEXT: Key = Key::new("text", "text", Presence::Source(SourceKey::Text), "this text");
const BASE64: Key =
    Key::new("base64", "base64", Presence::Source(SourceKey::Base64), "these bytes");
const COMMAND: Key = Key::new(
    "command",
    "list of a program and its arguments",
    Presence::Source(SourceKey::Command),
    "what the program prints",
);
const SHELL: Key = Key::new(
    "shell",
    "command line",
    Presence::Source(SourceKey::Shell),
    "what `/bin/sh -c` prints",
);
const ENV: Key = Key::new(
    "env",
    "name of a variable",
    Presence::Source(SourceKey::Env),
    "an environment variable's value",
);
const TRIM: Key =
    Key::optional("trim", "true or false", "false", "whether one newline at the end is dropped")
        .only_with(&["command", "shell", "env"]);

const GRANTED_TO: Key =
    Key::optional("to", "machines of the fleet", "an error in a fleet", "which machines get it")
        .only_with(&["machines"]);
const SHARED: Key = Key::optional(
    "shared",
    "true or false",
    "false",
    "whether its source may reach several machines",
)
.only_with(&["machines"]);

/// Every mapping of the manifest by the key path of its keys, in the order of the reference.
pub const ALL: &[(&str, &[Key])] = &[
    ("", MANIFEST),
    ("defaults", DEFAULTS),
    ("files[]", ENTRY),
    ("files[].xattrs.NAME", XATTR_VALUE),
    ("credentials[]", CREDENTIAL),
    ("fw_cfg[]", FW_CFG),
    ("mount", MOUNT),
    ("encrypt", ENCRYPT),
    ("verity", VERITY),
    ("machines.NAME", MACHINE),
    ("files[].to", TO),
    ("pseudo[]", PSEUDO),
    ("pseudo_files[]", PSEUDO_FILE),
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::manifest::parse;
    use std::path::Path;

    #[test]
    fn each_key_of_the_tables_is_read() {
        for (mapping, keys) in ALL {
            for Key { name, .. } in *keys {
                // No key takes this.
                let given = format!("{name}: {{wrong: []}}");
                let (text, key_path) = match *mapping {
                    "" if *name == "files" => (given, (*name).to_owned()),
                    "" if *name == "machines" => ("machines: []".to_owned(), (*name).to_owned()),
                    "" => (format!("files: []\n{given}"), (*name).to_owned()),
                    "files[].xattrs.NAME" => (
                        format!("files: [{{path: a, text: b, xattrs: {{user.a: {{{given}}}}}}}]"),
                        format!("files[0].xattrs.{name}"),
                    ),
                    "machines.NAME" => {
                        (format!("machines: {{m: {{{given}}}}}"), format!("machines.m.{name}"))
                    }
                    "files[].to" => (
                        format!("machines: {{m: }}\nfiles: [{{to: {{{given}}}}}]"),
                        format!("files[0].to.{name}"),
                    ),
                    list if list.ends_with("[]") => {
                        let list = list.trim_end_matches("[]");
                        (
                            format!("machines: {{m: }}\n{list}: [{{{given}}}]"),
                            format!("{list}[0].{name}"),
                        )
                    }
                    mapping => {
                        (format!("files: []\n{mapping}: {{{given}}}"), format!("{mapping}.{name}"))
                    }
                };
                let failure = parse(text.as_bytes(), Path::new("m")).unwrap_err();
                let is_of_key = |line: &str| line.contains(&format!(": {key_path}: "));
                assert!(failure.message.lines().any(is_of_key), "{text}: {}", failure.message);
            }
        }
    }

    #[test]
    fn what_a_key_goes_with_is_a_key_or_a_format() {
        for (mapping, keys) in ALL {
            for other in keys.iter().flat_map(|key| key.only_with) {
                let name = other.split(':').next().unwrap_or_default();
                let is_key = keys.iter().chain(MANIFEST).any(|key| key.name == name);
                let is_format = other.parse::<credimg_formats::Format>().is_ok();
                assert!(is_key || is_format, "{mapping}: {other}");
            }
        }
    }
}
