//! Plain ostree hosts, through `onlay-ostree`, which the base image brings.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Backend, Deployment, Error, Request, Staged};
use crate::command::Run;

const PROGRAM: &str = "onlay-ostree";

/// The backend of plain ostree hosts.
pub struct Ostree<R> {
    run: R,
}

impl<R: Run> Ostree<R> {
    /// A backend whose program is run by `run`.
    pub fn new(run: R) -> Self {
        Self { run }
    }
}

impl<R: Run> Backend for Ostree<R> {
    fn deployments(&self) -> Result<Vec<Deployment>, Error> {
        parse_status(&self.run.run(&[PROGRAM, "status"])?)
    }

    fn stage(&self, request: Request<'_>) -> Result<Staged, Error> {
        let mut words = vec![PROGRAM, "stage", "--image", request.image];
        if let Some(authfile) = request.authfile {
            words.extend(["--authfile", authfile]);
        }
        let kargs: Vec<_> = request.kargs.iter().map(|argument| format!("--karg={argument}")).collect();
        words.extend(kargs.iter().map(String::as_str));
        parse("onlay-ostree stage", &self.run.run(&words)?)
    }

    fn unlock(&self) -> Result<(), Error> {
        self.run.run(&[PROGRAM, "unlock"])?;
        Ok(())
    }

    fn discard(&self) -> Result<(), Error> {
        self.run.run(&[PROGRAM, "discard"])?;
        Ok(())
    }

    fn prune(&self, keep: &[&str]) -> Result<(), Error> {
        let kept = keep.iter().flat_map(|id| ["--keep", id]);
        self.run.run(&[PROGRAM, "prune"].into_iter().chain(kept).collect::<Vec<_>>())?;
        Ok(())
    }
}

#[derive(Deserialize)]
struct Status {
    deployments: Vec<Deployment>,
}

/// The deployments in the answer of `onlay-ostree status`. Unknown fields are ignored.
pub fn parse_status(json: &str) -> Result<Vec<Deployment>, Error> {
    parse("onlay-ostree status", json).map(|status: Status| status.deployments)
}

fn parse<T: DeserializeOwned>(program: &'static str, json: &str) -> Result<T, Error> {
    let wrong = |source| Error::Answer { program, text: json.chars().take(200).collect(), source };
    serde_json::from_str(json).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;
    use std::sync::Mutex;

    /// Answers every command with the same text, and keeps what was asked.
    struct Recorded(&'static str, Mutex<Vec<String>>);

    impl Run for &Recorded {
        fn run(&self, words: &[&str]) -> Result<String, command::Error> {
            self.1.lock().unwrap().push(words.join(" "));
            Ok(self.0.to_owned())
        }
    }

    #[test]
    fn an_image_is_staged_with_all_its_arguments() {
        let recorded = Recorded(r#"{"id": "debian/ab.0", "digest": "sha256:00"}"#, Mutex::default());
        let kargs = ["rw".to_owned(), "x=\"a b\"".to_owned()];
        let request = Request { image: "r/os@sha256:00", authfile: Some("/run/onlay/auth.json"), kargs: &kargs };
        let staged = Ostree::new(&recorded).stage(request).unwrap();
        assert_eq!(staged, Staged { id: "debian/ab.0".into(), digest: "sha256:00".into() });
        let asked = recorded.1.lock().unwrap().join("\n");
        let expected =
            "onlay-ostree stage --image r/os@sha256:00 --authfile /run/onlay/auth.json --karg=rw --karg=x=\"a b\"";
        assert_eq!(asked, expected);
    }

    #[test]
    fn another_answer_is_quoted() {
        let error = parse_status("Segmentation fault").unwrap_err().to_string();
        assert!(error.contains("onlay-ostree status") && error.contains("Segmentation"), "{error}");
    }
}
