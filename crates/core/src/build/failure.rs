//! What the words of buildah, package managers and registries mean for a build: whose fault, and whether to try again.
//!
//! Source of the words: buildah 1.28.2 (Debian 12) and what commands in a build print; see the fixtures of the tests.

use std::time::Duration;

use super::assemble::{INSTALL, Origin, origin};
use super::containerfile::{Containerfile, excerpt};
use super::spec::{Cause, Failure, Step};

/// Exit code of a shell whose command was killed; the kernel kills what needs more memory than there is.
const KILLED: i32 = 128 + 9;

/// Lines of output that a failure shows at most.
const SHOWN: usize = 20;

/// Words of a network that fails, in lower case.
const NETWORK: [&str; 27] = [
    "temporary failure resolving",
    "temporary failure in name resolution",
    "could not resolve",
    "no such host",
    "connection refused",
    "connection timed out",
    "connection reset",
    "network is unreachable",
    "no route to host",
    "i/o timeout",
    "tls handshake timeout",
    "deadline exceeded",
    "could not connect to",
    "unable to connect to",
    "failed to download metadata",
    "unexpected eof while reading",
    "toomanyrequests",
    "too many requests",
    "service unavailable",
    "bad gateway",
    "gateway timeout",
    "internal server error",
    "statuscode: 429",
    "statuscode: 5",
    ": eof",
    "digest did not match",
    "does not match expected",
];
/// Words of a connection that the builder itself lost, in lower case; a command may print them when all is well, and a shell whose
/// quotes are not closed meets an unexpected EOF.
const CONNECTION: [&str; 4] =
    ["write: broken pipe", "use of closed network connection", "client connection lost", "unexpected eof"];
/// Words of a machine that is out of something.
const MACHINE: [&str; 4] =
    ["no space left on device", "cannot allocate memory", "exited on killed", "too many open files"];
/// Words of a certificate or a package list that is not valid yet, or no more, in lower case: of Go, OpenSSL and what is linked with it
/// (curl, dnf, Python, Node.js), of GnuTLS as apt and wget print it, of rustls, and of apt about a repository.
const VALIDITY: [&str; 9] = [
    "certificate has expired",
    "certificate is not yet valid",
    "certificate chain uses expired certificate",
    "certificate chain uses not yet valid certificate",
    "certificate has not yet been activated",
    "peer certificate: certificate expired",
    "peer certificate: certificate not valid yet",
    "is expired (invalid since",
    "is not valid yet (invalid for another",
];
/// Words of a certificate that is not trusted.
const CERTIFICATE: [&str; 4] =
    ["x509:", "certificate verify failed", "server gave http response to https client", "bad certificate"];
/// Words of a registry that says no.
const ACCESS: [&str; 8] = [
    "unauthorized",
    "authentication required",
    "invalid username/password",
    "403 (forbidden)",
    "status 403",
    "statuscode: 401",
    "statuscode: 403",
    "no basic auth credentials",
];
/// The word by which a registry says no in other ways, in lower case; a kernel says it of files.
const DENIED: &str = "denied";
/// What the kernel says of a file, in lower case, behind its name.
const FILE_DENIED: &str = ": permission denied";
/// Words of an image that is not there.
const NOT_FOUND: [&str; 4] = ["manifest unknown", "name unknown", "repository name not known", "not found"];

/// The cause that the words of a registry, as the builder repeats them, speak of.
pub fn registry_cause(text: &str) -> Cause {
    let text = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&MACHINE) {
        Cause::MachineFailed
    } else if says(&VALIDITY) {
        Cause::NotValidNow
    } else if says(&CERTIFICATE) {
        Cause::CertificateNotTrusted
    } else if says(&ACCESS) {
        Cause::AccessDenied
    } else if is_of_a_file(&text) {
        Cause::MachineFailed
    } else if text.contains(DENIED) {
        Cause::AccessDenied
    } else if says(&NETWORK) || says(&CONNECTION) {
        Cause::NetworkFailed
    } else if says(&NOT_FOUND) {
        Cause::ImageNotFound
    } else {
        Cause::BuilderFailed
    }
}

