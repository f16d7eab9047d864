//! What a node does next towards its target.
//!
//! The journal says what was done for the target, and in which boot. The journal is written before the first step and after
//! each one; a step that was done but not marked is done again, so every step is idempotent.

use crate::change::disruption;
use onlay_api::{Needs, Permit};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How often a deployment that was unlocked may fail to become the booted one before the node asks for help, and how often
/// a change of the running system may turn out not to be well before the node goes back from it.
pub const MAX_ATTEMPTS: u32 = 2;

/// What a node shall run: a rendered configuration on an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Name of the rendered MachineConfig.
    pub config: String,
    /// The image by digest, `HOST[:PORT]/PATH@sha256:DIGEST`.
    pub image: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.config, self.image)
    }
}

/// A step of an update, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// Write the record and stage its deployment, locked. Undone by discarding the deployment.
    Stage,
    /// Make the running system's files equal to the new record: for a reboot, so that the shutdown merges /etc into the new
    /// deployment. Undone by making them equal to the running deployment's record.
    Converge,
    /// Without a reboot: tell systemd and the units that the policy names about what changed. Undone by telling them again,
    /// once the files are back.
    Services,
    /// Let the next shutdown make the staged deployment the one that boots. Undone by locking it again.
    Unlock,
    /// Reboot.
    Reboot,
    /// Compare the booted system with the record, and give the guard the word that it is well.
    Verify,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stage => "stage",
            Self::Converge => "converge",
            Self::Services => "services",
            Self::Unlock => "unlock",
            Self::Reboot => "reboot",
            Self::Verify => "verify",
        })
    }
}

/// What was done for a target so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    /// What the update is for.
    pub target: Target,
    /// The deployment that was booted when the update began: where going back leads.
    pub from: String,
    /// The boot in which the steps were done.
    pub boot_id: String,
    /// The last step that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Step>,
    /// What applying the target takes; known once it is staged.
    #[serde(default)]
    pub needs: Needs,
    /// What systemd and units are told after the change of the running system, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<disruption::Step>,
    /// The deployment that was staged for the target. Without a reboot: the name of the record that waits to be the booted
    /// deployment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// How often the target was unlocked and the old system came up all the same, or the changed system was not well.
    #[serde(default)]
    pub attempts: u32,
    /// Why the changed system was not well, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Journal {
    /// The journal of an update that begins.
    pub fn begin(target: Target, boot: &Boot) -> Self {
        let (from, boot_id) = (boot.deployment.clone(), boot.id.clone());
        Self {
            target,
            from,
            boot_id,
            done: None,
            needs: Needs::Unknown,
            services: Vec::new(),
            deployment: None,
            attempts: 0,
            failure: None,
        }
    }

    /// Whether the running system is changed, and nothing is booted.
    pub fn is_live(&self) -> bool {
        matches!(self.needs, Needs::Write | Needs::Services | Needs::Drain)
    }

    /// The same update after a try whose result was not well.
    pub fn failed(&self, why: String) -> Self {
        Self { attempts: self.attempts.saturating_add(1), failure: Some(why), ..self.clone() }
    }

    /// Whether the permit to disrupt was used: the node is out of service, and goes on without asking again.
    pub fn is_past_permit(&self) -> bool {
        self.done >= Some(Step::Converge)
    }

    /// Whether the next shutdown boots the target, or the last one was meant to.
    pub fn is_unlocked(&self) -> bool {
        self.done >= Some(Step::Unlock)
    }

    /// The same update from its beginning, in another boot.
    pub fn again(&self, boot: &Boot) -> Self {
        let attempts = self.attempts.saturating_add(u32::from(self.is_unlocked()));
        Self { attempts, failure: self.failure.clone(), ..Self::begin(self.target.clone(), boot) }
    }
}

/// A running system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// From `/proc/sys/kernel/random/boot_id`.
    pub id: String,
    /// The booted deployment.
    pub deployment: String,
}

/// What is true on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What the node shall run; none until the controller knows the image.
    pub target: Option<Target>,
    /// How far the node may go.
    pub permit: Permit,
    /// The running system.
    pub boot: Boot,
    /// The deployment that is staged.
    pub staged: Option<String>,
    /// Whether the booted deployment was found well, in this boot or an earlier one.
    pub confirmed: bool,
    /// What the booted deployment was found well with; none before the first update.
    pub running: Option<Target>,
    /// The journal of an update that began and did not end.
    pub journal: Option<Journal>,
    /// Why the target is not tried again: the node went back from it.
    pub quarantined: Option<String>,
    /// The guard went back, and nobody has written that down yet.
    pub went_back: bool,
    /// What the last boot said about making the staged deployment bootable, when that did not work.
    pub last_words: Option<String>,
}

/// Why a node does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// The controller has not named an image yet.
    Target,
    /// The pool is paused, or it is not the node's turn.
    PermitToStage,
    /// The node is staged, and it is not its turn to go out of service.
    PermitToDisrupt,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Target => "waiting for the controller to name the image",
            Self::PermitToStage => "waiting for the permit to stage",
            Self::PermitToDisrupt => "staged; waiting for its turn",
        })
    }
}

