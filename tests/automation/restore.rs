//! A guest whose memory is saved by QEMU and restored, with the hook's calls around both:
//! it goes on reading the image that it has mounted, whatever the sources are by then.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::hooks::{host, libvirt_with};
use super::*;
use wait::wait_for;

#[path = "../support/wait.rs"]
mod wait;

/// The third serial port is the host's way to the guest, which has not read the file yet
/// when it is saved.
const PAYLOAD: &str = "mkdir /m
mount -t erofs -o ro LABEL=CHIMERA /m && ls -l /m >/dev/null
stty -F /dev/ttyS2 raw -echo
exec 3<>/dev/ttyS2
echo mounted >&3
read -r word <&3
echo \"$word\"
sha256sum </m/a
";

#[test]
fn a_restored_guest_reads_the_old_bytes() {
    let host = host();
    // Whole blocks, which nothing has read yet where the directory was looked at.
    let old = vec![b'o'; 8192];
    host.write("key", &old);
    host.write("payload", PAYLOAD);
    let libvirt = |operation: &str, step: &str, extra: &str| {
        assert_done(&libvirt_with(&host, ["chimera", operation, step, extra]));
    };

    libvirt("prepare", "begin", "-");
    let mut first = start(&host, &[]);
    let mut guest = BufReader::new(connect(&host, "port"));
    let mut line = String::new();
    guest.read_line(&mut line).unwrap();
    if line != "mounted\n" {
        let status = first.wait();
        panic!("{line:?}, {status:?}\n{}", console(&host));
    }
    save(&host);
    // QEMU's end without a word of the guest's is no success for the script.
    first.wait().unwrap();
    libvirt("release", "end", "saved");

    // What the hook must not make of it while the memory waits.
    host.write("key", vec![b'n'; 12_288]);
    libvirt("restore", "begin", "-");
    libvirt("prepare", "begin", "-");
    let second = start(&host, &["-incoming", "exec:cat state"]);
    // A port's bytes that come before the memory would be lost.
    Monitor::new(&host).wait_for_status("query-status", "running");
    connect(&host, "port").write_all(b"go\n").unwrap();
    let output = second.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{}", console(&host));
    host.write("old", &old);
    let mut sha256sum = host.command("sha256sum");
    let expected = sha256sum.stdin(fs::File::open(host.path("old")).unwrap()).output().unwrap();
    let expected = [b"go\n", &expected.stdout[..]].concat();
    assert_eq!(String::from_utf8(output.stdout), String::from_utf8(expected));
}

/// Boots the guest with the disk that the hook has built, and these arguments.
fn start(host: &Host, more: &[&str]) -> Child {
    let disk = host.credimg("args run/chimera/disk.erofs --args lines");
    assert_done(&disk);
    let disk = String::from_utf8(disk.stdout).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-boot");
    host.command(script)
        .args(["payload", "--"])
        .args(["-serial", "unix:port,server=on,wait=off"])
        .args(["-qmp", "unix:monitor,server=on,wait=off"])
        .args(disk.lines())
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(host.path("console")).unwrap())
        .spawn()
        .unwrap()
}

/// What the guest said where it ended without a status.
fn console(host: &Host) -> String {
    String::from_utf8_lossy(&host.read("console")).into_owned()
}

/// The socket is there once QEMU is.
fn connect(host: &Host, socket: &str) -> UnixStream {
    wait_for(|| UnixStream::connect(host.path(socket)).ok())
}

/// Writes the guest's memory to the file `state` and ends QEMU.
fn save(host: &Host) {
    let mut monitor = Monitor::new(host);
    monitor.execute(&json!({"execute": "migrate", "arguments": {"uri": "exec:cat >state"}}));
    monitor.wait_for_status("query-migrate", "completed");
    monitor.execute(&json!({"execute": "quit"}));
}

/// QEMU's monitor.
struct Monitor(BufReader<UnixStream>);

impl Monitor {
    fn new(host: &Host) -> Self {
        let mut monitor = Self(BufReader::new(connect(host, "monitor")));
        monitor.execute(&json!({"execute": "qmp_capabilities"}));
        monitor
    }

    fn execute(&mut self, command: &Value) -> Value {
        writeln!(self.0.get_mut(), "{command}").unwrap();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let answer: Value = serde_json::from_str(&line).unwrap();
            assert!(answer.get("error").is_none(), "{command}: {answer}");
            if let Some(value) = answer.get("return") {
                return value.clone();
            }
        }
    }

    fn wait_for_status(&mut self, query: &str, status: &str) {
        loop {
            let answer = self.execute(&json!({"execute": query}));
            if answer["status"] == status {
                return;
            }
            assert_ne!(answer["status"], "failed", "{answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
