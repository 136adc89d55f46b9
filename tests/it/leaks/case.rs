//! One run of the program: its arguments, its files, and what may show.

use std::fmt;

/// Where the secret of a case stands, and so where it may show all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing may show it.
    Secret,
    /// A path, a label or a name: messages about sources and the plan say it. Those about a
    /// manifest that is wrong, of exit code 3, do not.
    Name,
    /// The path of a pseudo definition, by which messages call it.
    Definition,
}

/// One run.
#[derive(Clone)]
pub(crate) struct Case {
    /// For the table of counts.
    pub(crate) group: &'static str,
    /// What is tried, for people.
    pub(crate) what: String,
    /// What is run in place of credimg; it shows secrets on purpose.
    pub(crate) program: Option<&'static str>,
    pub(crate) arguments: Vec<String>,
    /// What the shell does before it becomes the program.
    pub(crate) before: Option<&'static str>,
    /// Files that are written before, in the directory of the run.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
    pub(crate) stdin: Vec<u8>,
    pub(crate) place: Place,
}

/// What people need to try it again, without the bytes of its files.
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, arguments, before, what, .. } = self;
        write!(f, "{group}: {arguments:?} after {before:?}: {what}")
    }
}

impl Case {
    pub(crate) fn new(group: &'static str, what: &str, arguments: &[&str]) -> Self {
        Self {
            group,
            what: what.to_owned(),
            program: None,
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            before: None,
            files: Vec::new(),
            stdin: Vec::new(),
            place: Place::Secret,
        }
    }

    pub(crate) fn file(mut self, name: &'static str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((name, content.into()));
        self
    }

    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}

/// What a word is replaced by to bring a secret into its place: as it is, quoted, cut, with
/// signs that parsers stumble over and quote in their own errors.
pub(crate) fn forms(word: &str, canary: &str) -> Vec<Vec<u8>> {
    let plain = word.trim_matches(['"', '\'']);
    let mut forms: Vec<Vec<u8>> = [
        canary.to_owned(),
        format!("\"{canary}\""),
        format!("'{canary}'"),
        format!("\"{plain}{canary}\""),
        format!("\"{canary}{plain}\""),
        format!("\"/{canary}\""),
        format!("\"../{canary}/..\""),
        format!("\"{canary}/\""),
        format!("\"\\q{canary}\""),
        format!("\"\\x{canary}\""),
        format!("\"\\u00{canary}\""),
        format!("\"{canary}\\0{canary}\""),
        format!("\"{canary}\\n{canary}\""),
        format!("\"{canary}\\e[2J\""),
        format!("\"{canary}"),
        format!("'{canary}"),
        format!("[{canary}]"),
        format!("[{canary}"),
        format!("{{{canary}: {canary}}}"),
        format!("{{{canary}"),
        format!("{canary}: {canary}"),
        format!("!{canary} x"),
        format!("!!{canary} x"),
        format!("!<{canary}> x"),
        format!("&{canary} x"),
        format!("*{canary}"),
        format!("|{canary}"),
        format!(">9{canary}\n {canary}"),
        format!("@{canary}"),
        format!("`{canary}"),
        format!("%{canary}"),
        format!("- {canary}"),
        format!("? {canary}"),
        format!("\t{canary}"),
        format!("0x{canary}"),
        format!("1{canary}"),
        format!("-{canary}"),
        format!("~{canary}"),
        format!("\"{canary},{canary}=1\""),
        format!("\"{canary}:{canary}\""),
        format!("\"${{{canary}}}\""),
        format!("\"{} {canary}\"", "x".repeat(300)),
        format!("{canary}\n---\n{canary}"),
        format!("{canary}\n...\n{canary}"),
        format!("x\n{canary}"),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect();
    forms.push([canary.as_bytes(), b"\xff"].concat());
    forms.push([canary.as_bytes(), b"\0"].concat());
    forms.push([canary.as_bytes(), b"\x07"].concat());
    forms
}
