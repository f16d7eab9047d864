//! What the API server holds of one kind, kept up to date by a watch and by the answers to our own writes.
//!
//! A reconciler that only sees its watch could decide on the state before its own last write. So every answer to a write
//! is put into the mirror at once; resource versions, which the API server orders, say which copy is newer.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_stream};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::wake::Wake;

/// All objects of one kind by their key: `NAME`, or `NAMESPACE/NAME` if the kind has namespaces.
///
/// The watch ends with the last clone.
#[derive(Debug)]
pub struct Mirror<K> {
    shared: Arc<Shared<K>>,
    ready: watch::Receiver<bool>,
    task: Arc<Task>,
}

impl<K> Clone for Mirror<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), ready: self.ready.clone(), task: Arc::clone(&self.task) }
    }
}

#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug)]
struct Shared<K> {
    objects: Mutex<Objects<K>>,
    /// Drops what nobody reads, so that memory stays small.
    trim: fn(&mut K),
    wakes: Vec<Wake>,
}

#[derive(Debug)]
struct Objects<K> {
    by_key: BTreeMap<String, Arc<K>>,
    /// The newest resource version that the watch delivered.
    latest: u64,
}

impl<K> Mirror<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + PartialEq + DeserializeOwned + Send + Sync + 'static,
{
    /// Begins to watch, and wakes the given reconcilers whenever an object comes, goes or differs.
    pub fn watch(api: Api<K>, config: watcher::Config, trim: fn(&mut K), wakes: Vec<Wake>) -> Self {
        let objects = Mutex::new(Objects { by_key: BTreeMap::new(), latest: 0 });
        let shared = Arc::new(Shared { objects, trim, wakes });
        let (ready_now, ready) = watch::channel(false);
        let task = tokio::spawn(follow(api, config, Arc::clone(&shared), ready_now));
        Self { shared, ready, task: Arc::new(Task(task.abort_handle())) }
    }

    /// Waits for the first complete list.
    pub async fn ready(&self) {
        let mut ready = self.ready.clone();
        // The sender lives as long as the watch, which never ends.
        let _watch_is_alive = ready.wait_for(|ready| *ready).await;
    }

    /// Whether the first complete list is here.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// The object of a key.
    pub fn get(&self, key: &str) -> Option<Arc<K>> {
        self.shared.lock(|objects| objects.by_key.get(key).cloned())
    }

    /// All objects, by key.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.shared.lock(|objects| objects.by_key.values().cloned().collect())
    }

    /// Takes over the answer to a write of our own.
    pub fn put(&self, object: K) {
        self.shared.put(object, Source::Write);
    }
}

/// Where a copy of an object comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Watch,
    Write,
}

impl<K> Shared<K>
where
    K: Resource<DynamicType = ()> + PartialEq,
{
    fn lock<T>(&self, read: impl FnOnce(&mut Objects<K>) -> T) -> T {
        read(&mut self.objects.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wake(&self) {
        self.wakes.iter().for_each(Wake::wake);
    }

    fn put(&self, mut object: K, source: Source) {
        self.trimmed(&mut object);
        if self.lock(|objects| objects.put(object, source)) {
            self.wake();
        }
    }

    fn remove(&self, object: &K) {
        if self.lock(|objects| objects.remove(object)) {
            self.wake();
        }
    }

    fn replace(&self, listed: Vec<K>) {
        self.lock(|objects| objects.replace(listed));
        self.wake();
    }

    fn trimmed(&self, object: &mut K) {
        object.meta_mut().managed_fields = None;
        (self.trim)(object);
    }
}

impl<K: Resource<DynamicType = ()> + PartialEq> Objects<K> {
    /// Takes a copy if it is newer than what is here, and says whether more than its resource version differs.
    fn put(&mut self, mut object: K, source: Source) -> bool {
        let (key, new) = (key(&object), version(&object));
        if source == Source::Watch {
            self.latest = self.latest.max(new);
        }
        let Some(old) = self.by_key.get(&key) else {
            // The watch has passed this version and knows no such object: it was deleted since.
            if source == Source::Write && new <= self.latest {
                return false;
            }
            self.by_key.insert(key, Arc::new(object));
            return true;
        };
        if version(&**old) > new {
            return false;
        }
        let own = mem::replace(&mut object.meta_mut().resource_version, old.meta().resource_version.clone());
        let differs = object != **old;
        object.meta_mut().resource_version = own;
        self.by_key.insert(key, Arc::new(object));
        differs
    }

    fn remove(&mut self, object: &K) -> bool {
        let (key, gone) = (key(object), version(object));
        self.latest = self.latest.max(gone);
        match self.by_key.get(&key) {
            Some(old) if version(&**old) <= gone => self.by_key.remove(&key).is_some(),
            _ => false,
        }
    }

    fn replace(&mut self, listed: Vec<K>) {
        let mut before = mem::take(&mut self.by_key);
        for object in listed {
            self.latest = self.latest.max(version(&object));
            if let Some((key, old)) = before.remove_entry(&key(&object)) {
                self.by_key.insert(key, old);
            }
            self.put(object, Source::Watch);
        }
    }
}

fn key<K: Resource<DynamicType = ()>>(object: &K) -> String {
    match object.namespace() {
        Some(namespace) => format!("{namespace}/{}", object.name_any()),
        None => object.name_any(),
    }
}

fn version<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

async fn follow<K>(api: Api<K>, config: watcher::Config, shared: Arc<Shared<K>>, ready: watch::Sender<bool>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + PartialEq + DeserializeOwned + Send + Sync + 'static,
{
    let mut events = pin!(watch_stream(api, config).default_backoff());
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = Vec::new(),
            Ok(Event::InitApply(mut object)) => {
                shared.trimmed(&mut object);
                listed.push(object);
            }
            Ok(Event::InitDone) => {
                shared.replace(mem::take(&mut listed));
                ready.send_replace(true);
            }
            Ok(Event::Apply(object)) => shared.put(object, Source::Watch),
            Ok(Event::Delete(object)) => shared.remove(&object),
            Err(error) => {
                let kind = K::kind(&());
                tracing::warn!(%kind, error = crate::report::chain(&error), "watching failed; trying again");
            }
        }
    }
}

#[cfg(test)]
mod tests;
