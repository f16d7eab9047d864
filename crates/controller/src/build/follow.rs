//! The logs of builds that run, followed for how far they are.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::AsyncReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::{Api, ResourceExt};
use onlay_core::build::job::CONTAINER;
use onlay_core::build::machine;
use onlay_core::build::progress::Reader;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::context::Context;
use crate::report::chain;
use crate::wake::Wake;

/// How often a build that goes on wakes its reconciler at most.
const TICK: Duration = Duration::from_millis(500);
/// How long a log that has ended, or could not be read, is left alone: a pod counts as running a moment longer than its log,
/// and an API server that refuses is not asked at every pass.
const PAUSE: Duration = Duration::from_secs(5);
/// Bytes that are read at once.
pub const PIECE: usize = 8 << 10;

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server does not give it.
    #[error("failed to ask for it")]
    Api(#[from] kube::Error),
    /// It ended before its end.
    #[error("failed to read on")]
    Read(#[from] std::io::Error),
}

/// The logs of builds that run.
pub struct Logs {
    pods: Api<Pod>,
    wake: Wake,
    followers: Mutex<BTreeMap<String, Follower>>,
}

/// Who reads the log of one pod.
struct Follower {
    newest: watch::Receiver<Option<String>>,
    task: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Logs {
    /// The logs of the builds in the controller's namespace.
    pub fn new(ctx: &Context) -> Self {
        let pods = Api::namespaced(ctx.client.clone(), &ctx.config.namespace);
        Self { pods, wake: ctx.wakes.build.clone(), followers: Mutex::default() }
    }

    /// How far the build in a pod is. The log of a pod that runs is followed from the first call on.
    pub fn progress(&self, pod: &Pod) -> Option<String> {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.retain(|_, follower| !follower.task.is_finished());
        if !machine::runs(pod) {
            return None;
        }
        let follower = followers.entry(pod.uid()?).or_insert_with(|| self.follow(pod.name_any()));
        follower.newest.borrow().clone()
    }

    fn follow(&self, pod: String) -> Follower {
        let (newest, receiver) = watch::channel(None);
        let (pods, wake) = (self.pods.clone(), self.wake.clone());
        let task = async move {
            if let Err(error) = read(&pods, &pod, &newest, &wake).await {
                tracing::warn!(pod, error = chain(&error), "failed to follow the log of a build");
            }
            tokio::time::sleep(PAUSE).await;
            wake.wake();
        };
        Follower { newest: receiver, task: tokio::spawn(task) }
    }
}

/// Reads a log to its end.
async fn read(pods: &Api<Pod>, pod: &str, newest: &watch::Sender<Option<String>>, wake: &Wake) -> Result<(), Error> {
    let parameters = LogParams { container: Some(CONTAINER.to_owned()), follow: true, ..LogParams::default() };
    let mut log = std::pin::pin!(pods.log_stream(pod, &parameters).await?);
    let (mut reader, mut piece, mut is_new) = (Reader::default(), vec![0; PIECE], false);
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            length = log.read(&mut piece) => match length? {
                0 => return Ok(()),
                length => if let Some(words) = reader.take(&piece[..length]) {
                    newest.send_replace(Some(words));
                    is_new = true;
                },
            },
            _ = ticks.tick(), if is_new => {
                is_new = false;
                wake.wake();
            }
        }
    }
}
