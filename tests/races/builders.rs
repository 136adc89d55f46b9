//! Many builders of one output, with files beside it: one of them wins whole.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::{build, content, share, stderr};

const BUILDERS: usize = 1_000;
const AT_ONCE: usize = 10;

/// The builder whose image is in place, from the image and each file beside it.
fn winners(place: &Path) -> Vec<String> {
    let tag = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        if let Some(begin) = text.find("builder-") {
            return text[begin..begin + 12].to_owned();
        }
        // The firmware's tables have it in base64.
        let begin = text.find("YnVpbGRlci0").expect("no builder's");
        String::from_utf8(STANDARD.decode(&text[begin..begin + 16]).unwrap()).unwrap()
    };
    let mut winners = vec![tag(&content(&place.join("out.erofs"), "who"))];
    for suffix in ["smbios", "fw_cfg.opt:who"] {
        winners.push(tag(&fs::read(place.join(format!("out.erofs.{suffix}"))).unwrap()));
    }
    winners
}

fn manifest(number: usize) -> String {
    let who = format!("builder-{number:04}");
    format!(
        "label: RACE\nfiles: [{{path: /who, text: {who}}}]\ncredentials: [{{name: who, text: \
         {who}, via: smbios}}]\nfw_cfg: [{{name: opt/who, text: {who}}}]\n"
    )
}

#[test]
fn one_of_many_builders_wins_whole() {
    let directory = TempDir::new().unwrap();
    let place = directory.path();
    for number in 0..AT_ONCE {
        fs::write(place.join(format!("{number}.yaml")), manifest(number)).unwrap();
    }
    let rounds = share(BUILDERS).div_ceil(AT_ONCE);
    let mut wins = [0; AT_ONCE];
    for round in 0..rounds {
        let start = |number| {
            let mut command = build(place, &format!("{number}.yaml"), "out.erofs");
            command.stderr(std::process::Stdio::piped()).spawn().unwrap()
        };
        let builders: Vec<_> = (0..AT_ONCE).map(start).collect();
        for builder in builders {
            let output = builder.wait_with_output().unwrap();
            assert!(output.status.success(), "round {round}: {}", stderr(&output));
        }
        let winners = winners(place);
        assert!(winners.iter().all(|other| *other == winners[0]), "round {round}: {winners:?}");
        let number: usize = winners[0][8..].parse().unwrap();
        wins[number] += 1;
        let names = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.count(), AT_ONCE + 3, "round {round}: something is left");
    }
    println!("one output: {} builders, {rounds} rounds, wins {wins:?}", rounds * AT_ONCE);
}

/// The campaign is able to fail.
#[test]
fn a_mixed_set_is_seen() {
    let directory = TempDir::new().unwrap();
    let place = directory.path();
    for number in [1, 2] {
        fs::write(place.join("m.yaml"), manifest(number)).unwrap();
        let kept = fs::read(place.join("out.erofs.smbios"));
        assert!(build(place, "m.yaml", "out.erofs").output().unwrap().status.success());
        if let Ok(kept) = kept {
            fs::write(place.join("out.erofs.smbios"), kept).unwrap();
        }
    }
    assert_eq!(winners(place), ["builder-0002", "builder-0001", "builder-0002"]);
}
