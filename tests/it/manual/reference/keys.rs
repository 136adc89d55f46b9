//! The keys of the manifest.

use credimg::manifest::keys::{ALL, Key, Presence};

use super::table;

/// One table a mapping.
pub(super) fn tables() -> Vec<(String, String)> {
    ALL.iter().map(|(mapping, keys)| (name(mapping), of_mapping(keys))).collect()
}

fn name(mapping: &str) -> String {
    match mapping {
        "" => "keys of the manifest".to_owned(),
        mapping => format!("keys of {mapping}"),
    }
}

fn of_mapping(keys: &[Key]) -> String {
    let header = ["key", "value", "meaning", "where it is not there", "since"];
    table(header, keys.iter().map(row))
}

fn row(key: &Key) -> [String; 5] {
    let without = match key.presence {
        Presence::Required => "an error",
        Presence::Source(_) => "another source has to be",
        Presence::Optional(without) => without,
    };
    let others: Vec<_> = key.only_with.iter().map(|other| format!("`{other}`")).collect();
    let only = match others.as_slice() {
        [] => String::new(),
        others => format!("; with {} only", others.join(", ")),
    };
    let Key { name, value, meaning, since, .. } = *key;
    [
        format!("`{name}`"),
        value.to_owned(),
        format!("{meaning}{only}"),
        without.to_owned(),
        since.to_owned(),
    ]
}
