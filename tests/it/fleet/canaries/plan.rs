//! A fleet with canaries in every place of its manifest, and who is granted which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::search::Canary;
use crate::fleet::oracle::naive::is_named;
use crate::formats::generator::Random;
use crate::support::host::Host;

/// How many canaries there are besides those that each machine has to itself.
const CANARIES: u64 = 40;

/// What is around the format of an image.
#[derive(Clone, Copy)]
pub(super) enum Around {
    Nothing,
    Luks1,
    Luks2,
}

/// Machines of one kind of image.
pub(super) struct Variant {
    /// How the machines' names begin.
    pub(super) name: &'static str,
    pub(super) format: &'static str,
    pub(super) around: Around,
    /// Whether the image shows nothing of what it holds.
    pub(super) is_closed: bool,
    pub(super) options: &'static [&'static str],
    /// How many of a hundred machines are of this kind.
    share: usize,
}

pub(super) const VARIANTS: [Variant; 5] = [
    Variant {
        name: "e-",
        format: "erofs",
        around: Around::Nothing,
        is_closed: false,
        options: &["--format=erofs"],
        share: 40,
    },
    Variant {
        name: "s-",
        format: "squashfs",
        around: Around::Nothing,
        is_closed: false,
        options: &["--format=squashfs", "--compression=zstd"],
        share: 30,
    },
    Variant {
        name: "i-",
        format: "iso9660",
        around: Around::Nothing,
        is_closed: false,
        options: &["--format=iso9660"],
        share: 20,
    },
    Variant {
        name: "k-",
        format: "erofs",
        around: Around::Luks1,
        is_closed: true,
        options: &["--format=erofs", "--encrypt=luks1", "--key-out=keys/{machine}"],
        share: 5,
    },
    Variant {
        name: "l-",
        format: "squashfs",
        around: Around::Luks2,
        is_closed: true,
        options: &["--format=squashfs", "--encrypt=luks2", "--key-out=keys/{machine}"],
        share: 5,
    },
];

/// The kind of a machine's image.
pub(super) fn variant(machine: &str) -> &'static Variant {
    VARIANTS.iter().find(|variant| machine.starts_with(variant.name)).unwrap()
}

/// Where a canary stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    File,
    BigFile,
    Tree,
    Archive,
    Command,
    Shell,
    Variable,
    /// A variable of a name that commands see otherwise.
    SeenVariable,
    Text,
    Base64,
    /// A credential, by this channel.
    Credential(&'static str),
    FwCfg,
    PseudoCommand,
    PseudoHostFile,
    PseudoFile,
}

const PLACES: [Place; 17] = [
    Place::File,
    Place::BigFile,
    Place::Tree,
    Place::Archive,
    Place::Command,
    Place::Shell,
    Place::Variable,
    Place::SeenVariable,
    Place::Text,
    Place::Base64,
    Place::Credential("disk"),
    Place::Credential("smbios"),
    Place::Credential("fw_cfg"),
    Place::FwCfg,
    Place::PseudoCommand,
    Place::PseudoHostFile,
    Place::PseudoFile,
];

/// A canary with its place, and whom it goes to.
struct Secret {
    number: u64,
    canary: Canary,
    place: Place,
    to: Vec<String>,
    not: Vec<String>,
}

/// A fleet.
pub(super) struct Plan {
    machines: Vec<String>,
    /// The keys of `machines` in the manifest.
    keys: Vec<String>,
    secrets: Vec<Secret>,
}

impl Plan {
    pub(super) fn new(random: &mut Random, machines: usize) -> Self {
        let (mut keys, mut names) = (Vec::new(), Vec::new());
        for Variant { name, share, .. } in VARIANTS {
            let count = (machines * share).div_ceil(100);
            keys.push(format!("{name}[001-{count:03}]"));
            names.extend((1..=count).map(|number| format!("{name}{number:03}")));
        }
        let secrets = (0..CANARIES).map(|number| {
            loop {
                let (to, not) = grant(random, &names);
                let place = PLACES[(number % PLACES.len() as u64) as usize];
                let canary = Canary::new(1_000_000 + number);
                let secret = Secret { number, canary, place, to, not };
                if names.iter().any(|name| secret.goes_to(name)) {
                    break secret;
                }
            }
        });
        Self { secrets: secrets.collect(), machines: names, keys }
    }

    /// The canaries that each machine has to itself: two of each.
    fn own(machine: usize, nth: u64) -> Canary {
        Canary::new(2_000_000 + 2 * machine as u64 + nth)
    }

    /// How many canaries there are in all.
    pub(super) fn canaries(&self) -> usize {
        self.secrets.len() + 2 * self.machines.len()
    }

    /// What each machine is granted.
    pub(super) fn granted(&self) -> BTreeMap<String, BTreeSet<Canary>> {
        let of = |(index, machine): (usize, &String)| {
            let granted = self.secrets.iter().filter(|secret| secret.goes_to(machine));
            let granted = granted.map(|secret| secret.canary.clone());
            let own = (0..2).map(|nth| Self::own(index, nth));
            (machine.clone(), granted.chain(own).collect())
        };
        self.machines.iter().enumerate().map(of).collect()
    }

