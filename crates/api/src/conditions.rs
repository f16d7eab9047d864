//! Conditions of all kinds, and the one way to set them.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Longest message of a condition, in characters; the schema refuses more.
pub const MAX_MESSAGE: usize = 32768;

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows.
    #[default]
    Unknown,
}

impl ConditionStatus {
    /// The text in the object.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// One aspect of an object's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about, in CamelCase.
    #[serde(rename = "type")]
    #[schemars(length(max = 316), regex(pattern = schema::CONDITION_TYPE))]
    pub type_: String,
    /// Whether the condition holds.
    pub status: ConditionStatus,
    /// Why the condition has its status: one CamelCase word for programs.
    #[schemars(length(min = 1, max = 1024), regex(pattern = schema::CONDITION_REASON))]
    pub reason: String,
    /// Why the condition has its status, in words for people.
    #[schemars(length(max = 32768))]
    pub message: String,
    /// When the status last changed.
    #[schemars(schema_with = "schema::date_time")]
    pub last_transition_time: Timestamp,
    /// The generation of the object that the condition was set for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
}

/// One aspect of a pool's state; pools have no observed generation per condition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolCondition {
    /// What the condition is about, in CamelCase.
    #[serde(rename = "type", default)]
    pub type_: String,
    /// Whether the condition holds: True, False or Unknown.
    #[serde(default)]
    #[schemars(schema_with = "schema::string")]
    pub status: ConditionStatus,
    /// Why the condition has its status: one CamelCase word for programs.
    #[serde(default)]
    pub reason: String,
    /// Why the condition has its status, in words for people.
    #[serde(default)]
    pub message: String,
    /// When the status last changed.
    #[serde(default)]
    #[schemars(schema_with = "schema::date_time", extend("nullable" = true))]
    pub last_transition_time: Option<Timestamp>,
}

/// A closed set of condition types, such as [`NodeConditionType`].
pub trait ConditionType: Copy {
    /// The text in the object.
    fn as_str(self) -> &'static str;
}

macro_rules! condition_types {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All types, in the order of their definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl ConditionType for $name {
            fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}

condition_types! {
    /// Conditions of a MachineConfigPool.
    PoolConditionType {
        /// Every node of the pool runs the pool's target.
        Updated,
        /// At least one node is on its way to the pool's target.
        Updating,
        /// Something needs a person: one of the more special conditions says what.
        Degraded,
        /// A node cannot reach the target.
        NodeDegraded,
        /// The MachineConfigs of the pool cannot be merged into one configuration.
        RenderDegraded,
        /// The image of the pool cannot be built.
        ImageBuildDegraded,
    }
}

condition_types! {
    /// Conditions of a MachineOSBuild; at most one of them is True.
    BuildConditionType {
        /// The build waits for its pod.
        Prepared,
        /// The pod is building.
        Building,
        /// The image is pushed. Final.
        Succeeded,
        /// The build was given up before it ended. Final.
        Interrupted,
        /// The last try failed. Final.
        Failed,
    }
}

condition_types! {
    /// Conditions of a MachineConfigNode; Cordoned, Drained and Uncordoned are set by rollout, all others by the agent.
    NodeConditionType {
        /// The node knows its target and can reach it.
        UpdatePrepared,
        /// Files and image of the target are in place.
        UpdateExecuted,
        /// The files and units of the target are written.
        AppliedFiles,
        /// The image of the target will be booted next, or is booted.
        AppliedOSImage,
        /// Files and image are both applied.
        AppliedFilesAndOS,
        /// No new pods are scheduled to the node.
        Cordoned,
        /// The pods of the node were evicted.
        Drained,
        /// The node was rebooted for this update.
        RebootedNode,
        /// The node runs the target and takes part again.
        Resumed,
        /// The update is over.
        UpdateComplete,
        /// The node runs its target.
        Updated,
        /// Pods are scheduled to the node again.
        Uncordoned,
        /// Everything that follows applying, such as a reboot, is done.
        UpdatePostActionComplete,
        /// The image of the target was pulled.
        ImagePulledFromRegistry,
        /// The update failed.
        NodeDegraded,
        /// The image of the target is staged and locked.
        OSImageStaged,
        /// The node was found well after its last update.
        Healthy,
    }
}

condition_types! {
    /// Conditions of a MachineOSConfig.
    OSConfigConditionType {
        /// The objects that the MachineOSConfig names exist and can be used.
        Valid,
        /// `status.currentImagePullSpec` is the image of the pool's target.
        ImageReady,
        /// It is known which image the base image stands for now, where it is named by a tag that is watched.
        BaseImageResolved,
    }
}

/// Sets a condition, and says whether anything changed.
///
/// `last_transition_time` moves to `now` (whole seconds) only when the status changes. A message that is longer than
/// [`MAX_MESSAGE`] is cut, since a status that the API server refuses would help nobody.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: impl ConditionType,
    status: impl Into<ConditionStatus>,
    reason: &str,
    message: impl Into<String>,
    now: Timestamp,
    generation: Option<i64>,
) -> bool {
    let status = status.into();
    let old = conditions.iter_mut().find(|old| old.type_ == type_.as_str());
    let last_transition_time = match &old {
        Some(old) if old.status == status => old.last_transition_time,
        _ => whole_seconds(now),
    };
    let new = Condition {
        type_: type_.as_str().to_owned(),
        status,
        reason: reason.to_owned(),
        message: cut(message.into()),
        last_transition_time,
        observed_generation: generation,
    };
    match old {
        Some(old) if *old == new => return false,
        Some(old) => *old = new,
        None => conditions.push(new),
    }
    true
}

/// Sets a condition of a pool, by the rules of [`set`].
pub fn set_pool(
    conditions: &mut Vec<PoolCondition>,
    type_: PoolConditionType,
    status: impl Into<ConditionStatus>,
    reason: &str,
    message: impl Into<String>,
    now: Timestamp,
) -> bool {
    let status = status.into();
    let old = conditions.iter_mut().find(|old| old.type_ == type_.as_str());
    let last_transition_time = match &old {
        Some(old) if old.status == status && old.last_transition_time.is_some() => old.last_transition_time,
        _ => Some(whole_seconds(now)),
    };
    let new = PoolCondition {
        type_: type_.as_str().to_owned(),
        status,
        reason: reason.to_owned(),
        message: cut(message.into()),
        last_transition_time,
    };
    match old {
        Some(old) if *old == new => return false,
        Some(old) => *old = new,
        None => conditions.push(new),
    }
    true
}

/// The condition of a type, if it is set.
pub fn find(conditions: &[Condition], type_: impl ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == type_.as_str())
}

/// Whether a condition is set and True.
pub fn is_true(conditions: &[Condition], type_: impl ConditionType) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == ConditionStatus::True)
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    let floor = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor);
    time.round(floor).unwrap_or(time)
}

fn cut(message: String) -> String {
    match message.char_indices().nth(MAX_MESSAGE) {
        None => message,
        Some(_) => message.chars().take(MAX_MESSAGE - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests;
