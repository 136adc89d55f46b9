//! What cloud-init would make of user-data.

use credimg::fuzzing;

use super::{Target, messages};

pub const TARGET: Target = Target {
    name: "user_data",
    max_bytes: 8192,
    // What is looked at of what is packed, and its text.
    memory_max_bytes: 64 << 20,
    run,
    seeds,
};

fn run(data: &[u8]) {
    if let Some(fault) = fuzzing::user_data(data) {
        messages::assert_hides(fault, data);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = super::contents_below(&["docs/examples/debian-cloud-image/user-data"]);
    for text in [
        "#cloud-config\nusers: []\n",
        "#!/bin/sh\n",
        "## template: jinja\n#cloud-config\n",
        "#include\nhttps://a\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\n",
        "From a\nMIME-Version: 1\n\n#!x",
        "#ps1\n",
        "\u{feff}#cloud-config\n",
        "#Cloud-Config\n",
        "  #!sh",
    ] {
        seeds.push(text.into());
    }
    seeds.push(
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x53\x56\xd4\x4f\xca\xcc\xd3\x2f\xce\xe0\x02\0".to_vec(),
    );
    seeds
}
