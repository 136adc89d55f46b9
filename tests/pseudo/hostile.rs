//! Pseudo files that are made to cost much end in time and in little memory.

use std::time::{Duration, Instant};

use super::*;

const MIB: usize = 1 << 20;

/// Files of almost 16 MiB or with as many definitions as are allowed, each with
/// what it is refused for, or nothing where it is valid.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let fill = |head: &str, piece: &str, size: usize| {
        [head.as_bytes(), piece.repeat((size - head.len()) / piece.len()).as_bytes()].concat()
    };
    let numbered = |count: usize, piece: &dyn Fn(usize) -> String| {
        (0..count).map(piece).collect::<String>().into_bytes()
    };
    let size = 16 * MIB - 64;
    let most = 1 << 17;
    let deep = "a/".repeat(2000);
    vec![
        ("one line", fill("", "a", size), "longer than 16383"),
        ("line feeds", fill("", "\n", size), ""),
        ("spaces", fill("", " \n", size), ""),
        ("comments", fill("", "#\n", size), ""),
        ("continued", fill("a d ", "\\\n", size), "expected a mode"),
        ("continued comment", fill("# ", "x\\\n", size), ""),
        (
            "endless command",
            fill("a f 400 0 0 echo ", &("x".repeat(16000) + "\\\n"), size),
            "cannot be started",
        ),
        ("quotes", fill("", "\"\\\n", size), "quote"),
        ("backslashes", fill("a\\ ", "\\ \\\n", size), "a name is"),
        ("slashes", fill("", "/\\\n", size), "expected a type"),
        ("long name", fill("", "a/\\\n", size), "expected a path of at most"),
        ("bad lines", fill("", "a\n", size), "131072 definitions"),
        ("bad definitions", fill("", "a d 755 0\n", most * 10), "more problems"),
        ("one path", fill("", "a d 755 0 0\n", most * 12), "the path is taken"),
        ("too many", fill("", "a d 755 0 0\n", size), "more than 131072 definitions"),
        ("directories", numbered(most, &|n| format!("d{n} d 755 0 0\n")), ""),
        ("deep paths", numbered(4000, &|n| format!("{deep}{n} d 755 0 0\n")), ""),
        ("deep and wide", numbered(4000, &|n| format!("{n}/{deep} d 755 0 0\n")), "directories"),
        ("deep and twice", fill("", &format!("{deep}x d 755 0 0\n"), size), "the path is taken"),
        (
            "links",
            numbered(most, &|n| {
                if n == 0 { "l s 0 0 0 t\n".into() } else { format!("l{n} L l\n") }
            }),
            "",
        ),
        ("chained links", numbered(most, &|n| format!("{} L {n}\n", n + 1)), "no earlier"),
        ("xattrs", numbered(most, &|n| format!("/ x user.{n}=1\n")), ""),
        ("xattr twice", fill("", "/ x user.a=1\n", most * 13), "given twice"),
        ("long xattrs", numbered(900, &|n| format!("/ x user.{n}={}\n", "v".repeat(16000))), ""),
        (
            "dates",
            fill("", "a D \"1 jan 1980 00:00:00 +01:00\" 755 0 0\n", most * 42),
            "the path is taken",
        ),
        (
            "data",
            [
                numbered(most - 1, &|n| format!("d{n} R 0 400 0 0 99 {n} 0\n")),
                b"# START OF DATA - DO NOT MODIFY\n#\n".to_vec(),
                vec![b'x'; MIB],
            ]
            .concat(),
            "",
        ),
        (
            "long data",
            [
                b"a R 0 400 0 0 100000000 0 0\n# START OF DATA - DO NOT MODIFY\n#\n".to_vec(),
                vec![b'x'; 100_000_000],
            ]
            .concat(),
            "",
        ),
    ]
}

/// The largest resident set of this process so far, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn hostile_definitions_cost_little() {
    // The promise is 2 s; a build for debugging is about ten times as slow.
    let limit = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 2 });
    let host = Host::new();
    for (name, text, expected) in hostile() {
        let plan = host.plan_with("files: []", &text);
        drop(text);
        let start = Instant::now();
        let outcome = assemble(&plan, &settings(), &mut |_| {});
        let elapsed = start.elapsed();
        match outcome {
            Ok(tree) => assert_eq!(expected, "", "{name} is accepted: {} inodes", tree.len()),
            Err(error) => {
                let error = format!("{error:#}");
                assert!(!expected.is_empty() && error.contains(expected), "{name}: {error}");
            }
        }
        println!("{name}: {elapsed:?} {} KiB", peak_kib());
        assert!(elapsed < limit, "{name} took {elapsed:?}");
    }
}
