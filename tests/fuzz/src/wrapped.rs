//! Wrapped secrets of QEMU, as text and back.

use std::cell::OnceCell;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credimg::fuzzing;
use credimg::keys::wrap::{MasterKey, Wrapped};
use credimg::monitors::DriveId;
use credimg::monitors::qemu::secrets;
use credimg_formats::Secret;

use super::Target;

pub const TARGET: Target =
    Target { name: "wrapped", max_bytes: 2048, memory_max_bytes: 4 << 20, run, seeds };

thread_local! {
    static MASTER: OnceCell<MasterKey> = const { OnceCell::new() };
}

fn run(data: &[u8]) {
    if let Some(wrapped) = fuzzing::wrapped(data) {
        open(&wrapped);
        // Only base64 is promised to come back from options.
        if STANDARD.decode(&wrapped.iv).is_ok() && STANDARD.decode(&wrapped.data).is_ok() {
            come_back(&wrapped);
        }
    }
    let (iv, rest) = data.split_at(data.len().min(16));
    let wrapped = Wrapped { iv: STANDARD.encode(iv), data: STANDARD.encode(rest) };
    open(&wrapped);
    come_back(&wrapped);
}

fn open(wrapped: &Wrapped) {
    let opened = MASTER.with(|master| {
        let key = || MasterKey::new(Secret::new(vec![7; 32])).expect("32 bytes");
        master.get_or_init(key).unwrap(wrapped)
    });
    // A block of padding at least.
    assert!(opened.is_none_or(|secret| secret.len() < wrapped.data.len()));
}

/// What is printed is read again.
fn come_back(wrapped: &Wrapped) {
    let [id, keyid] = ["a", "b"].map(|id| DriveId::new(id).expect("an id"));
    let texts = [secrets::wrapped_option, secrets::wrapped_json];
    for text in texts.map(|print| print(&id, &keyid, wrapped)) {
        assert_eq!(fuzzing::wrapped(&text).as_ref(), Some(wrapped));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let wrapped = Wrapped {
        iv: "AAECAwQFBgcICQoLDA0ODw==".to_owned(),
        data: "9YxMBNbl8bp3nqv7X3v71g==".to_owned(),
    };
    let [id, keyid] = ["id", "keyid"].map(|id| DriveId::new(id).expect("an id"));
    let option = secrets::wrapped_option(&id, &keyid, &wrapped);
    let json = secrets::wrapped_json(&id, &keyid, &wrapped);
    vec![option, json, b"-object 'secret,data=ZGE+dGE=,iv=aXY='".to_vec()]
}
