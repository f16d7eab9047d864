//! The programs that run, so that all of them can be ended at once: each has a process group of its own, which no signal of a terminal
//! reaches.

use std::collections::BTreeSet;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Pid;

use super::family;

static PROGRAMS: Mutex<Programs> = Mutex::new(Programs { running: BTreeSet::new(), are_stopped: false });

struct Programs {
    /// Process ids of those that nobody has waited for yet: they are no other process's.
    running: BTreeSet<i32>,
    are_stopped: bool,
}

/// Ends every program that this process runs, with everything that they have started, and lets none begin from now on: they end
/// with [`Stopped`](super::Error::Stopped). Only those that clean up may still begin ([`Runner::to_clean_up`](super::Runner::to_clean_up)).
pub fn stop() -> io::Result<()> {
    let mut programs = programs();
    programs.are_stopped = true;
    let mut ended = Ok(());
    for pid in programs.running.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // Every one is ended, whatever becomes of another.
        let one = family::kill(pid);
        ended = ended.and(one);
    }
    ended
}

/// Whether programs are ended, and none begin any more.
pub fn are_stopped() -> bool {
    programs().are_stopped
}

/// Begins a program, unless all of them are ended.
pub fn begin(command: &mut Command) -> io::Result<Option<Child>> {
    let mut programs = programs();
    if programs.are_stopped {
        return Ok(None);
    }
    let child = command.spawn()?;
    programs.running.insert(Pid::from_child(&child).as_raw_pid());
    Ok(Some(child))
}

/// Waits for a program that has ended, or is about to.
pub fn reap(child: &mut Child) -> io::Result<ExitStatus> {
    let mut programs = programs();
    let status = child.wait()?;
    programs.running.remove(&Pid::from_child(child).as_raw_pid());
    Ok(status)
}

/// Kills a program and everything below it, as [`family::kill`] does, and waits for its end.
pub fn end(child: &mut Child) -> io::Result<()> {
    family::kill(Pid::from_child(child))?;
    reap(child).map(drop)
}

fn programs() -> MutexGuard<'static, Programs> {
    PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner)
}
