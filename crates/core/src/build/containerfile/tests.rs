use rstest::rstest;

use super::*;

const SEED: &str = "\
FROM configs AS final
RUN dnf install -y \\
  autofs \\
  # the map in LDAP
  openldap-clients \\

  && dnf clean all \\
  && ostree container commit
";

fn parsed(text: &str) -> Containerfile {
    parse(text).unwrap().unwrap()
}

fn run(text: &str) -> Instruction {
    parsed(&format!("FROM configs AS final\n{text}\n")).stages[0].instructions[1].clone()
}

#[test]
fn continuation_lines_are_one_instruction_without_comments_and_empty_lines() {
    let file = parsed(SEED);
    let stage = &file.stages[0];
    assert_eq!(stage.name.as_deref(), Some("final"));
    assert_eq!(stage.base, "configs");
    let run = &stage.instructions[1];
    assert_eq!(run.line, 2);
    assert_eq!(
        run.text().split_whitespace().collect::<Vec<_>>().join(" "),
        "RUN dnf install -y autofs openldap-clients && dnf clean all && ostree container commit"
    );
    assert_eq!(run.source, SEED.split_once('\n').unwrap().1);
}

#[rstest]
#[case::nothing("")]
#[case::comments_only("# syntax=docker/dockerfile:1\n\n   # nothing yet\n")]
fn a_text_without_instructions_is_none_at_all(#[case] text: &str) {
    assert_eq!(parse(text), Ok(None));
}

#[rstest]
#[case::in_lower_case("from configs as final\nrun true", "RUN")]
#[case::behind_spaces("  FROM configs\n\tRUN true", "RUN")]
#[case::with_another_escape("# escape=`\nFROM configs\nRUN a `\n  b", "RUN")]
#[case::with_windows_line_ends("FROM configs\r\nRUN true\r\n", "RUN")]
#[case::behind_a_byte_order_mark("\u{feff}FROM configs\nRUN true\n", "RUN")]
fn instructions_are_known(#[case] text: &str, #[case] keyword: &str) {
    assert_eq!(parsed(text).stages[0].instructions[1].keyword.as_str(), keyword);
}

#[rstest]
#[case::unknown("FROM configs\n\nBOGUS x\n", 3, "BOGUS x", "BOGUS is no instruction")]
#[case::a_shell_line_without_continuation(
    "FROM configs\nRUN a &&\n  apt-get install b",
    3,
    "apt-get install b",
    "backslash"
)]
#[case::no_arguments("FROM configs\nRUN\n", 2, "RUN", "needs arguments")]
#[case::before_from("RUN true\nFROM configs", 1, "RUN true", "only ARG")]
#[case::from_too_long("FROM configs final\n", 1, "FROM configs final", "FROM IMAGE AS NAME")]
#[case::name_taken("FROM debian:12 AS configs\nFROM configs", 1, "FROM debian:12 AS configs", "is taken")]
#[case::last_stage_elsewhere(
    "FROM configs AS a\nFROM debian:12 AS b\nRUN true",
    2,
    "FROM debian:12 AS b",
    "begins with `debian:12`"
)]
#[case::last_stage_elsewhere_by_a_stage("FROM debian AS a\nFROM a AS b", 2, "FROM a AS b", "begins with `debian`")]
#[case::copy_from_nowhere("FROM configs\nCOPY a.conf /etc/\n", 2, "COPY a.conf /etc/", "no build context")]
#[case::add_from_nowhere("FROM configs\nADD a.tar /\n", 2, "ADD a.tar /", "no build context")]
#[case::copy_of_a_url(
    "FROM configs\nCOPY https://example.com/a /a\n",
    2,
    "COPY https://example.com/a /a",
    "no build context"
)]
#[case::copy_json_from_nowhere("FROM configs\nCOPY [\"a\", \"/b\"]\n", 2, "COPY [\"a\", \"/b\"]", "no build context")]
#[case::heredoc_without_end("FROM configs\nRUN <<EOF\ntrue\n", 2, "RUN <<EOF", "write `EOF` alone")]
#[case::copy_json_without_spaces_from_nowhere(
    "FROM configs\nCOPY [\"a\",\"/b\"]\n",
    2,
    "COPY [\"a\",\"/b\"]",
    "no build context"
)]
#[case::copy_of_nothing("FROM configs\nCOPY /etc/\n", 2, "COPY /etc/", "COPY needs a source and, last, a destination")]
#[case::copy_of_nothing_from_a_stage(
    "FROM configs\nCOPY --from=a --chmod=600 /etc/\n",
    2,
    "COPY --from=a --chmod=600 /etc/",
    "COPY needs a source"
)]
#[case::add_of_nothing("FROM configs\nADD [\"/etc/\"]\n", 2, "ADD [\"/etc/\"]", "ADD needs a source")]
#[case::copied_heredoc_with_variable("FROM configs\nCOPY <<EOF /etc/a\n$A\nEOF\n", 2, "COPY <<EOF /etc/a", "<<'EOF'")]
#[case::variable_that_is_not_declared("FROM $A\nFROM configs\nARG A=b", 1, "FROM $A", "ARG A=VALUE")]
#[case::substitution_with_a_default("FROM ${A:-b}\nFROM configs", 1, "FROM ${A:-b}", "only `$NAME`")]
#[case::dangling("FROM configs\nRUN true \\\n", 2, "RUN true", "nothing follows")]
fn what_cannot_be_built_is_refused_by_line(
    #[case] text: &str,
    #[case] line: usize,
    #[case] shown: &str,
    #[case] hint: &str,
) {
    let error = parse(text).unwrap_err();
    let ContainerfileError::Line { line: at, text, .. } = &error else { panic!("{error}") };
    assert_eq!((*at, text.as_str()), (line, shown));
    assert!(error.to_string().contains(hint), "{error}");
}

