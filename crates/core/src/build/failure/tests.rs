use rstest::rstest;

use super::*;
use crate::build::containerfile::parse;

/// Plays recorded output of buildah 1.28.2 (Debian 12, chroot isolation) and gives the failure it ends in.
fn failure(recorded: &str, containerfile: &str, exit_code: i32) -> Failure {
    let file = parse(containerfile).unwrap();
    let mut progress = Progress::default();
    for line in recorded.lines() {
        progress.take(line);
    }
    progress.failure(file.as_ref(), 0, Some(exit_code))
}

#[rstest]
#[case::a_package_that_does_not_exist(
    include_str!("../fixtures/buildah-1.28.2/package-missing.txt"),
    "FROM configs AS final\nRUN apt-get update -qq && \\\n  apt-get install -y nosuchpkg\n",
    100,
    Cause::InstructionFailed,
    "line 2: `RUN apt-get update -qq && apt-get install -y nosuchpkg` ended with exit code 100; correct it in the \
     Containerfile. Last lines of output:\nReading package lists...\nBuilding dependency \
     tree...\nE: Unable to locate package nosuchpkg"
)]
#[case::a_file_that_does_not_exist(
    include_str!("../fixtures/buildah-1.28.2/copy-missing.txt"),
    "FROM configs AS final\nENV A=b\nCOPY --from=configs /nosuch /x\n",
    125,
    Cause::InstructionFailed,
    "line 3: `COPY --from=configs /nosuch /x`: stat: \"/nosuch\": no such file or directory; correct it in the \
     Containerfile"
)]
#[case::a_program_that_does_not_exist(
    include_str!("../fixtures/buildah-1.28.2/program-missing.txt"),
    "FROM configs AS final\nRUN [\"/nosuch\"]\n",
    1,
    Cause::InstructionFailed,
    "line 2: `RUN [\"/nosuch\"]` ended with exit code 1"
)]
#[case::a_killed_command(
    include_str!("../fixtures/buildah-1.28.2/killed.txt"),
    "FROM configs AS final\nRUN kill -9 $$\n",
    1,
    Cause::MachineFailed,
    "line 2: `RUN kill -9 $$` ended with exit code 1; check space and memory"
)]
#[case::a_mirror_that_cannot_be_reached(
    include_str!("../fixtures/buildah-1.28.2/mirror-away.txt"),
    "FROM configs AS final\nRUN apt-get update\n",
    100,
    Cause::NetworkFailed,
    "line 2: `RUN apt-get update` ended with exit code 100; check that the build's node reaches it"
)]
#[case::a_helper_image_that_does_not_exist(
    include_str!("../fixtures/buildah-1.28.2/image-missing.txt"),
    "FROM 127.0.0.1:5957/os/nosuch:1 AS tool\nFROM configs AS final\nCOPY --from=tool /x /x\n",
    125,
    Cause::ImageNotFound,
    "line 1: `FROM 127.0.0.1:5957/os/nosuch:1 AS tool`: creating build container: initializing source"
)]
#[case::a_registry_that_is_not_trusted(
    include_str!("../fixtures/buildah-1.28.2/registry-untrusted.txt"),
    "FROM 127.0.0.1:5957/os/base:1 AS tool\nFROM configs AS final\nCOPY --from=tool /x /x\n",
    125,
    Cause::CertificateNotTrusted,
    "certificate signed by unknown authority; put its authority into the ConfigMap of registry authorities"
)]
#[case::a_registry_whose_certificate_is_over(
    include_str!("../fixtures/buildah-1.28.2/registry-expired.txt"),
    "FROM 127.0.0.1:8441/os/base:1 AS tool\nFROM configs AS final\nCOPY --from=tool /x /x\n",
    125,
    Cause::NotValidNow,
    "2026-11-29T17:28:25Z; check the clocks of the build's node and of the server"
)]
fn a_build_failure_says_line_instruction_and_way_out(
    #[case] recorded: &str,
    #[case] containerfile: &str,
    #[case] exit_code: i32,
    #[case] cause: Cause,
    #[case] words: &str,
) {
    let failure = failure(recorded, containerfile, exit_code);
    assert_eq!(failure.cause, cause, "{failure:?}");
    assert!(failure.describe().contains(words), "{}", failure.describe());
    assert!(!failure.output.iter().any(|line| line.starts_with("subprocess exited with")), "{failure:?}");
}

