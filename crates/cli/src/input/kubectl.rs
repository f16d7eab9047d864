//! The live cluster, asked through kubectl with its own configuration.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use onlay_api::names;

use super::Input;
use super::kustomize::reason;
use super::said::said;
use crate::finding::{Finding, Source};

/// What a request may take, as kubectl reads it.
const TIMEOUT: &str = "--request-timeout=30s";
/// What kubectl says of a kind that the API server does not serve.
const NOT_SERVED: &str = "the server doesn't have a resource type";

/// Which cluster is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct Cluster {
    /// Context of kubectl's configuration; without it, the current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// kubectl's configuration; without it, the one that kubectl finds by itself
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Namespace of onlay in the cluster
    #[arg(short, long, value_name = "NAME", default_value = names::NAMESPACE)]
    namespace: String,
}

impl Cluster {
    /// The objects that `kubectl get` answers with. Objects that are not there are an error unless they are optional.
    ///
    /// # Errors
    /// Says what was asked, what kubectl says to it, and the way out.
    pub fn get(&self, what: &[&str]) -> Result<Input, Finding> {
        let asked = format!("kubectl get {}", what.iter().map(|each| short(each)).collect::<Vec<_>>().join(" "));
        let failed = |message: String| Finding::error("cluster", message);
        let output = self.command(what).output().map_err(|error| {
            let finding = failed(format!("failed to run `{asked}`: {}", reason(&error)));
            finding.help("the live cluster is asked through kubectl; install it, or give files and directories")
        })?;
        if !output.status.success() {
            let said = said(&output.stderr);
            let help = "`kubectl config current-context` says which cluster is asked; --context and --kubeconfig name \
                        another one, and files and directories need none";
            return Err(failed(format!("`{asked}` failed: {said}")).help(help));
        }
        let text = String::from_utf8(output.stdout)
            .map_err(|_| failed(format!("`{asked}` wrote something that is no UTF-8")))?;
        // An optional object that is not there leaves nothing behind.
        if text.trim().is_empty() { Ok(Input::default()) } else { Ok(Input::of_cluster(&Self::source(&asked, text))) }
    }

    /// The same in the namespace of onlay.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn get_own(&self, what: &[&str]) -> Result<Input, Finding> {
        let namespace = format!("--namespace={}", self.namespace);
        self.get(&what.iter().copied().chain([namespace.as_str()]).collect::<Vec<_>>())
    }

    /// The same for a kind that the cluster may not know, which is no error.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn get_if_served(&self, what: &[&str]) -> Result<Input, Finding> {
        match self.get(what) {
            Err(finding) if finding.message.contains(NOT_SERVED) => Ok(Input::default()),
            answer => answer,
        }
    }

    fn source(asked: &str, text: String) -> Arc<Source> {
        Source::new(format!("cluster ({asked})"), text)
    }

    fn command(&self, what: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.arg("get").args(what).args(["--output=json", TIMEOUT]);
        command.args(self.context.iter().map(|context| format!("--context={context}")));
        if let Some(kubeconfig) = &self.kubeconfig {
            command.arg("--kubeconfig").arg(kubeconfig);
        }
        command
    }
}

/// What is asked for, as people type it: kinds without their groups.
fn short(what: &str) -> String {
    let kinds = what.split(',').map(|kind| kind.strip_suffix(".operator.openshift.io").unwrap_or(kind));
    let group = format!(".{}", names::GROUP);
    kinds.map(|kind| kind.strip_suffix(&group).unwrap_or(kind)).collect::<Vec<_>>().join(",")
}
