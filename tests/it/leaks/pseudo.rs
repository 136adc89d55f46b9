//! A secret in place of each word of pseudo definitions.

use crate::leaks::canary::{BESIDE, SCALAR};
use crate::leaks::case::{Case, Place, forms};

/// A definition of each type.
const DEFINITIONS: &[&str] = &[
    "/n d 755 0 0",
    "/n f 400 0 0 ./probe BESIDE",
    "/n F 1700000000 400 0 0 ./probe BESIDE",
    "/n F \"2024-02-29 12:00\" 400 0 0 ./probe BESIDE",
    "/n s 777 0 0 BESIDE",
    "/n S 5 777 0 0 BESIDE",
    "/n b 600 0 0 8 1",
    "/n C 5 600 0 0 8 1",
    "/n i 600 0 0 f",
    "/n I 5 600 0 0 s",
    "/n l keys/host",
    "/n h keys/host",
    "/n M 5 500 0 0",
    "/t x user.a=0t\\163BESIDE",
    "/t x user.a=0sQUJD",
    "/t x security.b=0xff00",
    "/n R 5 400 0 0 4 0 0",
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for definition in DEFINITIONS {
        let definition = definition.replace("BESIDE", BESIDE);
        let mut start = 0;
        for (index, word) in definition.split(' ').enumerate() {
            let end = start + word.len();
            // Messages name paths of the image and of the host, and programs.
            let place = match word {
                _ if index == 0 => Place::Definition,
                "keys/host" | "./probe" => Place::Name,
                _ => Place::Secret,
            };
            for form in forms(word, SCALAR) {
                let before = definition.get(..start).unwrap().as_bytes();
                let broken = [before, &form, definition.get(end..).unwrap().as_bytes()].concat();
                let arguments: &[&str] = if cases.len() % 2 == 0 {
                    &["check", "m.yaml", "--allow-devices"]
                } else {
                    &["build", "m.yaml", "-o", "out/i.sqfs", "--allow-devices"]
                };
                let what = String::from_utf8_lossy(&broken).into_owned();
                let manifest =
                    format!("files: [{{path: /t, text: {BESIDE}}}]\npseudo_files: [p]\n");
                let case = Case::new("pseudo", &what, arguments).file("m.yaml", manifest);
                cases.push(case.file("p", [&broken[..], b"\n"].concat()).at(place));
            }
            start = end + 1;
        }
    }
    cases
}
