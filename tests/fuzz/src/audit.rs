//! The audit's lexers: the kind of a text is told by its content, so any text will do.

use credimg::audit;

use super::Target;

pub const TARGET: Target =
    Target { name: "audit", max_bytes: 8192, memory_max_bytes: 64 << 20, run, seeds };

fn run(data: &[u8]) {
    one(data);
    if let Some(data) = super::amplified(data, 256 << 10) {
        one(&data);
    }
}

fn one(data: &[u8]) {
    let judgement = audit::audit(data);
    let lines: Vec<usize> = data
        .split(|byte| matches!(byte, b'\n' | 0))
        .map(|line| line.iter().filter(|byte| **byte & 0xc0 != 0x80).count())
        .collect();
    // A NUL ends a line in the arguments of a process alone.
    let has_nul = data.contains(&0);
    for finding in &judgement.findings {
        let length = lines.get(finding.line - 1).copied();
        assert!(length.is_some(), "{finding:?} is on none of {} lines", lines.len());
        assert!(has_nul || (1..=length.unwrap_or(0) + 1).contains(&finding.column), "{finding:?}");
    }
    assert!(judgement.findings.is_sorted());
    assert!(judgement.unknown_rules.iter().all(|line| *line <= lines.len()));
    audit::is_text(data);
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = super::contents_below(&["testdata/audit", "testdata/targets"]);
    // Arguments of a process.
    seeds.push(b"qemu-system-x86_64\0-smbios\0type=11,value=io.systemd.credential:a=b\0".to_vec());
    // An entry of the journal whose field has a binary length.
    let mut entry = b"__CURSOR=s\nMESSAGE\n".to_vec();
    entry.extend(24_u64.to_le_bytes());
    entry.extend(b"curl -u user:hunter2 a.b\n\n_COMM=sh\n");
    seeds.push(entry);
    seeds
}
