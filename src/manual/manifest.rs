//! The page of the manifest, whose keys come from their table.

use roff::{Inline, bold, italic, roman};

use super::page::{Page, marked};
use super::prose;
use crate::manifest::keys::{ALL, Key, Presence};

/// A whole manifest, which is built by a test.
const EXAMPLE: &str = include_str!("prose/secrets.yaml");

/// `credimg-manifest(5)`
pub(super) fn page() -> Page {
    let mut page = Page::new("credimg-manifest", 5, "what a secrets disk is made of");
    let prose = prose::of("credimg-manifest");
    page.heading("DESCRIPTION");
    page.raw(prose.description);
    page.heading("KEYS");
    for (mapping, keys) in ALL {
        page.subheading(&title(mapping));
        for key in *keys {
            add_key(&mut page, key);
        }
    }
    page.raw(prose.sections);
    page.heading("EXAMPLES");
    page.example(&EXAMPLE.lines().collect::<Vec<_>>());
    page.raw(prose.examples);
    page.heading("SEE ALSO");
    page.raw(prose.see_also);
    page
}

/// What the keys of a mapping are keys of.
fn title(mapping: &str) -> String {
    match (mapping, mapping.strip_suffix("[]")) {
        ("", _) => "The manifest itself".to_owned(),
        ("files[].xattrs.NAME", _) => "A value of xattrs that is no text".to_owned(),
        (_, Some(list)) => format!("Each entry of {list}"),
        (mapping, None) => mapping.to_owned(),
    }
}

fn add_key(page: &mut Page, key: &Key) {
    let mut letters = key.meaning.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    let mut body = format!("{}.", first.chain(letters).collect::<String>());
    let others: Vec<_> = key.only_with.iter().map(|other| format!("`{other}`")).collect();
    if let Some((last, others)) = others.split_last() {
        let others = if others.is_empty() { String::new() } else { others.join(", ") + " and " };
        body = format!("{body} It goes with {others}{last} only.");
    }
    let presence = match key.presence {
        Presence::Required => "It has to be there.".to_owned(),
        Presence::Source(_) => "It is a source.".to_owned(),
        Presence::Optional(without) => format!("Default: {without}."),
    };
    page.item(&head(key), &format!("{body} {presence}"));
}

/// The key with what its value is.
fn head(key: &Key) -> Vec<Inline> {
    let mut head = vec![bold(format!("{}:", key.name)), roman(" ")];
    // What is typed as it stands is bold, and what stands for something italic.
    head.extend(marked(key.value).into_iter().map(|inline| match inline {
        Inline::Roman(text) => italic(text),
        Inline::Italic(_) | Inline::Bold(_) | Inline::LineBreak => inline,
    }));
    head
}
