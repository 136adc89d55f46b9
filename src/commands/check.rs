//! `credimg check`: what a build would make, without running a command or
//! opening a source.

use credimg_formats::Timestamp;
use unicode_width::UnicodeWidthStr;

use super::{print, settings};
use crate::cli::Check;
use crate::manifest::{self, Attributes, Entry, Keep, Plan, Source, time};
use crate::source::pseudo::{self, Action, Definition, Definitions, New};

/// Mode of every symbolic link.
const SYMLINK_MODE: u16 = 0o777;
/// The time of the build itself.
const BUILD: &str = "build";
/// What a definition says nothing about.
const NONE: &str = "-";

pub(super) fn run(options: &Check) -> anyhow::Result<()> {
    let mut plan = manifest::load(&options.manifest)?;
    plan.pseudo.files.extend(settings::pseudo_files(&options.sources));
    if let Some(format) = plan.format {
        settings::require_label_fits(&plan, format, plan.joliet)?;
    }
    let definitions = pseudo::load(&plan)?;
    pseudo::require_allowed(settings::policy(&options.sources), &plan, &definitions)?;
    print(table(&plan, &definitions).as_bytes())
}

/// The plan as aligned columns, one line an entry in the manifest's order, then
/// one line a pseudo definition: path, kind of source, mode, owner and, where any entry sets one, time. The
/// mode of `dir` and `tar` entries is that of files, a slash, that of
/// directories. Never content, host paths, arguments or link targets.
pub fn table(plan: &Plan, definitions: &Definitions) -> String {
    let mut rows = vec![["PATH", "SOURCE", "MODE", "OWNER", "MTIME"].map(str::to_owned)];
    rows.extend(plan.entries.iter().map(row));
    rows.extend(definitions.iter().map(pseudo_row));
    let has_mtime = rows.iter().skip(1).any(|[.., mtime]| mtime != BUILD && mtime != NONE);
    let columns = if has_mtime { 5 } else { 4 };
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut table = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            // The formatter would count characters, of which some are two columns wide.
            format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
        });
        table.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        table.push('\n');
    }
    table
}

fn row(entry: &Entry) -> [String; 5] {
    let Attributes { mode, dir_mode, owner, mtime, .. } = &entry.attributes;
    let mode = match entry.source {
        Source::Dir(_) | Source::Tar(_) => format!("{}/{}", octal(*mode), octal(*dir_mode)),
        Source::Symlink(_) => octal(Keep::Set(SYMLINK_MODE)),
        _ => octal(*mode),
    };
    let owner = match owner {
        Keep::Keep => "keep".to_owned(),
        Keep::Set((uid, gid)) => format!("{uid}:{gid}"),
    };
    let mtime = match mtime {
        Keep::Keep => "keep".to_owned(),
        Keep::Set(None) => BUILD.to_owned(),
        Keep::Set(Some(Timestamp { seconds, .. })) => time::show(*seconds),
    };
    [entry.path.to_string(), entry.source.kind().to_owned(), mode, owner, mtime]
}

fn pseudo_row(definition: &Definition) -> [String; 5] {
    let Definition { path, action, .. } = definition;
    let source = format!("pseudo {}", action.letter());
    let [mode, owner, mtime] = match (action, action.attributes()) {
        (_, Some(pseudo::Attributes { mode, owner: (uid, gid), mtime })) => {
            let is_symlink = matches!(action, Action::Make(_, New::Symlink(_)));
            let mode = if is_symlink { SYMLINK_MODE } else { *mode };
            let without = if matches!(action, Action::Modify(_)) { NONE } else { BUILD };
            let mtime = mtime.map_or(without.to_owned(), |mtime| time::show(mtime.seconds));
            [octal(Keep::Set(mode)), format!("{uid}:{gid}"), mtime]
        }
        (Action::HostFile(_), None) => ["keep"; 3].map(str::to_owned),
        _ => [NONE; 3].map(str::to_owned),
    };
    [path.to_string(), source, mode, owner, mtime]
}

fn octal(mode: Keep<u16>) -> String {
    match mode {
        Keep::Keep => "keep".to_owned(),
        Keep::Set(mode) => format!("{mode:04o}"),
    }
}
