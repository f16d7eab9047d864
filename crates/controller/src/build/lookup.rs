//! What registries say: asked aside, so that one that is slow holds up nothing, and remembered until it is asked again.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use onlay_api::MachineOSConfig;
use onlay_core::build::base::watch::{Answer, Found, Question};
use onlay_core::build::machine::{Base, Join, Search};
use onlay_core::build::part;
use onlay_registry::{DockerConfig, Registry, RegistryError};
use tokio::task::{AbortHandle, JoinHandle};

use super::materials::Materials;
use crate::report::chain;
use crate::wake::Wake;

/// How long a registry may take to answer.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long a pass waits for an answer that it has asked for; whatever comes later wakes the next one.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer is kept that nobody wants to know.
const MEMORY: SignedDuration = SignedDuration::from_hours(24);

/// What was asked: image, credentials, authorities, and architectures, images or a build.
type Key = [String; 4];

/// What registries say.
pub struct Lookups {
    wake: Wake,
    bases: Answers<Found>,
    presences: Answers<bool>,
    joins: Answers<String>,
    searches: Answers<Option<String>>,
    /// Since when people ask to build once more, by the uid of the MachineOSConfig.
    wishes: Mutex<BTreeMap<String, Timestamp>>,
}

impl Lookups {
    /// Nothing is known yet; every answer wakes a reconciler.
    pub fn new(wake: Wake) -> Self {
        Self {
            wake,
            bases: Answers::default(),
            presences: Answers::default(),
            joins: Answers::default(),
            searches: Answers::default(),
            wishes: Mutex::default(),
        }
    }

    /// Since when a person asks to build once more, as far as was noticed here.
    pub fn wish(&self, config: &MachineOSConfig, is_asked: bool, now: Timestamp) -> Option<Timestamp> {
        let uid = config.metadata.uid.clone().unwrap_or_default();
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        if is_asked {
            return Some(*wishes.entry(uid).or_insert(now));
        }
        wishes.remove(&uid);
        None
    }

    /// What a base image stands for on nodes of these architectures, and when its registry is to be asked again.
    pub async fn base(
        &self,
        question: Question<'_>,
        materials: &Materials,
        architectures: &BTreeSet<String>,
        now: Timestamp,
    ) -> (Base, Option<Timestamp>) {
        let asking = Asking::new(question.asked, &materials.to_pull(), materials, architectures);
        let key = asking.key();
        let answer = self.bases.last(&key, now);
        if (Question { answer: answer.as_ref(), ..question }).due(now).is_some_and(|at| at <= now) {
            let answer = async move { Answer { at: now, said: in_time(asking.resolve()).await } };
            if let Some(task) = self.bases.ask(&key, self.wake.clone(), answer, now) {
                let _in_time_or_later = tokio::time::timeout(PATIENCE, task).await;
            }
        }
        let answer = self.bases.last(&key, now);
        let question = Question { answer: answer.as_ref(), ..question };
        // While a question is on its way, its answer is awaited.
        (question.base(), question.due(now).filter(|at| *at > now))
    }

    /// Whether a registry has an image that was built, as it has said last.
    pub fn presence(&self, image: &str, materials: &Materials, now: Timestamp) -> Option<Answer<bool>> {
        self.presences.last(&Asking::new(image, &materials.to_push(), materials, &BTreeSet::new()).key(), now)
    }

    /// Asks a registry whether it has an image that was built.
    pub fn ask_for(&self, image: &str, materials: &Materials, now: Timestamp) {
        let asking = Asking::new(image, &materials.to_push(), materials, &BTreeSet::new());
        let (key, can_push) = (asking.key(), materials.can_push());
        let answer = async move {
            let said = asking.find(can_push).await.map(|found| found.is_some());
            // The time of the answer: what was asked for before it does not count as old when it comes late.
            Answer { at: Timestamp::now(), said }
        };
        let _on_its_way = self.presences.ask(&key, self.wake.clone(), answer, now);
    }

    /// What a registry has answered last to an index of images.
    pub fn joined(&self, join: &Join, materials: &Materials, now: Timestamp) -> Option<Answer<String>> {
        self.joins.last(&joining(join, materials), now)
    }

    /// Gives a registry an index of images.
    pub fn join(&self, join: Join, materials: &Materials, now: Timestamp) {
        let (key, credentials) = (joining(&join, materials), materials.to_push());
        let authorities = materials.authorities();
        let pushed =
            async move { Registry::new(authorities.as_deref())?.join(&join.target, &join.images, &credentials).await };
        let answer = async move {
            let said = in_time(pushed).await;
            Answer { at: Timestamp::now(), said }
        };
        let _on_its_way = self.joins.ask(&key, self.wake.clone(), answer, now);
    }

