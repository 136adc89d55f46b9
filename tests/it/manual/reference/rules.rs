//! What the audit reports.

use credimg::audit::Rule;

use super::{FIRST, table};
use crate::tidy::root;

pub(super) fn tables() -> Vec<(String, String)> {
    let row = |rule: &Rule| {
        let name = format!("`{}`", rule.name());
        // Placeholders in angle brackets are text, and no HTML.
        let instead = rule.instead().replace('<', "&lt;").replace('>', "&gt;");
        [name, rule.why().to_owned(), instead, FIRST.to_owned()]
    };
    let header = ["rule", "why it is reported", "instead", "since"];
    vec![("audit rules".to_owned(), table(header, Rule::ALL.iter().map(row)))]
}

/// The reference says why, and the page about scripts which words each rule looks for.
#[test]
fn every_rule_is_told_where_scripts_are() {
    let page = root().join("docs/src/audit.md");
    let page = std::fs::read_to_string(page).unwrap();
    for rule in Rule::ALL {
        assert!(page.contains(&format!("`{}`", rule.name())), "no row has {}", rule.name());
    }
}
