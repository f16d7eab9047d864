use super::*;
use camino::Utf8Path;

fn layout(directory: &tempfile::TempDir) -> Layout {
    let root = Utf8Path::from_path(directory.path()).unwrap();
    let layout = Layout::new(root.join("state"), root.join("cache")).unwrap();
    layout.create().unwrap();
    layout
}

fn shell(script: &str) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]);
    command
}

const STAT: &str = "4711 (a (strange) name) S 1 4711 4711 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 98765 1000 100 1844";

#[test]
fn a_stat_line_with_blanks_and_parentheses_in_the_name_is_read() {
    assert_eq!(parse_stat(STAT), Some(('S', Identity { pid: 4711, started: 98765 })));
}

#[test]
fn a_record_of_an_earlier_boot_names_nobody() {
    let record = format!("boot-a\n{STAT}\n");
    assert_eq!(identity_of(&record, "boot-a"), Some(Identity { pid: 4711, started: 98765 }));
    assert_eq!(identity_of(&record, "boot-b"), None);
}

#[tokio::test]
async fn a_daemon_runs_until_it_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let layout = layout(&directory);
    let pid = spawn(&layout, "daemon", shell("echo begun; exec sleep 1000")).await.unwrap();
    assert_eq!(running(&layout, "daemon"), Some(pid));
    assert_eq!(names(&layout), ["daemon"]);
    assert!(matches!(spawn(&layout, "daemon", shell("true")).await, Err(ProcessError::Running { .. })));
    let log =
        async || Ok::<_, String>(std::fs::read_to_string(layout.log("daemon")).ok().filter(|log| log == "begun\n"));
    wait::until("the first line of the log", Duration::from_secs(5), log).await.unwrap();
    stop(&layout, "daemon").await.unwrap();
    assert_eq!(running(&layout, "daemon"), None);
    assert!(names(&layout).is_empty());
    stop(&layout, "daemon").await.unwrap();
}

#[tokio::test]
async fn a_daemon_that_ends_instead_of_coming_up_is_told_with_its_last_words() {
    let directory = tempfile::tempdir().unwrap();
    let layout = layout(&directory);
    let never = async || Err("no answer".to_owned());
    let error = ensure(&layout, "daemon", shell("echo the port is taken; exit 1"), never).await.unwrap_err();
    assert!(error.to_string().contains("the port is taken"), "{error}");
}

#[tokio::test]
async fn a_daemon_that_runs_is_not_started_twice() {
    let directory = tempfile::tempdir().unwrap();
    let layout = layout(&directory);
    for _ in 0..2 {
        ensure(&layout, "daemon", shell("echo begun; exec sleep 1000"), async || {
            let log = std::fs::read_to_string(layout.log("daemon")).unwrap_or_default();
            if log == "begun\n" { Ok(()) } else { Err(log) }
        })
        .await
        .unwrap();
    }
    kill(&layout, "daemon").await.unwrap();
}

#[tokio::test]
async fn a_record_whose_number_went_to_another_process_is_not_signalled() {
    let directory = tempfile::tempdir().unwrap();
    let layout = layout(&directory);
    let mut bystander = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", bystander.id())).unwrap();
    let (_, identity) = parse_stat(&stat).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let other = stat.replace(&format!(" {} ", identity.started), &format!(" {} ", identity.started - 1));
    crate::layout::write_whole(&layout.record("gone"), format!("{boot}{other}"), 0o600).unwrap();
    assert_eq!(running(&layout, "gone"), None);
    kill(&layout, "gone").await.unwrap();
    assert_eq!(bystander.try_wait().unwrap(), None);
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[tokio::test]
async fn a_program_that_does_not_exist_ends_and_says_so_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let layout = layout(&directory);
    spawn(&layout, "ghost", std::process::Command::new("/nowhere/ghost")).await.unwrap();
    let seen = async || Ok::<_, String>(running(&layout, "ghost").is_none().then_some(()));
    wait::until("the ghost to end", Duration::from_secs(5), seen).await.unwrap();
    assert!(std::fs::read_to_string(layout.log("ghost")).unwrap().contains("/nowhere/ghost"));
}

#[tokio::test]
async fn a_frozen_daemon_stands_still_until_it_is_let_go() {
    let directory = tempfile::tempdir().unwrap();
    let layout = layout(&directory);
    assert!(matches!(freeze(&layout, "daemon"), Err(ProcessError::Absent { .. })));
    let pid = spawn(&layout, "daemon", shell("exec sleep 1000")).await.unwrap();
    let state = async |wanted: bool| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (state, _) = parse_stat(&stat).unwrap();
        if (state == 'T') == wanted { Ok(Some(())) } else { Err(state) }
    };
    let frozen = freeze(&layout, "daemon").unwrap();
    wait::until("the daemon to stand still", Duration::from_secs(5), async || state(true).await).await.unwrap();
    drop(frozen);
    wait::until("the daemon to go on", Duration::from_secs(5), async || state(false).await).await.unwrap();
    stop(&layout, "daemon").await.unwrap();
}
