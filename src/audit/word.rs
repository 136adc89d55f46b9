//! Text that remembers where it stood in the file: what the lexers give and the
//! rules judge.

use std::cell::Cell;

/// Words that one command may have before it is judged in parts, which bounds
/// the memory that a hostile file can ask for.
const WORDS_MAX: usize = 4096;

/// A piece of text, its quotes and escapes removed. There is no `Debug`: what it
/// holds may be a secret.
#[derive(Clone, Default)]
pub(super) struct Word {
    bytes: Vec<u8>,
    /// Where contiguous runs begin: index into `bytes`, offset in the file. The
    /// first run, which most words have alone, stands apart.
    start: usize,
    runs: Vec<Run>,
    /// The run that was looked up last: most often the next one is wanted next.
    latest: Cell<u32>,
}

/// Where a contiguous run begins. A file that is looked at is far smaller than 4 GiB.
#[derive(Clone, Copy)]
struct Run {
    index: u32,
    offset: u32,
}

impl Run {
    fn new(index: usize, offset: usize) -> Self {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { index: narrow(index), offset: narrow(offset) }
    }

    fn index(self) -> usize {
        self.index as usize
    }

    fn offset(self) -> usize {
        self.offset as usize
    }
}

impl Word {
    /// An empty word at an offset of the file.
    pub(super) fn at(offset: usize) -> Self {
        Self { start: offset, ..Self::default() }
    }

    /// Adds a byte that stands at `offset` of the file.
    pub(super) fn push(&mut self, byte: u8, offset: usize) {
        let last = self.runs.last().map(|run| (run.index(), run.offset()));
        let (index, begin) = last.unwrap_or((0, self.start));
        if begin + (self.bytes.len() - index) != offset {
            if self.bytes.is_empty() {
                self.start = offset;
            } else {
                make_room(&mut self.runs);
                self.runs.push(Run::new(self.bytes.len(), offset));
            }
        }
        make_room(&mut self.bytes);
        self.bytes.push(byte);
    }

    /// Adds bytes that stand for something at `offset` of the file.
    pub(super) fn push_all(&mut self, bytes: &[u8], offset: usize) {
        for (index, byte) in bytes.iter().enumerate() {
            self.push(*byte, offset + index);
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn text(&self) -> Text<'_> {
        let runs = Runs { all: &self.runs, latest: Some(&self.latest) };
        Text { bytes: &self.bytes, from: 0, start: self.start, runs }
    }
}

/// Lets a long list grow by a quarter, where it would double: several that are as long as
/// a file may stand within one another.
fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() && list.len() >= 1 << 16 {
        list.reserve_exact(list.len() / 4);
    }
}

/// Borrowed text that knows where it stands: a whole file, a word, or a part of either.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// Index of the first byte in what `runs` speak of.
    from: usize,
    start: usize,
    runs: Runs<'a>,
}

/// The runs of a text but the first; a whole file has no others.
#[derive(Clone, Copy)]
struct Runs<'a> {
    all: &'a [Run],
    latest: Option<&'a Cell<u32>>,
}

impl Runs<'_> {
    /// The last run that begins at `index` or before.
    fn find(&self, index: usize) -> Option<Run> {
        let latest = self.latest?;
        let holds = |number: usize| {
            let run = self.all.get(number).filter(|run| run.index() <= index)?;
            let is_last = self.all.get(number + 1).is_none_or(|next| next.index() > index);
            is_last.then_some(*run)
        };
        let number = latest.get() as usize;
        if let Some(run) = holds(number) {
            return Some(run);
        }
        let number = if holds(number + 1).is_some() {
            number + 1
        } else {
            self.all.partition_point(|run| run.index() <= index).checked_sub(1)?
        };
        latest.set(u32::try_from(number).unwrap_or(0));
        self.all.get(number).copied()
    }
}

impl<'a> Text<'a> {
    /// A whole file.
    pub(super) fn file(bytes: &'a [u8]) -> Self {
        Self { bytes, from: 0, start: 0, runs: Runs { all: &[], latest: None } }
    }

    /// Where the byte at `index` stands in the file.
    pub(super) fn offset(&self, index: usize) -> usize {
        let index = self.from + index;
        let run = self.runs.find(index).map(|run| (run.index(), run.offset()));
        let (begin, offset) = run.unwrap_or((0, self.start));
        offset + (index - begin)
    }

    /// The memory that it takes up where it is a word, in bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + size_of_val(self.runs.all)
    }

    /// The bytes from `begin` up to `end`.
    pub(super) fn part(&self, begin: usize, end: usize) -> Self {
        let bytes = self.bytes.get(begin..end).unwrap_or_default();
        Self { bytes, from: self.from + begin, ..*self }
    }

    /// The bytes from `begin` on.
    pub(super) fn rest(&self, begin: usize) -> Self {
        self.part(begin, self.bytes.len())
    }

    /// The text without white space at its ends.
    pub(super) fn trimmed(&self) -> Self {
        let begin = self.bytes.len() - self.bytes.trim_ascii_start().len();
        self.part(begin, begin + self.bytes.trim_ascii().len())
    }

    /// What follows `prefix`, if the text begins with it.
    pub(super) fn after(&self, prefix: &[u8]) -> Option<Self> {
        self.bytes.starts_with(prefix).then(|| self.rest(prefix.len()))
    }

    /// What stands before and after the first `separator`.
    pub(super) fn split(&self, separator: u8) -> Option<(Self, Self)> {
        let at = self.find(separator)?;
        Some((self.part(0, at), self.rest(at + 1)))
    }

    /// The index of the first such byte.
    pub(super) fn find(&self, byte: u8) -> Option<usize> {
        self.bytes.iter().position(|other| *other == byte)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Its text as a word of its own.
    pub(super) fn to_word(self) -> Word {
        let mut word = Word::at(self.offset(0));
        for (index, byte) in self.bytes.iter().enumerate() {
            word.push(*byte, self.offset(index));
        }
        word
    }
}

