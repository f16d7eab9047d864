//! What is to be done for a MachineOSConfig.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use onlay_api::machine_os_build::{MachineOSBuild, MachineOSBuildStatus};
use onlay_api::machine_os_config::MachineOSConfigStatus;

use super::join::Join;
use super::measure::Measure;
use crate::build::part::Part;
use crate::build::pull_secret::Hidden;

/// What is to be done, in this order, and when to look again if nothing changes before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// Writes, in order; each one only if the ones before succeeded.
    pub actions: Vec<Action>,
    /// When to look again.
    pub again: Option<Timestamp>,
    /// An image, by digest, whose registry is to be asked whether it still has it; the answer is a reason to look again.
    pub ask_for: Option<String>,
    /// Tags that registries are to be asked for; the answers are reasons to look again.
    pub searches: Vec<Search>,
    /// An image index that a registry is to be given; the answer is a reason to look again.
    pub join: Option<Join>,
}

/// A tag under which a part of a build may have been pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The image, with its tag.
    pub target: String,
    /// Uid of the build: what was answered for an earlier one of the name does not count.
    pub build: String,
}

impl Search {
    /// The tag of a part of a build.
    pub fn of(build: &MachineOSBuild, part: &Part) -> Self {
        Self { target: part.target.clone(), build: build.metadata.uid.clone().unwrap_or_default() }
    }
}

/// A write.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Make a build.
    CreateBuild(Box<MachineOSBuild>),
    /// Delete a build, and with it what it owns.
    DeleteBuild {
        /// Name of the build.
        name: String,
        /// Uid of the build, so that no other one of that name is hit.
        uid: String,
    },
    /// Write the status of a build.
    BuildStatus {
        /// Name of the build.
        name: String,
        /// The whole status.
        status: Box<MachineOSBuildStatus>,
    },
    /// Make the ConfigMap of a build.
    CreateConfigMap(Box<ConfigMap>),
    /// Make the Job of a build.
    CreateJob(Box<Job>),
    /// Write a secret that only this build needs.
    BuildSecret(Box<Hidden<Secret>>),
    /// Delete a secret that only a build needed.
    DeleteSecret(String),
    /// Delete a Job with its pods.
    DeleteJob(String),
    /// Delete a ConfigMap.
    DeleteConfigMap(String),
    /// Write the status of the MachineOSConfig.
    ConfigStatus(Box<MachineOSConfigStatus>),
    /// Set annotations of the MachineOSConfig, or remove them.
    Annotate(BTreeMap<&'static str, Option<String>>),
    /// Write the secret that nodes pull with.
    NodeSecret(Box<Hidden<Secret>>),
    /// Tell people.
    Tell(Event),
    /// Count a build that has ended.
    Count(Box<Measure>),
}

/// Something to tell people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The object that it is about.
    pub on: Object,
    /// Whether something needs a person.
    pub warning: bool,
    /// One word for programs.
    pub reason: &'static str,
    /// Words for people.
    pub note: String,
}

/// An object that an Event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// The MachineOSConfig.
    Config,
    /// A build, by name.
    Build(String),
}

impl Decision {
    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Sets annotations of the MachineOSConfig, in the same write as those that are set already.
    pub(super) fn annotate(&mut self, more: BTreeMap<&'static str, Option<String>>) {
        let annotations = self.actions.iter_mut().find_map(|action| match action {
            Action::Annotate(annotations) => Some(annotations),
            _ => None,
        });
        match annotations {
            Some(annotations) => annotations.extend(more),
            None => self.act(Action::Annotate(more)),
        }
    }

    pub(super) fn tell(&mut self, on: Object, reason: &'static str, note: impl Into<String>) {
        self.act(Action::Tell(Event { on, warning: false, reason, note: note.into() }));
    }

    pub(super) fn warn(&mut self, on: Object, reason: &'static str, note: impl Into<String>) {
        self.act(Action::Tell(Event { on, warning: true, reason, note: note.into() }));
    }

    pub(super) fn ask_for(&mut self, image: &str) {
        self.ask_for = Some(image.to_owned());
    }

    pub(super) fn look_again(&mut self, at: Timestamp) {
        self.again = Some(self.again.map_or(at, |earlier| earlier.min(at)));
    }
}
