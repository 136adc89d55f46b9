//! What is built while something fails: every kind of build, and the other commands.

use crate::tracer::{Call, Errno};

/// What no output may hold: it begins every secret.
pub(super) const CANARY: &str = "c4n4ry-";
const UUID: &str = "--uuid 00000000-0000-4000-8000-000000000001";

/// What is there before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Nothing,
    /// What the older version of the manifest makes.
    Older,
    /// What the manifest makes.
    Same,
}

/// What the image is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opens {
    /// It is no secret: the bytes are compared.
    Plain,
    /// A key in a file.
    Key(&'static str),
    /// A key that the printed arguments hold, wrapped with the master key of the sources.
    Printed,
    /// An age identity in a file.
    Identity(&'static str),
}

/// What standard output holds after exit code 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Printed {
    /// What a run in which nothing fails prints.
    Exact,
    /// As many bytes as then: they are random, or hold random numbers.
    Length,
    /// The image, which the outcome is opened as.
    Image,
}

/// A system call that fails in the whole run.
pub(super) type Absent = fn(&Call) -> Option<Errno>;

/// One kind of run.
pub(super) struct Scenario {
    pub(super) name: String,
    /// Lines that begin with `old|` or `new|` are of one version alone; `{V}` is the version.
    pub(super) manifest: String,
    pub(super) arguments: Vec<String>,
    /// What makes the older state, where it is another command.
    pub(super) setup: Option<String>,
    /// The exit code of a run in which nothing fails.
    pub(super) code: i32,
    pub(super) stdin: &'static str,
    pub(super) start: Start,
    /// The image, or the blob, in `out`; its sidecars have names that begin with its own and a dot.
    pub(super) image: Option<&'static str>,
    pub(super) opens: Opens,
    pub(super) printed: Printed,
    /// Files in `out` that hold random numbers.
    pub(super) variable: &'static [&'static str],
    /// Files in `out` that are a key, never replaced.
    pub(super) keys: &'static [&'static str],
    /// Whether what is printed may hold secrets.
    pub(super) prints_secrets: bool,
    pub(super) absent: Option<Absent>,
}

const FILES: &str = "label: CHIMERA
files:
  - {path: /token, text: c4n4ry-{V}}
  - {path: /small, file: small}
";
/// One by SMBIOS, one by `fw_cfg`, one that only the new build has and one that goes.
const CREDENTIALS: &str = "credentials:
  - {name: token, text: c4n4ry-{V}}
  - {name: kept, text: c4n4ry-{V}, via: fw_cfg}
new|  - {name: added, text: c4n4ry-{V}, via: fw_cfg}
old|  - {name: gone, text: c4n4ry-{V}, via: fw_cfg}
";

impl Scenario {
    fn new(name: impl Into<String>, arguments: impl AsRef<str>) -> Self {
        let arguments = arguments.as_ref().split_whitespace().map(str::to_owned).collect();
        Self {
            name: name.into(),
            manifest: FILES.to_owned(),
            arguments,
            setup: None,
            code: 0,
            stdin: "",
            start: Start::Older,
            image: None,
            opens: Opens::Plain,
            printed: Printed::Exact,
            variable: &[],
            keys: &[],
            prints_secrets: false,
            absent: None,
        }
    }

    /// A build of `out/IMAGE` with further options.
    fn build(name: impl Into<String>, image: &'static str, options: impl AsRef<str>) -> Self {
        let options = options.as_ref();
        let command = format!("build in/secrets.yaml -o out/{image} {UUID} {options}");
        Self { image: Some(image), ..Self::new(name, command) }
    }

    fn manifest(self, manifest: impl Into<String>) -> Self {
        Self { manifest: manifest.into(), ..self }
    }

    fn start(self, start: Start) -> Self {
        Self { start, ..self }
    }

    /// Encrypted with the key of a file, which is made where there is none.
    fn keyed(self) -> Self {
        Self { opens: Opens::Key("key"), keys: &["key"], ..self }
    }
}