    /// What a registry has answered last to the tag of a part of a build: the image by digest, if there is such a tag.
    pub fn found(&self, search: &Search, materials: &Materials, now: Timestamp) -> Option<Answer<Option<String>>> {
        self.searches.last(&searching(search, materials).0, now)
    }

    /// Asks a registry what was pushed under the tag of a part of a build.
    pub fn search(&self, search: &Search, materials: &Materials, now: Timestamp) {
        let ((key, asking), can_push) = (searching(search, materials), materials.can_push());
        let answer = async move {
            let said = asking.find(can_push).await;
            Answer { at: Timestamp::now(), said }
        };
        let _on_its_way = self.searches.ask(&key, self.wake.clone(), answer, now);
    }
}

/// Answers by what was asked.
struct Answers<T>(Arc<Mutex<BTreeMap<Key, Kept<T>>>>);

/// The last answer to a question.
struct Kept<T> {
    answer: Option<Answer<T>>,
    asking: Option<AbortHandle>,
    wanted: Timestamp,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + 'static> Answers<T> {
    /// The last answer.
    fn last(&self, key: &Key, now: Timestamp) -> Option<Answer<T>> {
        let mut all = self.lock();
        let kept = all.get_mut(key)?;
        kept.wanted = now;
        kept.answer.clone()
    }

    /// Asks, and keeps the answer; none if the question is on its way already.
    fn ask(
        &self,
        key: &Key,
        wake: Wake,
        answer: impl Future<Output = Answer<T>> + Send + 'static,
        now: Timestamp,
    ) -> Option<JoinHandle<()>> {
        let mut all = self.lock();
        all.retain(|_, kept| now.duration_since(kept.wanted) < MEMORY);
        let kept = all.entry(key.clone()).or_insert(Kept { answer: None, asking: None, wanted: now });
        if kept.asking.as_ref().is_some_and(|task| !task.is_finished()) {
            return None;
        }
        let (answers, key) = (Self(Arc::clone(&self.0)), key.clone());
        let task = tokio::spawn(async move {
            let answer = answer.await;
            if let Some(kept) = answers.lock().get_mut(&key) {
                kept.answer = Some(answer);
            }
            wake.wake();
        });
        kept.asking = Some(task.abort_handle());
        Some(task)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Kept<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question to a registry.
struct Asking {
    image: String,
    credentials: DockerConfig,
    authorities: Option<Arc<str>>,
    architectures: BTreeSet<String>,
}

impl Asking {
    fn new(image: &str, credentials: &DockerConfig, materials: &Materials, architectures: &BTreeSet<String>) -> Self {
        Self {
            image: image.to_owned(),
            credentials: credentials.clone(),
            authorities: materials.authorities(),
            architectures: architectures.clone(),
        }
    }

    fn key(&self) -> Key {
        let authorities = number(self.authorities.as_deref());
        [self.image.clone(), self.credentials.to_json(), authorities, part::write(&self.architectures)]
    }

    fn registry(&self) -> Result<Registry, RegistryError> {
        Registry::new(self.authorities.as_deref())
    }

    /// The image by digest, if there is one. To a stranger, some registries say that there is none.
    async fn find(self, can_push: bool) -> Result<Option<String>, String> {
        if !can_push {
            return Err("the secret to push with cannot be used".to_owned());
        }
        in_time(async { self.registry()?.find(&self.image, &self.credentials).await }).await
    }

    async fn resolve(self) -> Result<Found, RegistryError> {
        let image = self.registry()?.resolve(&self.image, &self.architectures, &self.credentials).await?;
        Ok(Found { fault: image.fault(&self.architectures), image: image.reference })
    }
}

/// What identifies an index that a registry is given.
fn joining(join: &Join, materials: &Materials) -> Key {
    let authorities = number(materials.authorities().as_deref());
    let images: String = join.images.iter().map(|(architecture, image)| format!("{architecture}={image},")).collect();
    [join.target.clone(), materials.to_push().to_json(), authorities, images]
}

/// The question for the tag of a part of a build, and what identifies it.
fn searching(search: &Search, materials: &Materials) -> (Key, Asking) {
    let asking = Asking::new(&search.target, &materials.to_push(), materials, &BTreeSet::new());
    let [image, credentials, authorities, _] = asking.key();
    ([image, credentials, authorities, search.build.clone()], asking)
}

/// What stands for authorities in a [`Key`]: they may be those of a whole cluster, and long.
fn number(authorities: Option<&str>) -> String {
    let mut hasher = DefaultHasher::new();
    authorities.hash(&mut hasher);
    hasher.finish().to_string()
}

/// An answer, or in words why there is none.
async fn in_time<T>(answer: impl Future<Output = Result<T, RegistryError>>) -> Result<T, String> {
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(answer) => answer.map_err(|error| chain(&error)),
        Err(_) => Err(format!("the registry has not answered within {} s", DEADLINE.as_secs())),
    }
}
