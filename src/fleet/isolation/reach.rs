//! Which source reaches which machines, and by what. It is over plain numbers and keys, so that
//! ten thousand machines cost little.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::path::{Path, PathBuf};

/// What brings a source to machines: an item of the manifest, or what stands behind those.
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

    /// Each machine that is known of each way.
    fn machines(&self) -> impl Iterator<Item = (Way, Machine)> {
        self.all().flat_map(|it| {
            let Reached { first, other } = it.reached;
            std::iter::once(first).chain(other).map(|machine| (it.way, machine))
        })
    }

    /// Adds a way, or machines to one that is known.
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
    /// Which machine it reaches by the way that may not share it.
    pub(super) machine: Machine,
    /// Which other machine it reaches.
    pub(super) other: Machine,
    /// By which way that is; it may be the same one.
    pub(super) other_way: Way,
}

/// Every source, and whom it reaches.
#[derive(Default)]
pub(super) struct Reaches {
    /// Two numbers of a key stand for it: they are random, so nobody can make two keys meet.
    sources: HashMap<(u64, u64), Reach>,
    hashers: (RandomState, RandomState),
    directories: HashMap<PathBuf, Reach>,
    /// What each machine has by each way that another machine has as well.
    shared: HashSet<(Way, Machine)>,
    /// Ways whose one source reaches several machines.
    shared_ways: HashSet<Way>,
    /// Of each way and other way the crossing of the first machines.
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

    /// Adds a directory with all that is below it. All of them come before what may lie in one.
    pub(super) fn add_directory(&mut self, path: &Path, way: Way, reached: Reached) {
        match self.directories.get_mut(path) {
            Some(reach) => reach.add(way, reached),
            None => {
                self.directories.insert(path.to_owned(), Reach::new(way, reached));
            }
        }
    }

    /// Adds what the directories above `path` bring to other machines.
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

    /// Whether what a machine has by this way reaches another machine.
    pub(super) fn is_shared(&self, way: Way, machine: Machine) -> bool {
        self.shared_ways.contains(&way) || self.shared.contains(&(way, machine))
    }

    /// The sources that reach two machines by a way that may not share them: the way, and what it
    /// meets.
    pub(super) fn crossings(&self) -> impl Iterator<Item = (Way, Crossing)> {
        self.crossings.iter().map(|((way, _), crossing)| (*way, *crossing))
    }
}

/// Notes for each way that may not share the source how it reaches another machine. Of two such ways
/// the later one is told of, with the place of the earlier one.
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
