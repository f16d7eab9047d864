//! Following a program: its lines as they come, its end, and what may end it before.

use std::io::{self, PipeReader, Read as _};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::{Error, Runner, family, programs, wait};

/// Bytes that a program moves at least while it does not stand still: the words by which a connection is kept open move less.
const LITTLE: u64 = 16 << 10;
/// How often in its patience a program is looked at.
const LOOKS: u32 = 20;
/// Bytes that are read at once: all that a pipe holds.
const PIECE: usize = 64 << 10;
/// Pieces that are read ahead of a follower at most, 16 MiB.
const AHEAD: usize = 256;
/// How often it is looked whether all programs are ended: one that has left its parents before may still hold the output open.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of a line that are handed over at once: more than the longest instruction that a builder repeats, since a Containerfile has at most
/// 1 MiB. Programs print what they like, and a line that never ends is no reason to have no memory.
const LONGEST: usize = 2 << 20;

/// Who follows a program: a function that takes its lines, or something with patience.
pub trait Follow {
    /// Takes in a line, or the next 2 MiB of one that is longer.
    fn line(&mut self, line: &str);

    /// How long the program may stand still now, which is to read and write next to nothing: no files, pipes or sockets. None if for
    /// ever.
    fn patience(&self) -> Option<Duration> {
        None
    }
}

impl<F: FnMut(&str)> Follow for F {
    fn line(&mut self, line: &str) {
        self(line);
    }
}

impl Runner {
    /// Runs `command` and hands over every line that it writes, to stdout or stderr, as soon as it is there and in the
    /// order of writing. A follower that takes its time does not hold the command up: what it writes is read ahead, as far as 16 MiB.
    /// The command ends when both are closed. It is killed with everything it started when the time for
    /// all programs is over ([`Error::TooLong`]), when it stands still for longer than the follower's patience
    /// ([`Error::StoodStill`]), or when all programs are ended ([`Error::Stopped`]).
    pub fn follow(&self, command: &[&str], follower: &mut impl Follow) -> Result<ExitStatus, Error> {
        let name = || command.join(" ");
        let failed = |source| Error::Start { command: name(), source };
        let began = Instant::now();
        let words: Vec<&str> = self.prefix.iter().chain(command).copied().collect();
        let (output, input) = std::io::pipe().map_err(failed)?;
        let stopped = || Error::Stopped { command: name() };
        let mut child = {
            let mut command = self.command(&words);
            command.stdout(input.try_clone().map_err(failed)?).stderr(input);
            self.begin(&mut command).map_err(failed)?.ok_or_else(stopped)?
        };
        let ended = match self.read(output, &child, follower).map_err(failed)? {
            None => {
                let left = self.until.map(|end| end.saturating_duration_since(Instant::now()));
                wait(&mut child, left).map_err(failed)?
            }
            Some(Cut::Late | Cut::Stopped) => {
                programs::end(&mut child).map_err(failed)?;
                None
            }
            Some(Cut::StoodStill(patience)) => {
                programs::end(&mut child).map_err(failed)?;
                return Err(Error::StoodStill { command: name(), patience });
            }
        };
        if self.is_stopped() {
            return Err(stopped());
        }
        let late = || Error::TooLong { command: name(), limit: began.elapsed(), stderr: String::new() };
        ended.ok_or_else(late)
    }

    /// Hands over lines until there are no more; or until the program shall be ended, and says why.
    fn read(&self, output: PipeReader, child: &Child, follower: &mut impl Follow) -> io::Result<Option<Cut>> {
        let (mut lines, mut pace) = (Lines::default(), Pace::new(Pid::from_child(child)));
        let (sender, pieces) = mpsc::sync_channel(AHEAD);
        thread::Builder::new().name("read-ahead".to_owned()).spawn(move || read_ahead(output, &sender))?;
        loop {
            let now = Instant::now();
            let left = self.until.map(|end| end.saturating_duration_since(now));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Some(Cut::Late));
            }
            if self.is_stopped() {
                return Ok(Some(Cut::Stopped));
            }
            let look = match follower.patience() {
                Some(patience) => match pace.look(patience, now) {
                    Some(next) => Some(next),
                    None => return Ok(Some(Cut::StoodStill(patience))),
                },
                None => {
                    pace.since = None;
                    None
                }
            };
            match pieces.recv_timeout(left.into_iter().chain(look).fold(LOOK, Duration::min)) {
                Ok(piece) => lines.take(&piece?, follower),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        lines.end(follower);
        Ok(None)
    }
}