/// All of them.
pub(super) fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (format, image) in [("erofs", "a.erofs"), ("squashfs", "a.sqfs"), ("iso", "a.iso")] {
        all.extend(of_format(format, image));
    }
    all.extend(builds());
    all.extend(around_the_image());
    all.extend(file_systems());
    all.extend(others());
    all
}

/// What is built of each format.
fn of_format(format: &str, image: &'static str) -> Vec<Scenario> {
    let named = |what: &str| format!("{format} {what}");
    let with_credentials = format!("{FILES}{CREDENTIALS}");
    let build = |what: &str, options: &str| Scenario::build(named(what), image, options);
    let iso = if format == "iso" { "iso9660" } else { format };
    let stream = |what: &str, options: &str| Scenario {
        printed: Printed::Image,
        prints_secrets: true,
        ..Scenario::new(
            named(what),
            format!("build in/secrets.yaml -o - --format {iso} {UUID} {options}"),
        )
    };
    let luks1 = "--encrypt luks1 --key-out out/key";
    let luks2 = "--encrypt luks2 --key-out out/key";
    vec![
        build("plain", ""),
        build("first", "").start(Start::Nothing),
        build("verified", "--verify"),
        build("verified luks2", &format!("--verify {luks2}")).keyed(),
        build("luks1", luks1).keyed(),
        build("luks2", luks2).keyed(),
        build("luks2 first", luks2).keyed().start(Start::Nothing),
        build("sidecars", "").manifest(&with_credentials),
        build("sidecars luks1", luks1).keyed().manifest(&with_credentials),
        build("sidecars luks2", luks2).keyed().manifest(&with_credentials),
        build("if changed", "--if-changed").manifest(&with_credentials),
        build("if changed, same", "--if-changed").manifest(&with_credentials).start(Start::Same),
        build("if changed, luks2", &format!("--if-changed {luks2}")).keyed(),
        build("if changed, luks2, same", &format!("--if-changed {luks2}"))
            .keyed()
            .start(Start::Same),
        stream("stream", "").start(Start::Nothing),
        stream("stream verified", "--verify").start(Start::Nothing),
        Scenario { opens: Opens::Key("key"), ..stream("stream luks1", luks1).keyed() },
    ]
}

/// What differs by its sources and what stands beside it.
fn builds() -> Vec<Scenario> {
    let commands = format!(
        "{FILES}  - {{path: /c, command: [printf, 'c4n4ry-{{V}}']}}\n  - {{path: /s, shell: 'echo c4n4ry-{{V}}'}}\n\
         pseudo:\n  - \"/p f 400 0 0 echo c4n4ry-{{V}}\"\n"
    );
    let sources = format!(
        "{FILES}  - {{path: /d, dir: tree}}\n  - {{path: /t, tar: tree.tar.gz}}\n  \
         - {{path: /l, symlink: d/a}}\n  - {{path: /b, base64: YzRuNHJ5LQ==}}\n"
    );
    let large = format!("{FILES}  - {{path: /large, file: large}}\n");
    let credentials = format!("{FILES}{CREDENTIALS}");
    let zstd = "--compression zstd";
    let all_reports = "--json=out/report --depfile out/a.d";
    vec![
        Scenario::build("commands", "a.erofs", "").manifest(commands),
        Scenario::build("sources", "a.erofs", "").manifest(sources),
        Scenario::build("large", "a.erofs", "").manifest(&large),
        Scenario::build("large iso", "a.iso", "").manifest(&large),
        Scenario::build("threads", "a.sqfs", zstd).manifest(&large),
        Scenario::build("depfile", "a.erofs", "--depfile out/a.d"),
        Scenario::build("report", "a.erofs", "--json=out/report"),
        Scenario::build("both reports, sidecars", "a.erofs", all_reports).manifest(&credentials),
        Scenario {
            variable: &["report"],
            ..Scenario::build(
                "both reports, luks2",
                "a.erofs",
                format!("{all_reports} --encrypt luks2 --key-out out/key"),
            )
            .keyed()
        },
        Scenario::build("access", "a.erofs", "--owner 1:1 --mode 0640 --reader 2")
            .manifest(&credentials),
        Scenario {
            opens: Opens::Printed,
            printed: Printed::Length,
            ..Scenario::build("master key", "a.erofs", "--master-key in/master")
                .manifest(format!("encrypt: {{luks: 1, key: generate}}\n{FILES}"))
        },
        Scenario::build("key file", "a.erofs", "--encrypt luks1 --key-file out/key").keyed(),
    ]
}

