use super::Instruction;

/// Longest piece of a Containerfile that a message repeats, in characters.
const EXCERPT: usize = 120;

/// Why a Containerfile cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerfileError {
    /// Something on one line.
    #[error("failed to read the Containerfile: line {line}: `{text}`: {fault}")]
    Line {
        /// Line of the text, counted from 1.
        line: usize,
        /// What stands there, cut if it is long.
        text: String,
        /// What is wrong, and what to do.
        fault: Fault,
    },
    /// Build arguments, but nothing to build.
    #[error("failed to read the Containerfile: it has no FROM; begin with `FROM configs AS final`")]
    NoStage,
}

impl ContainerfileError {
    /// Line of the text, counted from 1, if it is one line.
    pub const fn line(&self) -> Option<usize> {
        match self {
            Self::Line { line, .. } => Some(*line),
            Self::NoStage => None,
        }
    }
}

/// What is wrong with an instruction, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A word that is no instruction.
    #[error(
        "{0} is no instruction; if the line continues the one before, end that one with a backslash (instructions are \
         ADD, ARG, CMD, COPY, ENTRYPOINT, ENV, EXPOSE, FROM, HEALTHCHECK, LABEL, ONBUILD, RUN, SHELL, STOPSIGNAL, USER, \
         VOLUME and WORKDIR)"
    )]
    Unknown(String),
    /// Something to copy without a source or a destination.
    #[error("{0} needs a source and, last, a destination")]
    Operands(&'static str),
    /// A keyword alone.
    #[error("{0} needs arguments")]
    NoArguments(&'static str),
    /// An instruction that needs a stage.
    #[error("only ARG may stand before the first FROM; begin with `FROM configs AS final`")]
    BeforeFrom,
    /// A FROM that cannot be read.
    #[error("write `FROM IMAGE` or `FROM IMAGE AS NAME`")]
    From,
    /// A variable without a value.
    #[error(
        "{0} has no value; write `ARG {0}=VALUE` above the first FROM, or `ARG {0}` there and its value into the pool's \
         LayeringPolicy (spec.build.buildArgs)"
    )]
    NoDefault(String),
    /// A variable with more than a name.
    #[error("only `$NAME` and `${{NAME}}` are understood in FROM")]
    Substitution,
    /// A stage with the name of ours.
    #[error("the name `configs` is taken by the stage that holds base image and configuration; choose another one")]
    NameTaken,
    /// A stage with the name of another image.
    #[error("the pool's LayeringPolicy gives the name `{0}` to an image (spec.build.contexts); choose another one")]
    ImageAndStage(String),
    /// A last stage that begins somewhere else.
    #[error(
        "the last stage begins with `{0}`, not with `configs`, so neither base image nor configuration would be in it; \
         write `FROM configs AS final`"
    )]
    NotConfigs(String),
    /// A source that is not there.
    #[error(
        "there is no build context to take files from; put the file into a MachineConfig, write it with a heredoc, take \
         it from another image with --from, or put it beside the Containerfile into a ConfigMap that the pool's \
         LayeringPolicy names (spec.build.containerfile)"
    )]
    NoContext,
    /// A source that is not among the files.
    #[error(
        "there is no file `{name}` beside the Containerfile, and each file is named by its key; there are: {files}"
    )]
    NoFile {
        /// What is named.
        name: String,
        /// What there is.
        files: String,
    },
    /// A heredoc without an end.
    #[error("the heredoc is not ended; write `{0}` alone on a line after it")]
    Unended(String),
    /// A heredoc that is not copied as it is.
    #[error("variables in a copied heredoc are not replaced; write `<<'{0}'` to copy it as it is")]
    Expands(String),
    /// A last line that promises another.
    #[error("the line ends with `{0}`, and nothing follows; remove it")]
    Dangling(char),
}

impl Fault {
    pub(super) fn at(self, instruction: &Instruction) -> ContainerfileError {
        self.on(instruction.line, &instruction.text())
    }

    pub(super) fn on(self, line: usize, text: &str) -> ContainerfileError {
        ContainerfileError::Line { line, text: excerpt(text), fault: self }
    }
}

/// One line of a text, cut if it is long.
pub(crate) fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(EXCERPT) {
        None => line,
        Some(_) => line.chars().take(EXCERPT - 1).chain(['…']).collect(),
    }
}
