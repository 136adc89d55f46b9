//! Fleets: each machine has an initrd of its own, with nothing of another one in it.

use super::guests::{DRACUT, write};
use crate::support::host::{Host, stderr};

const FLEET: &str = "machines: {one: {}, two: {}}\nlabel: '{machine}'\ncredentials:\n\
                     - {name: a, text: of-one, via: initrd, to: one}\n\
                     - {name: a, text: of-two, via: initrd, to: two}\n";

#[test]
fn each_machine_has_an_initrd_of_its_own() {
    let host = Host::empty();
    host.write("fleet.yaml", FLEET);
    let own = write(&host, DRACUT, &["zstd", "-qc"]);
    std::fs::copy(host.path("guest.img"), host.path("one.img")).unwrap();
    std::fs::copy(host.path("guest.img"), host.path("two.img")).unwrap();
    for initrd in ["guest.img", "{machine}.img"] {
        let mut build = host.credimg();
        build.args(["fleet", "build", "fleet.yaml", "-q", "-o", "{machine}.erofs"]);
        let output = build.args(["--initrd", initrd]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        for (machine, other) in [("one", "two"), ("two", "one")] {
            let made = host.read(&format!("{machine}.erofs.initrd"));
            assert!(made.starts_with(&own), "{machine}");
            let holds = |text: String| made.windows(text.len()).any(|it| it == text.as_bytes());
            assert!(holds(format!("of-{machine}")) && !holds(format!("of-{other}")), "{machine}");
        }
    }
}
