//! Pseudo definitions from outside: bad ones and their exact errors, what good ones do, and
//! what mksquashfs makes of the same. What hostile ones cost is in a test of its own.
mod bad;
mod cost;
mod effect;
mod listing;
mod reference;

use std::path::Path;

use credimg::delivery::means::Means;
use credimg::manifest::{Manifest, PseudoFile, parse};
use credimg::report::Failure;
use credimg::sources::assemble::{MAX_SIZE_BYTES, OnExchangeable, OwnFiles, Settings, assemble};
use credimg::sources::command::Limits;
use credimg::sources::pseudo::Policy;
use credimg_formats::{InodeId, Kind, Timestamp, Tree};

use crate::support::host::{CREDIMG, Host};

/// What must never show up in an error.
pub(crate) const CANARY: &str = "zK7canaryQ2";
/// The time of everything that has none of its own. mksquashfs sets every later
/// time back to it.
pub(crate) const BUILD_TIME: i64 = 1_740_000_000;

pub(crate) fn settings() -> Settings {
    Settings {
        build_time: Timestamp::from_seconds(BUILD_TIME),
        commands: Limits::new(Path::new(CREDIMG)),
        output: OwnFiles::default(),
        policy: Policy { allow_devices: true, allow_commands: true },
        means: Means::default(),
        on_exchangeable: OnExchangeable::Taken,
        max_size_bytes: MAX_SIZE_BYTES,
        initrd: None,
        notes_inputs: false,
        shared: None,
    }
}

impl Host {
    /// The plan of this manifest.
    pub(crate) fn plan(&self, manifest: &str) -> Manifest {
        let parsed = parse(manifest.as_bytes(), &self.path("secrets.yaml"));
        parsed.map_err(|error| error.to_string()).unwrap()
    }

    /// The plan of this manifest and, as if from `--pseudo-file`, of these definitions.
    pub(crate) fn plan_with(&self, manifest: &str, definitions: impl AsRef<[u8]>) -> Manifest {
        let mut plan = self.plan(manifest);
        let path = self.write("extra.pf", definitions);
        plan.pseudo.files.push(PseudoFile { path, position: None, granted: None });
        plan
    }

    /// The tree of these definitions alone.
    pub(crate) fn tree(&self, definitions: impl AsRef<[u8]>) -> Tree {
        build(&self.plan_with("files: []", definitions))
    }

    /// The failure of these definitions, with the name of their file alone.
    pub(crate) fn failure(&self, definitions: impl AsRef<[u8]>) -> Failure {
        self.fail(&self.plan_with("files: []", definitions), &settings())
    }

    /// The failure of a plan that must fail, without the directory's name.
    pub(crate) fn fail(&self, plan: &Manifest, settings: &Settings) -> Failure {
        let mut failure = assemble(plan, settings, &mut |_| {}).map(drop).unwrap_err();
        for text in [format!("{failure:?}"), format!("{failure:#}")] {
            assert!(!text.contains(CANARY), "leaks: {text}");
        }
        let hint = failure.hint.clone().unwrap_or_default();
        assert!(!hint.contains(CANARY), "leaks: {hint}");
        assert!(!failure.message.ends_with('.'), "{}", failure.message);
        failure.message = failure.message.replace(self.path("").to_str().unwrap(), "");
        failure
    }
}

pub(crate) fn build(plan: &Manifest) -> Tree {
    match assemble(plan, &settings(), &mut |_| {}) {
        Ok(assembly) => assembly.tree,
        Err(error) => panic!("{error:#}"),
    }
}

pub(crate) fn find(tree: &Tree, path: &str) -> Option<InodeId> {
    let mut names = path.split('/').filter(|name| !name.is_empty());
    names.try_fold(Tree::ROOT, |id, name| tree.child(id, name.as_bytes()))
}

#[track_caller]
pub(crate) fn read(tree: &Tree, path: &str) -> Vec<u8> {
    let Some(id) = find(tree, path) else { panic!("there is no {path}") };
    let Kind::File(content) = tree.get(id).unwrap().kind() else { panic!("{path} is no file") };
    let mut bytes = Vec::new();
    content.stream(&mut bytes).unwrap();
    bytes
}
