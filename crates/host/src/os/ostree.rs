//! Plain ostree hosts, by the program `onlay-ostree` that their image carries.

#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;

use super::{Backend, Error, KernelArguments, Request, Staged, Status};
use crate::command::Run;

const TOOL: &str = "onlay-ostree";

/// An ostree host.
#[derive(Debug, Clone)]
pub struct Ostree<R> {
    run: R,
}

impl<R: Run> Ostree<R> {
    /// The host on which `run` runs programs.
    pub fn new(run: R) -> Self {
        Ostree { run }
    }

    fn tool(&self, action: &str, arguments: &[&str]) -> Result<String, Error> {
        let command: Vec<&str> = [TOOL].iter().chain(arguments).copied().collect();
        self.run.output(&command).map_err(|source| Error::Tool { action: action.to_owned(), source })
    }
}

impl<R: Run> Backend for Ostree<R> {
    fn kernel_arguments(&self) -> KernelArguments {
        KernelArguments::OnHost
    }

    fn status(&self) -> Result<Status, Error> {
        let action = "list deployments";
        parse(action, &self.tool(action, &["status"])?)
    }

    fn stage(&self, request: &Request<'_>) -> Result<Staged, Error> {
        let action = format!("stage {}", request.image);
        let mut arguments = vec!["stage", "--image", request.image];
        if let Some(authfile) = request.authfile {
            arguments.extend(["--authfile", authfile.as_str()]);
        }
        for argument in request.kernel_arguments {
            arguments.extend(["--karg", argument]);
        }
        for id in request.keep {
            arguments.extend(["--keep", id]);
        }
        parse(&action, &self.tool(&action, &arguments)?)
    }

    fn unlock(&self) -> Result<(), Error> {
        self.tool("let the staged deployment boot next", &["unlock"]).map(drop)
    }

    fn discard(&self) -> Result<(), Error> {
        self.tool("drop the staged deployment", &["discard"]).map(drop)
    }

    fn rollback(&self, id: &str) -> Result<(), Error> {
        self.tool(&format!("let deployment {id} boot next"), &["rollback", "--to", id]).map(drop)
    }

    fn prune(&self, keep: &[String]) -> Result<(), Error> {
        let mut arguments = vec!["prune"];
        for id in keep {
            arguments.extend(["--keep", id]);
        }
        self.tool("remove old deployments", &arguments).map(drop)
    }
}

/// Reads the tool's answer. Unknown fields belong to newer tools and are ignored.
fn parse<T: DeserializeOwned>(action: &str, json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|source| Error::Answer { action: action.to_owned(), tool: TOOL, source })
}