/// Whether the builder may not use a file, as in `mkdir /d: permission denied`; text in lower case.
///
/// Registries have the same words for what an account may not do, without a path: `denied: Permission "…" denied on resource "…"`.
fn is_of_a_file(text: &str) -> bool {
    text.match_indices(FILE_DENIED).any(|(end, _)| {
        let before = text.get(..end).unwrap_or_default();
        let what = before.rsplit_once(": ").map_or(before, |(_, what)| what);
        let what = what.trim_start_matches('"');
        let is_call = |call: &str| call.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let path = what.split_once(' ').filter(|(call, _)| is_call(call)).map_or(what, |(_, path)| path);
        path.trim_start_matches('"').starts_with('/')
    })
}

/// Whether a failure may be that of what earlier builds have left: an error of the builder itself, or a file that it may not use.
pub fn may_be_the_cache(failure: &Failure) -> bool {
    match failure.cause {
        Cause::BuilderFailed => true,
        Cause::MachineFailed => is_of_a_file(&failure.message.to_lowercase()),
        _ => false,
    }
}

/// The cause of a pull or push that failed, and what the builder said of it in short.
pub fn registry_failure(output: &str) -> (Cause, String) {
    let mut progress = Progress::default();
    output.lines().for_each(|line| {
        progress.take(line);
    });
    let said = progress.verdict().unwrap_or("the builder ended without a word");
    let short = said.rsplit(" at destination: ").next().unwrap_or(said);
    (registry_cause(said), short.to_owned())
}

/// The cause that the output of a command in a build speaks of.
fn command_cause(output: &[String]) -> Cause {
    let mut cause = Cause::InstructionFailed;
    for line in output {
        let line = line.to_lowercase();
        if MACHINE.iter().any(|word| line.contains(word)) {
            return Cause::MachineFailed;
        }
        if VALIDITY.iter().any(|word| line.contains(word)) {
            cause = Cause::NotValidNow;
        } else if cause == Cause::InstructionFailed && NETWORK.iter().any(|word| line.contains(word)) {
            cause = Cause::NetworkFailed;
        }
    }
    cause
}

/// What a person can do about a build that is out of something.
pub const MORE_OF_THE_MACHINE: &str = "check space and memory of the build's node, and what spec.build.resources of the \
                                       pool's LayeringPolicy lets the build use";

/// The failure of an attempt in which nothing moved for longer than it may; `registry` is who should have moved it.
pub fn stood_still(tried: &str, registry: &str, patience: Duration) -> Failure {
    let message = format!(
        "failed to {tried}: next to nothing was sent or received for {} s; check that {registry} works, and that the build's \
         node reaches it",
        patience.as_secs()
    );
    Failure::new(Cause::NetworkFailed, message)
}

/// What a person can do about a failure of this kind at a registry, of which this was said.
pub fn way_out(cause: Cause, said: &str) -> &'static str {
    match cause {
        Cause::MachineFailed if is_of_a_file(&said.to_lowercase()) => {
            "check whom the file belongs to on the build's node; where it is one of the build cache, the next try begins with an \
             empty one"
        }
        Cause::CertificateNotTrusted => {
            "put its authority into the ConfigMap of registry authorities, or into the one of what builds trust \
             (spec.build.trustedCA of the pool's LayeringPolicy)"
        }
        Cause::NotValidNow => {
            "check the clocks of the build's node and of the server, and for how long the certificate or the package list is \
             valid"
        }
        Cause::AccessDenied => "check the credentials in the secret, and what they are allowed to do there",
        Cause::ImageNotFound => "check the name of the image",
        Cause::NetworkFailed => "check that the build's node reaches it",
        Cause::MachineFailed => MORE_OF_THE_MACHINE,
        _ => "see the log of the build's pod",
    }
}

/// Where a build is: the builder's step, and what was printed since it began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Stage, counted from 1.
    pub stage: usize,
    /// Step of the stage, counted from 1.
    pub step: usize,
    /// The instruction as the builder shows it.
    pub text: String,
    /// Lines of output since then.
    pub output: Vec<String>,
    /// Commands before it whose layer an earlier build has left.
    pub reused: usize,
    /// How often it was said how its command ended; see [`Progress::words_are_lost`].
    pub ends: usize,
    /// Whether that was said behind half a line, the last time.
    pub is_cut_short: bool,
}

