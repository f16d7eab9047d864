//! A program with everything that it has started: what it moves, and its end.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::is_ready;

/// How often a family is looked at before it is killed: what is stopped starts nothing more.
const LOOKS: usize = 5;
/// How long those who were killed may take to be gone: the kernel may be about to write for them.
const GOING: Duration = Duration::from_secs(10);

/// Kills a process that nobody has waited for and everything below it, other groups and sessions too, and waits until they are gone.
///
/// Only what had left its parents before is not found: a process in a group of its own whose parent has ended.
pub fn kill(leader: Pid) -> io::Result<()> {
    let mut family = BTreeMap::new();
    for _ in 0..LOOKS {
        let before = family.len();
        for pid in of(leader) {
            if let Entry::Vacant(place) = family.entry(pid.as_raw_pid())
                && let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            {
                send(&handle, Signal::STOP)?;
                place.insert(handle);
            }
        }
        if family.len() == before {
            break;
        }
    }
    match rustix::process::kill_process_group(leader, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(errno) => return Err(errno.into()),
    }
    family.values().try_for_each(|handle| send(handle, Signal::KILL))?;
    let until = Instant::now() + GOING;
    for handle in family.values() {
        while !is_ready(handle, Some(until.saturating_duration_since(Instant::now())))? && Instant::now() < until {}
    }
    Ok(())
}

fn send(handle: &OwnedFd, signal: Signal) -> io::Result<()> {
    match rustix::process::pidfd_send_signal(handle, signal) {
        // It has ended meanwhile.
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// How many bytes a process and everything below it has read and written, of files, pipes and sockets; none if the kernel does
/// not tell. It falls when one of them ends.
pub fn moved(leader: Pid) -> Option<u64> {
    let of_one = |pid: &Pid| {
        let text = fs::read_to_string(format!("/proc/{}/io", pid.as_raw_pid())).ok()?;
        Some(field(&text, "rchar: ")? + field(&text, "wchar: ")?)
    };
    of(leader).iter().map(of_one).fold(None, |sum, bytes| bytes.map_or(sum, |bytes| Some(sum.unwrap_or(0) + bytes)))
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

/// A process, its group, and everything below.
fn of(leader: Pid) -> Vec<Pid> {
    let leader = leader.as_raw_pid();
    let processes: BTreeMap<i32, Relatives> = processes().collect();
    let is_of = |mut pid: i32| {
        // As many steps as there are processes: numbers that are used again while they are read make no circle.
        for _ in 0..processes.len() {
            match processes.get(&pid) {
                Some(Relatives { group, .. }) if pid == leader || *group == leader => return true,
                Some(Relatives { parent, .. }) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    processes.keys().filter(|pid| is_of(**pid)).filter_map(|pid| Pid::from_raw(*pid)).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Relatives {
    parent: i32,
    group: i32,
}

fn processes() -> impl Iterator<Item = (i32, Relatives)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((pid, read(&stat)?))
    })
}

/// Reads `/proc/PID/stat`, where the name of the program may hold anything.
fn read(stat: &str) -> Option<Relatives> {
    let mut words = stat.rsplit_once(") ")?.1.split(' ').skip(1);
    Some(Relatives { parent: words.next()?.parse().ok()?, group: words.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::{Relatives, field, read};

    #[test]
    fn a_line_of_the_kernel_is_read_whatever_the_name_of_the_program_is() {
        let stat = "4711 (a ) S 9 (b) S 17 4700 4700 0 -1 4194304 107 0 0 0 0 0 0 0 20 0 1 0";
        assert_eq!(read(stat), Some(Relatives { parent: 17, group: 4700 }));
        assert_eq!(read("4711 (a"), None);
    }

    #[test]
    fn bytes_are_read() {
        let text = "rchar: 3980\nwchar: 12\nsyscr: 9\n";
        assert_eq!((field(text, "rchar: "), field(text, "wchar: "), field(text, "x: ")), (Some(3980), Some(12), None));
    }
}