/// A hash tree behind the image, with the unit that knows its root hash, and what stands in place
/// of the firmware's files.
fn around_the_image() -> Vec<Scenario> {
    let credentials = format!("{FILES}{CREDENTIALS}");
    let by_initrd = credentials.replace("fw_cfg", "initrd");
    let initrd = "--initrd in/guest.img";
    let luks2 = "--encrypt luks2 --key-out out/key";
    let signed = "--verity-sign in/sign.key --verity-cert in/sign.crt";
    let build = |name: &str, options: &str| Scenario::build(name, "a.erofs", options);
    // Its strings hold the root hash of what is encrypted anew each time.
    let of_ciphertext =
        |scenario: Scenario| Scenario { variable: &["a.erofs.smbios"], ..scenario.keyed() };
    let same = format!("{luks2} --verity --if-changed");
    vec![
        build("tree", "--verity --verify"),
        of_ciphertext(build("tree luks2", &format!("{luks2} --verity"))),
        of_ciphertext(build("tree luks2, same", &same).start(Start::Same)),
        build("signed tree", signed).manifest(&credentials),
        build("initrd", initrd).manifest(&by_initrd),
        build("initrd, same", &format!("{initrd} --if-changed"))
            .manifest(&by_initrd)
            .start(Start::Same),
        // Its key goes there as well.
        build("initrd luks2", &format!("{initrd} {luks2} --target firecracker"))
            .keyed()
            .manifest(&by_initrd),
        build("platform", "--target cloud-hypervisor --args api")
            .manifest(credentials.replace(", via: fw_cfg", "")),
    ]
}

/// File systems that lack something.
fn file_systems() -> Vec<Scenario> {
    let credentials = format!("{FILES}{CREDENTIALS}");
    let exchange: Absent = |call| (call.name() == "renameat2").then_some(Errno::EINVAL);
    let nameless: Absent = |call| is_nameless(call).then_some(Errno::EOPNOTSUPP);
    let links: Absent = |call| {
        /// `RENAME_EXCHANGE`
        const EXCHANGE: u64 = 2;
        let is_exchange = call.name() == "renameat2" && call.arguments[4] & EXCHANGE != 0;
        let is_absent = is_exchange || call.name() == "linkat" || is_nameless(call);
        is_absent.then_some(Errno::EOPNOTSUPP)
    };
    // As of a shared folder of `VirtualBox`, or sshfs where the server knows no links.
    let renames: Absent = |call| match call.name() {
        "renameat2" => Some(Errno::EINVAL),
        "linkat" => Some(Errno::EPERM),
        _ => is_nameless(call).then_some(Errno::EOPNOTSUPP),
    };
    let copies: Absent = |call| (call.name() == "copy_file_range").then_some(Errno::EXDEV);
    let sidecars = |name| Scenario::build(name, "a.erofs", "").manifest(&credentials);
    let large = format!("{FILES}  - {{path: /large, file: large}}\n");
    let first = "--encrypt luks2 --key-out out/key";
    vec![
        Scenario { absent: Some(exchange), ..sidecars("no exchange") },
        Scenario { absent: Some(links), ..sidecars("no exchange, no links") },
        Scenario { absent: Some(renames), ..sidecars("renames alone") },
        Scenario { absent: Some(nameless), ..sidecars("no nameless files") },
        Scenario {
            absent: Some(nameless),
            ..Scenario::build("no nameless files, luks2 first", "a.erofs", first)
                .keyed()
                .start(Start::Nothing)
        },
        Scenario {
            absent: Some(exchange),
            ..Scenario::build("no exchange, luks2 first", "a.erofs", first)
                .keyed()
                .start(Start::Nothing)
        },
        Scenario {
            absent: Some(copies),
            ..Scenario::build("no copies", "a.erofs", "").manifest(large)
        },
    ]
}

