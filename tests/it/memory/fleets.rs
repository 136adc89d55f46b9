//! Runs of a whole fleet.

use super::*;

const MACHINES: [&str; 3] = ["chimera", "medusa", "sphinx"];

/// A file and a credential for each machine, which no other one has.
fn fleet() -> (Host, Needles) {
    let host = Host::empty();
    let mut needles = Needles::default();
    let mut manifest = "machines: {chimera: {}, medusa: {}, sphinx: {}}\n".to_owned();
    manifest += "files: [{path: /token, to: all, file: '{machine}.token'}]\n";
    manifest += "credentials: [{name: c, to: all, via: smbios, file: '{machine}.credential'}]\n";
    host.write("fleet.yaml", manifest);
    for machine in MACHINES {
        for kind in ["token", "credential"] {
            let content = format!("cAnArY-{kind}-of-{machine}-41e7");
            host.write(format!("{machine}.{kind}"), &content);
            needles.content(&format!("the {kind} of {machine}"), content.as_bytes());
        }
    }
    (host, needles)
}

#[test]
fn no_fleet_leaves_a_key_or_a_secret_in_memory() {
    for options in ["", " --encrypt luks1 --key-out {machine}.key", " --if-changed"] {
        let (host, mut needles) = fleet();
        // Where commands may say something there is one worker.
        let arguments =
            format!("fleet build fleet.yaml -o {{machine}}.erofs --command-stderr{options}");
        let dumps = take(&credimg(&host, &arguments), b"");
        assert_eq!(dumps.outcome.code(), Some(0), "{options}: {}", dumps.outcome.stderr());
        for machine in MACHINES {
            if let Ok(key) = fs::read(host.path(format!("{machine}.key"))) {
                needles.key(&format!("the key of {machine}"), &key);
            }
        }
        assert!(dumps.count() > 0, "{options}: nobody waited for the disk");
        dumps.assert_clean(options, &needles);
    }
}
