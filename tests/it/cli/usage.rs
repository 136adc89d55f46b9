//! What a wrong command line is told.

use clap::CommandFactory;
use credimg::commands::Cli;

use super::*;

/// What is wrong with a command line, in one line, and the hints below it.
#[track_caller]
fn assert_told(host: &Host, words: &[&str], expected: &str) {
    let output = host.credimg().args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{words:?}");
    assert_eq!(stdout(&output), "", "{words:?}");
    let lines: Vec<_> =
        expected.lines().map(|line| format!("credimg: {}\n", line.trim())).collect();
    assert_eq!(stderr(&output), lines.concat(), "{words:?}");
}

/// As [`assert_told`], where no word of the command line has a blank.
#[track_caller]
fn assert_line_told(line: &str, expected: &str) {
    assert_told(&Host::empty(), &line.split(' ').collect::<Vec<_>>(), expected);
}

#[test]
fn errors_of_the_command_line_have_the_shape_of_all_others() {
    assert_line_told(
        "build",
        "error: the following required arguments were not provided: --output <IMAGE>, <MANIFEST>
         hint: usage: credimg build --output <IMAGE> <MANIFEST>
         hint: `credimg build --help` tells more",
    );
    assert_line_told(
        "biuld secrets.yaml",
        "error: unrecognized subcommand 'biuld'
         hint: a similar subcommand exists: 'build'
         hint: usage: credimg [OPTIONS] <COMMAND>
         hint: `credimg --help` tells more",
    );
    assert_line_told(
        "args a.erofs --args josn",
        "error: invalid value 'josn' for '--args <STYLE>'
         hint: possible values: shell, lines, json, blockdev, readconfig, api, disk, sysinfo, secret, none
         hint: a similar value exists: 'json'
         hint: `credimg args --help` tells more",
    );
}

#[test]
fn a_program_without_dashes_before_it_is_told_where_they_go() {
    let command = ["exec", "--bus=scsi", "my secrets.yaml", "qemu-system-x86_64", "-m", CANARY];
    assert_told(
        &Host::empty(),
        &command,
        "error: the program to start stands behind --, and qemu-system-x86_64 does not
         hint: write `credimg exec --bus=scsi 'my secrets.yaml' -- qemu-system-x86_64 …`
         hint: `credimg exec --help` tells more",
    );
    assert_line_told(
        "exec secrets.yaml",
        "error: there is no program to start
         hint: it stands behind --, as in `credimg exec secrets.yaml -- qemu-system-x86_64 -m 1G`
         hint: `credimg exec --help` tells more",
    );
}

#[test]
fn files_and_names_in_the_place_of_a_command_are_understood() {
    assert_line_told(
        "secrets.yaml",
        "error: there is no command 'secrets.yaml'
         hint: `credimg check secrets.yaml` shows what the manifest gives, `credimg build \
         secrets.yaml -o IMAGE.erofs` builds its image
         hint: `credimg --help` tells more",
    );
    assert_line_told(
        "chimera.iso",
        "error: there is no command 'chimera.iso'
         hint: `credimg inspect chimera.iso` says what the image is, `credimg ls chimera.iso` \
         lists it
         hint: `credimg --help` tells more",
    );
    assert_line_told(
        "version",
        "error: there is no command 'version'
         hint: `credimg --version` comes nearest to it
         hint: `credimg --help` tells more",
    );
    assert_line_told(
        "build secrets.yaml chimera.erofs",
        "error: unexpected argument 'chimera.erofs'
         hint: -o names the image that is written: `-o chimera.erofs`
         hint: `credimg build --help` tells more",
    );
}

#[test]
fn a_secret_on_the_command_line_is_not_repeated() {
    assert_line_told(
        &format!("secret wrap {CANARY}"),
        "error: an argument too many, which is not shown: it may be a secret
         hint: the secret comes by standard input, since every user of the host sees command lines
         hint: `credimg secret wrap --help` tells more",
    );
}

#[test]
fn no_word_of_the_command_line_forges_a_line_of_the_error() {
    let word = "a\ncredimg: error: \u{1b}[2Jb";
    assert_told(
        &Host::empty(),
        &["build", "m.yaml", "-o", "a.erofs", "--format", word],
        "error: invalid value '\"a\\ncredimg: error: \\u{1b}[2Jb\"' for '--format <FORMAT>'
         hint: possible values: erofs, squashfs, iso9660
         hint: `credimg build --help` tells more",
    );
    let host = Host::empty();
    for words in [["build", word], [word, "x"], ["--color", word], ["ls", "-\n\u{1b}x"]] {
        let output = host.credimg().args(words).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(!said.contains('\u{1b}'), "{said:?}");
        assert!(said.lines().all(|line| line.starts_with("credimg: ")), "{said:?}");
        assert_eq!(said.matches("\ncredimg: error: ").count(), 0, "{said:?}");
    }
}

/// The program's own commands.
fn commands(program: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    program.get_subcommands().filter(|command| command.get_name() != "help")
}

#[test]
fn a_call_builds_the_options_of_its_command_alone() {
    let mut program = Cli::command();
    program.try_get_matches_from_mut(["credimg", "ls", "image.erofs"]).unwrap();
    let built = commands(&program)
        .filter(|command| command.get_arguments().any(|argument| !argument.is_global_set()));
    assert_eq!(built.map(clap::Command::get_name).collect::<Vec<_>>(), ["ls"]);
}

#[test]
fn a_command_has_its_description_before_and_after_its_options_are_built() {
    let mut program = Cli::command();
    let told = |program: &clap::Command| -> Vec<_> {
        let about = |command: &clap::Command| command.get_about().unwrap().to_string();
        commands(program).map(about).collect()
    };
    let before = told(&program);
    program.build();
    assert_eq!(told(&program), before);
}