/// Whether it makes a file without a name.
fn is_nameless(call: &Call) -> bool {
    /// `O_TMPFILE` without `O_DIRECTORY`, which it is made of.
    const NAMELESS: u64 = 0o20_000_000;
    call.name() == "openat" && call.arguments[2] & NAMELESS != 0
}

/// The other commands.
fn others() -> Vec<Scenario> {
    let credentials = format!("{FILES}{CREDENTIALS}");
    let seal = |name: &str, output: &str| {
        let command = format!("seal in/secrets.yaml -o {output} --key-out out/key");
        Scenario { keys: &["key"], ..Scenario::new(name, command) }
    };
    let blob = |name: &str| Scenario {
        image: Some("share/a.age"),
        opens: Opens::Identity("key"),
        ..seal(name, "out/share/a.age")
    };
    let key = |name: &str, arguments: &str| Scenario {
        printed: Printed::Length,
        start: Start::Nothing,
        prints_secrets: true,
        keys: &["key"],
        ..Scenario::new(name, arguments)
    };
    let exec = |name: &str, options: &str, printed| {
        let command = format!("exec in/secrets.yaml {UUID} {options} -- /bin/sh in/monitor");
        Scenario { printed, start: Start::Nothing, ..Scenario::new(name, command) }
    };
    let read = |name: &str, arguments: &str| Scenario {
        start: Start::Nothing,
        ..Scenario::new(name, arguments).manifest(&credentials)
    };
    // Of what a build has made.
    let look = |name: &str, arguments: &str| Scenario {
        start: Start::Same,
        setup: Some(format!("build in/secrets.yaml -o out/a.erofs {UUID}")),
        image: Some("a.erofs"),
        ..read(name, arguments)
    };
    let of_image = |command: &str| look(command, &format!("{command} out/a.erofs"));
    let wrap = "secret wrap --id vnc --master-key in/master";
    vec![
        blob("seal"),
        blob("seal first").start(Start::Nothing),
        Scenario {
            opens: Opens::Identity("key"),
            printed: Printed::Image,
            ..seal("seal stream", "-")
        },
        key("genkey", "genkey out/key"),
        key("genkey luks", "genkey --luks out/key"),
        key("genkey stream", "genkey -"),
        exec("exec", "", Printed::Exact),
        exec("exec verified", "--verify", Printed::Exact),
        exec("exec sidecars", "", Printed::Exact).manifest(&credentials),
        exec("exec luks1", "--encrypt luks1", Printed::Length),
        exec("exec initrd", "--initrd in/guest.img --verity", Printed::Exact)
            .manifest(credentials.replace("fw_cfg", "initrd")),
        Scenario { stdin: "c4n4ry-wrapped", printed: Printed::Length, ..read("secret wrap", wrap) },
        read("check", "check in/secrets.yaml"),
        Scenario { code: 5, ..read("audit", "audit in/script in/secrets.yaml") },
        of_image("args"),
        of_image("inspect"),
        of_image("verify"),
        of_image("verify --manifest in/secrets.yaml"),
        of_image("diff out/a.erofs"),
        of_image("dump"),
        of_image("ls -lR"),
        Scenario { prints_secrets: true, ..look("cat", "cat out/a.erofs token small") },
        look("extract", "extract out/a.erofs out/tree --preserve --force"),
    ]
}