/// What commands print where a clock is wrong, as recorded with OpenSSL 3.0, curl 7.88, wget 1.21 (GnuTLS), Python 3.11, npm 11,
/// rustls 0.23 and, in the fixtures, apt 2.6.1 (GnuTLS 3.7).
#[rstest]
#[case::apt_at_a_list_that_is_over(include_str!("../fixtures/apt-2.6.1/list-expired.txt"))]
#[case::apt_at_a_list_that_is_yet_to_come(include_str!("../fixtures/apt-2.6.1/list-not-valid-yet.txt"))]
#[case::apt_at_a_mirror_that_is_over(include_str!("../fixtures/apt-2.6.1/certificate-expired.txt"))]
#[case::apt_at_a_mirror_that_is_yet_to_come(include_str!("../fixtures/apt-2.6.1/certificate-not-valid-yet.txt"))]
#[case::curl_afterwards("curl: (60) SSL certificate problem: certificate has expired")]
#[case::curl_before("curl: (60) SSL certificate problem: certificate is not yet valid")]
#[case::openssl_afterwards("depth=0 CN = localhost\nverify error:num=10:certificate has expired")]
#[case::openssl_before("depth=0 CN = localhost\nverify error:num=9:certificate is not yet valid")]
#[case::wget_afterwards("ERROR: The certificate of ‘localhost’ is not trusted.\nThe certificate has expired")]
#[case::wget_before(
    "ERROR: The certificate of ‘localhost’ is not trusted.\nThe certificate has not yet been activated"
)]
#[case::python("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)>")]
#[case::npm("npm error request to https://localhost/x failed, reason: certificate is not yet valid")]
#[case::rustls_afterwards(
    "invalid peer certificate: certificate expired: verification time 1796060775 (UNIX), but certificate is not valid after \
     1796057174 (3601 seconds ago)"
)]
#[case::rustls_before(
    "invalid peer certificate: certificate not valid yet: verification time 1796060775 (UNIX), but certificate is not \
     valid before 1796064374 (3599 seconds in future)"
)]
#[case::in_spite_of_a_network_that_fails_too(
    "curl: (60) SSL certificate problem: certificate has expired\nconnection refused"
)]
#[case::after_a_network_that_failed("connection refused\ncurl: (60) SSL certificate problem: certificate has expired")]
fn a_command_that_meets_another_time_is_told_the_clock(#[case] output: &str) {
    let step = "RUN apt-get update && apt-get install -y nosuchpkg";
    let recorded = format!("STEP 1/1: {step}\n{output}\nError: building at STEP \"{step}\": exit status 100\n");
    let failure = failure(&recorded, &format!("FROM configs AS final\n{step}\n"), 100);
    assert_eq!(failure.cause, Cause::NotValidNow, "{failure:?}");
    assert!(failure.message.starts_with("check the clocks of the build's node"), "{}", failure.message);
}

/// What commands print where a connection ends, and what is no network's fault; recorded with bash 5.2 and OpenSSL 3.0.
#[rstest]
#[case::quotes_that_are_not_closed(
    "bash: -c: line 1: unexpected EOF while looking for matching `\"'",
    Cause::InstructionFailed,
    "correct it in the Containerfile"
)]
#[case::a_connection_that_ends(
    "4047F36E7D7F0000:error:0A000126:SSL routines:ssl3_read_n:unexpected eof while reading:../ssl/record/rec_layer_s3.c:318:",
    Cause::NetworkFailed,
    "check that the build's node reaches it"
)]
#[case::a_file_that_the_command_may_not_write(
    "sh: 1: cannot create /proc/x: permission denied",
    Cause::InstructionFailed,
    "correct it in the Containerfile"
)]
fn what_a_command_prints_has_a_cause(#[case] output: &str, #[case] cause: Cause, #[case] words: &str) {
    let step = "RUN curl -O https://x/y";
    let recorded = format!("STEP 1/1: {step}\n{output}\nError: building at STEP \"{step}\": exit status 2\n");
    let failure = failure(&recorded, &format!("FROM configs AS final\n{step}\n"), 2);
    assert_eq!((failure.cause, failure.message.as_str()), (cause, words), "{failure:?}");
}

