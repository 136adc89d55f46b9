//! Pseudo definitions: one in a manifest, and a whole pseudo file.

use std::cell::RefCell;

use credimg::fuzzing;
use credimg::manifest::Manifest;

use super::{Target, messages};

pub const TARGET: Target =
    Target { name: "pseudo", max_bytes: 8192, memory_max_bytes: 64 << 20, run, seeds };

/// How messages call the file.
const FILE: &str = "p.pf";

thread_local! {
    static PLAN: RefCell<Manifest> = RefCell::new(plan());
}

/// A manifest with one definition, which is replaced.
fn plan() -> Manifest {
    let text = b"files:\n- {path: /d/f, text: ''}\npseudo: ['x d 755 0 0']\n";
    credimg::manifest::parse(text, "m.yaml".as_ref()).expect("a good manifest")
}

fn run(data: &[u8]) {
    file(data);
    if let Some(data) = super::amplified(data, 256 << 10) {
        file(&data);
    }
    PLAN.with_borrow_mut(|plan| {
        let definition = plan.pseudo.definitions.first_mut().expect("one definition");
        definition.text = data.into();
        if let Err(failure) = fuzzing::rehearse(plan) {
            // A path in the image is shown on purpose where it collides.
            if failure.message.starts_with("m.yaml:3:") && failure.message.contains(": column ") {
                messages::assert_failure_hides(&failure, data);
            }
        }
    });
}

fn file(data: &[u8]) {
    let outcome = PLAN.with_borrow(|plan| fuzzing::pseudo_file(plan, FILE.as_ref(), data));
    if let Err(failure) = outcome {
        messages::assert_failure_hides(&failure, data);
        messages::assert_places(&failure.message, FILE, data);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = super::contents_below(&["testdata/pseudo"]);
    let definitions = b"d d 755 0 0\nd/f f 400 990 990 echo secret1a\n\"a b\" m 600 0 0\n\
        d/c c 600 0 0 1 3\nd/s s 777 0 0 ../f\nd/i i 600 0 0 s\nd/l l /etc/hostname\n\
        d/f x user.a=0sAAEC\nd/f x security.b=0x00ff\nd/f x user.c=0t\\012\nd/h L d/f\n\
        D D \"2024-02-29 12:34 UTC\" 700 0 0\nE F @1700000000 400 0 0 cat /dev/null\n# end\n\
        G F 1 \\\n 400 0 0 true\n/ d 700 0 0\n";
    seeds.extend(definitions.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
    seeds.push(definitions.to_vec());
    let data = b"/ D 1 755 0 0\na R 1 400 0 0 3 0 0\nb R 1 400 0 0 2 3 1\n#\n\
        # START OF DATA - DO NOT MODIFY\n#\nabcde";
    seeds.push(data.to_vec());
    seeds
}
