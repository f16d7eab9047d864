//! kubectl against the lab, as a person would use it.

use camino::Utf8PathBuf;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::Layout;
use crate::assets::{Assets, AssetsError};
use crate::command::{self, CommandError};

/// kubectl with the administrator's kubeconfig of the lab.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: Utf8PathBuf,
    kubeconfig: Utf8PathBuf,
}

impl Kubectl {
    /// The lab's kubectl.
    pub fn new(layout: &Layout, assets: &Assets) -> Result<Self, AssetsError> {
        Ok(Self { program: assets.program("kubectl")?, kubeconfig: layout.kubeconfig() })
    }

    /// Where kubectl lies.
    pub fn program(&self) -> &Utf8PathBuf {
        &self.program
    }

    /// A kubectl command line that is not run yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env("KUBECONFIG", &self.kubeconfig).args(arguments);
        command
    }

    /// Runs kubectl and returns what it wrote to standard output.
    pub async fn run(&self, arguments: &[&str]) -> Result<String, CommandError> {
        command::output(&mut self.command(arguments)).await
    }

    /// `kubectl apply --server-side` of YAML text.
    pub async fn apply(&self, yaml: &str) -> Result<String, CommandError> {
        self.feed(&["apply", "--server-side", "--force-conflicts", "-f", "-"], yaml).await
    }

    /// Runs kubectl with `input` as its standard input.
    pub async fn feed(&self, arguments: &[&str], input: &str) -> Result<String, CommandError> {
        let line = format!("{} {}", self.program, arguments.join(" "));
        let start = |source| CommandError::Start { line: line.clone(), source };
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(start)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await.map_err(start)?;
        }
        let output = child.wait_with_output().await.map_err(start)?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(CommandError::Failed { line, status: output.status, stderr });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
