//! No key and no content where they do not belong: arguments of programs, environment,
//! output, names of files, and the image itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

const CONTENT: &str = "cAnArY-content-7f3a9b";
const PASSPHRASE: &str = "cAnArY-passphrase-51c0e8";
const MASTER_BYTES: &[u8; 32] = b"cAnArY-of-the-master-key-e94d27b";

/// The disguises of a secret: as it is, in hexadecimal digits, and in base64 at each of
/// the three places that it can have among others' bytes.
fn disguises(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = |upper: bool| {
        let digits = secret
            .iter()
            .map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        digits.collect::<String>().into_bytes()
    };
    let mut disguises = vec![secret.to_vec(), hex(false), hex(true)];
    for before in 0..3 {
        let text = STANDARD.encode([&vec![0; before], secret].concat());
        // What other bytes take part in is cut off at both ends.
        let text = text.trim_end_matches('=');
        disguises.push(text[[0, 2, 3][before]..text.len() - 1].into());
    }
    disguises
}

#[track_caller]
fn assert_absent(what: &str, bytes: &[u8], secrets: &[&[u8]]) {
    for disguise in secrets.iter().flat_map(|secret| disguises(secret)) {
        let found = bytes.windows(disguise.len()).any(|window| window == disguise);
        assert!(!found, "{what} holds {}", String::from_utf8_lossy(&disguise));
    }
}

fn host_with_canaries() -> Host {
    // The command sees what every program that is started sees.
    let manifest = "label: CHIMERA\nfiles:\n- {path: /a, file: content}\n\
                    - {path: /b, shell: 'env; cat /proc/self/cmdline'}\n\
                    credentials: [{name: token, file: content, via: disk}]\n";
    let host = host(manifest);
    fs::write(host.path("content"), CONTENT).unwrap();
    host.private("passphrase", PASSPHRASE);
    host.private("master", STANDARD.encode(MASTER_BYTES));
    host
}

#[test]
fn canaries_are_found_in_every_disguise() {
    for before in 0..3 {
        let text = STANDARD.encode([&b"xyz"[..before], PASSPHRASE.as_bytes(), b"xyz"].concat());
        let found = disguises(PASSPHRASE.as_bytes())
            .iter()
            .any(|disguise| text.as_bytes().windows(disguise.len()).any(|it| it == disguise));
        assert!(found, "{text}");
    }
}

/// Every program that is started with arguments and environment, every name that is
/// opened, made and removed.
#[test]
fn nothing_is_in_arguments_environment_output_or_names() {
    let host = host_with_canaries();
    let secrets: [&[u8]; 3] = [CONTENT.as_bytes(), PASSPHRASE.as_bytes(), MASTER_BYTES];
    // The shortest keys first: those of a passphrase take their time.
    for (index, arguments) in [
        "build secrets.yaml -o a.erofs --encrypt luks2 --key-file passphrase --json",
        "build secrets.yaml -o a.erofs --encrypt luks2 --key-file passphrase --if-changed",
        "build secrets.yaml -o b.erofs --encrypt luks2 --key-out new --json=report",
        "build secrets.yaml -o c.erofs --encrypt luks1 --key-out new --master-key master --depfile d",
        "args a.erofs --key-file passphrase",
        "args c.erofs --key-file new --master-key master --args json",
        "inspect a.erofs --key-file passphrase --json",
        "inspect a.erofs --key-file new",
        "genkey fresh --luks",
        "secret wrap --id a --master-key master",
        "secret unwrap --master-key passphrase",
        "build secrets.yaml -o a.erofs --encrypt luks2 --key-file content --label much-too-long-a-label",
    ]
    .into_iter()
    .enumerate()
    {
        let mut command = Command::new("strace");
        let calls = "trace=execve,openat,rename,renameat,renameat2,linkat,unlinkat,memfd_create";
        command.args(["-f", "-v", "-s", "100000", "-o", "log", "-e", calls]);
        command.arg(env!("CARGO_BIN_EXE_credimg")).args(arguments.split(' '));
        let output = feed(command.current_dir(host.path("")), CONTENT.as_bytes());
        let log = fs::read(host.path("log")).unwrap();
        let starts = log.windows(7).filter(|window| window == b"execve(").count();
        assert!(starts > usize::from(arguments.starts_with("build") && index < 4), "{arguments}");
        let generated = fs::read(host.path("new")).unwrap_or_else(|_| b"no key is there yet".to_vec());
        let secrets: Vec<&[u8]> = secrets.iter().copied().chain([&generated[..]]).collect();
        assert_absent(arguments, &log, &secrets);
        assert_absent(arguments, &output.stdout, &secrets);
        assert_absent(arguments, &output.stderr, &secrets);
        for name in ["report", "d"] {
            let text = fs::read(host.path(name)).unwrap_or_default();
            assert_absent(name, &text, &secrets);
        }
    }
}

#[test]
fn an_image_holds_neither_content_nor_key() {
    let host = host_with_canaries();
    host.private("random", KEY);
    for (format, version, key) in [
        ("erofs", "luks1", "random"),
        ("squashfs", "luks1", "random"),
        ("iso9660", "luks2", "passphrase"),
        ("erofs", "luks2", "passphrase"),
        ("erofs", "luks2", "random"),
    ] {
        let build = format!(
            "build secrets.yaml -o image --format {format} --encrypt {version} --key-file {key}"
        );
        assert_done(&run(&host, &build));
        let image = fs::read(host.path("image")).unwrap();
        let secret = fs::read(host.path(key)).unwrap();
        let raw: Vec<_> = KEY
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let secrets: [&[u8]; 4] = [CONTENT.as_bytes(), PASSPHRASE.as_bytes(), &secret, &raw];
        assert_absent(&build, &image, &secrets);
        // It is there, all the same.
        let plain = open(&image, std::str::from_utf8(&secret).unwrap()).unwrap();
        assert!(plain.windows(CONTENT.len()).any(|window| window == CONTENT.as_bytes()));
        // The label of the file system inside is no secret, but nothing else is to be seen.
        let magic = [0xe2, 0xe1, 0xf5, 0xe0];
        assert!(!image.windows(4).any(|window| window == magic || window == b"hsqs"), "{build}");
        assert!(!image.windows(5).any(|window| window == b"CD001"), "{build}");
    }
}
