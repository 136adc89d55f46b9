//! Builders in one directory: nobody who can only read it holds them up, those of
//! different images need not wait for one another, and of those of one image each
//! leaves a whole set of files.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::builders::Builders;
use super::share;

/// How many builders of one image start together.
const AT_ONCE: usize = 10;

#[test]
fn a_user_who_can_read_the_directory_does_not_stop_a_build() {
    let builders = Builders::new();
    let output = builders.output("image.erofs");
    let directory = output.parent().unwrap();
    fs::set_permissions(builders.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut reader = as_another_user();
    let mut reader = reader.arg("flock").arg(directory).args(["sleep", "60"]).spawn().unwrap();
    wait_until_locked(&File::open(directory).unwrap(), &mut reader);
    let status = builders.build(1, &output).status().unwrap();
    reader.kill().unwrap();
    reader.wait().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(Builders::whole_set(&output), 1);
}

/// The image of a build that was killed at the last instant may be open to other users
/// already, as its owner wanted.
#[test]
fn a_user_who_can_read_a_leftover_does_not_stop_a_build() {
    let builders = Builders::new();
    let output = builders.output("image.erofs");
    let leftover = output.with_file_name(".image.erofs.credimg-commitlock");
    for kind in [libc::F_RDLCK, libc::F_UNLCK] {
        fs::write(&leftover, "secret").unwrap();
        let reader = File::open(&leftover).unwrap();
        rustix::fs::flock(&reader, FlockOperation::LockExclusive).unwrap();
        let l_type = kind.try_into().unwrap();
        let whole = libc::flock { l_type, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
        fcntl(&reader, FcntlArg::F_OFD_SETLK(&whole)).unwrap();
        let started = Instant::now();
        assert!(builders.build(1, &output).status().unwrap().success());
        assert!(started.elapsed() < Duration::from_secs(30));
        assert_eq!(Builders::whole_set(&output), 1);
        // With a lock for reading nobody can be sure of being alone in removing it.
        assert_eq!(leftover.exists(), kind == libc::F_RDLCK);
    }
    let _ = fs::remove_file(&leftover);
}

/// Each has a disk that takes its time, and together they would take longer than any of
/// them waits for another.
#[test]
fn builders_of_different_images_do_not_wait_for_one_another() {
    let builders = Builders::new();
    let count = share(250).max(12);
    let slow: Vec<_> = (1..=count).map(|number| builders.build_slowly(number, 1_500)).collect();
    for (number, output, child) in slow {
        assert!({ child }.wait().unwrap().success(), "{number}");
        assert_eq!(Builders::whole_set(&output), number);
    }
    assert!(builders.temporaries().is_empty());
    println!("one directory: {count} builders of an image each at once, none failed");
}

#[test]
fn of_builders_of_one_image_one_wins_with_its_whole_set() {
    let builders = Builders::new();
    let rounds = share(100);
    let mut wins = [0; AT_ONCE];
    for _ in 0..rounds {
        wins[builders.race(AT_ONCE, AT_ONCE) - 1] += 1;
    }
    println!("one output: {} builders, {rounds} rounds, wins {wins:?}", rounds * AT_ONCE);
}

#[test]
fn of_a_crowd_of_builders_one_wins_with_its_whole_set() {
    let (runs, at_once) = (share(1_000).max(60), share(250).max(12));
    let winner = Builders::new().race(runs, at_once);
    println!("one output: {runs} builders, {at_once} at once, the last was {winner}");
}

/// The judge of the sets is able to fail.
#[test]
fn a_mixed_set_is_seen() {
    let builders = Builders::new();
    let output = builders.output("image.erofs");
    let beside = output.with_file_name("image.erofs.smbios");
    assert!(builders.build(1, &output).status().unwrap().success());
    let kept = fs::read(&beside).unwrap();
    assert!(builders.build(2, &output).status().unwrap().success());
    fs::write(&beside, kept).unwrap();
    let judged = std::panic::catch_unwind(|| Builders::whole_set(&output));
    let complaint = *judged.unwrap_err().downcast::<String>().unwrap();
    assert!(complaint.contains("image.erofs.smbios"), "{complaint}");
}

/// The builder that has its turn is stopped in the middle of it: the others wait, and go on
/// when it is killed.
#[test]
fn a_killed_holder_of_the_turn_keeps_nobody() {
    let builders = Builders::new();
    let output = builders.output("image.erofs");
    // It is held at its first new name, which is a file's beside the image.
    let mut holder =
        builders.build_under_strace(1, &output, &["inject=linkat:delay_enter=60000000:when=2"]);
    let turn = output.with_file_name(".image.erofs.credimg-commitlock");
    let started = Instant::now();
    while !turn.exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "it has no turn");
        thread::sleep(Duration::from_millis(5));
    }
    let mut next = builders.build(2, &output).spawn().unwrap();
    thread::sleep(Duration::from_millis(300));
    assert!(next.try_wait().unwrap().is_none(), "two had a turn at once");
    // strace takes its program along.
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(next.wait().unwrap().success());
    assert_eq!(Builders::whole_set(&output), 2);
    assert!(builders.temporaries().is_empty());
}

/// Starts a program as a user who owns nothing here, where this one is root.
fn as_another_user() -> Command {
    if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]);
        return command;
    }
    Command::new("env")
}

fn wait_until_locked(directory: &File, holder: &mut Child) {
    let started = Instant::now();
    while rustix::fs::flock(directory, FlockOperation::NonBlockingLockShared) != Err(Errno::AGAIN) {
        rustix::fs::flock(directory, FlockOperation::Unlock).unwrap();
        assert!(started.elapsed() < Duration::from_secs(60), "nobody locks the directory");
        assert!(holder.try_wait().unwrap().is_none(), "flock(1) has ended");
        thread::sleep(Duration::from_millis(5));
    }
}
