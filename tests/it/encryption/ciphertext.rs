//! Two builds of the same have nothing in common but their plaintext.

use std::collections::HashSet;

use super::*;

/// The blocks of AES in what is not zero.
fn blocks(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.chunks_exact(16).filter(|block| *block != [0; 16]).collect()
}

#[test]
fn the_same_plaintext_is_never_encrypted_alike() {
    let manifest = "label: CHIMERA\nfiles: [{path: /zeros, file: zeros}, {path: /a, text: x}]\n";
    let host = host(manifest);
    // Too large for memory, and a hole: it is encrypted like everything else.
    File::create(host.path("zeros")).unwrap().set_len((1 << 20) + 5000).unwrap();
    // Behind what a header says of itself: the areas of key material, and the payload.
    for (version, header_bytes, payload_bytes) in
        [("luks1", 4096, 2 << 20), ("luks2", 32768, 1 << 20)]
    {
        let images = ["a.erofs", "b.erofs"].map(|image| {
            let mut command = host.credimg();
            command.env("SOURCE_DATE_EPOCH", "0").args(["build", "secrets.yaml", "-o", image]);
            command.args(["--uuid", UUID, "--encrypt", version, "--key-file", "key"]);
            assert_done(&command.output().unwrap());
            fs::read(host.path(image)).unwrap()
        });
        let [first, second] = images.each_ref().map(Vec::as_slice);
        let plain = open(first, KEY).unwrap();
        assert!(plain == open(second, KEY).unwrap(), "{version}");
        assert_eq!(plain.len(), first.len() - payload_bytes);
        let payload = blocks(&first[payload_bytes..]);
        assert_eq!(payload.len(), plain.len() / 16, "a block of ciphertext is zero");
        let material = blocks(&first[header_bytes..payload_bytes]);
        assert!(material.len() >= 4000 * 64 / 16, "{}", material.len());
        // Within one image the sector and the place in it tell equal blocks apart.
        let all: HashSet<_> = payload.iter().chain(&material).copied().collect();
        assert_eq!(all.len(), payload.len() + material.len(), "{version}");
        let shared = blocks(&second[header_bytes..]).into_iter().find(|block| all.contains(block));
        assert_eq!(shared, None, "{version}");
        assert_salts_differ(version, first, second);
    }
}

/// Salts and digests, by their offsets in the header (LUKS1 On-Disk Format, 3.1; LUKS2, 3).
fn assert_salts_differ(version: &str, first: &[u8], second: &[u8]) {
    if version == "luks1" {
        for range in [112..132, 132..164, 168..204, 216..248] {
            assert_ne!(first[range.clone()], second[range]);
        }
        return;
    }
    let json = |image: &[u8]| -> serde_json::Value {
        let text = image[4096..16384].split(|byte| *byte == 0).next().unwrap();
        serde_json::from_slice(text).unwrap()
    };
    let [first, second] = [first, second].map(json);
    for pointer in ["/keyslots/0/kdf/salt", "/digests/0/salt", "/digests/0/digest"] {
        let [first, second] = [&first, &second].map(|json| json.pointer(pointer).unwrap());
        assert!(first.is_string());
        assert_ne!(first, second, "{pointer}");
    }
}
