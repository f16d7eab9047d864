//! A registry for one test, and the files in the workshop with which onlay-ostree may or may not use it.

use std::fs;

use onlay_testkit::{RegistryServer, SpoiledRegistry, Validity};
use serde_json::json;

use crate::base::Workshop;

/// A running registry, with `auth.json`, `wrong.json`, `certs` and `no-certs` in the workshop.
pub struct Registry<'a> {
    workshop: &'a Workshop,
    server: RegistryServer,
}

impl<'a> Registry<'a> {
    pub async fn start(workshop: &'a Workshop) -> Self {
        let server = RegistryServer::start().await.unwrap();
        let write = |name: &str, contents: &str| fs::write(workshop.path(name), contents).unwrap();
        fs::create_dir(workshop.path("certs")).unwrap();
        fs::create_dir(workshop.path("no-certs")).unwrap();
        write("certs/ca.crt", server.authority());
        write("auth.json", &server.docker_config(RegistryServer::PASSWORD));
        write("wrong.json", &server.docker_config("guess"));
        Self { workshop, server }
    }

    /// Copies an image from `oci:DIRECTORY` to a repository; returns its pull specification by digest.
    pub async fn push(&self, image: &str, repository: &str) -> String {
        self.server.push(image, repository).await.unwrap()
    }

    /// Pushes an image that holds no ostree commit.
    pub async fn push_plain(&self, repository: &str) -> String {
        self.server.push_empty(repository, &json!({})).await.unwrap()
    }

    /// Another address of the registry, with a certificate that is valid then, and at no other time; `front.json` has the credentials.
    pub fn front(&self, validity: Option<Validity>) -> SpoiledRegistry {
        let front = self.server.spoiled(validity).unwrap();
        fs::write(self.workshop.path("front.json"), front.docker_config()).unwrap();
        front
    }

    /// The options of onlay-ostree for these files of credentials and certificates.
    pub fn access(&self, authfile: &str, certs: &str) -> [String; 4] {
        ["--authfile".into(), self.workshop.path(authfile), "--cert-dir".into(), self.workshop.path(certs)]
    }
}
