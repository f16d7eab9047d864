//! What people learn from a reconciler: log lines and Events; and when a failure is tried again.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::core::Status;
use kube::{Api, Client};

/// Longest note of an Event that the API server takes, in bytes.
const MAX_NOTE: usize = 1024;
/// How soon a write is tried again that another one came before.
const SOON: SignedDuration = SignedDuration::from_millis(200);
/// Longest time between tries of such a write.
const LATE: SignedDuration = SignedDuration::from_secs(30);
/// For how long something may be in the way of a write before people are told.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);

/// What kind of failure an error is: the Event's reason, and how soon it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Somebody else wrote at the same time, or the object is gone: look again. People are told when that does not help.
    Conflict,
    /// The namespace that something is to be written to does not exist.
    NamespaceMissing,
    /// The API server did not answer.
    Unreachable,
    /// The API server says that we have no right to do it.
    Forbidden,
    /// The API server does not take what we wrote.
    Refused,
    /// What a person wrote cannot be used; waits for them to change it.
    Input,
    /// A mistake of our own.
    Internal,
}

impl Category {
    /// The category of an error of the client.
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 if missing_namespace(status).is_some() => Self::NamespaceMissing,
                // No object is missing, but the kind of it.
                404 if status.details.as_ref().is_none_or(|details| details.name.is_empty()) => Self::Refused,
                404 | 409 | 410 => Self::Conflict,
                401 | 403 => Self::Forbidden,
                408 | 429 | 500.. => Self::Unreachable,
                _ => Self::Refused,
            },
            kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => Self::Internal,
            _ => Self::Unreachable,
        }
    }

    /// The reason of the Event.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Conflict => "WriteConflict",
            Self::NamespaceMissing => "NamespaceMissing",
            Self::Unreachable => "APIServerUnreachable",
            Self::Forbidden => "MissingPermission",
            Self::Refused => "WriteRefused",
            Self::Input => "InvalidInput",
            Self::Internal => "InternalError",
        }
    }

    /// How long to wait before the next try of what fails for so long; none if only a change of the input can help.
    pub fn retry(self, failing: SignedDuration) -> Option<SignedDuration> {
        match self {
            Self::Conflict => Some(failing.clamp(SOON, LATE)),
            Self::NamespaceMissing => Some(SignedDuration::from_secs(10)),
            Self::Unreachable => Some(SignedDuration::from_secs(2)),
            Self::Forbidden | Self::Refused | Self::Internal => Some(SignedDuration::from_secs(30)),
            Self::Input => None,
        }
    }
}

/// An error of a reconciler.
pub trait Reportable: StdError {
    /// What kind of failure it is.
    fn category(&self) -> Category;

    /// What a person can do about it, if that is known and not said yet.
    fn way_out(&self) -> Option<String> {
        None
    }
}

/// What a person can do about an error of the client.
pub fn way_out(error: &kube::Error) -> Option<String> {
    let kube::Error::Api(status) = error else { return None };
    if let Some(namespace) = missing_namespace(status) {
        return Some(format!("create it: `kubectl create namespace {namespace}`"));
    }
    status.is_already_exists().then(|| "it belongs to something else; if it stays, delete it".to_owned())
}

/// The namespace that the API server misses, if it says so.
fn missing_namespace(status: &Status) -> Option<&str> {
    let details = status.details.as_ref().filter(|details| details.kind == "namespaces")?;
    status.is_not_found().then_some(details.name.as_str())
}

/// The failures of one object since its last success, all of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failures {
    category: Category,
    since: Timestamp,
    /// What was told last.
    told: Option<String>,
}

impl Failures {
    /// One more failure; and whether people are to be told.
    fn and(before: Option<Self>, category: Category, note: &str, now: Timestamp) -> (Self, bool) {
        let before = before.filter(|before| before.category == category);
        let mut failures = before.unwrap_or(Self { category, since: now, told: None });
        let is_over_soon = category == Category::Conflict && failures.lasting(now) < PATIENCE;
        let is_new = !is_over_soon && failures.told.as_deref() != Some(note);
        if is_new {
            failures.told = Some(note.to_owned());
        }
        (failures, is_new)
    }

    fn lasting(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.since)
    }
}

