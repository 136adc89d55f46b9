//! What the audit reports.

use credimg::audit::Rule;

use super::{FIRST, table};

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
