//! What a node waits for.
//!
//! The reason is a type, so that one text serves the node's condition, the pool's message and every tool.

use std::fmt;

use jiff::Timestamp;
use onlay_api::machine_config_node::UpdatePhase;

/// What there is to say of a `maxUnavailable` that cannot be read.
pub const UNREADABLE: &str = "is neither a number from 0 on nor a percentage; write 1 or \"10%\", for example";

/// What a node waits for, or why it cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// No pool selects the node.
    NoPool,
    /// Several custom pools select the node, or a selector cannot be read; the text says which.
    PoolConflict(String),
    /// The pool has no rendered configuration yet.
    NotRendered,
    /// The agent has not reported what the node runs.
    NotMet,
    /// The image for the pool's configuration is not built yet.
    Image {
        /// Name of the MachineOSConfig.
        os_config: String,
        /// The configuration that the image shall serve.
        config: String,
    },
    /// The image is not built yet for the node's architecture.
    ImageFor {
        /// Name of the MachineOSConfig.
        os_config: String,
        /// The architecture, as Kubernetes names it.
        architecture: String,
    },
    /// The image cannot be built.
    ImageFailed {
        /// Kind and name of the object that says so.
        object: String,
        /// What it says.
        message: String,
    },
    /// The configuration names an image by tag.
    NotPinned {
        /// The configuration.
        config: String,
        /// The image as written.
        image: String,
    },
    /// The node cannot get from what it runs to its target; the text names the fields.
    Refused {
        /// Name of the configuration of the target.
        config: String,
        /// Which fields cannot change, and what to do.
        why: String,
    },
    /// The pool is paused.
    Paused,
    /// `maxUnavailable` cannot be read.
    MaxUnavailable(String),
    /// The agent has not begun yet.
    Agent,
    /// The agent pulls and stages.
    Staging(String),
    /// Other nodes of the pool are out of service.
    Slot {
        /// The nodes that are out, sorted.
        out: Vec<String>,
        /// How many may be out at once.
        max: usize,
    },
    /// The node runs the controller, and goes last.
    Last {
        /// Nodes that go before, sorted.
        before: Vec<String>,
    },
    /// Another node failed on the same target.
    Stopped {
        /// The node that failed.
        node: String,
    },
    /// The node is not Ready.
    NotReady,
    /// Pods have to leave the node.
    Drain(Drain),
    /// The agent applies the update.
    Update(UpdatePhase),
    /// The update cannot go on; the agent says why.
    Failed(String),
    /// The node went back to what it ran before; the agent says why.
    RolledBack(String),
}

/// A drain that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drain {
    /// Pods that the API server does not let go, each with its words, sorted.
    pub refused: Vec<(String, String)>,
    /// Pods that are ending, sorted.
    pub ending: Vec<String>,
    /// Pods that were just asked to leave, sorted.
    pub asked: Vec<String>,
    /// When the drain counts as failed.
    pub deadline: Option<Timestamp>,
    /// Whether that time has passed.
    pub late: bool,
}

/// How many pods a text names one by one.
const NAMED: usize = 3;

impl WaitReason {
    /// Whether it needs a person: the node, or its pool, is degraded.
    pub fn is_degraded(&self) -> bool {
        match self {
            Self::PoolConflict(_)
            | Self::ImageFailed { .. }
            | Self::NotPinned { .. }
            | Self::MaxUnavailable(_)
            | Self::Refused { .. }
            | Self::Failed(_)
            | Self::RolledBack(_) => true,
            Self::Drain(drain) => drain.late,
            _ => false,
        }
    }

    /// Whether the node is on its way and needs nobody.
    pub fn is_moving(&self) -> bool {
        !self.is_degraded() && !matches!(self, Self::NoPool | Self::Paused | Self::Stopped { .. })
            || matches!(self, Self::Drain(_))
    }