/// Why a node needs a person, or another target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The node went back from this target.
    WentBack {
        /// Why.
        reason: String,
    },
    /// The old system came up although the new one was unlocked.
    NotFinalised {
        /// How often.
        attempts: u32,
        /// What the system said about it when it went down.
        last_words: Option<String>,
    },
    /// Neither the old nor the new system came up: somebody chose another one.
    OtherBooted {
        /// The booted deployment.
        deployment: String,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WentBack { reason } => {
                write!(f, "the node went back from this target: {reason}; change the configuration or the image")
            }
            Self::NotFinalised { attempts, last_words } => {
                write!(f, "the staged system was to boot and the old one came up, {attempts} times; ")?;
                match last_words {
                    Some(words) => write!(f, "on its way down the system said: {words}; ")?,
                    None => f.write_str("the journal of the boots before says nothing about it; ")?,
                }
                f.write_str("mend that, then change the configuration or the image to try again")
            }
            Self::OtherBooted { deployment } => write!(
                f,
                "somebody booted {deployment}, which is neither the old nor the new system of this update; \
                 boot one of them, or change the configuration or the image"
            ),
        }
    }
}

/// What a node does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The node runs its target.
    Rest,
    /// Nothing may be done yet.
    Wait(Wait),
    /// Nothing can be done without help.
    Stop(Trouble),
    /// Write this journal: an update begins, or begins again in this boot.
    Begin(Journal),
    /// The configuration asks for what the node already has: take its name.
    Rename(Journal),
    /// Do this step, and mark it done in the journal.
    Do(Step, Journal),
    /// Undo what the journal says was done, and forget it: the target has changed.
    Undo(Journal),
    /// The running system was changed and is not well: quarantine the target, then undo what the journal says was done.
    GoBack(Journal),
    /// A system runs that nobody found well and that no update explains: somebody chose it. Look whether it is well.
    Accept,
    /// Write down that the guard went back: quarantine the pair, forget the journal.
    NoteWentBack,
}

/// What a node does next towards its target.
pub fn decide(observed: &Observed) -> Decision {
    if observed.went_back {
        return Decision::NoteWentBack;
    }
    match &observed.journal {
        Some(journal) if journal.boot_id == observed.boot.id => go_on(observed, journal),
        Some(journal) => after_reboot(observed, journal),
        None if !observed.confirmed => Decision::Accept,
        None => begin(observed),
    }
}

fn begin(observed: &Observed) -> Decision {
    let Some(target) = &observed.target else { return Decision::Wait(Wait::Target) };
    if observed.running.as_ref() == Some(target) {
        return Decision::Rest;
    }
    if let Some(reason) = &observed.quarantined {
        return Decision::Stop(Trouble::WentBack { reason: reason.clone() });
    }
    match observed.permit {
        Permit::Hold => Decision::Wait(Wait::PermitToStage),
        Permit::Stage | Permit::Disrupt => Decision::Begin(Journal::begin(target.clone(), &observed.boot)),
    }
}

/// The next step in the boot in which the update began.
fn go_on(observed: &Observed, journal: &Journal) -> Decision {
    if observed.target.as_ref() != Some(&journal.target) && !journal.is_unlocked() {
        return Decision::Undo(journal.clone());
    }
    if journal.is_live() && journal.done.is_some() {
        return go_on_live(observed, journal);
    }
    let gone = observed.staged.is_none() || observed.staged != journal.deployment;
    match journal.done {
        None if observed.permit == Permit::Hold => Decision::Wait(Wait::PermitToStage),
        None => Decision::Do(Step::Stage, journal.clone()),
        Some(Step::Stage) if journal.needs == Needs::None => Decision::Rename(journal.clone()),
        Some(_) if gone && !journal.is_unlocked() => Decision::Begin(journal.again(&observed.boot)),
        Some(Step::Stage) if observed.permit < Permit::Disrupt => Decision::Wait(Wait::PermitToDisrupt),
        Some(Step::Stage) => Decision::Do(Step::Converge, journal.clone()),
        Some(Step::Converge | Step::Services) => Decision::Do(Step::Unlock, journal.clone()),
        Some(Step::Unlock | Step::Reboot | Step::Verify) => Decision::Do(Step::Reboot, journal.clone()),
    }
}

/// The next step of a change of the running system. Files that nothing is told about need no permit to disrupt.
fn go_on_live(observed: &Observed, journal: &Journal) -> Decision {
    let needed = if journal.needs == Needs::Write { Permit::Stage } else { Permit::Disrupt };
    match journal.done {
        _ if journal.attempts >= MAX_ATTEMPTS => Decision::GoBack(journal.clone()),
        Some(Step::Converge) => Decision::Do(Step::Services, journal.clone()),
        Some(Step::Services | Step::Unlock | Step::Reboot | Step::Verify) => {
            Decision::Do(Step::Verify, journal.clone())
        }
        None | Some(Step::Stage) if observed.permit == Permit::Hold => Decision::Wait(Wait::PermitToStage),
        None | Some(Step::Stage) if observed.permit < needed => Decision::Wait(Wait::PermitToDisrupt),
        None | Some(Step::Stage) => Decision::Do(Step::Converge, journal.clone()),
    }
}

/// Which of the three systems came up: the target, the one before, or another one.
fn after_reboot(observed: &Observed, journal: &Journal) -> Decision {
    let booted = &observed.boot.deployment;
    if journal.deployment.as_ref() == Some(booted) {
        return Decision::Do(Step::Verify, journal.clone());
    }
    if *booted != journal.from && !observed.confirmed {
        return Decision::Accept;
    }
    if observed.target.as_ref() != Some(&journal.target) {
        return Decision::Undo(journal.clone());
    }
    if *booted != journal.from && !journal.is_live() {
        return Decision::Stop(Trouble::OtherBooted { deployment: booted.clone() });
    }
    if observed.quarantined.is_some() {
        return Decision::NoteWentBack;
    }
    let again = journal.again(&observed.boot);
    if again.attempts >= MAX_ATTEMPTS {
        let last_words = observed.last_words.clone();
        return Decision::Stop(Trouble::NotFinalised { attempts: again.attempts, last_words });
    }
    Decision::Begin(again)
}
