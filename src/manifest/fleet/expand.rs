//! Makes the manifest of one machine from that of a fleet, as if somebody had typed it.
//!
//! Everything is checked after this, as in any manifest, so no value of a placeholder gets around a
//! check.

use super::super::mapping::At;
use super::super::node::{MANIFEST_MAX_BYTES, Text};
use super::super::schema::{
    Attributes, Credential, Encrypt, Entry, FwCfg, Mount, PseudoItem, Typed, XattrValue, Xattrs,
};
use super::super::source::TypedSource;
use super::item::TypedItem;
use super::placeholders::{Values, Wrong};
use super::{Machine, definition, label};
use crate::report::{Position, Problems};

/// What each text counts besides its length, as it takes time whatever it holds.
const TEXT_BYTES: usize = 64;

/// Most bytes of one machine's manifest: more than may be typed.
pub(super) const MACHINE_MAX_BYTES: usize = 4 * MANIFEST_MAX_BYTES;

/// The manifest of one machine as typed, and about how many bytes it has.
pub(super) struct Expanded {
    pub(super) typed: Typed,
    pub(super) bytes: usize,
}

/// The manifest as typed for `machine`, with these `items` of the fleet. Without a machine only
/// those problems are noted that every machine would have.
pub(super) fn of_machine(
    typed: &Typed,
    machine: Option<&Machine>,
    items: impl Iterator<Item = usize>,
    problems: &mut Problems,
) -> Expanded {
    let settings = machine.map(|machine| &machine.settings);
    let values = machine.map_or(Values::ANY, Machine::values);
    let mut to = Replacing { values, problems, bytes: 0 };
    let (mut files, mut credentials, mut fw_cfg) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pseudo, mut pseudo_files) = (Vec::new(), Vec::new());
    for item in items.filter_map(|item| typed.item(item)) {
        match item {
            TypedItem::File(typed) => files.extend(to.entry(typed)),
            TypedItem::Credential(typed) => credentials.extend(to.credential(typed)),
            TypedItem::FwCfg(typed) => fw_cfg.extend(to.fw_cfg(typed)),
            TypedItem::Pseudo(typed) => pseudo.extend(to.definition(typed)),
            TypedItem::PseudoFile(typed) => pseudo_files.extend(to.pseudo_file(typed)),
        }
    }
    let own_label = settings.and_then(|settings| settings.label.as_ref());
    let (label, label_is_made) = to.label(own_label.or(typed.label.as_ref()), machine);
    let own_format = settings.and_then(|settings| settings.format.as_ref());
    let attributes = &typed.defaults;
    let defaults = Attributes {
        owner: to.copy(attributes.owner.as_ref()),
        mode: to.copy(attributes.mode.as_ref()),
        dir_mode: to.copy(attributes.dir_mode.as_ref()),
        mtime: to.copy(attributes.mtime.as_ref()),
    };
    let pass_env = typed.pass_env.iter().filter_map(|it| to.copy(Some(it))).collect();
    let typed = Typed {
        label,
        label_is_made,
        format: to.copy(own_format.or(typed.format.as_ref())),
        format_options: typed.format_options.clone(),
        encrypt: typed.encrypt.as_ref().and_then(|it| to.encrypt(it)),
        verity: typed.verity.clone(),
        defaults,
        default_xattrs: typed.default_xattrs.as_ref().map(|it| to.default_xattrs(it)),
        files,
        credentials,
        fw_cfg,
        mount: typed.mount.as_ref().and_then(|it| to.mount(it)),
        pass_env,
        pseudo,
        pseudo_files,
        machines: None,
        output: None,
    };
    Expanded { typed, bytes: to.bytes }
}

/// Replaces placeholders, and notes wrong ones.
struct Replacing<'a> {
    values: Values<'a>,
    problems: &'a mut Problems,
    /// About how many bytes the manifest has so far.
    bytes: usize,
}