/// Something that people should see beside an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is a warning.
    pub warning: bool,
    /// One CamelCase word for programs.
    pub reason: &'static str,
    /// What was being done, one CamelCase word.
    pub action: &'static str,
    /// The text.
    pub note: String,
}

/// Says what happens, once per change.
pub struct Reporter {
    client: Client,
    controller: &'static str,
    instance: String,
    /// How many Events were made.
    told: AtomicU32,
    /// The failures of each object, so that trying again does not repeat them.
    failures: Mutex<BTreeMap<String, Failures>>,
}

impl Reporter {
    /// A reporter that signs as `controller`, and as this instance of it.
    pub fn new(client: Client, controller: &'static str, instance: &str) -> Self {
        Self { client, controller, instance: instance.to_owned(), told: AtomicU32::new(0), failures: Mutex::default() }
    }

    /// Reports the outcome of the work on one object, and answers when to try again.
    ///
    /// A failure is told once, until it changes or is over; a conflict only when it does not pass.
    pub async fn outcome<E: Reportable>(
        &self,
        object: &ObjectReference,
        outcome: Result<Option<Timestamp>, E>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        match outcome {
            Ok(again) => {
                self.forget(object);
                again
            }
            Err(error) => self.failure(object, &error, now).await,
        }
    }

    async fn failure<E: Reportable>(&self, object: &ObjectReference, error: &E, now: Timestamp) -> Option<Timestamp> {
        let category = error.category();
        let note = [Some(chain(error)), error.way_out()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let (is_new, failing) = self.keep(object, category, &note, now);
        if is_new {
            let notice = Notice { warning: true, reason: category.reason(), action: "Reconcile", note };
            self.notice(object, &notice, now).await;
        }
        category.retry(failing).and_then(|wait| now.checked_add(wait).ok())
    }

    /// Writes a log line and an Event; that an Event cannot be written is only logged.
    pub async fn notice(&self, object: &ObjectReference, notice: &Notice, now: Timestamp) {
        let (kind, name) = (object.kind.as_deref().unwrap_or_default(), object.name.as_deref().unwrap_or_default());
        if notice.warning {
            tracing::warn!(kind, name, reason = notice.reason, "{}", notice.note);
        } else {
            tracing::info!(kind, name, reason = notice.reason, "{}", notice.note);
        }
        let event = self.event(object, notice, now);
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let events: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        if let Err(error) = events.create(&PostParams::default(), &event).await {
            tracing::warn!(kind, name, error = chain(&error), "failed to write an Event");
        }
    }

    fn event(&self, object: &ObjectReference, notice: &Notice, now: Timestamp) -> Event {
        let name = object.name.as_deref().unwrap_or_default();
        // One pass has one time, and may tell several things about one object.
        let number = self.told.fetch_add(1, Ordering::Relaxed);
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}.{number:x}", now.as_nanosecond())),
                generate_name: None,
                // Objects without a namespace have their Events in this one, by the rule of the API server.
                namespace: Some(object.namespace.clone().unwrap_or_else(|| "default".to_owned())),
                ..ObjectMeta::default()
            },
            action: Some(notice.action.to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(shortened(&notice.note)),
            reason: Some(notice.reason.to_owned()),
            regarding: Some(object.clone()),
            reporting_controller: Some(format!("onlay.dev/{}", self.controller)),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(if notice.warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }

    /// Keeps a failure in mind; says whether people are to be told, and for how long it lasts.
    fn keep(&self, object: &ObjectReference, category: Category, note: &str, now: Timestamp) -> (bool, SignedDuration) {
        let mut all = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (failures, is_new) = Failures::and(all.remove(&key(object)), category, note, now);
        let lasting = failures.lasting(now);
        all.insert(key(object), failures);
        (is_new, lasting)
    }

    fn forget(&self, object: &ObjectReference) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(object));
    }
}

/// An error and everything that caused it, in one line.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors already print their cause.
        if !text.contains(&cause_text) {
            let _infallible = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn key(object: &ObjectReference) -> String {
    [&object.kind, &object.namespace, &object.name].map(|part| part.as_deref().unwrap_or_default()).join("/")
}

fn shortened(note: &str) -> String {
    if note.len() <= MAX_NOTE {
        return note.to_owned();
    }
    let end = note.floor_char_boundary(MAX_NOTE - '…'.len_utf8());
    format!("{}…", &note[..end])
}

#[cfg(test)]
mod tests;
