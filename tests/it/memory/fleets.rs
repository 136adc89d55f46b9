//! Runs of a whole fleet.

use super::*;

const MACHINES: [&str; 3] = ["chimera", "medusa", "sphinx"];

/// A file and a credential for each machine, which no other one has.
fn fleet() -> (Host, Needles) {
    let host = Host::empty();
    let mut needles = Needles::default();
    let mut manifest = "machines: {chimera: {}, medusa: {}, sphinx: {}}\n".to_owned();
    manifest += "files: [{path: /token, to: all, file: '{machine}.token'}]\n";
    // Where commands may say something there is one worker.
    manifest += "pseudo: [{definition: /c f 400 0 0 echo $CREDIMG_MACHINE, to: all}]\n";
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
        // What is stored for a machine is gone when that of the next one is made.
        let stored = dumps.stored_at(&needles, "execve of a command");
        // A command is our program first, which becomes the shell.
        assert_eq!(stored.len(), 2 * MACHINES.len(), "{options}");
        for (number, stored) in stored.chunks(2).enumerate() {
            let is_earlier = |name: &String| MACHINES[..number].iter().any(|it| name.contains(it));
            assert!(!stored.iter().flatten().any(is_earlier), "{options}: {stored:?}");
        }
        // All images wait for the disk together.
        let waiting = dumps.stored_at(&needles, "fsync,");
        assert!(!waiting.is_empty() && waiting.iter().all(Vec::is_empty), "{options}: {waiting:?}");
    }
}
