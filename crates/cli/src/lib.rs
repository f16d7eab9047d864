//! The command line: what the cluster will do, before it does it.
//!
//! The decisions are those of `onlay-core`, which the controllers call as well; here are the arguments, the files and
//! the words for people.

pub mod arguments;
pub mod commands;
mod error;
pub mod examples;
mod exit;
pub mod finding;
mod input;
mod output;
mod pool_name;
mod provided;
mod selection;
mod streams;
mod world;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;

use arguments::Verb;
pub use commands::schemas;
pub use exit::Exit;
pub use streams::Streams;

/// Columns that errors take where there is no terminal to ask, and at most.
const WIDTH: usize = 110;
/// Columns that errors take at least.
const NARROWEST: usize = 60;

/// The program: the arguments and streams of the process, and colours where they end at a terminal.
pub fn main() -> ExitCode {
    let line: Vec<OsString> = std::env::args_os().collect();
    if let Ok(Verb::Butane(arguments)) = arguments::parse(&line) {
        arguments.color().write_global();
    }
    let (mut out, mut err) = (anstream::stdout().lock(), anstream::stderr().lock());
    let terminal = terminal_size::terminal_size_of(io::stderr());
    let width = terminal.map_or(WIDTH, |(width, _)| usize::from(width.0).clamp(NARROWEST, WIDTH));
    let mut streams = Streams { input: &mut io::stdin().lock(), out: &mut out, err: &mut err, width };
    run(line, &mut streams).into()
}

/// Runs a command line, whose first part is the name of the program.
///
/// A reader that goes away before everything is written, as in `onlay … | head`, is no error.
pub fn run(line: impl IntoIterator<Item = OsString>, streams: &mut Streams<'_>) -> Exit {
    let line: Vec<OsString> = line.into_iter().collect();
    let written = match arguments::parse(&line) {
        Ok(verb) => commands::run(&verb, streams),
        Err(error) => usage(&error, &line, streams),
    };
    match written.and_then(|exit| streams.out.flush().map(|()| exit)) {
        Ok(exit) => exit,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Well,
        Err(error) => match writeln!(streams.err, "error: failed to write the result: {error}") {
            Ok(()) | Err(_) => Exit::Error,
        },
    }
}

/// Help and version are results; everything else is an error.
fn usage(error: &clap::Error, line: &[OsString], streams: &mut Streams<'_>) -> io::Result<Exit> {
    let text = error.render().ansi().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        streams.out.write_all(text.as_bytes())?;
        return Ok(Exit::Well);
    }
    streams.err.write_all(text.as_bytes())?;
    Ok(if line.get(1).is_some_and(|verb| verb == "butane") { Exit::Usage } else { Exit::Error })
}
