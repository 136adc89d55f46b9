//! What there is an end to.

use credimg::delivery::limits;
use credimg::sources::command::Limits;
use credimg::sources::{assemble, pseudo};
use credimg::{audit, manifest, monitors, sources};
use credimg_formats::Format;

use super::{FIRST, table};

/// What is limited, to how much, and why or what may change it.
type Row<'a> = (&'a str, String, &'a str);

pub(super) fn tables() -> Vec<(String, String)> {
    vec![
        ("limits of manifests and sources".to_owned(), of_rows(&sources())),
        ("limits of credentials".to_owned(), of_rows(&credentials())),
        ("limits of formats".to_owned(), formats()),
    ]
}

fn of_rows(rows: &[Row<'_>]) -> String {
    let cells = |(what, limit, why): &Row<'_>| {
        [(*what).to_owned(), limit.clone(), (*why).to_owned(), FIRST.to_owned()]
    };
    table(["what", "at most", "to know", "since"], rows.iter().map(cells))
}

fn sources() -> Vec<Row<'static>> {
    vec![
        ("a manifest", bytes(manifest::MANIFEST_MAX_BYTES as u64), ""),
        ("lists and mappings in one another", count(manifest::DEPTH_MAX as u64), ""),
        ("pseudo definitions", count(pseudo::DEFINITIONS_MAX as u64), ""),
        ("what all files hold", bytes(assemble::MAX_SIZE_BYTES), "`--max-size` says otherwise"),
        (
            "files, directories, links and nodes",
            count(sources::INODES_MAX as u64),
            "all stay in memory",
        ),
        (
            "what a packed archive unpacks to",
            bytes(sources::UNPACKED_MAX_BYTES),
            "it stays in memory",
        ),
        (
            "what packed archives, commands and texts deliver together",
            bytes(sources::MEMORY_MAX_BYTES),
            "it stays in memory",
        ),
        ("what one command prints", bytes(Limits::OUTPUT_MAX_BYTES as u64), ""),
        (
            "the time of one command",
            format!("{} s", Limits::TIMEOUT_SECONDS),
            "`--command-timeout` says otherwise",
        ),
        (
            "commands that run at a time",
            Limits::JOBS.to_string(),
            "`--jobs` says otherwise, up to 64",
        ),
        (
            "the serial of a drive",
            bytes(monitors::Serial::MAX_BYTES as u64),
            "what every bus carries",
        ),
        ("a file that `audit` reads", bytes(audit::FILE_MAX_BYTES), ""),
    ]
}

fn credentials() -> Vec<Row<'static>> {
    vec![
        ("credentials by OEM strings", count(limits::STRINGS_MAX as u64), "one byte counts them"),
        (
            "the structure of all OEM strings",
            bytes(limits::STRUCTURE_MAX_BYTES),
            "SMBIOS tables have 65,535 bytes, of which QEMU needs some",
        ),
        ("items of fw_cfg", count(limits::ITEMS_MAX as u64), "QEMU has 32 slots, and uses some"),
        (
            "items of fw_cfg without a warning",
            count(limits::ITEMS_SAFE as u64),
            "a machine with a `-kernel`, displays or boot options has fewer free slots",
        ),
        (
            "a credential's name by fw_cfg",
            format!("{} characters", limits::ITEM_NAME_MAX),
            "an item's name has 55, of which systemd's prefix takes the rest",
        ),
        (
            "a credential by fw_cfg",
            bytes(limits::ITEM_MAX_BYTES),
            "the guest reads it slowly: its time grows with the square of the length",
        ),
        ("another item of fw_cfg", bytes(limits::OTHER_ITEM_MAX_BYTES), ""),
        (
            "all credentials by the firmware",
            bytes(limits::SYSTEM_MAX_BYTES),
            "systemd drops what goes beyond",
        ),
        (
            "one credential, and all of one service",
            bytes(limits::SERVICE_MAX_BYTES),
            "systemd does not start a service with more",
        ),
    ]
}

fn formats() -> String {
    let label = |bytes: Option<usize>| bytes.map_or("none".to_owned(), |it| self::bytes(it as u64));
    let row = |format: Format| {
        let profile = format.profile();
        let extensions: Vec<_> = profile.extensions.iter().map(|it| format!("`.{it}`")).collect();
        let has = |has: bool| if has { "yes" } else { "no" }.to_owned();
        [
            format!("`{}`", profile.name),
            extensions.join(", "),
            label(profile.label_max_bytes),
            label(profile.joliet_label_max_bytes),
            has(profile.has_uuid),
            has(profile.has_nanoseconds),
            has(profile.has_xattrs),
            has(profile.has_compression),
            FIRST.to_owned(),
        ]
    };
    let header = [
        "format",
        "extensions",
        "longest label",
        "with Joliet",
        "UUID",
        "fractions of seconds",
        "extended attributes",
        "compression",
        "since",
    ];
    table(header, Format::ALL.map(row))
}

/// A number of bytes, in the largest unit of which it is a whole number.
fn bytes(number: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if number >> shift << shift == number && number >> shift > 0 {
            return format!("{} {unit}", count(number >> shift));
        }
    }
    format!("{} bytes", count(number))
}

/// A number with a comma before every three digits.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> =
        digits.as_bytes().rchunks(3).rev().map(|it| std::str::from_utf8(it).unwrap()).collect();
    groups.join(",")
}

#[test]
fn numbers_are_short() {
    assert_eq!(
        [bytes(57_343), bytes(64 << 30), bytes(1536)],
        ["57,343 bytes", "64 GiB", "1,536 bytes"]
    );
    assert_eq!([count(1 << 20), count(17), count(1000)], ["1,048,576", "17", "1,000"]);
}
