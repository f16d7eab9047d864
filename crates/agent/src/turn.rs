//! One turn of the agent: observe, decide, tell, do one step.

use crate::cluster::{self, Cluster, Configuration};
use crate::credentials;
use crate::machine::{self, Machine, Order, Sight};
use jiff::Timestamp;
use onlay_api::machine_config_node::Deployment;
use onlay_api::{MachineConfigNode, MachineConfigNodeStatus};
use onlay_core::change::diff::between;
use onlay_core::change::disruption::{Disruption, Rebuild, assess, in_force};
use onlay_core::node::report::{self, Facts};
use onlay_core::node::{Decision, Journal, Step, Target, decide};
use std::sync::Arc;
use std::time::{Duration, Instant};
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

/// What went wrong in the step that is tried now.
#[derive(Debug, Clone)]
struct Failure {
    text: String,
    /// How often in a row.
    times: u32,
    /// When it is tried again.
    again: Instant,
}

/// The agent's turns, and what it knows between them: only what it could read again.
pub struct Turns {
    machine: Arc<Machine>,
    cluster: Cluster,
    /// The object as it was last seen.
    node: Option<MachineConfigNode>,
    /// What was last published, for the object with this identity.
    published: Option<(Option<String>, MachineConfigNodeStatus)>,
    failure: Option<Failure>,
}

impl Turns {
    /// Turns on a machine.
    pub fn new(machine: Arc<Machine>, cluster: Cluster) -> Self {
        Self { machine, cluster, node: None, published: None, failure: None }
    }

    /// Takes note of the object as it is now. Another order is a reason to try at once what failed.
    pub fn see(&mut self, node: Option<MachineConfigNode>) {
        if node.as_ref().map(|node| &node.spec) != self.node.as_ref().map(|node| &node.spec) {
            self.failure = None;
        }
        self.node = node;
    }

    /// Takes one turn. A failure is told to the API server, and tried again later.
    pub async fn turn(&mut self) -> Next {
        let sight = match self.observe().await {
            Ok(sight) => sight,
            Err(error) => return self.blind(&error).await,
        };
        let decision = decide(&sight.observed);
        if matches!(decision, Decision::Rest | Decision::Wait(_) | Decision::Stop(_)) {
            self.failure = None;
        }
        let told = self.tell(&sight, &decision).await;
        let past_permit = sight.observed.journal.as_ref().is_some_and(Journal::is_past_permit);
        if let Err(error) = told {
            tracing::warn!(past_permit, "{}", with_causes(&error));
            if !past_permit {
                return Next::After(PAUSE.0);
            }
        }
        if let Some(failure) = &self.failure
            && failure.again > Instant::now()
        {
            return Next::After(failure.again - Instant::now());
        }
        match self.apply(&sight, decision).await {
            Ok(next) => {
                self.failure = None;
                next
            }
            Err(error) => {
                let pause = self.fail(&error);
                if let Err(error) = self.tell(&sight, &decide(&sight.observed)).await {
                    tracing::warn!("{}", with_causes(&error));
                }
                Next::After(pause)
            }
        }
    }

    /// Keeps what went wrong, and says how long to pause.
    fn fail(&mut self, error: &Error) -> Duration {
        let text = with_causes(error);
        let times = self.failure.as_ref().map_or(0, |failure| failure.times) + 1;
        tracing::warn!(times, "{text}");
        let pause = pause(times);
        self.failure = Some(Failure { text, times, again: Instant::now() + pause });
        pause
    }

    /// The machine could not be read: that is all there is to tell.
    async fn blind(&mut self, error: &Error) -> Next {
        let pause = self.fail(error);
        if let Some(node) = self.node.clone() {
            let text = self.failure.as_ref().map(|failure| failure.text.clone()).unwrap_or_default();
            let before = self.before(&node);
            let status = report::blind(&before, &text, node.metadata.generation, Timestamp::now());
            if let Err(error) = self.publish(&node, &before, status).await {
                tracing::warn!("{}", with_causes(&error));
            }
        }
        Next::After(pause)
    }

    async fn observe(&self) -> Result<Sight, Error> {
        let order = self.node.as_ref().map(order);
        let machine = Arc::clone(&self.machine);
        Ok(tokio::task::spawn_blocking(move || machine.observe(order.as_ref(), Timestamp::now())).await??)
    }

    /// Publishes what is true and what comes next.
    async fn tell(&mut self, sight: &Sight, decision: &Decision) -> Result<(), Error> {
        let Some(node) = self.node.clone() else { return Ok(()) };
        let before = self.before(&node);
        let facts = Facts {
            observed: &sight.observed,
            decision,
            failure: self.failure.as_ref().map(|failure| failure.text.as_str()),
            generation: node.metadata.generation,
            deployments: deployments(sight),
            adopted_image: Some(sight.adopted.image.clone()),
            booted_image: sight.deployments.iter().find(|known| known.booted).and_then(|known| known.image.clone()),
        };
        let status = report::status(&before, &facts, Timestamp::now());
        self.publish(&node, &before, status).await
    }

