//! What standard output and standard error can show.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;

/// When there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal that has them, unless `NO_COLOR` is set; anywhere with `CLICOLOR_FORCE`
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

/// What the command line wishes; nothing before it is read.
static WISH: OnceLock<Colour> = OnceLock::new();

/// Notes what the command line wishes. Only the first wish counts.
pub fn set_colour(wish: Colour) {
    let _ = WISH.set(wish);
}

/// Whether what goes to this stream has colours.
pub fn is_coloured(stream: &impl IsTerminal) -> bool {
    let wish = WISH.get().copied().unwrap_or_default();
    has_colours(wish, stream.is_terminal(), |name| std::env::var_os(name))
}

/// Whether a line that stands on this terminal can be wiped and written again.
pub(super) fn can_redraw(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !is_dumb(std::env::var_os("TERM"))
}

/// By the rules of <https://no-color.org> and <https://bixense.com/clicolors>.
fn has_colours(
    wish: Colour,
    is_terminal: bool,
    variable: impl Fn(&str) -> Option<OsString>,
) -> bool {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    let is_zero = |name| variable(name).is_some_and(|value| value == "0");
    match wish {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if is_set("NO_COLOR") => false,
        Colour::Auto if is_set("CLICOLOR_FORCE") && !is_zero("CLICOLOR_FORCE") => true,
        Colour::Auto => is_terminal && !is_zero("CLICOLOR") && !is_dumb(variable("TERM")),
    }
}

/// Whether the terminal knows no escape sequences; one without a name knows none for sure.
fn is_dumb(term: Option<OsString>) -> bool {
    term.is_none_or(|term| term.is_empty() || term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_have_them_and_for_those_who_ask() {
        const TERM: (&str, &str) = ("TERM", "xterm");
        for (wish, is_terminal, variables, expected) in [
            (Colour::Auto, true, &[TERM][..], true),
            (Colour::Auto, false, &[TERM], false),
            (Colour::Auto, true, &[], false),
            (Colour::Auto, true, &[("TERM", "dumb")], false),
            (Colour::Auto, true, &[TERM, ("NO_COLOR", "1")], false),
            (Colour::Auto, true, &[TERM, ("NO_COLOR", "")], true),
            (Colour::Auto, true, &[TERM, ("CLICOLOR", "0")], false),
            (Colour::Auto, false, &[("CLICOLOR_FORCE", "1")], true),
            (Colour::Auto, false, &[("CLICOLOR_FORCE", "0")], false),
            (Colour::Auto, false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
            (Colour::Always, false, &[("NO_COLOR", "1"), ("TERM", "dumb")], true),
            (Colour::Never, true, &[TERM, ("CLICOLOR_FORCE", "1")], false),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| value.into())
            };
            let found = has_colours(wish, is_terminal, variable);
            assert_eq!(found, expected, "{wish:?} {is_terminal} {variables:?}");
        }
    }
}