#[rstest]
#[case::all_of_them(include_str!("../fixtures/buildah-1.28.2/words-lost.txt"), true)]
#[case::none(include_str!("../fixtures/buildah-1.28.2/package-missing.txt"), false)]
#[case::of_a_command_that_says_nothing(include_str!("../fixtures/buildah-1.28.2/layers-reused.txt"), false)]
#[case::of_a_command_that_was_killed(include_str!("../fixtures/buildah-1.28.2/killed.txt"), false)]
#[case::of_a_program_that_is_not_there(include_str!("../fixtures/buildah-1.28.2/program-missing.txt"), false)]
#[case::of_an_instruction_that_is_no_command(include_str!("../fixtures/buildah-1.28.2/copy-missing.txt"), false)]
#[case::of_a_line_that_does_not_end(
    "STEP 1/1: RUN a\nwhysubprocess exited with status 1\nsubprocess exited with status 1\n\
     Error: building at STEP \"RUN a\": exit status 1\n",
    false
)]
#[case::from_within_a_line_on(
    "STEP 1/1: RUN a\n292395\n29subprocess exited with status 1\nError: building at STEP \"RUN a\": exit status 1\n",
    true
)]
#[case::from_within_a_line_on_while_other_words_came_before(
    "STEP 1/1: RUN a\n2920subprocess exited with status 1\n62\n29subprocess exited with status 1\n\
     Error: building at STEP \"RUN a\": exit status 1\n",
    true
)]
#[case::of_a_process_that_was_killed_with_its_command(
    "STEP 1/1: RUN a\nsubprocess exited on killed\nError: building at STEP \"RUN a\": exit status 1\n",
    false
)]
fn words_that_buildah_lost_are_missed(#[case] recorded: &str, #[case] expected: bool) {
    let mut progress = Progress::default();
    for line in recorded.lines() {
        progress.take(line);
    }
    assert_eq!(progress.words_are_lost(), expected);
    let failure = progress.failure(None, 0, Some(1));
    assert_eq!(failure.message.contains("buildah has lost what it printed last"), expected, "{failure:?}");
}

#[rstest]
#[case::without_credentials(include_str!("../fixtures/buildah-1.28.2/push-anonymous.txt"), Cause::AccessDenied)]
#[case::with_a_wrong_password(include_str!("../fixtures/buildah-1.28.2/push-refused.txt"), Cause::AccessDenied)]
#[case::to_nobody(include_str!("../fixtures/buildah-1.28.2/push-unreachable.txt"), Cause::NetworkFailed)]
#[case::to_one_that_hangs_up(include_str!("../fixtures/buildah-1.28.2/push-dropped.txt"), Cause::NetworkFailed)]
#[case::to_a_stranger(include_str!("../fixtures/buildah-1.28.2/push-untrusted.txt"), Cause::CertificateNotTrusted)]
#[case::to_one_whose_time_is_yet_to_come(include_str!("../fixtures/buildah-1.28.2/push-not-valid-yet.txt"), Cause::NotValidNow)]
fn a_push_failure_has_a_cause(#[case] recorded: &str, #[case] cause: Cause) {
    assert_eq!(registry_failure(recorded).0, cause);
}

