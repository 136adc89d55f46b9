//! A secret that an image holds, sound or damaged: whatever looks inside says nothing of it.

use crate::leaks::canary::SCALAR;
use crate::leaks::case::Case;

/// What makes the image, and perhaps damages it: first of all names, superblocks and tables.
const IMAGES: [&str; 9] = [
    "\"$0\" build m.yaml -q -o i.erofs --args none >/dev/null 2>&1; mv i.erofs i",
    "\"$0\" build m.yaml -q -o i.sqfs --args none >/dev/null 2>&1; mv i.sqfs i",
    "\"$0\" build m.yaml -q -o i.iso --args none >/dev/null 2>&1; mv i.iso i",
    "\"$0\" build m.yaml -q -o i.erofs --args none >/dev/null 2>&1; mv i.erofs i; \
     printf '\\7' | dd of=i bs=1 seek=1100 conv=notrunc 2>/dev/null",
    "\"$0\" build m.yaml -q -o i.erofs --args none >/dev/null 2>&1; mv i.erofs i; \
     printf '\\7' | dd of=i bs=1 seek=1300 conv=notrunc 2>/dev/null",
    "\"$0\" build m.yaml -q -o i.sqfs --args none >/dev/null 2>&1; mv i.sqfs i; \
     printf '\\7' | dd of=i bs=1 seek=140 conv=notrunc 2>/dev/null",
    "\"$0\" build m.yaml -q -o i.sqfs --args none >/dev/null 2>&1; mv i.sqfs i; \
     printf '\\7' | dd of=i bs=1 seek=300 conv=notrunc 2>/dev/null",
    "\"$0\" build m.yaml -q -o i.iso --args none >/dev/null 2>&1; mv i.iso i; \
     printf '\\7' | dd of=i bs=1 seek=38920 conv=notrunc 2>/dev/null",
    "\"$0\" build m.yaml -q -o i.iso --args none >/dev/null 2>&1; mv i.iso i; \
     truncate -s -3000 i",
];

const COMMANDS: [&[&str]; 11] = [
    &["inspect", "i", "--json"],
    &["verify", "i"],
    &["verify", "i", "--json"],
    &["verify", "i", "--manifest", "o.yaml"],
    &["verify", "i", "--manifest", "o.yaml", "--json"],
    &["diff", "i", "i"],
    &["diff", "i", "i", "--json"],
    &["dump", "i"],
    &["dump", "i", "--no-digests"],
    &["ls", "-lR", "i"],
    &["build", "m.yaml", "-o", "out/i.erofs", "--verify"],
];

pub(crate) fn cases() -> Vec<Case> {
    let manifest = |secret: &str| {
        format!(
            "files:\n- {{path: /t, text: {secret}}}\n\
             - {{path: /x, text: y, xattrs: {{user.a: {secret}}}}}\n"
        )
    };
    let mut cases = Vec::new();
    for before in IMAGES {
        for command in COMMANDS {
            let what = format!("{command:?} of what {before} makes");
            let mut case = Case::new("looked", &what, command).file("m.yaml", manifest(SCALAR));
            case.before = Some(before);
            cases.push(case.file("o.yaml", manifest("another")));
        }
    }
    cases
}
