//! How long a build may take.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use onlay_core::build::containerfile::Containerfile;
use onlay_core::build::deadline::Deadline;
use onlay_core::build::failure::Progress;
use onlay_host::command::{self, Follow, Runner};

use crate::error::Error;

/// How long a build may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    deadline: Option<(Deadline, Instant)>,
}

impl Limits {
    /// The limits of a build that begins now.
    pub fn begin(deadline: Option<Deadline>) -> Result<Self, Error> {
        let now = Timestamp::now();
        let until = |deadline: Deadline| match deadline.left(now) {
            Duration::ZERO => Err(Error::Build(deadline.begun_too_late(now))),
            left => Ok((deadline, Instant::now() + left)),
        };
        Ok(Self { deadline: deadline.map(until).transpose()? })
    }

    /// What runs the programs of the build.
    pub fn runner(&self) -> Runner {
        Runner::here().until(self.deadline.map(|(_, end)| end))
    }

    /// The error of a program, in the words of the build if the build has ended it; `tried` is what the program was for.
    pub fn explain(&self, error: command::Error, tried: &str) -> Error {
        match (error, self.deadline) {
            (command::Error::TooLong { .. }, Some((deadline, end))) if Instant::now() >= end => {
                Error::Build(deadline.missed(tried))
            }
            (error, _) => Error::Command(error),
        }
    }
}

/// Where a build is that runs.
#[derive(Debug)]
pub struct Steps {
    /// Where it is.
    pub progress: Progress,
}

impl Steps {
    /// None was taken yet.
    pub fn new() -> Self {
        Self { progress: Progress::default() }
    }

    /// The error of the build's program, which names the instruction if it was ended there.
    pub fn explain(&self, error: Error, file: Option<&Containerfile>, marked: bool) -> Error {
        match error {
            Error::Build(why) => Error::Build(self.progress.cut_off(why, file, marked)),
            error => error,
        }
    }
}

impl Follow for Steps {
    fn line(&mut self, line: &str) {
        println!("{line}");
        self.progress.take(line);
    }
}
