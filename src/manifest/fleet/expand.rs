//! From the fleet's manifest as typed to that of one machine, as if somebody had typed it.
//!
//! Everything is checked behind this, as in any manifest: a value that stands in the place of a
//! placeholder has no way around a check.

use super::super::mapping::At;
use super::super::node::Text;
use super::super::schema::{
    Attributes, Credential, Encrypt, Entry, FwCfg, Mount, PseudoItem, Typed, XattrValue, Xattrs,
};
use super::super::source::TypedSource;
use super::placeholders::Values;
use super::{Grant, Machine};
use crate::report::{Position, Problems};

/// What is typed for `machine`; `granted` says what of it.
pub(super) fn of_machine(
    typed: &Typed,
    machine: &Machine,
    granted: &impl Fn(&Grant) -> bool,
    problems: &mut Problems,
) -> Typed {
    let values = machine.values();
    let settings = &machine.settings;
    let mut to = Replacing { values, problems };
    let files = typed.files.iter().filter(|it| granted(&it.grant));
    let files = files.filter_map(|it| to.entry(it)).collect();
    let credentials = typed.credentials.iter().filter(|it| granted(&it.grant));
    let credentials = credentials.filter_map(|it| to.credential(it)).collect();
    let fw_cfg = typed.fw_cfg.iter().filter(|it| granted(&it.grant));
    let fw_cfg = fw_cfg.filter_map(|it| to.fw_cfg(it)).collect();
    let pseudo = typed.pseudo.iter().filter(|it| granted(&it.grant)).cloned().collect();
    let pseudo_files = typed.pseudo_files.iter().filter(|it| granted(&it.grant));
    let pseudo_files = pseudo_files.filter_map(|it| to.pseudo_file(it)).collect();
    let label = settings.label.as_ref().or(typed.label.as_ref());
    Typed {
        label: label.and_then(|it| to.text(it)),
        format: settings.format.as_ref().or(typed.format.as_ref()).cloned(),
        format_options: typed.format_options.clone(),
        encrypt: typed.encrypt.as_ref().and_then(|it| to.encrypt(it)),
        defaults: typed.defaults.clone(),
        default_xattrs: typed.default_xattrs.clone(),
        files,
        credentials,
        fw_cfg,
        mount: typed.mount.as_ref().and_then(|it| to.mount(it)),
        pass_env: typed.pass_env.clone(),
        pseudo,
        pseudo_files,
        machines: None,
        output: None,
    }
}

/// Replaces placeholders, and notes what is wrong with them.
struct Replacing<'a> {
    values: Values<'a>,
    problems: &'a mut Problems,
}

impl Replacing<'_> {
    fn text(&mut self, typed: &At<Text>) -> Option<At<Text>> {
        self.problems.keep(self.values.replace(typed))
    }

    /// A text that may be missing; none within where it is faulty, too.
    fn optional(&mut self, typed: Option<&At<Text>>) -> Option<At<Text>> {
        typed.and_then(|typed| self.text(typed))
    }

    fn entry(&mut self, typed: &Entry) -> Option<Entry> {
        let path = self.text(&typed.path);
        let source = self.source(&typed.source);
        let attributes = self.attributes(&typed.attributes);
        let xattrs = typed.xattrs.as_ref().map(|typed| self.xattrs(typed));
        Some(Entry {
            at: typed.at.clone(),
            path: path?,
            source: source?,
            attributes,
            trim: typed.trim.clone(),
            links: typed.links.clone(),
            xattrs,
            xattrs_recursive: typed.xattrs_recursive.clone(),
            grant: typed.grant.of_machine(),
        })
    }

    fn credential(&mut self, typed: &Credential) -> Option<Credential> {
        let (name, source) = (self.text(&typed.name), self.source(&typed.source));
        Some(Credential {
            at: typed.at.clone(),
            name: name?,
            source: source?,
            trim: typed.trim.clone(),
            via: typed.via.clone(),
            grant: typed.grant.of_machine(),
        })
    }

    fn fw_cfg(&mut self, typed: &FwCfg) -> Option<FwCfg> {
        let (name, source) = (self.text(&typed.name), self.source(&typed.source));
        Some(FwCfg {
            at: typed.at.clone(),
            name: name?,
            source: source?,
            trim: typed.trim.clone(),
            grant: typed.grant.of_machine(),
        })
    }

    fn pseudo_file(&mut self, typed: &PseudoItem) -> Option<PseudoItem> {
        let text = self.text(&typed.text)?;
        Some(PseudoItem { text, ..typed.clone() })
    }

    fn attributes(&mut self, typed: &Attributes) -> Attributes {
        Attributes {
            owner: self.optional(typed.owner.as_ref()),
            mode: self.optional(typed.mode.as_ref()),
            dir_mode: self.optional(typed.dir_mode.as_ref()),
            mtime: self.optional(typed.mtime.as_ref()),
        }
    }

    fn xattrs(&mut self, typed: &At<Xattrs>) -> At<Xattrs> {
        let value = match &typed.value {
            Xattrs::None => Xattrs::None,
            Xattrs::Given(pairs) => Xattrs::Given(
                pairs
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), self.xattr(value)?)))
                    .collect(),
            ),
        };
        At { value, at: typed.at.clone() }
    }

    fn xattr(&mut self, typed: &At<XattrValue>) -> Option<At<XattrValue>> {
        let value = match &typed.value {
            XattrValue::Base64(text) => XattrValue::Base64(text.clone()),
            XattrValue::Text(text) => XattrValue::Text(self.plain(text, &typed.at)?),
        };
        Some(At { value, at: typed.at.clone() })
    }

    fn plain(&mut self, text: &Text, at: &Position) -> Option<Text> {
        let replaced = self.values.text(text).map_err(|wrong| wrong.of(text, at));
        self.problems.keep(replaced)
    }

    fn source(&mut self, typed: &At<TypedSource>) -> Option<At<TypedSource>> {
        let At { value, at } = typed;
        let value = match value {
            TypedSource::File(text) => TypedSource::File(self.plain(text, at)?),
            TypedSource::Dir(text) => TypedSource::Dir(self.plain(text, at)?),
            TypedSource::Tar(text) => TypedSource::Tar(self.plain(text, at)?),
            TypedSource::Text(text) => TypedSource::Text(self.plain(text, at)?),
            TypedSource::Base64(text) => TypedSource::Base64(text.clone()),
            TypedSource::Command(words) => {
                let words: Vec<_> = words.iter().map(|word| self.text(word)).collect();
                TypedSource::Command(words.into_iter().collect::<Option<_>>()?)
            }
            // A text that a shell reads has its values in the environment, where no quote in
            // them can do harm.
            TypedSource::Shell(text) => TypedSource::Shell(text.clone()),
            TypedSource::Env(text) => TypedSource::Env(self.plain(text, at)?),
            TypedSource::Symlink(text) => TypedSource::Symlink(self.plain(text, at)?),
        };
        Some(At { value, at: at.clone() })
    }

    fn encrypt(&mut self, typed: &Encrypt) -> Option<Encrypt> {
        let key = match &typed.key {
            Some(key) => Some(self.text(key)?),
            None => None,
        };
        Some(Encrypt { key, ..typed.clone() })
    }

    fn mount(&mut self, typed: &Mount) -> Option<Mount> {
        Some(Mount { path: self.text(&typed.path)?, options: typed.options.clone() })
    }
}
