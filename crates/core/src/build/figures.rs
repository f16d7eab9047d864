//! What a build took, read from its log, whose lines begin with their times.
//!
//! Source of the lines: as for [`super::progress`]. A log is read when its build has ended, so it is complete.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::failure::{Began, REUSED, read_step};
use super::progress::{CHECKING, Lines, OWN, PULLING, PUSHING};

/// A part of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The base image is pulled, and the configuration's layer made.
    Pull,
    /// The instructions run.
    Instructions,
    /// What became of the configuration is looked at.
    Check,
    /// The image is pushed.
    Push,
}

impl Phase {
    /// The word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Instructions => "instructions",
            Self::Check => "check",
            Self::Push => "push",
        }
    }
}

/// What a build took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// How long each part took.
    pub phases: BTreeMap<Phase, SignedDuration>,
    /// Instructions whose layer an earlier build has left.
    pub reused: u64,
    /// Instructions that ran.
    pub ran: u64,
}

/// Reads a log that comes in pieces.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    lines: Lines,
    log: Log,
}

#[derive(Debug, Clone, Default)]
struct Log {
    phase: Option<(Phase, Timestamp)>,
    last: Option<Timestamp>,
    instructions: u64,
    figures: Figures,
}

impl Reader {
    /// Takes in the next piece.
    pub fn take(&mut self, piece: &[u8]) {
        self.lines.take(piece, |line| self.log.take(line));
    }

    /// What the build took whose log was taken in.
    pub fn end(mut self) -> Figures {
        if let Some(last) = self.log.last {
            self.log.leave(last);
        }
        let ran = self.log.instructions.saturating_sub(self.log.figures.reused);
        Figures { ran, ..self.log.figures }
    }
}

impl Log {
    fn take(&mut self, line: &str) {
        let Some((time, words)) = line.split_once(' ') else { return };
        let Ok(at) = time.parse::<Timestamp>() else { return };
        self.last = Some(at);
        if let Some(own) = words.strip_prefix(OWN) {
            let phases = [(PULLING, Phase::Pull), (CHECKING, Phase::Check), (PUSHING, Phase::Push)];
            if let Some((_, phase)) = phases.into_iter().find(|(step, _)| own.starts_with(step)) {
                self.enter(phase, at);
            }
        } else if let Some(Began { text, .. }) = read_step(words) {
            self.enter(Phase::Instructions, at);
            self.instructions += u64::from(!text.starts_with("FROM "));
        } else if words.starts_with(REUSED) {
            self.figures.reused += 1;
        }
    }

    fn enter(&mut self, phase: Phase, at: Timestamp) {
        if self.phase.is_none_or(|(now, _)| now != phase) {
            self.leave(at);
            self.phase = Some((phase, at));
        }
    }

    fn leave(&mut self, at: Timestamp) {
        if let Some((phase, since)) = self.phase.take() {
            *self.figures.phases.entry(phase).or_default() += at.duration_since(since).max(SignedDuration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-01-01T00:00:00.5Z onlay: building a-1 from r.example.com/os@sha256:aa for rendered-a-1
2026-01-01T00:00:01Z onlay: pulling r.example.com/os@sha256:aa
2026-01-01T00:00:04Z [1/2] STEP 1/1: FROM r.example.com/os@sha256:aa AS configs
2026-01-01T00:00:04Z [2/2] STEP 1/3: FROM configs AS final
2026-01-01T00:00:04Z [2/2] STEP 2/3: RUN echo a
2026-01-01T00:00:04Z --> Using cache 0123456789abcdef
2026-01-01T00:00:05Z [2/2] STEP 3/3: RUN apt-get install -y autofs
what a command prints over several lines has no time
2026-01-01T00:00:20Z Setting up autofs
2026-01-01T00:00:24Z onlay: checking what the Containerfile made of the configuration
2026-01-01T00:00:25.5Z onlay: pushing to r.example.com/os:a-1
2026-01-01T00:00:28Z onlay: pushed r.example.com/os@sha256:bb
";

    #[test]
    fn phases_and_layers_of_a_log_are_read() {
        let mut reader = Reader::default();
        LOG.as_bytes().chunks(7).for_each(|piece| reader.take(piece));
        let figures = reader.end();
        let phases = [(Phase::Pull, 3000), (Phase::Instructions, 20_000), (Phase::Check, 1500), (Phase::Push, 2500)];
        let phases = phases.map(|(phase, millis)| (phase, SignedDuration::from_millis(millis)));
        assert_eq!(figures, Figures { phases: phases.into(), reused: 1, ran: 1 });
    }

    #[test]
    fn a_build_that_begins_anew_counts_both_times() {
        let mut reader = Reader::default();
        let twice = "2026-01-01T00:00:01Z STEP 1/2: FROM a\n2026-01-01T00:00:01Z STEP 2/2: RUN b\n".repeat(2);
        reader.take(twice.as_bytes());
        assert_eq!(reader.end().ran, 2);
    }

    #[test]
    fn a_log_that_says_nothing_has_no_figures() {
        assert_eq!(Reader::default().end(), Figures::default());
    }
}
