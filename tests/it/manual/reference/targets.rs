//! What monitors and machine types can do.

use clap::ValueEnum;
use credimg::manifest::Channel;
use credimg::monitors::{Bus, Machine, MachineType, Monitor, Style};

use super::{FIRST, table};

/// Machine types as `--machine` takes them.
const MACHINES: [&str; 9] = [
    "pc",
    "q35",
    "microvm",
    "microvm,pcie=on",
    "microvm,acpi=off",
    "virt",
    "virt-uefi",
    "s390-ccw-virtio",
    "pseries",
];

pub(super) fn tables() -> Vec<(String, String)> {
    let [targets, channels, machines] = [targets(), channels(), machines()];
    vec![
        ("targets".to_owned(), targets),
        ("channels of targets".to_owned(), channels),
        ("machine types".to_owned(), machines),
    ]
}

fn targets() -> String {
    let row = |monitor: &Monitor| {
        let buses: Vec<_> = monitor.buses().iter().map(option).collect();
        let serial = if monitor.sets_serial() { "yes" } else { "no, it has one of its own" };
        let luks = if monitor.require_opener().is_ok() { "yes" } else { "no" };
        let styles: Vec<_> = Style::value_variants()
            .iter()
            .filter(|style| monitor.words(&Machine::default(), **style).is_ok())
            .map(option)
            .collect();
        let exec = if styles.is_empty() { "no".to_owned() } else { styles.join(", ") };
        [
            format!("`{}`", monitor.name()),
            buses.join(", "),
            serial.to_owned(),
            luks.to_owned(),
            exec,
            FIRST.to_owned(),
        ]
    };
    let header =
        ["target", "`--bus`", "takes `--serial`", "opens LUKS1", "`exec`, by `--args`", "since"];
    table(header, Monitor::all().iter().map(row))
}

fn channels() -> String {
    let row = |monitor: &Monitor| {
        let fw_cfg = match monitor.condition(Channel::FwCfg) {
            Some(condition) => format!("on request: {condition}"),
            None => told(monitor.carries(Channel::FwCfg, Style::Shell, None)),
        };
        let items = match monitor.no_items() {
            Some(reason) => format!("no: {reason}"),
            None => fw_cfg.clone(),
        };
        let public = if monitor.carries_public(None) { "yes" } else { "no" };
        [
            format!("`{}`", monitor.name()),
            told(monitor.carries(Channel::Smbios, Style::Shell, None)),
            fw_cfg,
            items,
            public.to_owned(),
        ]
    };
    let header = [
        "target",
        "credentials by `smbios`",
        "credentials by `fw_cfg`",
        "items of `fw_cfg`",
        "`fstab.extra` by the firmware",
    ];
    table(header, Monitor::all().iter().map(row))
}

fn machines() -> String {
    let row = |name: &str| {
        let machine: MachineType = name.parse().unwrap();
        let pci = if machine.has_pci() { "yes" } else { "no" };
        let targets: Vec<_> = Monitor::all()
            .iter()
            .filter(|monitor| monitor.has_machine(machine))
            .map(|monitor| format!("`{}`", monitor.name()))
            .collect();
        [
            format!("`{name}`"),
            pci.to_owned(),
            told(machine.carries(Channel::Smbios)),
            told(machine.carries(Channel::FwCfg)),
            targets.join(", "),
            FIRST.to_owned(),
        ]
    };
    let header = ["`--machine`", "PCI", "by `smbios`", "by `fw_cfg`", "targets", "since"];
    table(header, MACHINES.map(row))
}

fn told(carries: Result<(), &str>) -> String {
    carries.map_or_else(|reason| format!("no: {reason}"), |()| "yes".to_owned())
}

/// A value as an option takes it.
fn option(value: &impl ValueEnum) -> String {
    format!("`{}`", value.to_possible_value().unwrap().get_name())
}

/// No bus is left out of the table, whatever monitors have.
#[test]
fn every_bus_is_one_of_a_target() {
    let targets = targets();
    for bus in Bus::value_variants() {
        assert!(targets.contains(&option(bus)), "{bus:?}");
    }
}
