//! Random manifests, in which names, globs and sources often meet.

use super::naive::{Fleet, Item, Key, names};
use crate::formats::generator::Random;

/// Keys of `machines`.
const KEYS: [&str; 12] = [
    "a",
    "b",
    "ab",
    "m-[1-3]",
    "m-[01-12]",
    "m-[8-11]",
    "x[1-2]y[1-3]",
    "m-2b",
    "b-[098-101]",
    "7",
    "[5-6]",
    "aa-a",
];
/// Patterns that stand for themselves, whatever machines there are.
const PATTERNS: [&str; 14] = [
    "all",
    "*",
    "m-*",
    "?",
    "*[!0-9]",
    "*-[01-06]",
    "*[1-2]",
    "[ab]*",
    "[a-m]*",
    "*-?*",
    "m-[2-9]",
    "*[!b]?",
    "x[1-2]y[2-3]",
    "nobody",
];

/// A manifest, right or wrong.
pub(super) fn fleet(random: &mut Random) -> Fleet {
    let mut keys = Vec::new();
    for _ in 0..=random.below(4) {
        let name = random.pick(&KEYS).to_owned();
        // A key that stands there twice is no manifest at all.
        if keys.iter().all(|key: &Key| key.name != name) {
            keys.push(Key { name, site: random.pick(&["u", "v"]).to_owned() });
        }
    }
    let machines: Vec<String> = keys.iter().flat_map(|key| names(&key.name)).collect();
    // Few manifests are right in which no item goes to all.
    let to_all = u64::from(random.below(8) > 0);
    let sharing = random.below(4) > 0;
    let count = random.below(6) + 1;
    let items = (0..count).map(|place| {
        let to =
            if place < to_all { vec!["all".to_owned()] } else { patterns(random, &machines, 1) };
        let not = if random.below(4) == 0 && place >= to_all {
            patterns(random, &machines, 0)
        } else {
            Vec::new()
        };
        item(random, place, to, not, sharing)
    });
    let mut items: Vec<_> = items.collect();
    // Machines get them in the order of the lists.
    items.sort_by_key(|item| {
        ["files", "credentials", "fw_cfg"].iter().position(|it| *it == item.list)
    });
    Fleet { keys, items }
}

fn item(random: &mut Random, place: u64, to: Vec<String>, not: Vec<String>, sharing: bool) -> Item {
    let list = random.pick(&["files", "files", "credentials", "fw_cfg"]);
    // Some stand at the place of another one.
    let place = if random.below(24) == 0 { 0 } else { place };
    let within = random.pick(&["", "", "-{vars.site}"]);
    let name = match list {
        "files" => format!("/f{within}{}", if random.below(4) == 0 { "-{machine}" } else { "" }),
        "credentials" => format!("c{within}"),
        _ => format!("opt/x/c{within}"),
    };
    let sources = [
        ("file", "keys/{machine}"),
        ("file", "keys/{machine}-{vars.site}"),
        ("file", "keys/{vars.site}"),
        ("tar", "keys/{machine}.tar"),
        ("file", "keys/m-2"),
        ("text", "content of {machine}"),
        ("text", "content of all"),
        ("env", "SECRET_{vars.site}"),
        ("env", "SECRET"),
        ("command", "{machine}"),
        ("command", "{vars.site}"),
        ("command", "one"),
    ];
    let (key, source) = random.pick(if sharing { &sources } else { &sources[..6] });
    let key = if key == "tar" && list != "files" { "file" } else { key };
    let is_shared = sharing && random.below(6) > 0;
    let name = format!("{name}{place}");
    Item { list, name, key, source: source.to_owned(), to, not, is_shared }
}

/// Names and patterns that may be wrong, at least so many.
fn patterns(random: &mut Random, machines: &[String], least: u64) -> Vec<String> {
    let count = least.max(1) + random.below(2);
    let mut pattern = |_| {
        let name = &machines[index(random, machines.len())];
        match random.below(5) {
            0 => name.clone(),
            1 => format!("{}*", &name[..index(random, name.len() + 1)]),
            2 => format!("*{}", &name[index(random, name.len())..]),
            3 => {
                let at = index(random, name.len());
                format!("{}?{}", &name[..at], &name[at + 1..])
            }
            _ => random.pick(&PATTERNS).to_owned(),
        }
    };
    (0..count).map(&mut pattern).collect()
}

fn index(random: &mut Random, end: usize) -> usize {
    random.below(end as u64) as usize
}
