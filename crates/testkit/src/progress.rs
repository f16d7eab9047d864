//! Words for the person who waits: one line per thing that is done, with the time since the beginning.

use std::time::{Duration, Instant};

/// Writes what is going on to standard error, or nothing at all.
#[derive(Debug, Clone)]
pub struct Progress {
    start: Instant,
    silent: bool,
}

impl Progress {
    /// Begins to count; lines go to standard error.
    pub fn stderr() -> Self {
        Self { start: Instant::now(), silent: false }
    }

    /// Says nothing.
    pub fn silent() -> Self {
        Self { start: Instant::now(), silent: true }
    }

    /// Says one line.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.silent {
            eprintln!("{} {}", clock(self.start.elapsed()), text.as_ref());
        }
    }

    /// Does `work`, and says `name` and how long it took when it went well.
    pub async fn step<T, E>(&self, name: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let start = Instant::now();
        let done = work.await?;
        self.say(format!("{name} ({:.1} s)", start.elapsed().as_secs_f64()));
        Ok(done)
    }

    /// The time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

fn clock(elapsed: Duration) -> String {
    let tenths = elapsed.as_millis() / 100;
    format!("{:>3}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_counts_minutes_and_tenths_of_seconds() {
        assert_eq!(clock(Duration::from_millis(2_340)), "  0:02.3");
        assert_eq!(clock(Duration::from_millis(119_960)), "  1:59.9");
    }
}