/// The words of one command, handed on in parts when there are very many.
#[derive(Default)]
pub(super) struct Words(Vec<Word>);

impl Words {
    /// Adds a word; where there are too many, those before it go to `judge`. The
    /// last stays, as an option may wait for its value.
    pub(super) fn push(&mut self, word: Word, judge: impl FnOnce(&[Word])) {
        if self.0.len() >= WORDS_MAX {
            judge(&self.0);
            let last = self.0.pop();
            self.0.clear();
            self.0.extend(last);
        }
        self.0.push(word);
    }

    pub(super) fn as_slice(&self) -> &[Word] {
        &self.0
    }
}

/// A line of a text.
pub(super) struct Line<'a> {
    /// Without its end, be it of one byte or two.
    pub(super) text: Text<'a>,
    /// Where it begins in the text, and where the next one does.
    pub(super) begin: usize,
    pub(super) next: usize,
}

/// The lines of a text.
pub(super) fn lines(text: Text<'_>) -> impl Iterator<Item = Line<'_>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let begin = next;
        let rest = text.bytes.get(begin..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        next = begin + length + 1;
        let line = text.part(begin, begin + length);
        let bare = line.bytes.strip_suffix(b"\r").map_or(line, |bare| line.part(0, bare.len()));
        Some(Line { text: bare, begin, next: next.min(text.bytes.len()) })
    })
}

/// The first word of a text, and what follows it and its white space.
pub(super) fn first_word(text: Text<'_>) -> Option<(Text<'_>, Text<'_>)> {
    let begin = text.bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let text = text.rest(begin);
    let end = text.bytes.iter().position(u8::is_ascii_whitespace).unwrap_or(text.bytes.len());
    let blanks = text.bytes.iter().skip(end).take_while(|byte| byte.is_ascii_whitespace()).count();
    Some((text.part(0, end), text.rest(end + blanks)))
}

/// What stands between white space.
pub(super) fn words(text: Text<'_>) -> impl Iterator<Item = Text<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (word, after) = first_word(rest)?;
        rest = after;
        Some(word)
    })
}

/// Items of a list such as `type=11,value=a,,b`, as QEMU parses it: a doubled
/// comma is part of a value.
pub(super) fn properties(text: Text<'_>) -> impl Iterator<Item = Property<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let mut end = 0;
        while let Some(byte) = rest.get(end) {
            match (byte, rest.get(end + 1)) {
                (b',', Some(b',')) => end += 2,
                (b',', _) => break,
                _ => end += 1,
            }
        }
        let item = text.part(at, at + end);
        at += end + 1;
        let (key, value) = item.split(b'=').unwrap_or((item, item.rest(item.bytes.len())));
        Some(Property { key, value })
    })
}

/// `key=value`, or a key alone.
#[derive(Clone, Copy)]
pub(super) struct Property<'a> {
    pub(super) key: Text<'a>,
    pub(super) value: Text<'a>,
}

/// Where `needle` begins in `bytes`.
pub(super) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_knows_where_each_byte_stood() {
        let mut word = Word::at(3);
        for (byte, offset) in [(b'a', 4), (b'b', 5), (b'c', 9), (b'd', 10)] {
            word.push(byte, offset);
        }
        let offsets = |text: Text<'_>| -> Vec<usize> {
            (0..text.bytes.len()).map(|index| text.offset(index)).collect()
        };
        assert_eq!(offsets(word.text()), [4, 5, 9, 10]);
        assert_eq!(offsets(word.text().part(1, 3)), [5, 9]);
        assert_eq!(offsets(word.text().part(1, 3).to_word().text()), [5, 9]);
    }

    #[test]
    fn properties_are_split_as_qemu_does() {
        let list = |text: &str| -> Vec<(String, String)> {
            let string = |text: Text<'_>| String::from_utf8_lossy(text.bytes).into_owned();
            properties(Text::file(text.as_bytes()))
                .map(|property| (string(property.key), string(property.value)))
                .collect()
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            list("secret,id=a,data=x,,y=z,,"),
            [pair("secret", ""), pair("id", "a"), pair("data", "x,,y=z,,")]
        );
        assert_eq!(list(""), []);
        assert_eq!(list("a,,,b"), [pair("a,,", ""), pair("b", "")]);
    }

    #[test]
    fn very_many_words_are_judged_in_parts() {
        let (mut words, mut judged) = (Words::default(), 0);
        for offset in 0..3 * WORDS_MAX {
            words.push(Word::at(offset), |part| judged += part.len() - 1);
            assert!(words.as_slice().len() <= WORDS_MAX);
        }
        assert_eq!(judged + words.as_slice().len(), 3 * WORDS_MAX);
    }
}
