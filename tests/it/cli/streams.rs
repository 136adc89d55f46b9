//! Standard streams that are closed, full or read by nobody: nothing is lost with exit
//! code 0, and what is said of the image is true.

use super::*;

const MANIFEST: &str = "label: CHIMERA\nfiles: [{path: /a, text: hello}]\n";

/// Runs the program with `redirection` of the shell.
fn run(host: &Host, arguments: &str, redirection: &str) -> Output {
    let script = format!("exec {} {arguments} {redirection}", env!("CARGO_BIN_EXE_credimg"));
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(host.path("")).env_remove("SOURCE_DATE_EPOCH");
    command.output().unwrap()
}

/// Runs it with standard output to a pipe that nobody reads any more.
fn run_into_broken_pipe(host: &Host, arguments: &str) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    host.credimg().args(arguments.split(' ')).stdout(writer).output().unwrap()
}

fn host() -> Host {
    let host = Host::new(MANIFEST);
    assert!(host.build(&[]).status.success());
    fs::write(host.path("start"), "qemu-system-x86_64 -object secret,id=a,data=hunter2\n").unwrap();
    fs::write(host.path("master"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    fs::set_permissions(host.path("master"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(host.path("secret"), "hunter2").unwrap();
    host
}

/// What cannot be written to, and what is said of it.
const SINKS: [(&str, &str); 3] = [
    (">&-", "it is closed"),
    (">/dev/full", "no space left on device"),
    ("1</dev/null", "bad file descriptor"),
];

/// Everything that prints.
const PRINTERS: [&str; 23] = [
    "args out.erofs",
    "args out.erofs --target libvirt",
    "args out.erofs --json",
    "inspect out.erofs",
    "inspect out.erofs --json",
    "verify out.erofs --json",
    "diff out.erofs out.erofs --json",
    "dump out.erofs",
    "ls -lR out.erofs",
    "ls --json out.erofs",
    "cat out.erofs a",
    "check secrets.yaml",
    "check secrets.yaml --json",
    "guest-unit secrets.yaml",
    "audit start",
    "audit start --json",
    "genkey -",
    "genkey --luks -",
    "secret wrap --id a --keyid k --master-key master <secret",
    "completions bash",
    "--help",
    "build --help",
    "--version",
];

#[test]
fn nothing_that_is_printed_is_lost_in_silence() {
    let host = host();
    let mount = "label: CHIMERA\nmount: /run/secrets\nfiles: [{path: /a, text: hello}]\n";
    fs::write(host.path("secrets.yaml"), mount).unwrap();
    for arguments in PRINTERS {
        for (sink, reason) in SINKS {
            let output = run(&host, arguments, sink);
            let error = format!("credimg: error: cannot write to standard output: {reason}\n");
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(7), "{arguments} {sink}: {said}");
            assert!(said.ends_with(&error), "{arguments} {sink}: {said}");
        }
        // A caller who wants none of it may say so; some open it for both directions.
        for sink in [">/dev/null", "1<>/dev/null"] {
            let output = run(&host, arguments, sink);
            let found = if arguments.starts_with("audit") { 5 } else { 0 };
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(found), "{arguments} {sink}: {said}");
        }
    }
    for arguments in PRINTERS.iter().filter(|arguments| !arguments.contains('<')) {
        let output = run_into_broken_pipe(&host, arguments);
        let error = "credimg: error: cannot write to standard output: broken pipe\n";
        assert_eq!(output.status.code(), Some(7), "{arguments}: {}", stderr(&output));
        assert!(stderr(&output).ends_with(error), "{arguments}: {}", stderr(&output));
    }
}

#[test]
fn an_image_on_a_lost_standard_output_is_an_error() {
    for format in ["erofs", "squashfs", "iso9660"] {
        let host = Host::new("files: [{path: /a, shell: 'touch ran; echo x'}]\n");
        let build = format!("build secrets.yaml --format {format} -o -");
        for (sink, reason) in SINKS {
            let output = run(&host, &build, sink);
            let error = format!("standard output: {reason}\n");
            assert_eq!(output.status.code(), Some(7), "{sink}");
            assert!(stderr(&output).ends_with(&error), "{sink}: {}", stderr(&output));
            // A closed one is seen before anything runs.
            let has_run = fs::remove_file(host.path("ran")).is_ok();
            assert_eq!(has_run, sink != ">&-", "{format} {sink}");
        }
        let output = run_into_broken_pipe(&host, &build);
        let error = "credimg: error: cannot write standard output: broken pipe\n";
        assert_eq!((output.status.code(), stderr(&output)), (Some(7), error.to_owned()));
        assert_eq!(run(&host, &build, "1<>/dev/null").status.code(), Some(0));
    }
}

/// The image is there, and what was not printed can be had again.
#[test]
fn a_build_whose_arguments_are_lost_says_what_is_in_place() {
    for (sink, reason) in SINKS {
        let host = host();
        let arguments = stdout(&host.credimg().args(["args", "out.erofs"]).output().unwrap());
        let old = fs::read(host.path("out.erofs")).unwrap();
        let build = "build secrets.yaml -o out.erofs --quiet";
        let output = run(&host, build, sink);
        let said = format!(
            "credimg: error: cannot write the arguments to standard output: {reason}\n\
             credimg: hint: the new image out.erofs is in place: `credimg args out.erofs`, with \
             the options of this build, prints them\n"
        );
        assert_eq!((output.status.code(), stderr(&output)), (Some(7), said));
        let new = fs::read(host.path("out.erofs")).unwrap();
        assert!(new != old);
        let again = host.credimg().args(["args", "out.erofs"]).output().unwrap();
        assert_eq!(stdout(&again), arguments);

        // One that was kept is no new one; and what `args` does not know a build prints.
        let mount = "label: CHIMERA\nmount: /run/secrets\nfiles: [{path: /a, text: hello}]\n";
        fs::write(host.path("secrets.yaml"), mount).unwrap();
        let build =
            "build secrets.yaml -o out.erofs --quiet --if-changed --target cloud-hypervisor";
        assert!(host.credimg().args(build.split(' ')).output().unwrap().status.success());
        let new = fs::read(host.path("out.erofs")).unwrap();
        let output = run(&host, build, sink);
        let said = format!(
            "credimg: error: cannot write the arguments to standard output: {reason}\n\
             credimg: hint: the image out.erofs is in place, as it was: the same build with \
             --if-changed prints them\n"
        );
        assert_eq!((output.status.code(), stderr(&output)), (Some(7), said));
        assert!(fs::read(host.path("out.erofs")).unwrap() == new);
    }
}

/// A report that cannot be written keeps nobody from getting the arguments, and the other
/// way round.
#[test]
fn a_report_that_is_lost_is_an_error_and_the_only_thing_lost() {
    let host = host();
    let arguments = stdout(&host.credimg().args(["args", "out.erofs"]).output().unwrap());
    let build = "build secrets.yaml -o out.erofs --json";
    for (sink, reason) in SINKS {
        let said = format!(
            "credimg: error: cannot write the report to standard output: {reason}\n\
             credimg: hint: the new image out.erofs is in place: the same build with --if-changed \
             prints the report\n"
        );
        let output = run(&host, build, sink);
        assert_eq!((output.status.code(), stderr(&output)), (Some(7), said), "{sink}");
    }
    for sink in [">/dev/null", "1<>/dev/null", "2>&-", "2>/dev/full"] {
        assert_eq!(run(&host, build, sink).status.code(), Some(0), "{sink}");
    }
    // The summary and warnings are no data.
    for sink in ["2>&-", "2>/dev/full"] {
        let output = run(&host, "build secrets.yaml -o out.erofs", sink);
        assert_eq!((output.status.code(), stdout(&output)), (Some(0), arguments.clone()), "{sink}");
    }
    let output = run(&host, &format!("{build}=report --depfile d"), ">/dev/full");
    assert_eq!(output.status.code(), Some(7));
    assert!(host.read("report").starts_with(b"{\"report_version\":1,\"image\":\"out.erofs\""));
    assert!(host.path("d").exists());
}

#[test]
fn a_closed_standard_input_is_not_an_empty_one() {
    let host = host();
    for (arguments, closed, empty) in [
        ("build - -o out.erofs", 3, 3),
        ("check -", 3, 3),
        ("audit -", 4, 0),
        ("secret wrap --id a --keyid k --master-key master", 4, 4),
        ("secret unwrap --master-key master", 4, 4),
    ] {
        let output = run(&host, arguments, "<&-");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(closed), "{arguments}: {said}");
        assert!(said.contains("standard input: it is closed"), "{arguments}: {said}");
        assert_eq!(run(&host, arguments, "</dev/null").status.code(), Some(empty), "{arguments}");
    }
}

/// Network file systems tell only when a file is closed that there was no room for it.
#[test]
fn what_a_file_system_tells_late_is_heard() {
    let host = host();
    for arguments in ["args out.erofs", "build secrets.yaml -o - --format squashfs"] {
        let trace = "strace -f -qq -o /dev/null -e trace=close -P \"$PWD/printed\" \
                     -e inject=close:error=EDQUOT:when=1";
        let script = format!("exec {trace} {} {arguments} >printed", env!("CARGO_BIN_EXE_credimg"));
        let mut command = Command::new("sh");
        let output = command.args(["-c", &script]).current_dir(host.path("")).output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{arguments}: {}", stderr(&output));
        assert!(stderr(&output).contains("disk quota exceeded"), "{}", stderr(&output));
    }
}

/// The shell opens a file and the build gives its name to another one: what went into the
/// first would be gone without a name.
#[test]
fn a_stream_into_what_is_replaced_is_refused() {
    let manifest = "files: [{path: /a, text: x}]\ncredentials: [{name: t, text: x, via: smbios}]\n";
    let host = Host::new(manifest);
    let build = "build secrets.yaml -o out.erofs --json=report --depfile d --quiet";
    for (redirection, stream, file) in [
        (">>out.erofs", "output", "the image"),
        (">>out.erofs.smbios", "output", "a file of the old image"),
        (">>report", "output", "the report"),
        (">>d", "output", "the dependency file"),
        ("2>>report >/dev/null", "error", "the report"),
    ] {
        assert!(run(&host, build, ">printed 2>said").status.success());
        let output = run(&host, build, redirection);
        let message = format!(
            "credimg: error: standard {stream} goes into {file}, which is replaced: what is \
             printed would be lost\n"
        );
        assert_eq!(output.status.code(), Some(2), "{redirection}: {}", stderr(&output));
        let said = fs::read_to_string(host.path("report")).unwrap() + &stderr(&output);
        assert!(said.contains(&message), "{redirection}: {said}");
        fs::remove_file(host.path("report")).unwrap();
    }
}
