//! How a command ends.

use std::process::ExitCode;

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well, and nothing has to be done: 0.
    Well,
    /// Something changes: 2. `kubectl diff` ends with 1 there, which is an error here.
    Changes,
    /// Something is wrong, with the input or with the arguments: 1.
    Error,
    /// `onlay build` was interrupted (Ctrl-C): 130, as a shell counts SIGINT.
    Interrupted,
    /// `onlay build` was told to end: 143, as a shell counts SIGTERM.
    Terminated,
    /// The arguments of `onlay butane` are wrong, as the real tool says it: 2.
    Usage,
}

impl Exit {
    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Error => 1,
            Self::Usage | Self::Changes => 2,
            Self::Interrupted => 128 + 2,
            Self::Terminated => 128 + 15,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
