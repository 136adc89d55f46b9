//! Comments that let a finding stand: `# credimg: ignore RULE… -- WHY`, on its line or
//! on a line of its own above.

use std::collections::BTreeSet;

use super::rules::Rule;
use super::word::{Line, Text, find, lines};
use super::{Finding, Judgement};

const MARK: &[u8] = b"credimg: ignore";

/// What begins a comment: in scripts, YAML and most settings; in units as well; in
/// boot loaders' menus; in XML; in Lua and SQL.
const SIGNS: [&[u8]; 5] = [b"#", b";", b"//", b"<!--", b"--"];

/// Findings that are let stand.
#[derive(Default)]
struct Ignored {
    every: bool,
    rules: BTreeSet<Rule>,
}

impl Ignored {
    fn covers(&self, rule: Rule) -> bool {
        self.every || self.rules.contains(&rule)
    }

    fn add(&mut self, other: &Self) {
        self.every |= other.every;
        self.rules.extend(&other.rules);
    }
}

/// Takes the findings out that comments of the text let stand.
pub(super) fn apply(text: &[u8], findings: Vec<Finding>) -> Judgement {
    let mut judgement = Judgement::default();
    if find(text, MARK).is_none() {
        judgement.findings = findings;
        return judgement;
    }
    let mut findings = findings.into_iter().peekable();
    // The rules that comments on lines of their own, right above this line, let stand.
    let mut above = Ignored::default();
    for (index, line) in lines(Text::file(text)).enumerate() {
        let number = index + 1;
        let comment = comment(&line);
        let mut here = Ignored::default();
        if let Some(body) = comment {
            read(body, &mut here, number, &mut judgement);
        }
        if is_comment(&line) {
            above.add(&here);
        }
        while let Some(finding) = findings.next_if(|finding| finding.line <= number) {
            if above.covers(finding.rule) || here.covers(finding.rule) {
                judgement.ignored += 1;
            } else {
                judgement.findings.push(finding);
            }
        }
        // A command that continues on the next line can have its comment above its first line
        // alone, so that comment holds up to the command's end.
        if !is_comment(&line) && !line.text.bytes.ends_with(b"\\") {
            above = Ignored::default();
        }
    }
    judgement.findings.extend(findings);
    judgement
}

/// Whether the line is a comment and nothing else.
fn is_comment(line: &Line<'_>) -> bool {
    let bytes = line.text.bytes.trim_ascii_start();
    SIGNS.iter().any(|sign| bytes.starts_with(sign))
}

/// What follows the mark in a comment of the line.
fn comment<'a>(line: &Line<'a>) -> Option<&'a [u8]> {
    let bytes = line.text.bytes;
    let at = find(bytes, MARK)?;
    let before = bytes.get(..at)?.trim_ascii_end();
    let rest = bytes.get(at + MARK.len()..)?;
    // With a letter behind it, it is part of another word and no mark.
    let is_whole = rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (is_whole && SIGNS.iter().any(|sign| before.ends_with(sign))).then_some(rest)
}

/// Reads the names of rules, up to the reason; without a name every rule is meant. What
/// follows the mark itself, such as a colon, is no name.
fn read(body: &[u8], ignored: &mut Ignored, line: usize, judgement: &mut Judgement) {
    let words = body.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let mut names = words.take_while(|word| !word.starts_with(b"--")).peekable();
    ignored.every = names.peek().is_none();
    for name in names {
        match Rule::ALL.iter().find(|rule| rule.name().as_bytes() == name) {
            Some(rule) => {
                ignored.rules.insert(*rule);
            }
            None if judgement.unknown_rules.last() != Some(&line) => {
                judgement.unknown_rules.push(line);
            }
            None => {}
        }
    }
}
