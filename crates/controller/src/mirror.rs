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

use crate::wake::Wake;

/// All objects of one kind, in one namespace if the kind has them, by name.
#[derive(Debug)]
pub struct Mirror<K> {
    shared: Arc<Shared<K>>,
    ready: watch::Receiver<bool>,
}

impl<K> Clone for Mirror<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), ready: self.ready.clone() }
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
    by_name: BTreeMap<String, Arc<K>>,
    /// The newest resource version that the watch delivered.
    latest: u64,
}

impl<K> Mirror<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + PartialEq + DeserializeOwned + Send + Sync + 'static,
{
    /// Begins to watch, and wakes the given reconcilers whenever an object comes, goes or differs.
    pub fn watch(api: Api<K>, config: watcher::Config, trim: fn(&mut K), wakes: Vec<Wake>) -> Self {
        let objects = Mutex::new(Objects { by_name: BTreeMap::new(), latest: 0 });
        let shared = Arc::new(Shared { objects, trim, wakes });
        let (ready_now, ready) = watch::channel(false);
        tokio::spawn(follow(api, config, Arc::clone(&shared), ready_now));
        Self { shared, ready }
    }

    /// Waits for the first complete list.
    pub async fn ready(&self) {
        let mut ready = self.ready.clone();
        // The sender lives as long as the watch, which never ends.
        let _watch_is_alive = ready.wait_for(|ready| *ready).await;
    }

    /// The object of a name.
    pub fn get(&self, name: &str) -> Option<Arc<K>> {
        self.shared.lock(|objects| objects.by_name.get(name).cloned())
    }

    /// All objects, by name.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.shared.lock(|objects| objects.by_name.values().cloned().collect())
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
        let (name, version) = (object.name_any(), version(&object));
        if source == Source::Watch {
            self.latest = self.latest.max(version);
        }
        let Some(old) = self.by_name.get(&name) else {
            // The watch has passed this version and knows no such object: it was deleted since.
            if source == Source::Write && version <= self.latest {
                return false;
            }
            self.by_name.insert(name, Arc::new(object));
            return true;
        };
        if crate::mirror::version(&**old) > version {
            return false;
        }
        let own = mem::replace(&mut object.meta_mut().resource_version, old.meta().resource_version.clone());
        let differs = object != **old;
        object.meta_mut().resource_version = own;
        self.by_name.insert(name, Arc::new(object));
        differs
    }

    fn remove(&mut self, object: &K) -> bool {
        let (name, version) = (object.name_any(), version(object));
        self.latest = self.latest.max(version);
        match self.by_name.get(&name) {
            Some(old) if crate::mirror::version(&**old) <= version => self.by_name.remove(&name).is_some(),
            _ => false,
        }
    }

    fn replace(&mut self, listed: Vec<K>) {
        let mut before = mem::take(&mut self.by_name);
        for object in listed {
            self.latest = self.latest.max(version(&object));
            if let Some(old) = before.remove(&object.name_any()) {
                self.by_name.insert(object.name_any(), old);
            }
            self.put(object, Source::Watch);
        }
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