    /// One CamelCase word for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoPool => "NoPool",
            Self::PoolConflict(_) => "PoolConflict",
            Self::NotRendered => "NotRendered",
            Self::NotMet => "AgentHasNotReported",
            Self::Image { .. } | Self::ImageFor { .. } => "ImageNotBuilt",
            Self::ImageFailed { .. } => "ImageBuildFailed",
            Self::NotPinned { .. } => "ImageNotPinned",
            Self::Refused { .. } => "ChangeRefused",
            Self::Paused => "PoolPaused",
            Self::MaxUnavailable(_) => "InvalidMaxUnavailable",
            Self::Agent => "AgentHasNotBegun",
            Self::Staging(_) => "Staging",
            Self::Slot { .. } => "MaxUnavailable",
            Self::Last { .. } => "ControllerGoesLast",
            Self::Stopped { .. } => "RolloutStopped",
            Self::NotReady => "NotReady",
            Self::Drain(drain) if drain.late => "DrainDeadlineExceeded",
            Self::Drain(_) => "Draining",
            Self::Update(_) => "Updating",
            Self::Failed(_) => "UpdateFailed",
            Self::RolledBack(_) => "RolledBack",
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPool => f.write_str("no MachineConfigPool selects the node"),
            Self::PoolConflict(message) => f.write_str(message),
            Self::NotRendered => f.write_str("waiting for the pool's configuration to be rendered"),
            Self::NotMet => f.write_str("waiting for the agent's first report"),
            Self::Image { os_config, config } => {
                write!(f, "waiting for MachineOSConfig {os_config} to have an image for {config}")
            }
            Self::ImageFor { os_config, architecture } => {
                write!(f, "waiting for MachineOSConfig {os_config} to have an image for {architecture}")
            }
            Self::ImageFailed { object, message } => write!(f, "no image: {object}: {message}"),
            Self::NotPinned { config, image } => write!(
                f,
                "osImageURL {image} of {config} is not given by digest; write it as HOST[:PORT]/PATH@sha256:DIGEST"
            ),
            Self::Refused { config, why } => write!(f, "keeps what it runs, and does not get {config}: {why}"),
            Self::Paused => f.write_str("the pool is paused"),
            Self::MaxUnavailable(given) => write!(f, "spec.maxUnavailable {given:?} {UNREADABLE}"),
            Self::Agent => f.write_str("waiting for the agent to begin"),
            Self::Staging(step) if step.is_empty() => f.write_str("staging"),
            Self::Staging(step) => write!(f, "staging: {step}"),
            Self::Slot { out, max } => {
                write!(f, "waiting for {}: at most {max} of the pool may be out of service", names(out))
            }
            Self::Last { before } => write!(f, "runs the controller, so it goes after {}", names(before)),
            Self::Stopped { node } => write!(f, "the rollout stopped: {node} failed on the same target"),
            Self::NotReady => f.write_str("waiting for the node to be Ready"),
            Self::Drain(drain) => write!(f, "{drain}"),
            Self::Update(phase) => write!(f, "{}", phase_text(*phase)),
            Self::Failed(message) => write!(f, "the update failed: {message}"),
            Self::RolledBack(message) => write!(f, "went back to the system it had before: {message}"),
        }
    }
}

impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.late { "cannot be drained" } else { "draining" })?;
        let mut separator = ": ";
        for (pod, words) in self.refused.iter().take(NAMED) {
            write!(f, "{separator}pod {pod} may not be evicted ({words})")?;
            separator = "; ";
        }
        if self.refused.len() > NAMED {
            write!(f, " and {} more", self.refused.len() - NAMED)?;
        }
        if !self.ending.is_empty() {
            write!(f, "{separator}waiting for {} to end", names(&self.ending))?;
            separator = "; ";
        }
        if !self.asked.is_empty() {
            write!(f, "{separator}evicting {}", names(&self.asked))?;
        }
        match (self.deadline, self.refused.is_empty()) {
            (Some(deadline), _) if self.late => write!(f, "; given up at {deadline:.0}, still trying"),
            (Some(deadline), false) => write!(f, "; trying on until {deadline:.0}"),
            _ => Ok(()),
        }
    }
}

/// What the agent does in a phase, in words.
fn phase_text(phase: UpdatePhase) -> &'static str {
    match phase {
        UpdatePhase::Preparing => "staging",
        UpdatePhase::Staged => "waiting for the agent to apply the staged update",
        UpdatePhase::Applying => "applying files and units",
        UpdatePhase::Rebooting => "rebooting",
        UpdatePhase::Verifying => "verifying the booted system",
        UpdatePhase::Done => "updated",
        UpdatePhase::Failed => "failed",
        UpdatePhase::RolledBack => "rolled back",
    }
}

/// The first names of a list, and how many more there are.
pub(crate) fn names(all: &[String]) -> String {
    let named = all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{named} and {more} more"),
        _ => named,
    }
}
