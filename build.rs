//! Tells the program which commit it is built from: `CREDIMG_COMMIT`, for `credimg --version`. Makes
//! what `credimg probe` starts in a machine: `init/`, for the processor that the program is for.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=init");
    make_init().map_err(|fault| format!("cannot make init/: {fault}"))?;
    // A build for development names no commit: each commit would mean to compile it anew.
    let is_release = env::var_os("PROFILE").is_some_and(|profile| profile == "release");
    let commit = if is_release { from_package().or_else(from_git) } else { None };
    if let Some(commit) = commit {
        println!("cargo::rustc-env=CREDIMG_COMMIT={commit}");
    }
    Ok(())
}

/// Compiles `init/`, which is no package, as it wants other flags than all that cargo compiles. For
/// another processor than the two that it is written for the file stays empty.
fn make_init() -> Result<(), String> {
    let variable = |name| env::var(name).map_err(|_| format!("{name} is not set"));
    let made = Path::new(&variable("OUT_DIR")?).join("probe-init");
    if !["x86_64", "aarch64"].contains(&variable("CARGO_CFG_TARGET_ARCH")?.as_str()) {
        return fs::write(made, []).map_err(|error| error.to_string());
    }
    let mut compiler = Command::new(variable("RUSTC")?);
    // The linker of the program itself, which is a C compiler.
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        compiler.arg(format!("-Clinker={linker}"));
    }
    // Else Rust adds the beginning of musl's programs.
    if variable("CARGO_CFG_TARGET_ENV").as_deref() == Ok("musl") {
        compiler.arg("-Clink-self-contained=no");
    }
    let status = compiler
        .args(["@init/rustc-flags", "init/main.rs", "--target", &variable("TARGET")?])
        .args(["-nostartfiles", "-nostdlib", "-static"].map(|flag| format!("-Clink-arg={flag}")))
        .arg("-o")
        .arg(made)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the compiler: {status}")),
        Err(error) => Err(format!("the compiler cannot be started: {error}")),
    }
}

/// What `cargo package` has noted, for a crate that comes from a registry. It notes no date.
fn from_package() -> Option<String> {
    let noted = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = noted.split_once("\"sha1\": \"")?;
    rest.get(..7).map(str::to_owned)
}

/// The commit that is checked out, and its date. None where this is no checkout of credimg, but
/// lies in another project's.
fn from_git() -> Option<String> {
    let root = fs::canonicalize(git(&["rev-parse", "--show-toplevel"])?).ok()?;
    if root != fs::canonicalize(".").ok()? {
        return None;
    }
    // Each commit and checkout writes both; cargo takes a file that is missing for a changed one.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    // The caller may have set that logs show signatures, on lines of their own.
    let format = ["--no-show-signature", "--abbrev=7", "--date=format-local:%Y-%m-%d"];
    git(&[&["log", "-1", "--format=%h %cd"][..], &format].concat())
}

/// The line that git prints. None where it fails, or there is no git.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).env("TZ", "UTC").output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| line.trim_end().to_owned())
}
