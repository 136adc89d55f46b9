//! What is written by hand: a file a page in `prose/`, in the macros of man(7).

/// What one page says besides what tables know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prose {
    /// The text of DESCRIPTION.
    pub(super) description: &'static str,
    /// Sections that follow the options, with their headings.
    pub(super) sections: &'static str,
    /// What goes on in EXAMPLES.
    pub(super) examples: &'static str,
    /// The pages to read next.
    pub(super) see_also: &'static str,
}

/// Every page that there is, and what is written for it.
const PAGES: &[(&str, &str)] = &[
    ("credimg", include_str!("prose/credimg.man")),
    ("credimg-args", include_str!("prose/credimg-args.man")),
    ("credimg-audit", include_str!("prose/credimg-audit.man")),
    ("credimg-build", include_str!("prose/credimg-build.man")),
    ("credimg-cat", include_str!("prose/credimg-cat.man")),
    ("credimg-check", include_str!("prose/credimg-check.man")),
    ("credimg-completions", include_str!("prose/credimg-completions.man")),
    ("credimg-diff", include_str!("prose/credimg-diff.man")),
    ("credimg-dump", include_str!("prose/credimg-dump.man")),
    ("credimg-exec", include_str!("prose/credimg-exec.man")),
    ("credimg-extract", include_str!("prose/credimg-extract.man")),
    ("credimg-fleet", include_str!("prose/credimg-fleet.man")),
    ("credimg-fleet-args", include_str!("prose/credimg-fleet-args.man")),
    ("credimg-fleet-build", include_str!("prose/credimg-fleet-build.man")),
    ("credimg-fleet-check", include_str!("prose/credimg-fleet-check.man")),
    ("credimg-fleet-list", include_str!("prose/credimg-fleet-list.man")),
    ("credimg-genkey", include_str!("prose/credimg-genkey.man")),
    ("credimg-guest-unit", include_str!("prose/credimg-guest-unit.man")),
    ("credimg-inspect", include_str!("prose/credimg-inspect.man")),
    ("credimg-ls", include_str!("prose/credimg-ls.man")),
    ("credimg-man", include_str!("prose/credimg-man.man")),
    ("credimg-manifest", include_str!("prose/credimg-manifest.man")),
    ("credimg-probe", include_str!("prose/credimg-probe.man")),
    ("credimg-seal", include_str!("prose/credimg-seal.man")),
    ("credimg-secret", include_str!("prose/credimg-secret.man")),
    ("credimg-secret-unwrap", include_str!("prose/credimg-secret-unwrap.man")),
    ("credimg-secret-wrap", include_str!("prose/credimg-secret-wrap.man")),
    ("credimg-verify", include_str!("prose/credimg-verify.man")),
];

/// What is written for a page; nothing where it has none.
pub(super) fn of(page: &str) -> Prose {
    let row = PAGES.iter().find(|(name, _)| *name == page);
    let (text, see_also) = cut(row.map_or("", |(_, text)| text), ".SH SEE ALSO\n");
    let (text, examples) = cut(text, ".SH EXAMPLES\n");
    let (description, sections) = text.split_at(text.find(".SH ").unwrap_or(text.len()));
    Prose { description, sections, examples, see_also }
}

/// The text before and after a heading, which stands in neither.
fn cut(text: &'static str, heading: &str) -> (&'static str, &'static str) {
    text.split_once(heading).unwrap_or((text, ""))
}