/// Reads until everybody has closed the other end, or nobody wants more.
fn read_ahead(mut output: PipeReader, pieces: &SyncSender<io::Result<Vec<u8>>>) {
    let mut piece = vec![0; PIECE];
    loop {
        let read = output.read(&mut piece).map(|length| piece.get(..length).unwrap_or_default().to_vec());
        let is_last = read.as_ref().is_ok_and(Vec::is_empty);
        let is_broken = read.is_err();
        if is_last || pieces.send(read).is_err() || is_broken {
            return;
        }
    }
}

/// Why a program is ended.
enum Cut {
    Late,
    Stopped,
    StoodStill(Duration),
}

/// What a program has moved.
struct Pace {
    leader: Pid,
    /// The time of the last move, and what had been moved then; none while nobody minds.
    since: Option<(Instant, u64)>,
    next: Option<Instant>,
}

impl Pace {
    fn new(leader: Pid) -> Self {
        Self { leader, since: None, next: None }
    }

    /// How long until the next look; none if the program has stood still for too long.
    ///
    /// Where the kernel does not tell, it counts as moving.
    fn look(&mut self, patience: Duration, now: Instant) -> Option<Duration> {
        let pause = patience / LOOKS;
        if let (Some(next), Some(_)) = (self.next, self.since)
            && now < next
        {
            return Some(next - now);
        }
        self.next = Some(now + pause);
        let moved = family::moved(self.leader);
        match (self.since, moved) {
            (Some((since, before)), Some(moved)) if moved.abs_diff(before) < LITTLE => {
                (now.duration_since(since) < patience).then_some(pause)
            }
            _ => {
                self.since = moved.map(|moved| (now, moved));
                Some(pause)
            }
        }
    }
}

/// Puts lines together that come in pieces.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    fn take(&mut self, piece: &[u8], follower: &mut impl Follow) {
        let mut lines = piece.split_inclusive(|byte| *byte == b'\n');
        lines.by_ref().for_each(|line| {
            self.begun.extend_from_slice(line);
            if line.ends_with(b"\n") {
                self.hand_over(follower);
            } else if self.begun.len() >= LONGEST {
                let rest = self.begun.split_off(whole(&self.begun));
                self.hand_over(follower);
                self.begun = rest;
            }
        });
    }

    fn end(&mut self, follower: &mut impl Follow) {
        if !self.begun.is_empty() {
            self.hand_over(follower);
        }
    }

    fn hand_over(&mut self, follower: &mut impl Follow) {
        follower.line(String::from_utf8_lossy(&self.begun).trim_end_matches(['\n', '\r']));
        self.begun.clear();
    }
}

