//! How long a build may take, and how long what it does may stand still.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use onlay_core::build::containerfile::Containerfile;
use onlay_core::build::deadline::{self, Deadline};
use onlay_core::build::failure::{Progress, stood_still};
use onlay_host::command::{self, Follow, Runner};

use crate::error::Error;
use crate::report;

/// How long a build may take, and how long what it does may stand still.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    deadline: Option<(Deadline, Instant)>,
    patience: Duration,
}

impl Limits {
    /// The limits of a build that begins now.
    pub fn begin(deadline: Option<Deadline>) -> Result<Self, Error> {
        let now = Timestamp::now();
        let until = |deadline: Deadline| match deadline.left(now) {
            Duration::ZERO => Err(Error::Build(deadline.begun_too_late(now))),
            left => Ok((deadline, Instant::now() + left)),
        };
        Ok(Self { deadline: deadline.map(until).transpose()?, patience: deadline::patience(deadline.as_ref()) })
    }

    /// What runs the programs of the build.
    pub fn runner(&self) -> Runner {
        Runner::here().until(self.deadline.map(|(_, end)| end))
    }

    /// The error of a program, in the words of the build if the build has ended it; `tried` is what the program was for, and
    /// `registry` whom it had to wait for.
    pub fn explain(&self, error: command::Error, tried: &str, registry: &str) -> Error {
        match (error, self.deadline) {
            (command::Error::StoodStill { patience, .. }, _) => Error::Build(stood_still(tried, registry, patience)),
            (command::Error::TooLong { .. }, Some((deadline, end))) if Instant::now() >= end => {
                Error::Build(deadline.missed(tried))
            }
            (error, _) => Error::Command(error),
        }
    }
}

/// What a command says that talks to a registry: every one of them moves bytes, or stands still.
///
/// A wall limit would have to know how large an image and how fast its line is, and buildah prints nothing while a layer comes.
/// So what counts is what the processes read and write: a layer that is fetched is read from a socket, one that is unpacked
/// is written to files, and one that is compressed and sent is both.
#[derive(Debug)]
pub struct Talk {
    /// What it has said.
    pub output: String,
    patience: Duration,
}

impl Talk {
    /// Nothing was said yet.
    pub fn new(limits: &Limits) -> Self {
        Self { output: String::new(), patience: limits.patience }
    }
}

impl Follow for Talk {
    fn line(&mut self, line: &str) {
        report::print(line);
        self.output.push_str(line);
        self.output.push('\n');
    }

    fn patience(&self) -> Option<Duration> {
        Some(self.patience)
    }
}

/// Where a build is that runs. Its commands may stand still: they wait for whatever they like. Everything else fetches or copies.
#[derive(Debug)]
pub struct Steps {
    /// Where it is.
    pub progress: Progress,
    patience: Duration,
}

impl Steps {
    /// None was taken yet.
    pub fn new(limits: &Limits) -> Self {
        Self { progress: Progress::default(), patience: limits.patience }
    }

    /// The error of the build's program, which names the instruction if it was ended there.
    pub fn explain(&self, error: Error, file: Option<&Containerfile>, added: usize) -> Error {
        match error {
            Error::Build(why) => Error::Build(self.progress.cut_off(why, file, added)),
            error => error,
        }
    }
}

impl Follow for Steps {
    fn line(&mut self, line: &str) {
        report::print(line);
        self.progress.take(line);
    }

    fn patience(&self) -> Option<Duration> {
        (!self.progress.runs_command()).then_some(self.patience)
    }
}