/// What each of the two processes around a command says when it has failed.
const EXITED: &str = "subprocess exited ";
/// What the inner one says, without a line's end, where there was no command to run.
const NO_START: &str = "process failed to start";
/// The same as [`EXITED`], where it was not killed.
const EXITED_WITH: &str = "subprocess exited with status";

/// What stands before the layer that an earlier build has left.
pub(super) const REUSED: &str = "--> Using cache ";
/// What stands before the layer that a step made, or took.
const LAYER: &str = "--> ";

/// Lines that are kept of one step.
const KEPT: usize = 400;
/// Bytes of lines that are kept of one step, beside the last line: a command may print lines of any length.
const KEPT_BYTES: usize = 4 << 20;

impl Progress {
    /// Takes in a line of output, and says whether it begins a step.
    pub fn take(&mut self, line: &str) -> bool {
        if let Some(Began { stage, step, text, .. }) = read_step(line) {
            *self = Self { stage, step, text: text.to_owned(), reused: self.reused, ..Self::default() };
            return true;
        }
        if line.starts_with(REUSED) && self.runs_command() && self.output.is_empty() {
            self.reused += 1;
        }
        if let Some(place) = line.find(EXITED) {
            // A process that was killed says nothing, nor does one whose command never began.
            let is_alone = (place == 0 && !line.starts_with(EXITED_WITH)) || line.starts_with(NO_START);
            self.ends += if is_alone { 2 } else { 1 };
            self.is_cut_short = place > 0 && !is_alone;
        }
        if !is_noise(line) {
            self.keep(line.trim_end());
        }
        false
    }

    /// Keeps a line, and gives up the oldest ones for it.
    fn keep(&mut self, line: &str) {
        let kept = self.output.iter().rev().take(KEPT - 1);
        let fits = kept.scan(0, |bytes, line| {
            *bytes += line.len();
            (*bytes <= KEPT_BYTES).then_some(())
        });
        let given_up = self.output.len() - fits.count();
        self.output.drain(..given_up);
        self.output.push(line.to_owned());
    }

    /// Whether a build that failed here may succeed when every instruction runs anew.
    ///
    /// A package manager whose lists are as old as the layer that they came with asks for packages that are no longer there.
    pub fn may_be_stale(&self, failure: &Failure) -> bool {
        self.reused > 0 && matches!(failure.cause, Cause::InstructionFailed | Cause::NetworkFailed)
    }

    /// Whether buildah has lost what a command that failed here printed last.
    ///
    /// Of its two processes around a command (chroot isolation), the inner one says how the command ended after everything that
    /// the command printed, and the outer one passes that on; it may end before it has. Then only its own word is there, or its word
    /// is behind half a line.
    pub fn words_are_lost(&self) -> bool {
        (self.ends == 1 || self.is_cut_short) && self.verdict().and_then(command_exit).is_some()
    }

    /// The failure of a build that ended here with this exit code; `added` as in [`origin`].
    pub fn failure(&self, file: Option<&Containerfile>, added: usize, exit_code: Option<i32>) -> Failure {
        let verdict = self.verdict().unwrap_or("the builder ended without a word").to_owned();
        let ran = command_exit(&verdict);
        let cause = match ran {
            Some(KILLED) => Cause::MachineFailed,
            Some(_) => command_cause(&self.output),
            None => registry_cause(&verdict),
        };
        let cause = if cause == Cause::BuilderFailed && verdict.starts_with("building at STEP") {
            Cause::InstructionFailed
        } else {
            cause
        };
        let failure = Failure::new(cause, self.message(cause, ran.is_some(), &verdict, exit_code));
        self.locate(failure, file, added, ran)
    }

    /// The failure of a build that was ended here, for this reason; `added` as in [`origin`].
    pub fn cut_off(&self, why: Failure, file: Option<&Containerfile>, added: usize) -> Failure {
        self.locate(why, file, added, None)
    }

    /// Whether a command runs. It may wait for what it likes; every other instruction reads or writes.
    pub fn runs_command(&self) -> bool {
        self.text.starts_with("RUN ")
    }

