//! What commands see of the environment.

use std::collections::BTreeMap;

use super::*;

/// The environment that the program gets here: nothing of whoever runs the tests.
const GIVEN: [(&str, &str); 14] = [
    ("PATH", "/usr/bin:/bin"),
    ("HOME", "/home/of-a-test"),
    ("LANG", "C.UTF-8"),
    ("TZ", "UTC"),
    ("USER", "tester"),
    ("SHELL", "/bin/sh"),
    ("TERM", "dumb"),
    ("SOURCE_DATE_EPOCH", "1700000000"),
    ("CREDIMG_STAGE", "test"),
    ("GNUPGHOME", "/home/of-a-test/keys"),
    ("SSH_AUTH_SOCK", "/run/agent"),
    ("LD_LIBRARY_PATH", "/nowhere"),
    ("OTHER_TOKEN", CANARY),
    ("CREDIMG_TOKEN", CANARY),
];
/// What of it every command sees.
const SEEN: &str = "CREDIMG_STAGE HOME LANG PATH SHELL SOURCE_DATE_EPOCH TERM TZ USER";

/// Each place in a manifest from which a command is run, to write its variables into `seen`.
const PLACES: [(&str, &str); 5] = [
    ("command", "files: [{path: /a, command: [sh, -c, 'env -0 | tee seen']}]\n"),
    ("shell", "files: [{path: /a, shell: 'env -0 | tee seen'}]\n"),
    ("pseudo", "pseudo: ['a f 400 0 0 env -0 | tee seen']\n"),
    ("credential", "credentials: [{name: a, via: disk, shell: 'env -0 | tee seen'}]\n"),
    ("fw_cfg", "fw_cfg: [{name: opt/a, shell: 'env -0 | tee seen | head -c 9000'}]\n"),
];

/// The program with the environment of these tests.
fn credimg(host: &Host, arguments: &[&str]) -> Output {
    let mut command = host.credimg();
    command.env_clear().envs(GIVEN).args(arguments).output().unwrap()
}

/// The variables that the command has found, but for those that a shell makes itself.
fn seen(host: &Host) -> BTreeMap<String, String> {
    let text = fs::read_to_string(host.path("seen")).unwrap();
    let pairs = text.split_terminator('\0').map(|pair| pair.split_once('=').unwrap());
    let own = ["PWD", "OLDPWD", "SHLVL", "_"];
    let pairs = pairs.filter(|(name, _)| !own.contains(name));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn names(seen: &BTreeMap<String, String>) -> String {
    seen.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

const BUILD: [&str; 4] = ["build", "secrets.yaml", "-o", "out.erofs"];

#[test]
fn commands_see_little_of_the_environment() {
    for (place, manifest) in PLACES {
        let hidden = "- {path: /hidden, env: CREDIMG_TOKEN}\n";
        let manifest = match manifest.strip_prefix("files: [") {
            Some(rest) => format!("files:\n- {}\n{hidden}", rest.trim_end().trim_end_matches(']')),
            None => format!("files:\n{hidden}{manifest}"),
        };
        let host = Host::new(&manifest);
        let output = credimg(&host, &BUILD);
        assert!(output.status.success(), "{place}: {}", stderr(&output));
        let seen = seen(&host);
        assert_eq!(names(&seen), SEEN, "{place}");
        let given: BTreeMap<_, _> = GIVEN.into_iter().collect();
        assert!(seen.iter().all(|(name, value)| given.get(name.as_str()) == Some(&&**value)));
    }
}

#[test]
fn pass_env_names_what_commands_see_besides() {
    for (place, manifest) in PLACES {
        let more = "pass_env: [SSH_AUTH_SOCK, NOT_SET_ANYWHERE, GNUPGHOME]\n";
        let host = Host::new(&format!("{more}{manifest}"));
        for arguments in [&BUILD[..], &["exec", "secrets.yaml", "--", "true", "{}"]] {
            let output = credimg(&host, arguments);
            assert!(output.status.success(), "{place}: {}", stderr(&output));
            let seen = names(&seen(&host));
            let all = "CREDIMG_STAGE CREDIMG_TOKEN GNUPGHOME HOME LANG PATH SHELL \
                       SOURCE_DATE_EPOCH SSH_AUTH_SOCK TERM TZ USER";
            assert_eq!(seen, all, "{place}");
        }
    }
}

/// Whatever the variable is called, and wherever in the manifest it is a source.
#[test]
fn a_variable_that_is_a_source_is_never_seen() {
    for variable in ["HOME", "CREDIMG_TOKEN", "PATH"] {
        for source in [
            format!("files: [{{path: /b, env: {variable}}}]\n"),
            format!("credentials: [{{name: b, via: disk, env: {variable}}}]\n"),
            format!("fw_cfg: [{{name: opt/b, env: {variable}}}]\n"),
        ] {
            let command = "pseudo: ['a f 400 0 0 /usr/bin/env -0 | /usr/bin/tee seen']\n";
            let host = Host::new(&format!("{source}{command}"));
            let output = credimg(&host, &BUILD);
            assert!(output.status.success(), "{source}: {}", stderr(&output));
            // A shell without a PATH has one of its own.
            let expected: Vec<_> = SEEN.split(' ').filter(|name| *name != variable).collect();
            let names = names(&seen(&host));
            let names: Vec<_> = names.split(' ').filter(|name| *name != "CREDIMG_TOKEN").collect();
            assert_eq!(names, expected, "{source}");
            let values = seen(&host);
            let secret = GIVEN.iter().find(|(name, _)| *name == variable).unwrap().1;
            assert!(values.values().all(|value| value != secret), "{source}: {values:?}");
        }
    }
}

#[test]
fn a_command_that_fails_says_what_it_sees() {
    let host = Host::new("files: [{path: /a, shell: 'exit ${OTHER_TOKEN:+0}1'}]\n");
    let output = credimg(&host, &BUILD);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(
        said.contains("PATH, HOME, LANG, TZ, USER, SHELL, TERM") && said.contains("`pass_env`")
    );
    assert!(said.contains("--command-stderr"), "{said}");
}
