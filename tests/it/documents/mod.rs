//! What README.md, the manual and its examples show is what happens: every console block is run.
//! docs/tests/README.md tells how a page is written.

mod links;
mod matching;
mod page;
pub(crate) mod shell;

use std::path::Path;
use std::sync::Mutex;
use std::{env, fs, thread};

use page::Page;

use crate::tidy::{files_below, root};

/// README.md, every page of the manual and every page of the examples.
fn pages() -> Vec<Page> {
    let mut files = files_below(&root().join("docs"));
    files.insert(root().join("README.md"));
    files.retain(|file| file.extension().is_some_and(|it| it == "md"));
    files.retain(|file| !file.starts_with(root().join("docs/tests")));
    files.iter().map(|file| Page::read(&root(), file)).collect()
}

/// Runs the pages, one a processor at a time, and returns what is wrong with them.
fn run(pages: Vec<Page>) -> Vec<String> {
    let (waiting, problems) = (Mutex::new(pages), Mutex::new(Vec::new()));
    let processors = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                loop {
                    let Some(page) = waiting.lock().unwrap().pop() else { break };
                    let of_page = shell::run(&page);
                    problems.lock().unwrap().extend(of_page);
                }
            });
        }
    });
    problems.into_inner().unwrap()
}

/// `CREDIMG_PAGE=exec` runs the pages alone that have this in their path. `CREDIMG_BLESS=1` puts
/// what was printed into the page, in place of what differs.
#[test]
fn every_console_block_prints_what_stands_under_it() {
    let wanted = env::var("CREDIMG_PAGE").unwrap_or_default();
    let mut pages = pages();
    pages.retain(|page| page.name.contains(&wanted));
    let commands: usize = pages.iter().map(|page| page.commands().count()).sum();
    assert!(commands > 0, "there is no page of this name, or it has no command");
    let problems = run(pages);
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// The problems of a page of this text.
fn problems_of(text: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.md");
    fs::write(&file, text).unwrap();
    shell::run(&Page::read(directory.path(), Path::new(&file)))
}

#[test]
fn a_page_is_run_from_its_top_to_its_end_in_one_shell() {
    let page = "\
<!-- setup: secret=1 -->
<!-- file: sub/a.yaml -->
```yaml
one
two
```
```text
$ false
```
```console
$ cat sub/a.yaml; number=$((secret + 1))
one
two
$ echo number \\
    $number; echo to the other stream >&2; echo 'three
> lines'
number 2
to the [..] stream
three
lines
$ seq 9
1
...
9
$ credimg --version
credimg [..]
```
";
    assert_eq!(problems_of(page), Vec::<String>::new());
}

#[test]
fn what_a_page_says_wrongly_is_a_problem() {
    for (block, problem) in [
        ("$ echo is\nwas", "-was\n+is"),
        ("$ echo is", "+is"),
        ("$ true\nwas", "-was"),
        ("$ seq 3\n1\n...\n4", "+3"),
        ("$ false", "failed, and nothing is shown of it"),
        ("$ exit 0\n$ true", "the shell ended before it"),
    ] {
        let problems = problems_of(&format!("```console\n{block}\n```\n"));
        assert!(problems.iter().any(|it| it.contains(problem)), "{block}: {problems:?}");
    }
    let problems = problems_of("<!-- setup: false -->\n```console\n$ true\n```\n");
    assert!(problems.len() == 1 && problems[0].contains("setup"), "{problems:?}");
}