impl Replacing<'_> {
    fn text(&mut self, typed: &At<Text>) -> Option<At<Text>> {
        Some(At { value: self.plain(&typed.value, &typed.at)?, at: typed.at.clone() })
    }

    fn plain(&mut self, text: &Text, at: &Position) -> Option<Text> {
        if self.bytes > MACHINE_MAX_BYTES {
            // A manifest that is too large is refused elsewhere.
            return None;
        }
        let replaced = self.values.text(text);
        self.counted(replaced, text, at)
    }

    fn counted(
        &mut self,
        replaced: Result<Text, Wrong>,
        text: &Text,
        at: &Position,
    ) -> Option<Text> {
        let replaced = self.problems.keep(replaced.map_err(|wrong| wrong.of(text, at)))?;
        self.bytes += replaced.len() + TEXT_BYTES;
        Some(replaced)
    }

    /// A text in which nothing is replaced.
    fn copy(&mut self, typed: Option<&At<Text>>) -> Option<At<Text>> {
        let typed = typed?;
        self.bytes += typed.value.len() + TEXT_BYTES;
        Some(typed.clone())
    }

    fn as_is(&mut self, text: &Text) -> Text {
        self.bytes += text.len() + TEXT_BYTES;
        text.clone()
    }

    /// A text that may be missing. None where it is missing or faulty.
    fn optional(&mut self, typed: Option<&At<Text>>) -> Option<At<Text>> {
        typed.and_then(|typed| self.text(typed))
    }

    /// The label, and whether it is made of the machine's name or variables.
    fn label(
        &mut self,
        typed: Option<&At<Text>>,
        machine: Option<&Machine>,
    ) -> (Option<At<Text>>, bool) {
        let Some(typed) = typed else { return (machine.map(label::standard), true) };
        let is_made = label::is_made(&typed.value);
        let text = self.text(typed).map(|At { value, at }| {
            let value = if is_made { label::fitted(&value) } else { value };
            At { value, at }
        });
        (text, is_made)
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
            links: self.copy(typed.links.as_ref()),
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
            via: self.copy(typed.via.as_ref()),
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
        Some(pseudo(typed, text))
    }

    fn definition(&mut self, typed: &PseudoItem) -> Option<PseudoItem> {
        let At { value, at } = &typed.text;
        let replaced = definition::replace(&self.values, value);
        let value = self.counted(replaced, value, at)?;
        Some(pseudo(typed, At { value, at: at.clone() }))
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
            Xattrs::Given(pairs) => {
                let pair = |(name, value): &_| Some((self.copy(Some(name))?, self.xattr(value)?));
                Xattrs::Given(pairs.iter().filter_map(pair).collect())
            }
        };
        At { value, at: typed.at.clone() }
    }

    fn xattr(&mut self, typed: &At<XattrValue>) -> Option<At<XattrValue>> {
        let value = match &typed.value {
            XattrValue::Base64(text) => XattrValue::Base64(self.as_is(text)),
            XattrValue::Text(text) => XattrValue::Text(self.plain(text, &typed.at)?),
        };
        Some(At { value, at: typed.at.clone() })
    }

    /// Attributes of everything, in which nothing is replaced.
    fn default_xattrs(&mut self, typed: &At<Xattrs>) -> At<Xattrs> {
        if let Xattrs::Given(pairs) = &typed.value {
            let bytes = |(name, value): &(At<Text>, At<XattrValue>)| {
                name.value.len() + value.value.text().len() + 2 * TEXT_BYTES
            };
            self.bytes += pairs.iter().map(bytes).sum::<usize>();
        }
        typed.clone()
    }

    fn source(&mut self, typed: &At<TypedSource>) -> Option<At<TypedSource>> {
        let At { value, at } = typed;
        let value = match value {
            TypedSource::File(text) => TypedSource::File(self.plain(text, at)?),
            TypedSource::Dir(text) => TypedSource::Dir(self.plain(text, at)?),
            TypedSource::Tar(text) => TypedSource::Tar(self.plain(text, at)?),
            TypedSource::Text(text) => TypedSource::Text(self.plain(text, at)?),
            TypedSource::Base64(text) => TypedSource::Base64(self.as_is(text)),
            TypedSource::Command(words) => {
                let words: Vec<_> = words.iter().map(|word| self.text(word)).collect();
                TypedSource::Command(words.into_iter().collect::<Option<_>>()?)
            }
            // A script gets its values by the environment, where no quote in them can do harm.
            TypedSource::Shell(text) => TypedSource::Shell(self.as_is(text)),
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
        let luks = self.copy(Some(&typed.luks))?;
        let sector_size = self.copy(typed.sector_size.as_ref());
        Some(Encrypt { at: typed.at.clone(), luks, key, sector_size })
    }

    fn mount(&mut self, typed: &Mount) -> Option<Mount> {
        let options = self.copy(typed.options.as_ref());
        Some(Mount { path: self.text(&typed.path)?, options })
    }
}

fn pseudo(typed: &PseudoItem, text: At<Text>) -> PseudoItem {
    let grant = typed.grant.of_machine();
    PseudoItem { at: typed.at.clone(), text, is_plain: typed.is_plain, grant }
}
