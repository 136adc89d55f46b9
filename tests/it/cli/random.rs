//! A system that gives no random bytes: an error with its exit code, whoever asked for
//! them, and never a panic.

use super::*;

/// What needs random bytes, itself or by a library. All of them build something
/// else in `NEW`.
const COMMANDS: [&str; 14] = [
    "build secrets.yaml -o NEW.erofs",
    "build secrets.yaml -o NEW.squashfs --compression gzip --if-changed",
    "build secrets.yaml -o NEW.iso --encrypt luks2 --key-out NEW.key",
    "build secrets.yaml -o old.erofs --encrypt luks1 --key-file key --if-changed",
    "build secrets.yaml -o NEW.erofs --verify",
    "inspect old.erofs --key-file key",
    "verify old.erofs --encrypt luks1 --key-file key --manifest secrets.yaml",
    "diff old.erofs old.erofs --key-file key",
    "dump old.erofs --key-file key",
    "check secrets.yaml",
    "exec secrets.yaml -- true",
    "seal secrets.yaml -o share/NEW.age --key-out NEW.identity",
    "genkey NEW.key",
    "guest-unit secrets.yaml",
];

/// Runs the command while each call from the `first`th on fails, or that one alone.
fn run_without(host: &Host, command: &str, error: &str, first: usize, is_alone: bool) -> Output {
    let end = if is_alone { "" } else { "+" };
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "trace", "-e", "trace=getrandom"]);
    strace.arg("-e").arg(format!("inject=getrandom:error={error}:when={first}{end}"));
    strace.arg(env!("CARGO_BIN_EXE_credimg")).args(command.split(' '));
    strace.current_dir(host.path("")).env_remove("SOURCE_DATE_EPOCH");
    strace.output().expect("strace must be installed")
}

fn host() -> Host {
    let host = Host::new(
        "label: CHIMERA\nfiles:\n- {path: /motd, text: hello}\n- {path: /dir, dir: share}\n\
         - {path: /c, command: [echo, hi]}\npseudo: ['/p d 500 0 0']\n",
    );
    fs::create_dir(host.path("share")).unwrap();
    fs::write(host.path("key"), "0aF9".repeat(16)).unwrap();
    fs::set_permissions(host.path("key"), PermissionsExt::from_mode(0o600)).unwrap();
    let build =
        ["build", "secrets.yaml", "-o", "old.erofs", "--encrypt", "luks1", "--key-file", "key"];
    assert!(host.credimg().args(build).output().unwrap().status.success());
    host
}

fn check(command: &str, error: &str) {
    let host = host();
    let old = fs::read(host.path("old.erofs")).unwrap();
    let (mut refused, mut first) = (0, 1);
    loop {
        let mut was_refused = false;
        for is_alone in [true, false] {
            let command = command.replace("NEW", &format!("{error}-{first}-{is_alone}"));
            let command = command.replace("share/", &format!("share{first}{is_alone}/"));
            fs::create_dir_all(host.path(format!("share{first}{is_alone}"))).unwrap();
            let output = run_without(&host, &command, error, first, is_alone);
            let (code, shown) = (output.status.code(), stderr(&output));
            let case = format!("{command}, {error} from {first}, {is_alone}: {code:?} {shown}");
            // Rust's library has another source of its seeds, and where those are random no matter.
            assert!(matches!(code, Some(0 | 5 | 7)), "{case}");
            if code != Some(0) {
                was_refused = true;
                assert!(shown.contains("credimg: error: "), "{case}");
                assert!(!shown.contains("panicked") && !shown.contains("bug"), "{case}");
                assert!(
                    code == Some(7) || shown.contains("the system gives no random bytes"),
                    "{case}"
                );
            }
            assert!(fs::read(host.path("old.erofs")).unwrap() == old || code == Some(0), "{case}");
            assert_eq!(host.leftovers(), 0, "{case}");
        }
        let trace = fs::read_to_string(host.path("trace")).unwrap();
        refused += usize::from(was_refused);
        // The last call has had its turn.
        if !trace.contains("INJECTED") {
            break;
        }
        first += 1;
    }
    // Those that make no key and no name do without.
    let modest = ["check", "guest", "inspect", "verify", "diff", "dump"];
    assert!(refused > 0 || modest.iter().any(|word| command.starts_with(word)), "{command}");
}

#[test]
fn a_system_without_random_bytes_is_an_error_of_every_command() {
    std::thread::scope(|scope| {
        for command in COMMANDS {
            scope.spawn(move || {
                for error in ["EIO", "ENOSYS"] {
                    check(command, error);
                }
            });
        }
    });
}

#[test]
fn a_signal_while_random_bytes_are_drawn_is_no_error() {
    let host = Host::new("credentials: [{name: a, text: hello}]\n");
    assert!(host.build(&[]).status.success());
    for call in 1.. {
        let output = run_without(&host, "build secrets.yaml -o out.erofs", "EINTR", call, true);
        assert_eq!(output.status.code(), Some(0), "call {call}: {}", stderr(&output));
        if !fs::read_to_string(host.path("trace")).unwrap().contains("INJECTED") {
            assert!(call > 4, "the names of temporaries are drawn as well");
            break;
        }
    }
}
