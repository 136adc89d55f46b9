//! Builds of every format and encryption.

use super::*;

/// A build, and the key that opens its image.
struct Case {
    arguments: &'static str,
    /// What is built before, so that something is there.
    before: Option<&'static str>,
    key: &'static str,
}

impl Case {
    fn new(arguments: &'static str, key: &'static str) -> Self {
        Self { arguments, before: None, key }
    }

    fn after(before: &'static str, arguments: &'static str, key: &'static str) -> Self {
        Self { before: Some(before), ..Self::new(arguments, key) }
    }

    fn check(&self) {
        let host = host();
        if let Some(before) = self.before {
            assert!(credimg(&host, before).output().unwrap().status.success(), "{before}");
        }
        let dumps = take(&credimg(&host, self.arguments), b"");
        let stderr = dumps.outcome.stderr();
        assert_eq!(dumps.outcome.code(), Some(0), "{}: {stderr}", self.arguments);
        let image = if self.arguments.contains("-o -") {
            fs::write(host.path("image"), &dumps.outcome.stdout).unwrap();
            "image"
        } else {
            assert!(dumps.count() >= 2, "{}: no fsync was seen", self.arguments);
            self.arguments.split(' ').skip_while(|word| *word != "-o").nth(1).unwrap()
        };
        let mut needles = known();
        if !self.key.is_empty() {
            let key = fs::read(host.path(self.key)).unwrap();
            needles.key("the key", &key);
            let image_bytes = fs::read(host.path(image)).unwrap();
            needles.volume(&image_bytes, &key, &volume_key(&host, image, self.key));
        }
        dumps.assert_clean(self.arguments, &needles);
        if !self.key.is_empty() && !self.arguments.contains("-o -") {
            // It is in locked memory, and found there.
            assert!(dumps.holds(&needles, "the key"), "{}: there is no key", self.arguments);
        }
    }
}

/// What cryptsetup finds in the image.
fn volume_key(host: &Host, image: &str, key: &str) -> Vec<u8> {
    let file = host.path("volume-key");
    let _ = fs::remove_file(&file);
    let mut command = Command::new("cryptsetup");
    command.args(["luksDump", "-q", "--dump-volume-key", "--volume-key-file"]).arg(&file);
    command.arg("--key-file").arg(host.path(key)).arg(host.path(image));
    let output = command.output().expect("cryptsetup must be installed");
    assert!(output.status.success(), "{output:?}");
    fs::read(file).unwrap()
}

/// All at once: key derivations take their time.
fn check_all(cases: &[Case]) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| case.check());
        }
    });
}

#[test]
fn no_build_leaves_a_key_or_a_secret_in_memory() {
    let luks1 = "build secrets.yaml -o a.erofs --encrypt luks1 --key-out made";
    check_all(&[
        Case::new("build secrets.yaml -o a.erofs", ""),
        Case::new("build secrets.yaml -o a.squashfs --compression zstd", ""),
        Case::new(luks1, "made"),
        Case::new("build secrets.yaml -o a.erofs --encrypt luks2 --key-file random", "random"),
        Case::new("build secrets.yaml -o a.iso --encrypt luks2 --key-out made", "made"),
        Case::new(
            "build secrets.yaml -o a.squashfs --compression xz --encrypt luks2 --key-file passphrase",
            "passphrase",
        ),
        Case::new(
            "build plain.yaml -o a.erofs --encrypt luks1 --key-file random --master-key master",
            "random",
        ),
        Case::new(
            "build plain.yaml -o - --encrypt luks1 --key-file random --format erofs",
            "random",
        ),
        // By the initrd alone, and as JSON of an API.
        Case::new(
            "build secrets.yaml -o a.erofs --encrypt luks2 --key-file random --verity \
             --target firecracker --initrd guest.img",
            "random",
        ),
        Case::new(
            "build secrets.yaml -o a.erofs --encrypt luks2 --key-file passphrase \
             --target cloud-hypervisor --args api",
            "passphrase",
        ),
        Case::after(
            luks1,
            "build secrets.yaml -o a.erofs --encrypt luks1 --key-out made --if-changed",
            "made",
        ),
        Case::after(
            luks1,
            "build plain.yaml -o a.erofs --encrypt luks1 --key-out made --if-changed",
            "made",
        ),
    ]);
}

/// A disk that is full, a name that cannot be given, a signal: the way out wipes as well.
#[test]
fn no_build_that_fails_leaves_a_key_or_a_secret_in_memory() {
    let mut needles = known();
    needles.key("the key", RANDOM.as_bytes());
    let full = |call: &str, nth: usize, action: Action, code: Option<i32>| {
        for arguments in [
            "build secrets.yaml -o a.erofs --encrypt luks2 --key-file random",
            "build plain.yaml -o a.squashfs --encrypt luks1 --key-file random --master-key master",
            "seal plain.yaml -o share/a.tar.age --key-out identity",
        ] {
            let host = host();
            let mut count = 0;
            let dumps = take_failing(&credimg(&host, arguments), &mut |now| {
                let is_ours = now.name() == call && now.thread_index == 0;
                count += usize::from(
                    is_ours && now.paths().iter().any(|it| it.starts_with(host.path(""))),
                );
                if is_ours && count == nth { action } else { Action::Run }
            });
            assert_eq!(dumps.outcome.code(), code, "{arguments}: {}", dumps.outcome.stderr());
            assert!(code.is_some() || dumps.outcome.signal() == Some(Signal::SIGTERM));
            dumps.assert_clean(&format!("{arguments}, {call} {nth} with {action:?}"), &needles);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| full("write", 1, Action::Fail(Errno::ENOSPC), Some(7)));
        scope.spawn(|| full("fsync", 2, Action::Fail(Errno::EIO), Some(7)));
        scope.spawn(|| full("renameat", 1, Action::Fail(Errno::EIO), Some(7)));
        scope.spawn(|| full("write", 1, Action::Signal(Signal::SIGTERM), None));
    });
}
