//! A naive oracle judges who gets what in random manifests of globs, ranges, `not` and grants.
//!
//! `make test` tries a sample, `make test-fleets` ten thousand. `CREDIMG_FLEET_CASES` is the number
//! of manifests to try, `CREDIMG_SEED` chooses which.

pub(super) mod naive;
mod random;

use std::path::Path;

use credimg::fuzzing;

use crate::formats::generator::Random;

/// What `make test` tries.
const SAMPLE: u64 = 300;

#[test]
fn a_naive_oracle_agrees_on_who_gets_what() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seed = number("CREDIMG_SEED").unwrap_or(18);
    let cases = number("CREDIMG_FLEET_CASES").unwrap_or(SAMPLE);
    let (mut right, mut leaking, mut granted) = (0, 0, 0);
    for case in 0..cases {
        let fleet = random::fleet(&mut Random::new(seed.wrapping_mul(1_000_003) + case));
        let (yaml, path) = (fleet.yaml(), Path::new("fleet.yaml"));
        let what = format!("seed {seed}, case {case}:\n{yaml}");
        let expected = fleet.grants();
        let found = fuzzing::fleet_grants(yaml.as_bytes(), path);
        match (&expected, found) {
            (None, Err(_)) => continue,
            (Some(expected), Ok(found)) => assert_eq!(&found, expected, "{what}"),
            (None, Ok(_)) => panic!("a wrong manifest is taken, {what}"),
            (Some(_), Err(failure)) => panic!("{failure}\n{what}"),
        }
        let isolated = fuzzing::fleet_isolation(yaml.as_bytes(), path);
        assert_eq!(isolated.is_err(), fleet.leaks(), "{isolated:?}, {what}");
        right += 1;
        leaking += u64::from(fleet.leaks());
        let of_all = expected.iter().flatten().map(|(_, got)| got.len() as u64);
        granted += of_all.sum::<u64>();
    }
    println!("seed {seed}: {cases} manifests, {right} right, {leaking} leaking, {granted} grants");
    // The random manifests are of each kind.
    assert!(right > cases / 4 && right < cases, "{right}");
    assert!(leaking > right / 8 && leaking < right - right / 8, "{leaking}");
}