    /// The variables that are sources.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let variable = |secret: &Secret| Some((secret.variable()?, secret.canary.0.clone()));
        self.secrets.iter().filter_map(variable).collect()
    }

    /// Writes the manifest and what it names.
    pub(super) fn write_sources(&self, host: &Host) {
        for (index, machine) in self.machines.iter().enumerate() {
            host.write(format!("sources/own/{machine}"), Self::own(index, 0).0);
            host.write(format!("sources/printed/{machine}"), Self::own(index, 1).0);
        }
        let mut lists: BTreeMap<&str, String> = BTreeMap::new();
        for secret in &self.secrets {
            secret.write_source(host);
            let is_shared = self.machines.iter().filter(|name| secret.goes_to(name)).count() > 1;
            let (list, item) = secret.item();
            let shared = if is_shared { ", shared: true" } else { "" };
            let lines = lists.entry(list).or_default();
            writeln!(lines, "  - {{{item}, to: {}{shared}}}", secret.to_yaml()).unwrap();
        }
        let mut manifest = "machines:\n".to_owned();
        self.keys.iter().for_each(|key| writeln!(manifest, "  {key}: {{}}").unwrap());
        for (list, lines) in &lists {
            write!(manifest, "{list}:\n{lines}").unwrap();
            if *list == "files" {
                manifest += "  - {path: /own, to: all, file: 'sources/own/{machine}'}\n";
                // What commands see: nothing of others.
                manifest += "  - {path: /seen, to: all, shell: 'env; echo $CREDIMG_MACHINE'}\n";
            }
            if *list == "credentials" {
                manifest += "  - {name: own.token, to: all, \
                             command: [cat, 'sources/printed/{machine}']}\n";
            }
        }
        host.write("fleet.yaml", manifest);
    }
}

impl Secret {
    fn goes_to(&self, machine: &str) -> bool {
        let is_any = |patterns: &[String]| patterns.iter().any(|it| is_named(it, machine));
        (self.to.is_empty() || is_any(&self.to)) && !is_any(&self.not)
    }

    fn to_yaml(&self) -> String {
        let mut items: Vec<_> = self.to.iter().map(|to| format!("\"{to}\"")).collect();
        items.extend(self.not.iter().map(|not| format!("{{not: \"{not}\"}}")));
        format!("[{}]", items.join(", "))
    }

    fn variable(&self) -> Option<String> {
        match self.place {
            Place::Variable => Some(format!("CANARY_{}", self.number)),
            Place::SeenVariable => Some(format!("CREDIMG_CANARY_{}", self.number)),
            _ => None,
        }
    }

    /// The list that it stands in, and its item but for whom it goes to.
    fn item(&self) -> (&'static str, String) {
        let Self { number, canary: Canary(canary), place, .. } = self;
        let file = |source: String| ("files", format!("path: /c{number}, {source}"));
        let source = format!("sources/c{number}");
        match place {
            Place::File | Place::BigFile => file(format!("file: {source}")),
            Place::Tree => file(format!("dir: {source}")),
            Place::Archive => file(format!("tar: {source}.tar")),
            Place::Command => file(format!("command: [cat, {source}]")),
            Place::Shell => file(format!("shell: 'cat < {source}'")),
            Place::Variable | Place::SeenVariable => {
                file(format!("env: {}", self.variable().unwrap()))
            }
            Place::Text => file(format!("text: {canary}")),
            Place::Base64 => file(format!("base64: {}", STANDARD.encode(canary))),
            Place::Credential(via) => {
                ("credentials", format!("name: c{number}, via: {via}, file: {source}"))
            }
            Place::FwCfg => ("fw_cfg", format!("name: opt/org.example/c{number}, file: {source}")),
            Place::PseudoCommand => {
                ("pseudo", format!("definition: '/c{number} f 400 0 0 cat {source}'"))
            }
            Place::PseudoHostFile => ("pseudo", format!("definition: '/c{number} l {source}'")),
            Place::PseudoFile => ("pseudo_files", format!("file: {source}.pf")),
        }
    }

    fn write_source(&self, host: &Host) {
        let Self { number, canary: Canary(canary), place, .. } = self;
        let source = format!("sources/c{number}");
        match place {
            Place::Variable | Place::SeenVariable | Place::Text | Place::Base64 => {}
            Place::BigFile => {
                // Long enough to be streamed, and of no two machines or canaries alike.
                let filler = format!("{number} of a long file, ").repeat(8000);
                host.write(source, format!("{filler}{canary}{filler}"));
            }
            Place::Tree => {
                host.write(format!("{source}/a/b/secret"), canary);
                host.write(format!("{source}/other"), format!("beside {number}"));
            }
            Place::Archive => {
                host.write(format!("{source}/secret"), canary);
                let tar = format!("{source}.tar");
                let mut command = host.command("tar");
                assert!(command.args(["-cf", &tar, &source]).status().unwrap().success());
            }
            Place::PseudoFile => {
                host.write(&source, canary);
                let text = format!("/c{number} f 400 0 0 cat {source}\n");
                host.write(format!("{source}.pf"), text);
            }
            Place::File
            | Place::Command
            | Place::Shell
            | Place::Credential(_)
            | Place::FwCfg
            | Place::PseudoCommand
            | Place::PseudoHostFile => {
                host.write(source, canary);
            }
        }
    }
}

/// Whom something goes to, and whom not.
fn grant(random: &mut Random, machines: &[String]) -> (Vec<String>, Vec<String>) {
    let one = |random: &mut Random| {
        let name = machines[random.below(machines.len() as u64) as usize].clone();
        match random.below(6) {
            0 | 1 => name,
            2 => format!("{}*", &name[..2]),
            3 => format!("*{}", &name[4..]),
            4 => format!("?-{}", &name[2..]),
            _ => format!("[{}x]-0*", &name[..1]),
        }
    };
    match random.below(8) {
        0 => (vec!["all".to_owned()], Vec::new()),
        1 => (vec!["all".to_owned()], vec![one(random)]),
        2 => (Vec::new(), vec![one(random), one(random)]),
        3 => (vec![one(random), one(random)], vec![one(random)]),
        _ => ((0..=random.below(4)).map(|_| one(random)).collect(), Vec::new()),
    }
}
