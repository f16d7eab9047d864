use rstest::rstest;

use super::*;

fn failure(cause: Cause) -> Failure {
    let step = Some(Step { line: 3, instruction: "RUN x".to_owned(), exit_code: Some(100) });
    Failure { cause, message: "no such package".to_owned(), step, output: vec!["E: a".to_owned(), "E: b".to_owned()] }
}

#[test]
fn an_outcome_survives_its_message() {
    let outcomes = [
        Outcome::Pushed { image: "registry.example.com/a@sha256:aa".to_owned() },
        Outcome::Failed(failure(Cause::InstructionFailed)),
    ];
    for outcome in outcomes {
        assert_eq!(Outcome::from_message(&outcome.to_message()), Some(outcome));
    }
}

#[test]
fn the_message_of_a_killed_container_is_not_ours() {
    assert_eq!(Outcome::from_message("standard_init_linux.go: exec format error"), None);
}

#[rstest]
#[case::many_lines(failure(Cause::NetworkFailed), (0..500).map(|line| format!("line {line} \"quoted\"")).collect())]
#[case::one_long_line(failure(Cause::NetworkFailed), vec!["é".repeat(5000)])]
#[case::a_long_message(Failure::new(Cause::NetworkFailed, "\n".repeat(9000)), Vec::new())]
fn a_message_fits_and_keeps_what_matters(#[case] mut failure: Failure, #[case] output: Vec<String>) {
    let last = output.last().cloned();
    failure.output = output;
    let message = Outcome::Failed(failure.clone()).to_message();
    assert!(message.len() <= MAX_MESSAGE, "{}", message.len());
    let Some(Outcome::Failed(read)) = Outcome::from_message(&message) else { panic!("{message}") };
    assert_eq!((read.cause, read.step), (failure.cause, failure.step));
    let kept = read.output.last().cloned().unwrap_or_default();
    assert!(last.is_none_or(|last| last.starts_with(&kept)), "{kept}");
}

#[rstest]
#[case::pushed(Outcome::Pushed { image: String::new() }, 0)]
#[case::a_broken_instruction(Outcome::Failed(failure(Cause::InstructionFailed)), 2)]
#[case::a_refused_push(Outcome::Failed(failure(Cause::AccessDenied)), 2)]
#[case::an_untrusted_registry(Outcome::Failed(failure(Cause::CertificateNotTrusted)), 2)]
#[case::a_base_that_is_no_ostree(Outcome::Failed(failure(Cause::BaseImageNotOstree)), 2)]
#[case::a_certificate_of_another_time(Outcome::Failed(failure(Cause::NotValidNow)), 1)]
#[case::a_network_that_fails(Outcome::Failed(failure(Cause::NetworkFailed)), 1)]
#[case::a_full_disk(Outcome::Failed(failure(Cause::MachineFailed)), 1)]
fn only_what_would_fail_again_is_definitive(#[case] outcome: Outcome, #[case] exit_code: i32) {
    assert_eq!(outcome.exit_code(), exit_code);
}
