use std::cell::RefCell;

use rstest::rstest;

use super::Ostree;
use crate::command::{self, Run, Runner};
use crate::os::{Backend as _, Deployment, Request};

/// A host that answers every command with one text and keeps what it was asked.
#[derive(Debug)]
struct Host {
    answer: &'static str,
    asked: RefCell<Vec<String>>,
}

impl Run for &Host {
    fn output(&self, command: &[&str]) -> Result<String, command::Error> {
        self.asked.borrow_mut().push(command.join(" "));
        Ok(self.answer.to_owned())
    }
}

fn host(answer: &'static str) -> Host {
    Host { answer, asked: RefCell::default() }
}

#[test]
fn the_status_of_an_installed_node() {
    let host = host(include_str!("fixtures/onlay-ostree-0.1/installed.json"));
    let status = Ostree::new(&host).status().unwrap();
    let booted = status.booted().unwrap();
    assert_eq!(status.booted.as_deref(), Some(booted.id.as_str()));
    assert!(booted.id.starts_with("debian/") && booted.path.ends_with(booted.id.strip_prefix("debian/").unwrap()));
    assert!(booted.digest.as_ref().unwrap().starts_with("sha256:"));
    assert_eq!(booted.kargs, ["root=LABEL=root", "rw"]);
    assert_eq!((status.staged(), booted.staged, booted.locked), (None, false, false));
}

#[rstest]
#[case::locked_the_old_system_boots_next(include_str!("fixtures/onlay-ostree-0.1/staged-locked.json"), &["staged locked", "booted"])]
#[case::unlocked_the_staged_one_boots_next(include_str!("fixtures/onlay-ostree-0.1/staged.json"), &["staged", "booted"])]
#[case::after_the_reboot_the_new_one_is_booted(include_str!("fixtures/onlay-ostree-0.1/updated.json"), &["booted", ""])]
#[case::going_back_puts_the_old_one_first(include_str!("fixtures/onlay-ostree-0.1/going-back.json"), &["", "booted"])]
fn an_update_as_recorded_on_a_node(#[case] answer: &'static str, #[case] expected: &[&str]) {
    let status = Ostree::new(&host(answer)).status().unwrap();
    let told = |one: &Deployment| {
        let flags = [(one.staged, "staged"), (one.locked, "locked"), (one.booted, "booted")];
        flags.into_iter().filter_map(|(set, name)| set.then_some(name)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(status.deployments.iter().map(told).collect::<Vec<_>>(), expected);
    for one in &status.deployments {
        let (image, digest) = (one.image.as_deref().unwrap(), one.digest.as_deref().unwrap());
        assert!(image.starts_with("127.0.0.1:5055/os/") && image.ends_with(&format!("@{digest}")), "{image}");
    }
}

#[test]
fn a_staged_deployment_as_recorded_on_a_node() {
    let host = host(include_str!("fixtures/onlay-ostree-0.1/stage.json"));
    let request = Request { image: "", authfile: None, kernel_arguments: &[], keep: &[] };
    let staged = Ostree::new(&host).stage(&request).unwrap();
    assert!(staged.id.starts_with("debian/") && staged.digest.starts_with("sha256:"), "{staged:?}");
}

#[test]
fn stage_hands_over_every_argument_and_returns_the_deployment() {
    let host = host(r#"{"id":"debian/abc.1","digest":"sha256:12"}"#);
    let request = Request {
        image: "r:5000/os@sha256:12",
        authfile: Some("/run/onlay/auth.json".into()),
        kernel_arguments: &["rw".to_owned(), "-x=a b".to_owned()],
        keep: &["debian/abc.0".to_owned()],
    };
    let staged = Ostree::new(&host).stage(&request).unwrap();
    assert_eq!((staged.id.as_str(), staged.digest.as_str()), ("debian/abc.1", "sha256:12"));
    assert_eq!(
        host.asked.take(),
        [
            "onlay-ostree stage --image r:5000/os@sha256:12 --authfile /run/onlay/auth.json --karg rw --karg -x=a b --keep debian/abc.0"
        ]
    );
}

#[rstest]
#[case::no_json("error")]
#[case::a_field_of_another_type(r#"{"booted":1,"deployments":[]}"#)]
#[case::a_deployment_without_its_name(r#"{"booted":null,"deployments":[{"booted":false}]}"#)]
fn an_answer_that_is_not_understood_is_an_error(#[case] answer: &'static str) {
    let error = Ostree::new(&host(answer)).status().unwrap_err().to_string();
    assert_eq!(error, "failed to list deployments: the answer of onlay-ostree is not what it should be");
}

#[test]
fn what_the_tool_says_is_kept() {
    let error = Ostree::new(Missing).unlock().unwrap_err();
    assert_eq!(error.to_string(), "failed to let the staged deployment boot next");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("nothing is staged"));
}

/// A host on which nothing is staged.
#[derive(Debug)]
struct Missing;

impl Run for Missing {
    fn output(&self, _: &[&str]) -> Result<String, command::Error> {
        Runner::here().output(&["sh", "-c", "echo error: nothing is staged >&2; exit 1"])
    }
}
