//! The agents of a moving cluster: they read, act and report at different moments.

use onlay_api::conditions::{NodeConditionType, set};
use onlay_api::machine_config_node::{
    MachineConfigNodeSpec, Needs, Permit, StatusConfigImage, StatusConfigVersion, Update, UpdatePhase,
};

use super::World;
use crate::rollout::health::Health;
use crate::rollout::tests::objects::{BASE, report};

/// What an agent keeps on its node's disk.
#[derive(Debug, Clone)]
pub(super) struct Agent {
    pub(super) running: (String, String),
    /// The newest update it began.
    pub(super) update: Option<Update>,
    /// The spec that it has seen.
    pub(super) seen: Option<MachineConfigNodeSpec>,
    /// And which generation that is.
    pub(super) generation: Option<i64>,
    pub(super) fault: Option<UpdatePhase>,
    /// What is applied cannot be applied; only another target helps.
    pub(super) stuck: bool,
}

impl World {
    pub(super) fn agent_reads(&mut self, index: usize) {
        let name = self.name(index);
        let state = self.cluster.states.get(&name);
        let agent = self.agents.get_mut(&name).unwrap();
        agent.seen = state.map(|state| state.spec.clone());
        agent.generation = state.and_then(|state| state.metadata.generation);
    }

    pub(super) fn agent_acts(&mut self, index: usize) {
        use UpdatePhase::{Applying, Done, Failed, Preparing, Rebooting, RolledBack, Staged, Verifying};
        let name = self.name(index);
        let before = self.agents[&name].update.as_ref().map(|update| update.phase);
        let agent = self.agents.get_mut(&name).unwrap();
        let Some(seen) = agent.seen.clone() else { return };
        let image = seen.config_image.map(|image| image.desired_image);
        let permit = seen.onlay.permit;
        let is_same =
            |update: &Update| update.config == seen.config_version.desired && Some(&update.image) == image.as_ref();
        if agent.stuck {
            if !agent.update.as_ref().is_some_and(is_same) {
                (agent.stuck, agent.update) = (false, None);
            }
            return;
        }
        let ends = agent.fault.filter(|fault| Some(*fault) == before).and(agent.fault.take());
        match (agent.update.clone(), before) {
            (Some(mut update), Some(phase @ (Preparing | Applying | Rebooting | Verifying)))
                if phase != Preparing || (is_same(&update) && permit != Permit::Hold) =>
            {
                update.phase = match (phase, ends) {
                    (Preparing | Rebooting, Some(_)) => Failed,
                    (Applying, Some(_)) => Applying,
                    (_, Some(_)) => RolledBack,
                    (Preparing, None) => Staged,
                    (Applying, None) if update.needs == Needs::Reboot => Rebooting,
                    (Applying, None) => Verifying,
                    (Rebooting, None) => Verifying,
                    _ => Done,
                };
                agent.stuck = phase == Applying && update.phase == Applying;
                if update.phase == Done {
                    agent.running = (update.config.clone(), update.image.clone());
                }
                agent.update = Some(update);
            }
            (Some(mut update), Some(Staged)) if is_same(&update) && permit >= permit_for(update.needs) => {
                update.phase = Applying;
                let drained = matches!(update.needs, Needs::Drain | Needs::Reboot);
                agent.update = Some(update);
                if drained {
                    self.assert_out(&name);
                }
            }
            // What failed while pods still ran is tried again; what was tried midway waits for another target.
            (Some(mut update), Some(Failed)) if is_same(&update) && permit == Permit::Stage => {
                update.phase = Preparing;
                agent.update = Some(update);
            }
            (Some(update), Some(Staged | RolledBack | Failed)) if is_same(&update) => (),
            (Some(update), Some(Done)) if is_same(&update) && agent.running.0 == update.config => (),
            _ => {
                if let Some(image) = image.filter(|_| permit >= Permit::Stage) {
                    let config = seen.config_version.desired;
                    let (step, message) = (String::new(), String::new());
                    let needs = if image == agent.running.1 { needs(&config) } else { Needs::Reboot };
                    agent.update = Some(Update { config, image, phase: Preparing, needs, step, message });
                }
            }
        }
    }

    pub(super) fn agent_reports(&mut self, index: usize) {
        let name = self.name(index);
        let agent = &self.agents[&name];
        let Some(state) = self.cluster.states.get_mut(&name) else { return };
        let desired = state.spec.config_version.desired.clone();
        report(state).adopted_image = Some(BASE.to_owned());
        report(state).update.clone_from(&agent.update);
        let status = state.status.as_mut().unwrap();
        status.observed_generation = agent.generation;
        set(&mut status.conditions, NodeConditionType::NodeDegraded, agent.stuck, "Reason", "", self.now, None);
        status.config_version = Some(StatusConfigVersion { current: Some(agent.running.0.clone()), desired });
        status.config_image =
            Some(StatusConfigImage { current_image: Some(agent.running.1.clone()), desired_image: None });
        let has_ended = agent.update.as_ref().is_some_and(|update| update.phase > UpdatePhase::Verifying);
        if has_ended && !Health::of(&self.cluster.nodes[&name]).cordoned_by_us {
            self.taken.remove(&name);
        }
    }
}

/// What applying a configuration takes: each kind of change is as frequent as the others.
fn needs(config: &str) -> Needs {
    let sum: usize = config.bytes().map(usize::from).sum();
    [Needs::Reboot, Needs::Drain, Needs::Services, Needs::Write, Needs::None][sum % 5]
}

/// How far a node must be let before it applies what it has staged.
fn permit_for(needs: Needs) -> Permit {
    if matches!(needs, Needs::Write | Needs::None) { Permit::Stage } else { Permit::Disrupt }
}