/// How much of a text that goes on ends with a whole character.
fn whole(text: &[u8]) -> usize {
    let is_first = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    // A character has at most four bytes.
    let last = text.iter().rev().take(4).position(is_first).map_or(text.len(), |behind| text.len() - 1 - behind);
    let is_whole = text.get(last..).is_some_and(|last| std::str::from_utf8(last).is_ok());
    if is_whole || last == 0 { text.len() } else { last }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Error, Follow, LONGEST, Lines, PIECE, Runner};

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(600);

    /// Ends a program by its patience, from the line that says so on.
    struct Waiting {
        lines: Vec<String>,
        from: &'static str,
        patience: Duration,
    }

    impl Follow for Waiting {
        fn line(&mut self, line: &str) {
            self.lines.push(line.to_owned());
        }

        fn patience(&self) -> Option<Duration> {
            self.lines.iter().any(|line| line == self.from).then_some(self.patience)
        }
    }

    fn waiting(from: &'static str, patience: u64) -> Waiting {
        Waiting { lines: Vec::new(), from, patience: Duration::from_millis(patience) }
    }

    /// Whether a process exists, and has not ended.
    fn runs(pid: &str) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
    }

    #[test]
    fn lines_of_both_streams_are_followed_in_order() {
        let mut lines = Vec::new();
        let script = "echo one; echo two >&2; printf 'three\\r\\nfour'; exit 7";
        let mut follower = |line: &str| lines.push(line.to_owned());
        let status = Runner::here().until(Some(Instant::now() + LONG)).follow(&["sh", "-c", script], &mut follower);
        assert_eq!(
            (status.unwrap().code(), lines),
            (Some(7), ["one", "two", "three", "four"].map(str::to_owned).to_vec())
        );
    }

    #[test]
    fn a_line_that_does_not_end_is_handed_over_in_pieces_of_whole_characters() {
        let (mut lines, mut longest) = (Lines::default(), 0);
        let mut taken = Vec::new();
        // A character of three bytes, which pieces of a pipe cut where they like.
        let text = "\u{20ac}".repeat(LONGEST);
        for piece in text.as_bytes().chunks(PIECE) {
            lines.take(piece, &mut |line: &str| taken.push(line.to_owned()));
            longest = longest.max(lines.begun.len());
        }
        assert!(longest < LONGEST, "{longest} bytes are kept of a line");
        lines.take(b"\nnext\n", &mut |line: &str| taken.push(line.to_owned()));
        assert_eq!(taken.pop().as_deref(), Some("next"));
        assert!(taken.len() > 1 && taken.iter().all(|line| line.len() < LONGEST + PIECE), "{}", taken.len());
        assert!(taken.concat() == text, "it is not the same text");
    }

    #[test]
    fn a_follower_that_takes_its_time_holds_no_program_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("done");
        let script = format!("seq 1 100000; echo > {}", path.display());
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let (sender, done) = mpsc::channel();
        thread::spawn(move || sender.send(fs::read(path)));
        let mut lines = 0;
        let mut follower = |_: &str| {
            if lines == 0 {
                done.recv_timeout(LONG).expect("the program waits for its reader").unwrap();
            }
            lines += 1;
        };
        let status = Runner::here().follow(&["sh", "-c", &script], &mut follower).unwrap();
        assert_eq!((status.success(), lines), (true, 100_000));
    }

    #[test]
    fn a_program_that_does_not_end_in_time_is_killed_with_everything_below_it() {
        let mut lines = Vec::new();
        let script = "echo $$; setsid sh -c 'echo $$; sleep 600 & echo $!; wait' & wait";
        let mut follower = |line: &str| lines.push(line.to_owned());
        let runner = Runner::here().until(Some(Instant::now() + Duration::from_secs(2)));
        let error = runner.follow(&["sh", "-c", script], &mut follower).unwrap_err();
        assert!(matches!(error, Error::TooLong { .. }), "{error}");
        assert_eq!(lines.len(), 3, "{lines:?}");
        let left: Vec<_> = lines.iter().filter(|pid| runs(pid)).collect();
        assert_eq!(left, [] as [&String; 0]);
    }

    #[test]
    fn a_program_that_has_closed_its_output_is_killed_in_time_too() {
        let runner = Runner::here().until(Some(Instant::now() + Duration::from_millis(200)));
        let error = runner.follow(&["sh", "-c", "exec sleep 600 >&- 2>&-"], &mut |_: &str| ()).unwrap_err();
        assert!(matches!(error, Error::TooLong { .. }), "{error}");
    }

    #[test]
    fn a_program_that_stands_still_is_killed_once_that_counts() {
        let mut follower = waiting("b", 400);
        let script = "echo a; sleep 1; echo b; sleep 600";
        let error = Runner::here().follow(&["sh", "-c", script], &mut follower).unwrap_err();
        assert!(matches!(error, Error::StoodStill { .. }), "{error}");
        assert_eq!(follower.lines, ["a", "b"]);
    }

    #[test]
    fn a_program_that_moves_a_little_at_a_time_ends_by_itself() {
        let mut follower = waiting("a", 3000);
        let script = "echo a; for i in $(seq 16); do head -c 100000 /dev/zero | cat > /dev/null; sleep 0.25; done";
        let status = Runner::here().follow(&["sh", "-c", script], &mut follower).unwrap();
        assert!(status.success());
    }
}