#[rstest]
#[case::by_its_key("COPY a.conf /etc/", None)]
#[case::from_here("ADD ./a.conf b.conf /etc/", None)]
#[case::in_json("COPY [\"a.conf\", \"/etc/\"]", None)]
#[case::beside_a_heredoc("COPY a.conf <<b /etc/\nx\nb", None)]
#[case::that_is_not_there(
    "COPY c.conf /etc/",
    Some("no file `c.conf` beside the Containerfile, and each file is named by its key; there are: a.conf, b.conf")
)]
#[case::by_a_pattern("COPY *.conf /etc/", Some("no file `*.conf`"))]
#[case::everything("COPY . /etc/", Some("no file `.`"))]
#[case::of_ours("COPY .onlay/Containerfile /etc/", Some("no file `.onlay/Containerfile`"))]
fn a_file_beside_the_containerfile(#[case] instruction: &str, #[case] words: Option<&str>) {
    let text = format!("FROM configs\n{instruction}\n");
    let outside = Outside { files: ["a.conf", "b.conf"].into(), ..Outside::default() };
    let answer = parse_with(&text, &outside).map(drop).map_err(|error| error.to_string());
    match (answer, words) {
        (Ok(()), None) => {}
        (Err(error), Some(words)) => assert!(error.contains("line 2") && error.contains(words), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case::without_a_default("ARG A\nFROM $A AS tool\nFROM configs", Ok("given"))]
#[case::with_a_default("ARG A=b\nFROM ${A} AS tool\nFROM configs", Ok("given"))]
#[case::that_is_not_given("ARG B\nFROM $B AS tool\nFROM configs", Err("B has no value"))]
#[case::that_is_not_declared("FROM $A AS tool\nFROM configs", Err("A has no value"))]
#[case::that_leads_elsewhere("ARG A=configs\nFROM $A AS final", Err("begins with `given`"))]
fn an_argument_that_is_given(#[case] text: &str, #[case] expected: Result<&str, &str>) {
    let arguments = [("A".to_owned(), "given".to_owned())].into();
    let outside = Outside { arguments: Some(&arguments), ..Outside::default() };
    match (parse_with(text, &outside), expected) {
        (Ok(file), Ok(base)) => assert_eq!(file.unwrap().stages[0].base, base),
        (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case::of_a_helper_stage("ARG A\nFROM $A AS tool\nFROM configs")]
#[case::of_the_last_stage("ARG A\nFROM $A")]
fn an_argument_whose_value_is_not_known_yet_is_waited_for(#[case] text: &str) {
    assert_eq!(parsed(text).stages[0].base, "${A}");
}

#[test]
fn an_image_and_a_stage_have_different_names() {
    let outside = Outside { images: ["tool"].into(), ..Outside::default() };
    let error = parse_with("FROM debian AS Tool\nFROM configs", &outside).unwrap_err().to_string();
    assert!(error.contains("line 1") && error.contains("gives the name `tool` to an image"), "{error}");
}

#[rstest]
#[case::above_the_stages("ARG A\nFROM configs", true)]
#[case::in_a_stage("FROM configs\nARG B=1 A=2", true)]
#[case::another("FROM configs\nARG AB\nENV A=1", false)]
fn an_argument_is_declared(#[case] text: &str, #[case] expected: bool) {
    assert_eq!(parsed(text).declares("A"), expected);
}

#[rstest]
#[case::one("RUN --mount=type=secret,id=a true", &["a"])]
#[case::several("RUN --network=none --mount=id=a,type=secret --mount=type=secret,id=b,target=/x true", &["a", "b"])]
#[case::in_quotes("RUN --mount=\"type=secret,id=a\" true", &["a"])]
#[case::with_a_text("RUN --mount=type=secret,id=a <<E\ntrue\nE", &["a"])]
#[case::that_it_can_do_without("RUN --mount=type=secret,id=a,required=false true", &[])]
#[case::by_a_variable("RUN --mount=type=secret,id=$A true", &[])]
#[case::of_another_type("RUN --mount=type=cache,id=a,target=/x true", &[])]
#[case::behind_the_command("RUN true --mount=type=secret,id=a", &[])]
fn secrets_that_commands_need(#[case] instruction: &str, #[case] expected: &[&str]) {
    let file = parsed(&format!("FROM configs\n{instruction}\n"));
    assert_eq!(file.secrets().map(|secret| secret.id).collect::<Vec<_>>(), expected);
}

#[test]
fn arguments_alone_are_no_containerfile() {
    assert_eq!(parse("ARG A=b\n"), Err(ContainerfileError::NoStage));
}

#[rstest]
#[case::directly("FROM configs")]
#[case::through_a_stage("FROM configs AS base\nRUN true\nFROM base AS final")]
#[case::with_a_helper_stage("FROM debian:12 AS tool\nRUN true\nFROM configs AS final\nCOPY --from=tool /a /usr/bin/a")]
#[case::by_an_argument("ARG FIRST=configs\nFROM ${FIRST} AS final")]
#[case::with_a_platform("FROM --platform=linux/amd64 configs AS final")]
#[case::with_fetched_files("FROM configs\nADD https://example.com/a /usr/share/a")]
fn the_last_stage_may_reach_configs(#[case] text: &str) {
    parsed(text);
}

#[test]
fn as_many_stages_as_fit_into_an_object_are_followed() {
    let stages: String = (1..40_000).map(|number| format!("FROM a{} AS a{number}\n", number - 1)).collect();
    let text = format!("FROM configs AS a0\n{stages}");
    assert!(text.len() < 1 << 20);
    assert_eq!(parsed(&text).stages.len(), 40_000);
}

#[test]
fn helper_stages_take_the_defaults_of_arguments() {
    let file = parsed("ARG HOST=quay.io VERSION=\"9\"\nFROM $HOST/tool:v${VERSION} AS tool\nFROM configs");
    assert_eq!(file.stages[0].base, "quay.io/tool:v9");
}

#[rstest]
#[case::plain("RUN <<EOF\necho $A\nEOF", "EOF", "echo $A\n", false)]
#[case::quoted("RUN <<'EOF'\nRUN is text here\nEOF", "EOF", "RUN is text here\n", true)]
#[case::with_windows_line_ends("RUN <<EOF\r\necho a\r\nEOF\r", "EOF", "echo a\n", false)]
#[case::with_tabs_stripped("RUN <<-END\n\techo a\n\tEND", "END", "echo a\n", false)]
#[case::to_a_command("RUN python3 <<PY > /etc/a\nprint(1)\nPY", "PY", "print(1)\n", false)]
#[case::with_comments_kept("RUN <<EOF\n#!/bin/bash\ntrue\nEOF", "EOF", "#!/bin/bash\ntrue\n", false)]
#[case::copied("COPY <<a.conf /etc/\nx = 1\na.conf", "a.conf", "x = 1\n", false)]
fn heredocs_are_read(#[case] text: &str, #[case] name: &str, #[case] body: &str, #[case] quoted: bool) {
    let instruction = run(text);
    let [heredoc] = instruction.heredocs.as_slice() else { panic!("{instruction:?}") };
    assert_eq!((heredoc.name.as_str(), heredoc.body.as_str(), heredoc.quoted), (name, body, quoted));
    assert!(instruction.arguments[heredoc.marker.clone()].starts_with("<<"));
}

#[rstest]
#[case::a_shift("RUN echo $((1<<2)) $((1<<X))")]
#[case::a_here_string("RUN cat <<<EOF")]
#[case::in_quotes("RUN echo '<<EOF' \"a <<EOF\"")]
#[case::in_json("RUN [\"sh\", \"-c\", \"cat <<EOF\"]")]
fn not_everything_with_angles_is_a_heredoc(#[case] text: &str) {
    assert_eq!(run(text).heredocs, Vec::new());
}

#[test]
fn two_heredocs_follow_one_another() {
    let instruction = run("RUN cat <<A - <<B\nfirst\nA\nsecond\nB");
    let bodies: Vec<_> = instruction.heredocs.iter().map(|each| each.body.as_str()).collect();
    assert_eq!(bodies, ["first\n", "second\n"]);
}

#[rstest]
#[case::in_a_command("RUN sed -i s/a/b/ /etc/autofs.conf", "/etc/autofs.conf")]
#[case::up_to_a_pattern("RUN rm -rf /etc/apt/sources.list.d/*", "/etc/apt/sources.list.d/")]
#[case::up_to_a_variable("RUN cp \"/etc/ssl/$NAME\" /tmp", "/etc/ssl/")]
#[case::behind_an_option("RUN tool --config=/etc/tool.conf", "/etc/tool.conf")]
#[case::in_a_redirection("RUN echo a >/etc/motd", "/etc/motd")]
#[case::in_a_heredoc("RUN <<EOF\ncat /etc/issue\nEOF", "/etc/issue")]
#[case::of_the_working_directory("WORKDIR /etc/foo", "/etc/foo")]
#[case::the_root("COPY --from=configs / /", "/")]
fn literal_paths_are_found(#[case] text: &str, #[case] path: &str) {
    let file = parsed(&format!("FROM configs\n{text}"));
    assert!(file.literal_paths().contains(path), "{:?}", file.literal_paths());
}

#[rstest]
#[case::a_unit_by_its_name("RUN systemctl enable a.service", true)]
#[case::a_unit_of_a_longer_name("RUN systemctl enable aa.service", false)]
#[case::a_unit_with_more_behind("RUN systemctl enable a.service.d", false)]
fn mentions_are_whole_words(#[case] text: &str, #[case] expected: bool) {
    assert_eq!(parsed(&format!("FROM configs\n{text}")).mentions("a.service"), expected);
}

#[test]
fn a_long_line_is_cut_in_the_message() {
    let error = parse(&format!("FROM configs\nBOGUS {}\n", "x".repeat(500))).unwrap_err().to_string();
    assert!(error.contains("xxx…`"), "{error}");
}

#[test]
fn what_the_page_on_builds_shows_can_be_built() {
    let page = include_str!("../../../../../docs/user/build.md");
    let block = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    parsed(&block("dockerfile"));
    let config: onlay_api::MachineOSConfig = serde_saphyr::from_str(&block("yaml")).unwrap();
    parsed(&config.spec.container_file[0].content);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(FROM configs( AS a)?\n|RUN |COPY |<<EOF|EOF\n|\\\\\n|[ -~]{0,12}|\n|#|\\$\\{?A\\}?|é){0,30}") {
        let _answer = parse(&text);
    }
}
