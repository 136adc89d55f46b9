//! A key that is in the printed arguments alone: whoever is to have it has it before the
//! old image goes, or the old image stays, with its files.

use super::*;

const OLD: &str = "label: CHIMERA\nfiles: [{path: /a, text: old}]\n\
                   credentials: [{name: token, text: old, via: smbios}]\n";
const NEW: &str = "label: CHIMERA\nfiles: [{path: /a, shell: 'touch ran; echo new'}]\n\
                   credentials: [{name: token, text: new, via: smbios}]\n\
                   encrypt: {luks: 1, key: generate}\n";
const BUILD: &str = "build secrets.yaml -o a.erofs --master-key master --quiet";

/// A host with an old image, whose next build generates a key.
fn rebuilding() -> (Host, Vec<Vec<u8>>) {
    let host = host(OLD);
    assert_done(&run(&host, "build secrets.yaml -o a.erofs"));
    fs::write(host.path("secrets.yaml"), NEW).unwrap();
    let old = files(&host);
    (host, old)
}

fn files(host: &Host) -> Vec<Vec<u8>> {
    ["a.erofs", "a.erofs.smbios"].map(|name| fs::read(host.path(name)).unwrap()).to_vec()
}

/// What is printed with these options.
const PRINTED: [(&str, &str); 2] =
    [("", "the arguments, which hold"), (" --json", "the report, which holds")];

fn assert_unchanged(host: &Host, old: &[Vec<u8>], output: &Output, printed: &str, reason: &str) {
    let said = stderr(output);
    let expected = format!(
        "credimg: error: cannot write {printed} the only copy of the key, to \
         standard output: {reason}\n\
         credimg: hint: send standard output somewhere, or keep the key in a file with --key-out; \
         the old image is unchanged\n"
    );
    assert_eq!((output.status.code(), said), (Some(7), expected));
    assert!(files(host) == old, "{reason}");
    let names = fs::read_dir(host.path("")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains(".credimg-")), "{names:?}");
}

#[test]
fn a_key_that_nobody_gets_leaves_the_old_image() {
    // Whether anything is run in vain is known beforehand only of what takes no bytes at all.
    for ((sink, reason, runs), (options, printed)) in [
        (">&-", "it is closed", false),
        (">/dev/null", "it is /dev/null", false),
        ("1<>/dev/null", "it is /dev/null", false),
        (">/dev/full", "no space left on device", true),
        ("1</dev/zero", "bad file descriptor", true),
    ]
    .into_iter()
    .flat_map(|sink| PRINTED.map(|printed| (sink, printed)))
    {
        let (host, old) = rebuilding();
        let script = format!("exec {} {BUILD}{options} {sink}", env!("CARGO_BIN_EXE_credimg"));
        let mut command = Command::new("sh");
        let output = command.args(["-c", &script]).current_dir(host.path("")).output().unwrap();
        assert_unchanged(&host, &old, &output, printed, reason);
        assert_eq!(host.path("ran").exists(), runs, "{sink}");
    }
    for (options, printed) in PRINTED {
        let (host, old) = rebuilding();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let build = format!("{BUILD}{options}");
        let output = host.credimg().args(build.split(' ')).stdout(writer).output().unwrap();
        assert_unchanged(&host, &old, &output, printed, "broken pipe");
    }
}

/// A file on a disk that fails: the arguments are not there before they are on the disk.
#[test]
fn arguments_that_do_not_reach_the_disk_leave_the_old_image() {
    for ((call, error, reason), (options, printed)) in [
        ("write", "ENOSPC", "no space left on device"),
        ("fsync", "EIO", "input/output error"),
        ("close", "EDQUOT", "disk quota exceeded"),
    ]
    .into_iter()
    .flat_map(|fault| PRINTED.map(|printed| (fault, printed)))
    {
        let (host, old) = rebuilding();
        let script = format!(
            "exec strace -f -qq -o /dev/null -P \"$PWD/printed\" -e trace={call} \
             -e inject={call}:error={error}:when=1 {} {BUILD}{options} >printed",
            env!("CARGO_BIN_EXE_credimg")
        );
        let mut command = Command::new("sh");
        let output = command.args(["-c", &script]).current_dir(host.path("")).output().unwrap();
        assert_unchanged(&host, &old, &output, printed, reason);
    }
}

/// And where they are delivered, they open the new image, whatever else is lost.
#[test]
fn the_key_that_was_delivered_opens_the_new_image() {
    // The manifest's command removes the directory in which the report was to be.
    delivered_key_opens("--json=gone/report", 7);
    delivered_key_opens("--json", 0);
}

fn delivered_key_opens(options: &str, code: i32) {
    let (host, old) = rebuilding();
    fs::create_dir(host.path("gone")).unwrap();
    fs::write(host.path("secrets.yaml"), NEW.replace("touch ran", "rm -r gone")).unwrap();
    let script = format!(
        "exec strace -qq -o trace -y -e trace=write,fsync,renameat,renameat2 {} {BUILD} {options} \
         >printed 2>/dev/full",
        env!("CARGO_BIN_EXE_credimg")
    );
    let mut command = Command::new("sh");
    let output = command.args(["-c", &script]).current_dir(host.path("")).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(files(&host)[0] != old[0]);
    let printed = fs::read_to_string(host.path("printed")).unwrap();
    assert!(printed.contains(",data="), "{printed}");
    if options == "--json" {
        let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let encryption = &report["encryption"];
        assert_eq!((&encryption["key_file"], &encryption["key_made"]), (&().into(), &true.into()));
    }
    // On the disk before the first name changes.
    let trace = fs::read_to_string(host.path("trace")).unwrap();
    let line = |what: &str| trace.lines().position(|line| line.contains(what));
    let synced =
        trace.lines().position(|line| line.starts_with("fsync(") && line.contains("/printed>"));
    assert!(synced.is_some() && synced < line("renameat"), "{trace}");
    let key = run_with(&host, "secret unwrap --master-key master", printed.as_bytes());
    assert_done(&key);
    host.private("unwrapped", &key.stdout);
    let opened = run(&host, "inspect a.erofs --key-file unwrapped");
    assert!(stdout(&opened).contains("inside\n  format    erofs\n"), "{opened:?}");
}