/// The first three are recorded with buildah 1.28.2 where files belong to somebody else; the last ones are what registries answer.
#[rstest]
#[case::of_a_storage(
    "writing blob: adding layer with blob \"sha256:5f\": ApplyLayer stdout:  stderr: setting up pivot dir: mkdir \
     /cache/storage-vfs/vfs/dir/5f/.pivot_root1: permission denied exit status 1",
    Cause::MachineFailed
)]
#[case::of_a_lock("open /cache/storage-vfs/storage.lock: permission denied", Cause::MachineFailed)]
#[case::of_a_place_in_the_image(
    "building at STEP \"COPY ro /d\": ensuring target directory exists: copier: mkdir: error checking directory \"/d\": mkdir /d: \
     permission denied",
    Cause::MachineFailed
)]
#[case::of_a_file_to_copy(
    "building at STEP \"COPY a /a\": checking on sources under \"/context\": copier: stat: \"/a b\": permission denied",
    Cause::MachineFailed
)]
#[case::by_docker_hub("errors:\ndenied: requested access to the resource is denied\n", Cause::AccessDenied)]
#[case::by_artifact_registry(
    "reading manifest 1 in r.example.com/p/os: denied: Permission \"artifactregistry.repositories.downloadArtifacts\" denied on \
     resource \"projects/p/locations/l/repositories/os\" (or it may not exist)",
    Cause::AccessDenied
)]
#[case::by_github("writing manifest: denied: permission_denied: write_package", Cause::AccessDenied)]
#[case::without_a_resource("writing manifest: denied: permission denied", Cause::AccessDenied)]
#[case::of_a_repository("writing manifest: repository os/image: permission denied", Cause::AccessDenied)]
#[case::with_a_status(
    "trying to reuse blob: requesting bearer token: invalid status code from registry 403 (Forbidden): /v2/os: permission denied",
    Cause::AccessDenied
)]
#[case::of_a_connection(
    "writing blob: Patch \"https://r/v2/os/blobs/uploads/1\": unexpected EOF",
    Cause::NetworkFailed
)]
fn words_of_files_are_told_apart_from_those_of_registries(#[case] said: &str, #[case] cause: Cause) {
    assert_eq!(registry_cause(said), cause);
}

#[rstest]
#[case::an_error_of_the_builder(Cause::BuilderFailed, "it broke", true)]
#[case::a_file_of_somebody_else(
    Cause::MachineFailed,
    "open /cache/storage-vfs/storage.lock: permission denied; check",
    true
)]
#[case::too_little_space(Cause::MachineFailed, "write /x: no space left on device; check", false)]
#[case::a_registry_that_refuses(Cause::AccessDenied, "denied: permission denied; check", false)]
fn the_cache_may_be_why(#[case] cause: Cause, #[case] message: &str, #[case] expected: bool) {
    assert_eq!(may_be_the_cache(&Failure::new(cause, message)), expected);
}

#[test]
fn a_file_of_somebody_else_has_its_own_way_out() {
    let recorded = "Error: open /cache/storage-vfs/storage.lock: permission denied";
    let (cause, said) = registry_failure(recorded);
    assert!(way_out(cause, &said).starts_with("check whom the file belongs to"), "{said}");
    assert_eq!(way_out(Cause::MachineFailed, "no space left on device"), MORE_OF_THE_MACHINE);
}

#[test]
fn a_push_failure_is_told_in_short() {
    let (_, said) = registry_failure(include_str!("../fixtures/buildah-1.28.2/push-refused.txt"));
    assert!(
        said.starts_with("checking whether a blob") && said.ends_with("unauthorized: authentication required"),
        "{said}"
    );
}

#[test]
fn a_builder_that_dies_is_tried_again() {
    let failure = Progress::default().failure(None, 0, None);
    assert_eq!(failure.cause, Cause::BuilderFailed);
    assert!(!failure.cause.is_definitive());
    assert_eq!(failure.describe(), "the builder was killed");
}

#[test]
fn a_failure_of_the_configuration_layer_has_no_line() {
    let recorded = "[1/2] STEP 2/2: ADD [\".onlay/configuration.tar\", \"/\"]\nError: building at STEP \"ADD\": no space left on device";
    let failure = failure(recorded, "FROM configs\n", 125);
    assert_eq!((failure.step.is_none(), failure.cause), (true, Cause::MachineFailed));
}

