//! What the writers write: versions that a single look tells from halves of two.

/// Version `number` of a file: the number, over and over.
pub(crate) fn version(number: u64, length: usize) -> Vec<u8> {
    number.to_le_bytes().repeat(length / 8)
}

/// The first `records` records of a log: their numbers.
pub(crate) fn log(records: std::ops::Range<u64>) -> Vec<u8> {
    records.flat_map(u64::to_le_bytes).collect()
}

/// Says what is wrong with bytes that should be one whole version.
pub(crate) fn require_version(bytes: &[u8], length: usize) -> Result<(), String> {
    if bytes.len() != length {
        return Err(format!("{} bytes, expected {length}", bytes.len()));
    }
    // A comparison of memory, as of the file with itself.
    if bytes[8..] == bytes[..length - 8] { Ok(()) } else { Err("halves of two versions".into()) }
}

/// Says what is wrong with bytes that should be the beginning of a log.
pub(crate) fn require_log(bytes: &[u8]) -> Result<(), String> {
    if !bytes.len().is_multiple_of(8) {
        return Err(format!("{} bytes: half a record", bytes.len()));
    }
    let expected = log(0..bytes.len() as u64 / 8);
    if bytes == expected { Ok(()) } else { Err("a record in the wrong place".into()) }
}

#[test]
fn a_torn_version_is_seen() {
    let (old, new) = (version(1, 4000), version(2, 4000));
    assert_eq!(require_version(&new, 4000), Ok(()));
    for cut in [8, 2000, 3992] {
        let torn = [&new[..cut], &old[cut..]].concat();
        assert!(require_version(&torn, 4000).is_err(), "{cut}");
    }
    assert!(require_version(&new[..3000], 4000).is_err());
    assert!(require_version(&[], 4000).is_err());
    assert_eq!(require_log(&log(0..9)), Ok(()));
    assert!(require_log(&log(0..9)[..70]).is_err());
    assert!(require_log(&[log(0..4), vec![0; 8]].concat()).is_err());
}
