//! A guest whose memory is saved by QEMU and restored, with the hook's calls around both:
//! it goes on reading the image that it has mounted, whatever the sources are by then.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::hooks::{host, libvirt_with};
use super::*;

/// The debug console at I/O port 0xe9 tells the host that the disk is mounted, and an item of
/// the firmware, which is the new monitor's own, tells the guest that it has come back. The
/// file has not been read before.
const PAYLOAD: &str = "mkdir /m
mount -t erofs -o ro LABEL=CHIMERA /m && ls -l /m >/dev/null
printf m | dd of=/dev/port bs=1 seek=$((0xe9)) 2>/dev/null
until [ \"$(cat /sys/firmware/qemu_fw_cfg/by_name/opt/credimg/word/raw)\" = go ]; do
    sleep 0.2
done
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
    host.write("word", "no");
    let mut first = start(&host, &[]);
    while fs::read(host.path("mark")).unwrap_or_default() != b"m" {
        let end = first.try_wait().unwrap();
        assert!(end.is_none(), "{end:?}\n{}", console(&host));
        std::thread::sleep(Duration::from_millis(50));
    }
    save(&host);
    // QEMU's end without a word of the guest's is no success for the script.
    first.wait().unwrap();
    libvirt("release", "end", "saved");

    // What the hook must not make of it while the memory waits.
    host.write("key", vec![b'n'; 12_288]);
    libvirt("restore", "begin", "-");
    libvirt("prepare", "begin", "-");
    host.write("word", "go");
    let second = start(&host, &["-incoming", "exec:cat state"]);
    let output = second.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{}", console(&host));
    host.write("old", &old);
    let mut sha256sum = host.command("sha256sum");
    let expected = sha256sum.stdin(fs::File::open(host.path("old")).unwrap()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout), String::from_utf8(expected.stdout));
}

/// Boots the guest with the disk that the hook has built, and these arguments.
fn start(host: &Host, more: &[&str]) -> Child {
    let disk = host.run("args run/chimera/disk.erofs --args lines");
    assert_done(&disk);
    let disk = String::from_utf8(disk.stdout).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-boot");
    host.command(script)
        .args(["payload", "--"])
        .args(["-debugcon", "file:mark", "-fw_cfg", "name=opt/credimg/word,file=word"])
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

/// Writes the guest's memory to the file `state` and ends QEMU.
fn save(host: &Host) {
    let mut monitor = Monitor::new(host);
    monitor.execute(&json!({"execute": "migrate", "arguments": {"uri": "exec:cat >state"}}));
    monitor.wait_for_status("query-migrate", "completed");
    monitor.send(&json!({"execute": "quit"}));
    // QEMU may end before it answers, but takes no command from who has left.
    let _ = std::io::copy(&mut monitor.0, &mut std::io::sink());
}

/// QEMU's monitor.
struct Monitor(BufReader<UnixStream>);

impl Monitor {
    fn new(host: &Host) -> Self {
        let mut monitor = Self(BufReader::new(UnixStream::connect(host.path("monitor")).unwrap()));
        monitor.execute(&json!({"execute": "qmp_capabilities"}));
        monitor
    }

    /// Sends a command in one piece: QEMU obeys as soon as the last brace is there, and `quit`
    /// would break the pipe for a line feed that comes behind.
    fn send(&mut self, command: &Value) {
        self.0.get_mut().write_all(format!("{command}\n").as_bytes()).unwrap();
    }

    fn execute(&mut self, command: &Value) -> Value {
        self.send(command);
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
