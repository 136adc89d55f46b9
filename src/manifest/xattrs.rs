//! What `xattrs` means, of an entry and of `defaults`.

use credimg_formats::xattrs::Holder;
use credimg_formats::{Secret, Xattrs};

use super::error::Fault;
use super::mapping::At;
use super::node::Text;
use super::schema::{self, XattrValue};
use super::{resolve, values};
use crate::report::{Position, Problems};

/// Most bytes of names and values that go to many inodes: each has them in memory and, on
/// EROFS, on the disk.
const SHARED_MAX_BYTES: usize = 512;

/// What an entry says of extended attributes.
pub(super) struct Resolved {
    pub(super) xattrs: Xattrs,
    /// Whether an archive's own are kept.
    pub(super) keeps_archive: bool,
}

/// The attributes given, each of which `holder` can have. `is_archive` says whether there are
/// others to leave out.
pub(super) fn resolve(
    typed: Option<At<schema::Xattrs>>,
    holder: Holder,
    is_archive: bool,
    problems: &mut Problems,
) -> Resolved {
    match typed {
        None => Resolved { xattrs: Xattrs::new(), keeps_archive: true },
        Some(At { value: schema::Xattrs::Given(typed), .. }) => {
            Resolved { xattrs: given(&typed, holder, problems), keeps_archive: true }
        }
        Some(At { value: schema::Xattrs::None, at }) => {
            if !is_archive {
                let fault = Fault::new("`none` is for `tar` sources only");
                let hint = "it leaves out what an archive has; other sources bring none along";
                problems.note(fault.hint(hint).at(&at));
            }
            Resolved { xattrs: Xattrs::new(), keeps_archive: false }
        }
    }
}

/// Notes attributes for many inodes that are too long for that; `at` says what gives them.
pub(super) fn require_short(xattrs: &Xattrs, at: Option<&Position>, problems: &mut Problems) {
    let lengths = xattrs.iter().map(|(name, value)| name.len() + value.len());
    let total_bytes: usize = lengths.sum();
    if let Some(at) = at.filter(|_| total_bytes > SHARED_MAX_BYTES) {
        let fault = Fault::new(format!(
            "expected at most {SHARED_MAX_BYTES} bytes of names and values, got {total_bytes}"
        ));
        problems.note(fault.hint("every file gets them: long ones go to single entries").at(at));
    }
}

fn given(typed: &[(At<Text>, At<XattrValue>)], holder: Holder, problems: &mut Problems) -> Xattrs {
    let mut xattrs = Xattrs::new();
    for (name, value) in typed {
        let outcome = resolve::checked(name, |text| {
            let name = values::xattr_name(text)?;
            match holder.fault(&name) {
                Some(fault) => Err(Fault::new(fault)),
                None if xattrs.contains_key(&name) => {
                    Err(Fault::new("an attribute is given twice"))
                }
                None => Ok(name),
            }
        });
        let fault_at = |fault: Fault| fault.at(&value.at);
        let bytes = match &value.value {
            XattrValue::Text(text) => Ok(Secret::from(text.as_bytes())),
            XattrValue::Base64(text) => values::base64(text),
        };
        let name = problems.keep(outcome);
        // Without a valid name only the length of the value can be checked.
        let of = name.as_deref().unwrap_or_default();
        let bytes = bytes.and_then(|bytes| values::xattr_value(of, bytes)).map_err(fault_at);
        if let (Some(name), Some(bytes)) = (name, problems.keep(bytes)) {
            xattrs.insert(name, bytes);
        }
    }
    xattrs
}
