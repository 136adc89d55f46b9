//! Files that are damaged, or made to cost time.

use std::fs;
use std::time::Duration;

use credimg::audit::audit;

use super::{corpus, show};
use crate::support::clock::thread_time;

/// Places of one file that are damaged.
const PLACES_MAX: usize = 150;

/// Cut off anywhere, or with any byte changed to one that opens or closes
/// something, a file is judged without a panic.
#[test]
fn damaged_files_do_no_harm() {
    let mut judged = 0;
    for path in corpus("leaks").iter().chain(&corpus("safe")) {
        let text = fs::read(path).unwrap();
        for index in (0..text.len()).step_by(text.len() / PLACES_MAX + 1) {
            judged += audit(text.get(..index).unwrap()).findings.len();
            let mut damaged = text.clone();
            let opening = b"'\"`$({[<\\\0\n#&=,:@%\xff";
            *damaged.get_mut(index).unwrap() = *opening.get(index % opening.len()).unwrap();
            judged += audit(&damaged).findings.len();
        }
    }
    assert_eq!(judged, 35_835, "findings");
}

/// Half a mebibyte of arithmetic on one line takes minutes where each one looks for
/// the line's end.
#[test]
fn a_long_line_is_searched_once() {
    for unit in ["((a))", "$((a))", "((a", "a=(b) ", "${a} ", "<b> ", "`a` ", "f() { :; };"] {
        let mut text = format!("true\n{}", unit.repeat((1 << 19) / unit.len()));
        text.push_str("\nsshpass -p letmein ssh host\n");
        let start = thread_time();
        let found: Vec<String> = audit(text.as_bytes()).findings.iter().map(show).collect();
        assert_eq!(found, ["sshpass 3:12"], "{unit:?}");
        let elapsed = thread_time().checked_sub(start).unwrap();
        assert!(elapsed < Duration::from_secs(10), "{unit:?}: {elapsed:?}");
    }
}

/// A long key that every value below it is judged with takes gigabytes.
#[test]
fn a_long_key_is_kept_once() {
    let key = "k".repeat(1 << 18);
    let flow = format!("a:\n  {{{key}: a{}}}\n", ", b".repeat(1 << 16));
    let quoted = format!("a:\n  {{\"{key}\": a{}}}\n", ", b".repeat(1 << 16));
    let block = format!("{key}: \"a\"\n{}", "  \"b\"\n".repeat(1 << 16));
    let several = format!("{}: \"a\"\n{}", &key[..1024], "  \"b\"\n".repeat(1 << 16));
    for text in [flow, quoted, block, several] {
        let text = format!("{text}plain_text_passwd: letmein\n");
        let start = thread_time();
        let found: Vec<_> =
            audit(text.as_bytes()).findings.iter().map(|it| it.rule.name()).collect();
        assert_eq!(found, ["guest-password"]);
        assert!(thread_time().checked_sub(start).unwrap() < Duration::from_secs(10));
    }
    // As long as YAML lets a key be: the value is its own.
    let text = format!("{}:\n  plain_text_passwd: letmein\n", &key[..1000]);
    assert_eq!(audit(text.as_bytes()).findings.len(), 1);
}

/// Looking through all earlier lines at each takes minutes.
#[test]
fn comments_that_name_no_rule_are_noted_once_a_line() {
    let text = "# credimg: ignore a b\n".repeat(1 << 17);
    let start = thread_time();
    let judgement = audit(text.as_bytes());
    assert_eq!(judgement.unknown_rules, (1..=1 << 17).collect::<Vec<_>>());
    assert!(thread_time().checked_sub(start).unwrap() < Duration::from_secs(10));
}

/// What makes a lexer go deep, or back again and again.
#[test]
fn hostile_files_end_soon() {
    let patterns = [
        "$(",
        "`",
        "\"$(",
        "(",
        "((",
        "<<a\n",
        "<<a ",
        "'\"",
        "\\",
        "${",
        "${x:-",
        "a=(",
        "<(",
        "<a>",
        "<a b='",
        "&",
        "&#",
        "<![CDATA[",
        "<!--",
        "[[",
        "{\"a\":",
        "a ",
        "a=b,",
        "://a:",
        "io.systemd.credential:",
        "rbd:",
        "\"a\",",
        "x\\\n",
        "-u a:b ",
        "'a b' ",
        "type=11,value=$X ",
        "\0",
        "://a@",
        "- ",
        "- - a: ",
        "a:\n ",
        "{a: ",
        "[a, ",
        "a: |\n",
        "a: 'b\n  ",
        "'''",
        "f'{",
        "{{ a",
        "a(b, ",
        "-H a ",
        "a\n\x01\0\0\0\0\0\0\0",
        "f() { $1",
        "# credimg: ignore\n",
        "%post\n",
        "--key a:key:",
        "docker ",
        "virt-install ",
        "rootpw ",
        "-append a=b ",
        "props\": {\"",
    ];
    for pattern in patterns {
        let prefixes = [
            ("", 16),
            ("curl ", 16),
            ("[Service]\nExecStart=", 16),
            ("<domain>", 16),
            ("a\0", 16),
            ("#cloud-config\n", 15),
            ("import os\n", 15),
            ("2024-01-01 00:00:00 a\n", 15),
            ("PID CMD\n", 15),
            ("__CURSOR=a\n", 15),
            ("d-i a/b string x\n", 15),
            ("text\n%end\n", 15),
        ];
        for (prefix, bits) in prefixes {
            let text = format!("{prefix}{}", pattern.repeat((1 << bits) / pattern.len()));
            let start = thread_time();
            audit(text.as_bytes());
            let elapsed = thread_time().checked_sub(start).unwrap();
            assert!(elapsed < Duration::from_secs(10), "{prefix:?} {pattern:?}: {elapsed:?}");
        }
    }
}
