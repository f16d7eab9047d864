//! One turn of the agent: observe, decide, tell, do one step.

use crate::cluster::{self, Cluster};
use crate::credentials;
use crate::machine::{self, Machine, Order, Sight};
use jiff::Timestamp;
use onlay_api::machine_config_node::Deployment;
use onlay_api::{MachineConfigNode, MachineConfigNodeStatus};
use onlay_core::node::report::{self, Facts};
use onlay_core::node::{Decision, Journal, Step, Target, decide};
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;

/// First and longest pause before something that failed is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// When the next turn is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once: there is more to do.
    Now,
    /// When the object changes.
    Change,
    /// When the object changes, or after this pause.
    After(Duration),
}

/// Why a turn failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine.
    #[error(transparent)]
    Machine(#[from] machine::Error),
    /// The API server.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// The credentials for the registry.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    /// The thread of a step ended without an answer.
    #[error("failed to finish a step")]
    Thread(#[from] JoinError),
}

/// The agent's turns, and what it knows between them: only what it could read again.
pub struct Turns {
    machine: Arc<Machine>,
    cluster: Cluster,
    /// The object as it was last seen.
    node: Option<MachineConfigNode>,
    /// What was last published, for the object with this identity.
    published: Option<(Option<String>, MachineConfigNodeStatus)>,
    /// What failed in the last turn, and how often in a row.
    failure: Option<(String, u32)>,
}

impl Turns {
    /// Turns on a machine.
    pub fn new(machine: Arc<Machine>, cluster: Cluster) -> Self {
        Self { machine, cluster, node: None, published: None, failure: None }
    }

    /// Takes note of the object as it is now.
    pub fn see(&mut self, node: Option<MachineConfigNode>) {
        let spec = |node: &Option<MachineConfigNode>| node.as_ref().map(|node| node.spec.clone());
        if spec(&node) != spec(&self.node) {
            self.failure = None;
        }
        self.node = node;
    }

    /// Takes one turn. A failure is told to the API server, and tried again later.
    pub async fn turn(&mut self) -> Next {
        match self.try_turn().await {
            Ok(next) => {
                if next == Next::Now {
                    self.failure = None;
                }
                next
            }
            Err(error) => {
                let text = with_causes(&error);
                let times = self.failure.as_ref().map_or(0, |(_, times)| *times) + 1;
                tracing::warn!(times, "{text}");
                self.failure = Some((text, times));
                let pause = (PAUSE.0 * 2_u32.saturating_pow(times - 1)).min(PAUSE.1);
                if let Err(error) = self.tell_failure().await {
                    tracing::warn!("{}", with_causes(&error));
                }
                Next::After(pause)
            }
        }
    }

    async fn try_turn(&mut self) -> Result<Next, Error> {
        let sight = self.observe().await?;
        let decision = decide(&sight.observed);
        // A failure is forgotten only when its step succeeded, so that its words stay while it is tried again.
        let told = self.tell(&sight, &decision).await;
        let past_permit = sight.observed.journal.as_ref().is_some_and(Journal::is_unlocked);
        if let Err(error) = told {
            if !past_permit {
                return Err(error);
            }
            tracing::warn!("{}; going on, since the update is past the permit", with_causes(&error));
        }
        self.apply(&sight, decision).await
    }

    async fn observe(&self) -> Result<Sight, Error> {
        let order = self.node.as_ref().map(order);
        let machine = Arc::clone(&self.machine);
        Ok(tokio::task::spawn_blocking(move || machine.observe(order.as_ref(), Timestamp::now())).await??)
    }

    /// Publishes what is true and what comes next.
    async fn tell(&mut self, sight: &Sight, decision: &Decision) -> Result<(), Error> {
        let Some(node) = &self.node else { return Ok(()) };
        let uid = node.metadata.uid.clone();
        let before = match &self.published {
            Some((known, status)) if *known == uid => status.clone(),
            _ => node.status.clone().unwrap_or_default(),
        };
        let facts = Facts {
            observed: &sight.observed,
            decision,
            failure: self.failure.as_ref().map(|(text, _)| text.as_str()),
            generation: node.metadata.generation,
            deployments: deployments(sight),
            adopted_image: Some(sight.adopted.image.clone()),
            booted_image: sight.deployments.iter().find(|known| known.booted).and_then(|known| known.image.clone()),
        };
        let status = report::status(&before, &facts, Timestamp::now());
        let is_there = self.published.as_ref().is_some_and(|(known, published)| *known == uid && *published == status);
        if is_there {
            return Ok(());
        }
        self.cluster.publish(node, &status).await?;
        self.published = Some((uid, status));
        Ok(())
    }

    async fn tell_failure(&mut self) -> Result<(), Error> {
        let sight = self.observe().await?;
        let decision = decide(&sight.observed);
        self.tell(&sight, &decision).await
    }

    async fn apply(&mut self, sight: &Sight, decision: Decision) -> Result<Next, Error> {
        let machine = Arc::clone(&self.machine);
        let booted = sight.observed.boot.deployment.clone();
        match decision {
            Decision::Rest => {
                if let Some(confirmed) = sight.confirmed.clone() {
                    tokio::task::spawn_blocking(move || machine.confirm_again(&confirmed)).await??;
                }
                self.failure = None;
                return Ok(Next::Change);
            }
            Decision::Wait(_) | Decision::Stop(_) => return Ok(Next::Change),
            Decision::Begin(journal) => tokio::task::spawn_blocking(move || machine.write_journal(&journal)).await??,
            Decision::Rename(journal) => {
                let desired = self.cluster.desired(&journal.target.config).await?;
                tokio::task::spawn_blocking(move || machine.rename(&journal, &desired)).await??;
            }
            Decision::Undo(journal) => tokio::task::spawn_blocking(move || machine.undo(&journal, &booted)).await??,
            Decision::NoteWentBack => tokio::task::spawn_blocking(move || machine.note_went_back()).await??,
            Decision::Do(step, journal) => return self.step(step, journal).await,
        }
        Ok(Next::Now)
    }

    /// Does a step, and marks it done.
    async fn step(&self, step: Step, journal: Journal) -> Result<Next, Error> {
        tracing::info!(%step, target = %journal.target, "begins");
        let machine = Arc::clone(&self.machine);
        let mut done = Journal { done: Some(step), ..journal.clone() };
        match step {
            Step::Stage => {
                let desired = self.cluster.desired(&journal.target.config).await?;
                let credentials = self.credentials().await?;
                let machine = Arc::clone(&machine);
                let staged = move || machine.stage(&journal, &desired, &credentials);
                done = tokio::task::spawn_blocking(staged).await??;
            }
            Step::Converge => {
                let machine = Arc::clone(&machine);
                tokio::task::spawn_blocking(move || machine.converge(&journal)).await??;
            }
            Step::Unlock => machine.unlock()?,
            Step::Reboot => {
                machine.write_journal(&done)?;
                machine.reboot()?;
                return Ok(Next::After(PAUSE.1));
            }
            Step::Verify => {
                tokio::task::spawn_blocking(move || machine.verify(&journal)).await??;
                return Ok(Next::Now);
            }
        }
        tokio::task::spawn_blocking(move || machine.write_journal(&done)).await??;
        Ok(Next::Now)
    }

    /// The node's own credentials, and those of its pool.
    async fn credentials(&self) -> Result<String, Error> {
        let kubelet = self.machine.kubelet_credentials()?.unwrap_or_else(|| b"{}".to_vec());
        let name = self.node.as_ref().and_then(|node| node.spec.onlay.pull_secret.clone());
        let derived = match &name {
            Some(name) => self.cluster.pull_secret(name).await?,
            None => b"{}".to_vec(),
        };
        let secret = format!("secret {}", name.as_deref().unwrap_or_default());
        Ok(credentials::merge([("the kubelet", kubelet.as_slice()), (&secret, &derived)])?)
    }
}

/// What the controller wants, as the object says.
fn order(node: &MachineConfigNode) -> Order {
    let image = node.spec.config_image.as_ref().map(|image| image.desired_image.clone());
    let config = node.spec.config_version.desired.clone();
    Order { target: image.map(|image| Target { config, image }), permit: node.spec.onlay.permit }
}

fn deployments(sight: &Sight) -> Vec<Deployment> {
    let confirmed = sight.confirmed.as_ref().map(|confirmed| confirmed.id.as_str());
    let one = |known: &onlay_host::os::Deployment| Deployment {
        id: known.id.clone(),
        image: known.image.clone(),
        digest: known.digest.clone(),
        booted: known.booted,
        staged: known.staged,
        confirmed: confirmed == Some(known.id.as_str()),
    };
    sight.deployments.iter().map(one).collect()
}

/// An error with all its causes, in one line.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}
