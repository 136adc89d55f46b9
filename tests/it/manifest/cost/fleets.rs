//! Fleets of at most 1 MiB made to cost much, each with what it is refused for, or nothing where it
//! is a valid manifest.

/// A name, a manifest, and a part of its error.
type Case = (&'static str, String, &'static str);

const SIZE: usize = (1 << 20) - 64;
const ALL: &str = "machines: {\"m[0000-9999]\": }\n";
const FEW: &str = "machines: {\"m[00-19]\": }\n";
const ONE: &str = "files: [{path: a, to: all, text: x}]\n";

pub(super) fn hostile() -> impl Iterator<Item = Case> {
    machines().into_iter().chain(grants()).chain(contents())
}

/// As many numbered pieces between `head` and `tail` as there is room for.
fn numbered(head: &str, piece: &dyn Fn(usize) -> String, tail: &str) -> String {
    let mut text = head.to_owned();
    for number in 0.. {
        let next = piece(number);
        if text.len() + next.len() + tail.len() > SIZE {
            break;
        }
        text += &next;
    }
    text + tail
}

/// What `machines` says.
fn machines() -> Vec<Case> {
    vec![
        ("machines", numbered("machines:\n", &|n| format!(" m{n}:\n"), ONE), "at most 10000"),
        (
            "ranges",
            numbered("machines:\n", &|n| format!(" \"m[0-9999]n{n}\":\n"), ONE),
            "at most 10000",
        ),
        ("a range", format!("machines: {{\"m[0-999999999]\": }}\n{ONE}"), "at most 10000"),
        (
            "variables",
            numbered("machines:\n m:\n  vars:\n", &|n| format!("   v{n}: x\n"), ONE),
            "at most 256 variables",
        ),
    ]
}

/// What `to` says.
fn grants() -> Vec<Case> {
    vec![
        (
            "names",
            numbered(
                "machines: {m1: }\nfiles:\n- path: a\n  text: x\n  to:\n",
                &|n| format!("  - m{n}\n"),
                "",
            ),
            "no machine has such a name",
        ),
        (
            "patterns",
            numbered(
                &format!("{ALL}files:\n- path: a\n  text: x\n  to:\n"),
                &|n| format!("  - '*{n}*0*1*'\n"),
                "",
            ),
            "too many patterns",
        ),
        (
            "stars",
            format!("{ALL}files: [{{path: a, text: x, to: '{}'}}]", "*0".repeat(128)),
            "no machine has such a name",
        ),
        (
            "ranges of names",
            numbered(
                &format!("{ALL}files:\n- path: a\n  text: x\n  to:\n"),
                &|_| "  - 'm[0-9999]'\n".to_owned(),
                "",
            ),
            "too many patterns",
        ),
        (
            "entries for all",
            numbered(
                &format!("{ALL}files:\n"),
                &|n| format!("- {{path: a{n}, text: '', to: all}}\n"),
                "",
            ),
            "at most 1000000 things",
        ),
        (
            "as many as may be",
            (0..100).fold(format!("{ALL}files:\n"), |text, n| {
                text + &format!("- {{path: a{n}, text: '', to: all}}\n")
            }),
            "",
        ),
        (
            "entries for one each",
            numbered(
                &format!("{ALL}files:\n- {{path: x, text: '', to: all}}\n"),
                &|n| format!("- {{path: a{n}, text: '', to: m{:04}}}\n", n % 10_000),
                "",
            ),
            "",
        ),
    ]
}

/// What becomes of it for many machines.
fn contents() -> Vec<Case> {
    let values = "v".repeat(500_000);
    vec![
        (
            "items of fw_cfg",
            numbered(
                &format!("{FEW}fw_cfg:\n"),
                &|n| format!("- {{name: opt/a{n}, text: '', to: all}}\n"),
                "",
            ),
            "",
        ),
        (
            "one path",
            numbered(
                &format!("{FEW}files:\n"),
                &|_| "- {path: a, text: '', to: all}\n".to_owned(),
                "",
            ),
            "taken by",
        ),
        (
            "long text for all",
            format!("{ALL}files: [{{path: a, to: all, text: {values}}}]\n"),
            "larger than 134217728 bytes together",
        ),
        (
            "long variable",
            format!(
                "machines: {{m: {{vars: {{v: {values}}}}}}}\nfiles: [{{path: a, to: all, text: '{}'}}]\n",
                "{vars.v}".repeat(60_000)
            ),
            "it is larger than 1048576 bytes",
        ),
        (
            "long variable in many places",
            format!(
                "machines: {{m: {{vars: {{v: {values}}}}}}}\nfiles:\n{}",
                (0..10_000).fold(String::new(), |text, n| text
                    + &format!("- {{path: a{n}, to: all, text: '{{vars.v}}'}}\n"))
            ),
            "it is larger than 1048576 bytes",
        ),
        (
            "pass_env",
            numbered(&format!("{ALL}{ONE}pass_env:\n"), &|n| format!("- V{n}\n"), ""),
            "larger than",
        ),
        (
            "braces",
            numbered(
                &format!("{FEW}files: [{{path: a, to: all, text: '"),
                &|_| "{{".to_owned(),
                "'}]",
            ),
            "",
        ),
        (
            "missing variables",
            numbered(
                &format!("{ALL}files:\n- {{path: a, to: all, text: x}}\n"),
                &|n| format!("- {{path: a{n}, to: m0000, text: '{{vars.x}}'}}\n"),
                "",
            ),
            "no variable",
        ),
    ]
}