    /// The agent's part of the status as it was published last, or as the object has it.
    fn before(&self, node: &MachineConfigNode) -> MachineConfigNodeStatus {
        match &self.published {
            Some((known, status)) if *known == node.metadata.uid => status.clone(),
            _ => report::own_part(node.status.clone().unwrap_or_default()),
        }
    }

    async fn publish(
        &mut self,
        node: &MachineConfigNode,
        before: &MachineConfigNodeStatus,
        status: MachineConfigNodeStatus,
    ) -> Result<(), Error> {
        if *before != status {
            self.cluster.publish(node, &status).await?;
        }
        self.published = Some((node.metadata.uid.clone(), status));
        Ok(())
    }

    async fn apply(&mut self, sight: &Sight, decision: Decision) -> Result<Next, Error> {
        let machine = Arc::clone(&self.machine);
        let booted = sight.observed.boot.deployment.clone();
        match decision {
            Decision::Rest => {
                if let Some(confirmed) = sight.confirmed.clone() {
                    tokio::task::spawn_blocking(move || machine.say_again(&confirmed)).await??;
                }
                return Ok(Next::Change);
            }
            Decision::Wait(_) | Decision::Stop(_) => return Ok(Next::Change),
            Decision::Begin(journal) => tokio::task::spawn_blocking(move || machine.write_journal(&journal)).await??,
            Decision::Rename(journal) => {
                let wanted = self.cluster.configuration(&journal.target.config).await?;
                tokio::task::spawn_blocking(move || machine.rename(&journal, &wanted.desired)).await??;
            }
            Decision::GoBack(journal) => {
                tokio::task::spawn_blocking(move || machine.go_back(&journal, Timestamp::now())).await??;
            }
            Decision::Undo(journal) => tokio::task::spawn_blocking(move || machine.undo(&journal, &booted)).await??,
            Decision::Accept => tokio::task::spawn_blocking(move || machine.accept()).await??,
            Decision::NoteWentBack => tokio::task::spawn_blocking(move || machine.note_went_back()).await??,
            Decision::Do(step, journal) => return self.try_step(sight, step, journal).await,
        }
        Ok(Next::Now)
    }

    /// Does a step. What comes of a change of the running system is counted if it is not well.
    async fn try_step(&self, sight: &Sight, step: Step, journal: Journal) -> Result<Next, Error> {
        let counts = journal.is_live() && matches!(step, Step::Services | Step::Verify);
        let outcome = self.step(sight, step, journal.clone()).await;
        if let (true, Err(error)) = (counts, &outcome) {
            self.machine.write_journal(&journal.failed(with_causes(error)))?;
        }
        outcome
    }

    /// Does a step, and marks it done.
    async fn step(&self, sight: &Sight, step: Step, journal: Journal) -> Result<Next, Error> {
        tracing::info!(%step, target = %journal.target, "begins");
        let machine = Arc::clone(&self.machine);
        let mut done = Journal { done: Some(step), ..journal.clone() };
        match step {
            Step::Stage => {
                let configuration = self.cluster.configuration(&journal.target.config).await?;
                let change = self.change(sight, &journal.target, &configuration).await?;
                let credentials = self.credentials().await?;
                let machine = Arc::clone(&machine);
                let staged = move || machine.stage(&journal, &configuration.desired, &change, &credentials);
                done = tokio::task::spawn_blocking(staged).await??;
            }
            Step::Converge => {
                let machine = Arc::clone(&machine);
                tokio::task::spawn_blocking(move || machine.converge(&journal)).await??;
            }
            Step::Services => {
                let machine = Arc::clone(&machine);
                tokio::task::spawn_blocking(move || machine.tell(&journal.services)).await??;
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

    /// What getting from what the node runs to the target costs, by the cluster's node disruption policy. A node whose
    /// configuration is not known any more reboots.
    async fn change(&self, sight: &Sight, target: &Target, wanted: &Configuration) -> Result<Disruption, Error> {
        let Some(running) = &sight.observed.running else { return Ok(Disruption::Reboot) };
        let Some(before) = self.cluster.find_configuration(&running.config).await? else {
            tracing::warn!(config = running.config, "the configuration that runs is gone; the node will reboot");
            return Ok(Disruption::Reboot);
        };
        let machine = Arc::clone(&self.machine);
        let host = tokio::task::spawn_blocking(move || machine.host_units()).await??;
        let policies = in_force(self.cluster.disruption_policy().await?.as_ref(), &host);
        let diff = between(before.state(&running.image), wanted.state(&target.image));
        Ok(assess(&diff, &policies, &host, Rebuild::NotLayered).total)
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

/// How long to pause after so many failures in a row.
fn pause(times: u32) -> Duration {
    PAUSE.0.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1))).min(PAUSE.1)
}

/// An error with all its causes, in one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_at_the_longest() {
        let pauses: Vec<_> = [1, 2, 3, 6, 7, 40].map(|times| pause(times).as_secs()).into();
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60]);
    }
}
