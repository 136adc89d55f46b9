//! A list for very many things, none of which is moved when it grows.
//!
//! A `Vec` that grows copies all that it holds to a place of twice the size. Both places take
//! memory then, and later what stays empty does as well: whoever wipes freed memory touches it.

use std::cmp::Ordering;
use std::ops::{Index, Range};

/// How many things are allocated at a time.
const CHUNK: usize = 1024;

/// A list that grows at its end.
#[derive(Clone, Debug)]
pub struct Chunked<T> {
    /// Each of as many things as a chunk has.
    full: Vec<Vec<T>>,
    /// What comes behind them: no more than a chunk has.
    last: Vec<T>,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { full: Vec::new(), last: Vec::new() }
    }
}

impl<T> Chunked<T> {
    /// A list without anything in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds something at the end.
    pub fn push(&mut self, thing: T) {
        if self.last.len() == CHUNK {
            self.full.push(std::mem::replace(&mut self.last, Vec::with_capacity(CHUNK)));
        }
        self.last.push(thing);
    }

    /// How many things there are.
    pub fn len(&self) -> usize {
        self.full.len() * CHUNK + self.last.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// What stands at this place; nothing behind the end.
    pub fn get(&self, place: usize) -> Option<&T> {
        match self.full.get(place / CHUNK) {
            Some(chunk) => chunk.get(place % CHUNK),
            None => self.last.get(place.checked_sub(self.full.len() * CHUNK)?),
        }
    }

    /// What stands at this place, to be changed; nothing behind the end.
    pub fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        let in_last = place.checked_sub(self.full.len() * CHUNK);
        match self.full.get_mut(place / CHUNK) {
            Some(chunk) => chunk.get_mut(place % CHUNK),
            None => self.last.get_mut(in_last?),
        }
    }

    /// What was added last.
    pub fn last(&self) -> Option<&T> {
        self.last.last()
    }

    /// Finds what `compare` finds equal, in a list whose order is that of `compare`.
    pub fn search(&self, compare: impl Fn(&T) -> Ordering) -> Option<&T> {
        let is_before = |chunk: &Vec<T>| chunk.last().is_some_and(|last| compare(last).is_lt());
        let chunk = self.full.get(self.full.partition_point(is_before)).unwrap_or(&self.last);
        chunk.get(chunk.binary_search_by(compare).ok()?)
    }

    /// All things in their order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { list: self, places: 0..self.len() }
    }
}

impl<T> Index<usize> for Chunked<T> {
    type Output = T;

    #[expect(clippy::indexing_slicing, reason = "as with any list, whoever asks knows the place")]
    fn index(&self, place: usize) -> &T {
        match self.full.get(place / CHUNK) {
            Some(chunk) => &chunk[place % CHUNK],
            None => &self.last[place - self.full.len() * CHUNK],
        }
    }
}

impl<T> Extend<T> for Chunked<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, things: I) {
        things.into_iter().for_each(|thing| self.push(thing));
    }
}

impl<T> FromIterator<T> for Chunked<T> {
    fn from_iter<I: IntoIterator<Item = T>>(things: I) -> Self {
        let mut list = Self::default();
        list.extend(things);
        list
    }
}

impl<T> IntoIterator for Chunked<T> {
    type Item = T;
    type IntoIter =
        std::iter::Chain<std::iter::Flatten<std::vec::IntoIter<Vec<T>>>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.full.into_iter().flatten().chain(self.last)
    }
}

impl<'a, T> IntoIterator for &'a Chunked<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Goes through a [`Chunked`], from either end.
#[derive(Debug)]
pub struct Iter<'a, T> {
    list: &'a Chunked<T>,
    places: Range<usize>,
}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Self { list: self.list, places: self.places.clone() }
    }
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        self.list.get(self.places.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl<T> DoubleEndedIterator for Iter<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.list.get(self.places.next_back()?)
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_found_at_its_place() {
        for count in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK + 7] {
            let mut list: Chunked<usize> = (0..count).collect();
            assert_eq!((list.len(), list.is_empty()), (count, count == 0));
            assert!((0..count).all(|place| list.get(place) == Some(&place)), "{count}");
            for behind in [count, count + 1, count + CHUNK, usize::MAX] {
                assert!(list.get(behind).is_none() && list.get_mut(behind).is_none(), "{count}");
            }
            assert_eq!(list.last().copied(), count.checked_sub(1));
            assert_eq!(list.iter().len(), count);
            assert!(list.iter().copied().eq(0..count), "{count}");
            assert!(list.iter().rev().copied().eq((0..count).rev()), "{count}");
            let found = |place| list.search(|thing| thing.cmp(&place)).copied();
            assert!((0..count).all(|place| found(place) == Some(place)), "{count}");
            assert_eq!(found(count), None);
            for place in 0..count {
                *list.get_mut(place).unwrap_or(&mut 0) += 1;
            }
            assert!(list.into_iter().eq(1..=count), "{count}");
        }
    }

    /// A reference would not compile: so the address is noted.
    #[test]
    fn nothing_is_moved_while_the_list_grows() {
        let mut list: Chunked<u8> = std::iter::repeat_n(0, CHUNK).collect();
        let address = list.get(0).map(std::ptr::from_ref);
        list.extend(std::iter::repeat_n(0, 100 * CHUNK));
        assert_eq!(list.get(0).map(std::ptr::from_ref), address);
    }
}