#[rstest]
#[case::of_several_stages("[2/3] STEP 4/5: RUN a: b", Some(Began { stage: 2, stages: 3, step: 4, steps: 5, text: "RUN a: b" }))]
#[case::of_one_stage("STEP 1/2: FROM x", Some(Began { stage: 1, stages: 1, step: 1, steps: 2, text: "FROM x" }))]
#[case::of_a_command("echo STEP 1/2: x", None)]
fn steps_are_read(#[case] line: &str, #[case] expected: Option<Began<'_>>) {
    assert_eq!(read_step(line), expected);
}

#[test]
fn a_step_keeps_its_last_lines() {
    let mut progress = Progress::default();
    progress.take("STEP 1/1: RUN yes");
    (0..1000).for_each(|number| assert!(!progress.take(&number.to_string())));
    assert_eq!(progress.output.len(), KEPT);
    let last: Vec<String> = (980..1000).map(|number: usize| number.to_string()).collect();
    assert_eq!(progress.failure(None, 0, Some(1)).output, last);
    assert_eq!(progress.cut_off(Failure::new(Cause::TimedOut, ""), None, 0).output, last);
}

#[test]
fn a_step_keeps_so_many_bytes_and_its_last_line() {
    let mut progress = Progress::default();
    progress.take("STEP 1/1: RUN cat /dev/zero");
    let line = "0".repeat(1 << 20);
    (0..KEPT).for_each(|_| assert!(!progress.take(&line)));
    let kept: usize = progress.output.iter().map(String::len).sum();
    assert_eq!(kept, KEPT_BYTES + line.len());
    let longer = "1".repeat(KEPT_BYTES + 1);
    progress.take(&longer);
    progress.take("the end");
    assert_eq!(progress.output, ["the end"]);
}

#[test]
fn a_step_that_is_ended_is_named_with_its_last_words() {
    let file = parse("FROM configs AS final\nENV A=b\nRUN while :; do :; done\n").unwrap();
    let mut progress = Progress::default();
    for line in ["[2/2] STEP 2/3: ENV A=b", "--> 6e96e2f9be9", "[2/2] STEP 3/3: RUN while :; do :; done", "a"] {
        progress.take(line);
    }
    let failure = progress.cut_off(Failure::new(Cause::TimedOut, "it is late"), file.as_ref(), 0);
    assert_eq!(failure.describe(), "line 3: `RUN while :; do :; done`: it is late. Last lines of output:\na");
    assert!(progress.runs_command() && failure.cause.is_definitive());
}

#[test]
fn layers_that_were_there_are_counted_and_say_nothing_about_a_failure() {
    let file =
        parse("FROM configs AS final\nRUN a() { :; }; a\nENV A=b\nCOPY --from=configs /a /a\nRUN exit 7\n").unwrap();
    let mut progress = Progress::default();
    include_str!("../fixtures/buildah-1.28.2/layers-reused.txt").lines().for_each(|line| {
        progress.take(line);
    });
    let failure = progress.failure(file.as_ref(), 0, Some(7));
    assert_eq!((progress.reused, failure.output.as_slice()), (1, [].as_slice()));
    assert_eq!(failure.step.as_ref().map(|step| step.line), Some(5));
}

#[rstest]
#[case::a_command_after_another_ones_layer(1, Cause::InstructionFailed, true)]
#[case::a_mirror_after_another_ones_layer(1, Cause::NetworkFailed, true)]
#[case::a_full_disk(1, Cause::MachineFailed, false)]
#[case::with_nothing_reused(0, Cause::InstructionFailed, false)]
fn old_layers_may_be_why_a_command_fails(#[case] reused: usize, #[case] cause: Cause, #[case] expected: bool) {
    let progress = Progress { reused, ..Progress::default() };
    assert_eq!(progress.may_be_stale(&Failure::new(cause, "")), expected);
}