    /// Adds where a failure happened: the instruction, and the last lines of output.
    fn locate(
        &self,
        mut failure: Failure,
        file: Option<&Containerfile>,
        added: usize,
        exit_code: Option<i32>,
    ) -> Failure {
        if let Origin::User(instruction) = origin(file, self.stage, self.step, added) {
            let instruction_text = excerpt(&instruction.text());
            failure.step = Some(Step { line: instruction.line, instruction: instruction_text, exit_code });
        }
        let lines = self.output.iter().filter(|line| !line.starts_with("Error: building at STEP"));
        let lines: Vec<String> = lines.cloned().collect();
        failure.output = lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default().to_vec();
        failure
    }

    /// The builder's own last word; a command may print lines that look like it.
    fn verdict(&self) -> Option<&str> {
        let errors = || self.output.iter().rev().filter_map(|line| line.strip_prefix("Error: "));
        errors().find(|error| error.starts_with("building at STEP")).or_else(|| errors().next())
    }

    fn message(&self, cause: Cause, ran: bool, verdict: &str, exit_code: Option<i32>) -> String {
        match (cause, ran) {
            (Cause::InstructionFailed, _) if self.text.contains(INSTALL) => {
                "the packages that MachineConfigs want (spec.extensions, spec.kernelType) could not be installed; correct the \
                 MachineConfigs, or where the package manager looks for packages"
                    .to_owned()
            }
            (Cause::InstructionFailed, true) if self.words_are_lost() => {
                "buildah has lost what it printed last; run it by hand, and correct it in the Containerfile".to_owned()
            }
            (Cause::InstructionFailed, true) => "correct it in the Containerfile".to_owned(),
            (Cause::InstructionFailed, false) => {
                let said = verdict.strip_prefix(&format!("building at STEP \"{}\": ", self.text)).unwrap_or(verdict);
                let said = said.rsplit("copier: ").next().unwrap_or(said);
                format!("{said}; correct it in the Containerfile")
            }
            (Cause::BuilderFailed, _) if exit_code.is_none() => "the builder was killed".to_owned(),
            (cause, true) => way_out(cause, "").to_owned(),
            (cause, false) => format!("{verdict}; {}", way_out(cause, verdict)),
        }
    }
}

/// A step of the builder that begins; everything is counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Began<'a> {
    pub(super) stage: usize,
    pub(super) stages: usize,
    pub(super) step: usize,
    pub(super) steps: usize,
    /// The instruction as the builder shows it.
    pub(super) text: &'a str,
}

/// Reads `[2/3] STEP 4/5: RUN true`, or `STEP 4/5: RUN true` of a build with one stage.
pub(super) fn read_step(line: &str) -> Option<Began<'_>> {
    let of = |numbers: &str| -> Option<(usize, usize)> {
        let (this, all) = numbers.split_once('/')?;
        Some((this.parse().ok()?, all.parse().ok()?))
    };
    let ((stage, stages), rest) = match line.strip_prefix('[') {
        Some(rest) => {
            let (stage, rest) = rest.split_once("] ")?;
            (of(stage)?, rest)
        }
        None => ((1, 1), line),
    };
    let (numbers, text) = rest.strip_prefix("STEP ")?.split_once(": ")?;
    let (step, steps) = of(numbers)?;
    Some(Began { stage, stages, step, steps, text })
}

/// The exit code of a command, from `building at STEP "RUN …": exit status 100`.
fn command_exit(verdict: &str) -> Option<i32> {
    if !verdict.starts_with("building at STEP \"RUN ") {
        return None;
    }
    verdict.rsplit_once("exit status ")?.1.trim().parse().ok()
}

/// Lines of the builder itself that say nothing about a failure.
fn is_noise(line: &str) -> bool {
    let line = line.trim();
    line.is_empty()
        || line.starts_with(EXITED_WITH)
        || line.starts_with("Getting image source signatures")
        || line.starts_with("Copying blob ")
        || line.starts_with("Copying config ")
        || line.starts_with("Writing manifest to image destination")
        || line.starts_with("Storing signatures")
        || is_layer(line)
}

/// `--> 6e96e2f9be9` and `--> Using cache 6e96e2f9be93…`
fn is_layer(line: &str) -> bool {
    let layer = line.strip_prefix(REUSED).or_else(|| line.strip_prefix(LAYER));
    layer.is_some_and(|id| id.len() >= 11 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests;
