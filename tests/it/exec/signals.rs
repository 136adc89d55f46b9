//! Signals: what the program inherits of them, and how one ends a build.

use super::*;

/// How a program finds the signals: ignored ones and blocked ones. It is none
/// that changes them itself, as shells do.
const SHOW: [&str; 4] = ["grep", "-hE", "^Sig(Blk|Ign):", "/proc/self/status"];

/// What the program sees with and without credimg, where the caller was started so.
fn seen(host: &Host, caller: &[&str]) -> (String, String) {
    let exec = [env!("CARGO_BIN_EXE_credimg"), "exec", "secrets.yaml", "--"];
    let see = |words: &[&str]| {
        // Whatever runs the tests may ignore or block something itself.
        let clean = ["env", "--default-signal", "--block-signal=USR2"];
        let words = [&clean, caller, words].concat();
        let told = succeed(Command::new(words[0]).args(&words[1..]).current_dir(host.path("")));
        told.lines().map(without_own).collect()
    };
    (see(&SHOW), see(&[&exec[..], &SHOW, &["{image}"]].concat()))
}

/// A line of masks without signals 32 and 33: the C library keeps them to itself, and takes
/// them where a thread is made.
fn without_own(line: &str) -> String {
    let (name, mask) = line.split_once(":\t").unwrap();
    format!("{name} {:x}\n", u64::from_str_radix(mask, 16).unwrap() & !(3 << 31))
}

#[test]
fn signals_are_as_the_caller_left_them() {
    let host = Host::new("files: [{path: /a, shell: 'echo x'}]\n");
    for option in [
        "--default-signal",
        "--ignore-signal=HUP,INT,TERM,QUIT,XFSZ,USR1,WINCH",
        "--ignore-signal=HUP",
        "--block-signal=USR1,TERM,PIPE,CHLD",
    ] {
        let (before, after) = seen(&host, &["env", option]);
        assert_eq!(before.lines().count(), 2);
        assert_eq!(after, before, "{option}");
    }
    // Two are at their defaults in any case: Rust's runtime does not tell what was
    // made of the first, and without the second no command could be waited for.
    let (_, defaults) = seen(&host, &["env"]);
    for option in ["--ignore-signal=PIPE", "--ignore-signal=CHLD"] {
        let (before, after) = seen(&host, &["env", option]);
        assert_ne!(before, defaults, "{option}");
        assert_eq!(after, defaults, "{option}");
    }
}

#[test]
fn core_dumps_stay_off() {
    let host = Host::new("files: [{path: /a, text: x}]\n");
    assert_eq!(succeed(&mut host.exec(&[], &["sh", "-c", "ulimit -H -c"])), "0\n");
}

#[test]
fn a_signal_while_a_command_runs_leaves_nothing() {
    let host = Host::new(
        "files: [{path: /a, shell: \"cut -d' ' -f5 /proc/$$/stat > pid; sleep 100 & sleep 100\"}]\n",
    );
    let child = host.exec(&["--command-timeout", "90"], &["touch", "started"]).spawn().unwrap();
    let mut child = Running(child);
    let group = wait_for(|| fs::read_to_string(host.path("pid")).ok()?.trim().parse::<i32>().ok());
    let group = Pid::from_raw(group).unwrap();
    rustix::process::kill_process(Pid::from_child(&child.0), Signal::TERM).unwrap();
    let status = child.0.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{status:?}");
    wait_for(|| rustix::process::test_kill_process_group(group).is_err().then_some(()));
    assert!(!host.path("started").exists());
}

/// A signal at any step between the last source and the program is not lost.
#[test]
fn a_signal_before_the_program_is_not_lost() {
    let host = Host::new("files: [{path: /a, text: x}]\ncredentials: [{name: c, text: x}]\n");
    let traced = |options: &[&str]| {
        let mut command = Command::new("strace");
        command.args(["-qq", "-o", "trace"]).args(options);
        command.arg(env!("CARGO_BIN_EXE_credimg"));
        command.args(["exec", "secrets.yaml", "--", "sh", "-c", "touch started"]);
        run(command.current_dir(host.path(""))).status
    };
    let calls = "memfd_create,fchmod,fcntl,rt_sigaction";
    assert!(traced(&["-e", &format!("trace={calls},execve")]).success());
    fs::remove_file(host.path("started")).unwrap();
    let trace = fs::read_to_string(host.path("trace")).unwrap();
    let lines: Vec<_> = trace.lines().collect();
    // Of the program itself only its start is of interest.
    let end = lines.iter().rposition(|line| line.starts_with("execve(")).unwrap();
    let mut counts = std::collections::HashMap::new();
    let mut tried = 0;
    let mut is_building = false;
    for line in &lines[..end] {
        let call = line.split('(').next().unwrap();
        let occurrence = counts.entry(call).or_insert(0);
        *occurrence += 1;
        is_building |= call == "memfd_create";
        if is_building && call != "execve" {
            let fault = format!("inject={call}:signal=SIGTERM:when={occurrence}");
            let status = traced(&["-e", &fault]);
            assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{line}: {status}");
            assert!(!host.path("started").exists(), "{line}");
            tried += 1;
        }
    }
    assert!(tried >= 10, "{trace}");
}
