//! How far a running build is, in words, read from its log as it comes.
//!
//! Source of the lines: what [`super::failure`] knows of buildah's steps, and the builder's own, which begin with [`OWN`].

use super::containerfile::excerpt;
use super::failure::{Began, read_step};

/// What the builder's own lines begin with.
pub const OWN: &str = "onlay: ";
/// The builder's own steps, as their lines go on.
pub const PULLING: &str = "pulling ";
/// Looking at what was built.
pub const CHECKING: &str = "checking ";
/// The last step.
pub const PUSHING: &str = "pushing to ";

/// Bytes that are kept of a line; commands print what they like.
const KEPT: usize = 1024;

/// Puts the lines of a log together that comes in pieces; what a line has too much is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// Takes in the next piece, and gives each line that it ends.
    pub(super) fn take(&mut self, piece: &[u8], mut each: impl FnMut(&str)) {
        for byte in piece {
            if *byte == b'\n' {
                each(&String::from_utf8_lossy(&self.line));
                self.line.clear();
            } else if self.line.len() < KEPT {
                self.line.push(*byte);
            }
        }
    }
}

/// Reads a log that comes in pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reader {
    lines: Lines,
}

impl Reader {
    /// Takes in the next piece, and says how far the build is now, if the piece tells.
    pub fn take(&mut self, piece: &[u8]) -> Option<String> {
        let mut newest = None;
        self.lines.take(piece, |line| newest = of(line).or(newest.take()));
        newest
    }
}

/// How far a build is that printed this line; none if the line says nothing about that.
fn of(line: &str) -> Option<String> {
    if let Some(own) = line.strip_prefix(OWN) {
        let is_step = [PULLING, CHECKING, PUSHING].iter().any(|step| own.starts_with(step));
        return is_step.then(|| excerpt(own));
    }
    let Began { stage, stages, step, steps, text } = read_step(line)?;
    let of_stage = if stages > 1 { format!(" of stage {stage} of {stages}") } else { String::new() };
    Some(format!("step {step} of {steps}{of_stage} ({} %): {}", percent(stage, stages, step, steps), excerpt(text)))
}

/// How much is done when a step begins, every stage counted as one part and every step as one of its parts. The first of several
/// stages is ours, and takes no time to speak of.
fn percent(stage: usize, stages: usize, step: usize, steps: usize) -> usize {
    let (before, parts) = if stages > 1 { (stage.saturating_sub(2), stages - 1) } else { (0, 1) };
    if stages > 1 && stage == 1 {
        return 0;
    }
    let done = before * steps + step.saturating_sub(1);
    (100 * done).checked_div(parts * steps).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::of_one_stage("STEP 2/3: RUN true", Some("step 2 of 3 (33 %): RUN true"))]
    #[case::of_several(
        "[2/2] STEP 2/3: RUN apt-get  update",
        Some("step 2 of 3 of stage 2 of 2 (33 %): RUN apt-get update")
    )]
    #[case::of_our_first_stage("[1/3] STEP 2/2: RUN a", Some("step 2 of 2 of stage 1 of 3 (0 %): RUN a"))]
    #[case::of_the_last_of_three("[3/3] STEP 2/2: RUN a", Some("step 2 of 2 of stage 3 of 3 (75 %): RUN a"))]
    #[case::of_no_steps("STEP 1/0: RUN a", Some("step 1 of 0 (0 %): RUN a"))]
    #[case::of_our_own("onlay: pulling r.example.com/os@sha256:aa", Some("pulling r.example.com/os@sha256:aa"))]
    #[case::the_last_one("onlay: pushing to r.example.com/os:b-1", Some("pushing to r.example.com/os:b-1"))]
    #[case::other_words_of_our_own("onlay: the configuration puts 3 paths into the image", None)]
    #[case::what_a_command_prints("Setting up autofs (5.1.8-2) ...", None)]
    #[case::a_step_without_numbers("STEP one/two: RUN true", None)]
    #[case::nothing("", None)]
    fn a_line(#[case] line: &str, #[case] expected: Option<&str>) {
        assert_eq!(of(line).as_deref(), expected);
    }

    #[test]
    fn a_log_comes_in_pieces_and_the_last_step_counts() {
        let mut reader = Reader::default();
        assert_eq!(reader.take(b"STEP 1/3: FROM con"), None);
        assert_eq!(
            reader.take(b"figs\nSTEP 2/3: RUN a\nhello\nSTEP 3/3: "),
            Some("step 2 of 3 (33 %): RUN a".to_owned())
        );
        assert_eq!(reader.take(b"RUN b\n"), Some("step 3 of 3 (66 %): RUN b".to_owned()));
    }

    #[test]
    fn a_line_without_end_takes_no_more_room_than_another_one() {
        let mut reader = Reader::default();
        (0..1000).for_each(|_| assert_eq!(reader.take(&[b'x'; 4096]), None));
        assert_eq!(reader.lines.line.capacity().next_power_of_two(), KEPT);
        assert_eq!(reader.take(b"\nSTEP 1/1: FROM a\n"), Some("step 1 of 1 (0 %): FROM a".to_owned()));
    }
}
