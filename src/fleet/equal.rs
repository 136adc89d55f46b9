//! Finds values that two machines have from different sources, such as a password that was copied.
//! They are found when all sources of a machine have been read, before its image takes its name.
//!
//! A value is kept as a number of 64 bits, made with a random key in locked memory. Without the key
//! the number tells nothing of the value, not even to somebody who guesses it.

mod digest;
mod public;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use credimg_formats::{Content, InodeId, Kind};

use self::digest::Key;
use crate::job::Job;
use crate::job::collect::Collected;
use crate::manifest::{Fleet, Granted};
use crate::report::{Exit, Failure, shown_bytes};

/// Shorter values are not compared: numbers, words such as `yes`, names of users.
const LEAST_BYTES: usize = 8;

/// The values of all machines that were read so far in one run.
pub(crate) struct Equal<'a> {
    fleet: &'a Fleet,
    key: Key,
    /// The first owner of each value, by the value's number.
    seen: Mutex<HashMap<u64, Owner>>,
}

/// A machine that has a value, and what brings it.
#[derive(Clone, Copy)]
struct Owner {
    machine: u32,
    /// The index of the item. The number of items stands for the machine's key file.
    item: u32,
}

/// A value that was read.
struct Found {
    number: u64,
    item: usize,
    /// The file that holds it, if it is on the disk.
    inode: Option<InodeId>,
}

impl<'a> Equal<'a> {
    /// Begins a run, in which no value is known yet.
    pub(crate) fn new(fleet: &'a Fleet) -> Result<Self, Failure> {
        Ok(Self { fleet, key: Key::new()?, seen: Mutex::default() })
    }

    /// Notes the values of a machine, once all are read. Returns a message if another machine has
    /// one of them by another source.
    ///
    /// Values that the manifest shares do not count, nor do values of less than eight bytes, nor
    /// those that are public by their form.
    pub(crate) fn note(
        &self,
        machine: usize,
        job: &Job,
        collected: &Collected,
    ) -> Result<Option<String>, Failure> {
        let found = self.found(job, collected)?;
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let own = number(machine);
        let mut met = None;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for found in found {
            let owner = Owner { machine: own, item: number(found.item) };
            let owner = *seen.entry(found.number).or_insert(owner);
            if owner.machine != own && met.is_none() {
                met = Some((found, owner));
            }
        }
        drop(seen);
        Ok(met.map(|(found, owner)| self.message(&found, owner, collected)))
    }

    /// The failure of a machine whose value is another one's, by what [`Self::note`] says.
    pub(crate) fn refusal(message: String) -> Failure {
        Failure::new(Exit::Policy, message).hint(
            "give each machine a value of its own, say `shared: true` of both, or take them as they \
             are with --allow-equal",
        )
    }

    fn found(&self, job: &Job, collected: &Collected) -> Result<Vec<Found>, Failure> {
        let (manifest, assembly) = (&job.manifest, &collected.assembly);
        let mut all = Vec::new();
        for (id, inode) in assembly.tree.inodes() {
            let Kind::File(content) = inode.kind() else { continue };
            if content.len() < LEAST_BYTES as u64 {
                continue;
            }
            let Some(item) = counted(assembly.granted(id)) else { continue };
            all.extend(self.of_content(content)?.map(|number| Found {
                number,
                item,
                inode: Some(id),
            }));
        }
        for (entry, value) in assembly.firmware_values(manifest) {
            let Some(item) = counted(entry.granted) else { continue };
            let number = self.of_bytes(value.secret.expose());
            all.extend(number.map(|number| Found { number, item, inode: None }));
        }
        if let Some(encryptor) = &job.image.encryptor {
            let number = self.of_bytes(encryptor.key.secret().expose());
            let item = self.fleet.items().len();
            all.extend(number.map(|number| Found { number, item, inode: None }));
        }
        Ok(all)
    }

    fn of_content(&self, content: &Content) -> Result<Option<u64>, Failure> {
        if let Content::Memory(secret) = content {
            return Ok(self.of_bytes(secret.expose()));
        }
        let number = self.key.digest(content);
        number.map(Some).map_err(|error| Failure::new(Exit::Source, error.to_string()))
    }

    fn of_bytes(&self, bytes: &[u8]) -> Option<u64> {
        let counts = bytes.len() >= LEAST_BYTES && !public::is_public(bytes);
        counts.then(|| self.key.digest_of(bytes))
    }

    fn message(&self, found: &Found, owner: Owner, collected: &Collected) -> String {
        let inode = found.inode.map(|id| collected.assembly.tree.path_of(id));
        let path = inode.map_or_else(String::new, |path| format!(" ({})", shown_bytes(&path)));
        let owners = usize::try_from(owner.machine).unwrap_or(usize::MAX);
        let other = self.fleet.machines().get(owners).map_or("", |machine| &*machine.name);
        let item = usize::try_from(owner.item).unwrap_or(usize::MAX);
        let (place, other_place) = (self.place(found.item), self.place(item));
        format!("{place}{path}: the value is also that of {other}, by {other_place}")
    }

    /// What messages call an item, or the key.
    fn place(&self, item: usize) -> String {
        let item = self.fleet.items().get(item);
        item.map_or_else(|| "the key".to_owned(), |item| item.position.of_value())
    }
}

/// The item, where its value has to be the machine's own.
fn counted(granted: Option<Granted>) -> Option<usize> {
    granted.filter(|granted| !granted.is_shared).map(|granted| granted.item)
}
