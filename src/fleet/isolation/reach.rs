//! Finds the sources that reach two machines. It works on plain numbers and hashed keys, so that
//! ten thousand machines cost little.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::path::{Path, PathBuf};

/// The number of a way, by which a source reaches machines: the index of an item. Numbers above
/// those of items are the manifest's key file and the options that name keys.
pub(super) type Way = u32;
/// A machine's index.
pub(super) type Machine = u32;

/// Which machines a source reaches by one way. Of many machines two are enough to know, as any two
/// show that the source is shared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    /// The first machine.
    pub(super) first: Machine,
    /// Another machine; none where the source reaches one alone.
    pub(super) other: Option<Machine>,
}

impl Reached {
    /// One machine alone.
    pub(super) fn only(machine: Machine) -> Self {
        Self { first: machine, other: None }
    }
}

/// The ways by which a source reaches machines, as a list.
#[derive(Debug)]
struct Reach {
    way: Way,
    reached: Reached,
    /// Another way of this source.
    next: Option<Box<Reach>>,
}

impl Reach {
    fn new(way: Way, reached: Reached) -> Self {
        Self { way, reached, next: None }
    }

    fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |reach| reach.next.as_deref())
    }

    /// Every machine that is known, with its way.
    fn machines(&self) -> impl Iterator<Item = (Way, Machine)> {
        self.all().flat_map(|it| {
            let Reached { first, other } = it.reached;
            std::iter::once(first).chain(other).map(|machine| (it.way, machine))
        })
    }

    /// Adds machines to a way that is known, or a new way.
    fn add(&mut self, way: Way, reached: Reached) {
        if self.way == way {
            let own = &mut self.reached;
            let candidates = [own.other, Some(reached.first), reached.other];
            own.other = candidates.into_iter().flatten().find(|machine| *machine != own.first);
            return;
        }
        match &mut self.next {
            Some(next) => next.add(way, reached),
            None => self.next = Some(Box::new(Self::new(way, reached))),
        }
    }
}

/// A source that reaches two machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crossing {
    /// The machine that it reaches by the way that may not share it.
    pub(super) machine: Machine,
    /// The other machine that it reaches.
    pub(super) other: Machine,
    /// The way by which it reaches the other machine, which may be the same way.
    pub(super) other_way: Way,
}

/// Every source, and the machines that it reaches.
#[derive(Default)]
pub(super) struct Reaches {
    /// Sources by two hashes of their keys. The hashes are random, so nobody can choose two sources
    /// with equal ones.
    sources: HashMap<(u64, u64), Reach>,
    hashers: (RandomState, RandomState),
    directories: HashMap<PathBuf, Reach>,
    /// Each way and machine by which a source comes that another machine has as well.
    shared: HashSet<(Way, Machine)>,
    /// Ways by which one source reaches several machines.
    shared_ways: HashSet<Way>,
    /// The crossing of the first machines, for each pair of ways.
    crossings: BTreeMap<(Way, Way), Crossing>,
}

impl Reaches {
    /// Adds a source that this way brings to these machines.
    pub(super) fn add(
        &mut self,
        key: &impl Hash,
        way: Way,
        reached: Reached,
        may_share: &impl Fn(Way) -> bool,
    ) {
        let key = (self.hashers.0.hash_one(key), self.hashers.1.hash_one(key));
        if reached.other.is_some() {
            self.shared_ways.insert(way);
        }
        let reach = match self.sources.entry(key) {
            Entry::Vacant(free) => free.insert(Reach::new(way, reached)),
            Entry::Occupied(taken) => {
                let reach = taken.into_mut();
                reach.add(way, reached);
                reach
            }
        };
        if reach.machines().any(|(_, machine)| machine != reached.first) {
            self.shared.extend(reach.machines());
            self.shared.insert((way, reached.first));
            cross(reach, may_share, &mut self.crossings);
        }
    }

    /// Adds a directory with everything below it. All directories must be added before what may lie
    /// in one.
    pub(super) fn add_directory(&mut self, path: &Path, way: Way, reached: Reached) {
        match self.directories.get_mut(path) {
            Some(reach) => reach.add(way, reached),
            None => {
                self.directories.insert(path.to_owned(), Reach::new(way, reached));
            }
        }
    }

    /// Adds a source at `path`, as part of the directories above it.
    pub(super) fn add_below(
        &mut self,
        path: &Path,
        way: Way,
        reached: Reached,
        may_share: &impl Fn(Way) -> bool,
    ) {
        if self.directories.is_empty() {
            return;
        }
        for above in path.ancestors().skip(1) {
            let Some(directory) = self.directories.get(above) else { continue };
            let mut both = Reach::new(way, reached);
            for found in directory.all() {
                both.add(found.way, found.reached);
            }
            if both.machines().any(|(_, machine)| machine != reached.first) {
                self.shared.extend(both.machines());
                cross(&both, may_share, &mut self.crossings);
            }
        }
    }

    /// Whether the source that `machine` has by this way reaches another machine.
    pub(super) fn is_shared(&self, way: Way, machine: Machine) -> bool {
        self.shared_ways.contains(&way) || self.shared.contains(&(way, machine))
    }

    /// The crossings, each with the way that may not share its source.
    pub(super) fn crossings(&self) -> impl Iterator<Item = (Way, Crossing)> {
        self.crossings.iter().map(|((way, _), crossing)| (*way, *crossing))
    }
}

/// For each way that may not share this source, notes how it reaches another machine. If two ways
/// may not, the later one is told, with the place of the earlier one.
fn cross(
    reach: &Reach,
    may_share: &impl Fn(Way) -> bool,
    crossings: &mut BTreeMap<(Way, Way), Crossing>,
) {
    for own in reach.all().filter(|own| !may_share(own.way)) {
        let machine = own.reached.first;
        let mut note = |other: Machine, other_way: Way| {
            let crossing = Crossing { machine, other, other_way };
            crossings.entry((own.way, other_way)).or_insert(crossing);
        };
        if let Some(other) = own.reached.other {
            note(other, own.way);
            continue;
        }
        let is_told_there =
            |it: &Reach| it.way > own.way && it.reached.other.is_none() && !may_share(it.way);
        let others = reach.all().filter(|it| it.way != own.way && !is_told_there(it));
        let met = others.filter_map(|it| {
            let Reached { first, other } = it.reached;
            let other = [Some(first), other].into_iter().flatten();
            Some((it.way, other.into_iter().find(|other| *other != machine)?))
        });
        if let Some((way, other)) = met.min() {
            note(other, way);
        }
    }
}
