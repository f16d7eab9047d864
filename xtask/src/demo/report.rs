//! What the demo ends with: a timeline a node, the proof, and what to try next.

use onlay_testkit::timeline::{Milestone, Moment};
use onlay_testkit::{Lab, node::Node};
use std::fmt::Write;

const ORDER: [Milestone; 6] = [
    Milestone::Staged,
    Milestone::Cordoned,
    Milestone::Drained,
    Milestone::Rebooted,
    Milestone::Verified,
    Milestone::Uncordoned,
];

/// One line a node: seconds from its first milestone, and how long it was out of service.
pub fn table(nodes: &[String], moments: &[Moment]) -> String {
    let mut text = format!("{:10}", "NODE");
    for milestone in ORDER {
        let _ = write!(text, " {:>11}", milestone.to_string().to_uppercase());
    }
    text.push_str("  OUT-OF-SERVICE\n");
    for node in nodes {
        let _ = write!(text, "{node:10}");
        let start = moments.iter().find(|moment| moment.node == *node).map(|moment| moment.at);
        let at = |milestone| moments.iter().rfind(|moment| moment.node == *node && moment.milestone == milestone);
        for milestone in ORDER {
            let seconds = at(milestone).zip(start).map(|(moment, start)| seconds(start, moment.at));
            let _ = write!(text, " {:>11}", seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s")));
        }
        let out = out_of_service(node, moments);
        let _ = writeln!(text, "  {}", out.map_or("-".to_owned(), |out| format!("{out:.1} s")));
    }
    text
}

/// How long a node took no pods, in seconds; none if it never left or has not come back.
pub fn out_of_service(node: &str, moments: &[Moment]) -> Option<f64> {
    between(node, moments, Milestone::Cordoned, Milestone::Uncordoned)
}

/// Seconds between two milestones of a node; none if one of them was not reached.
pub fn between(node: &str, moments: &[Moment], from: Milestone, to: Milestone) -> Option<f64> {
    let at = |milestone| moments.iter().rfind(|moment| moment.node == *node && moment.milestone == milestone);
    at(from).zip(at(to)).map(|(from, to)| seconds(from.at, to.at))
}

fn seconds(from: jiff::Timestamp, to: jiff::Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// What the nodes themselves say: the booted image is the built one, the package is there, its unit runs. An error if one of it
/// is not so.
pub async fn proof(lab: &Lab, nodes: &[String], image: &str) -> Result<String, Box<dyn std::error::Error>> {
    let digest = image.split('@').nth(1).unwrap_or_default();
    let mut text = format!("built image   {image}\n");
    for name in nodes {
        let node = lab.node(name)?;
        let booted = booted(&node).await?;
        let package = shell(&node, "dpkg-query -Wf '${Package} ${Version}' autofs").await?;
        let unit = shell(&node, "systemctl is-active autofs.service || true").await?;
        let shared = shell(&node, "cat /var/shared/docs/hello.txt").await?;
        is_proven(name, digest, &booted, &unit)?;
        let _ = writeln!(text, "{name:13} booted {booted} = the built image");
        let _ = writeln!(text, "{:13} {package}; autofs.service {unit}; /var/shared/docs/hello.txt: {shared}", "");
    }
    Ok(text)
}

/// Whether a node runs the image of this digest, and the unit that only the image has.
fn is_proven(node: &str, digest: &str, booted: &str, unit: &str) -> Result<(), String> {
    if booted != digest {
        return Err(format!("{node} runs {booted}, not the image that was built ({digest})"));
    }
    if unit != "active" {
        let why = format!("`cargo xtask lab logs {node} -u autofs` says why");
        return Err(format!("{node} runs the image that was built, but autofs.service is {unit}, not active; {why}"));
    }
    Ok(())
}

async fn booted(node: &Node) -> Result<String, Box<dyn std::error::Error>> {
    let status: serde_json::Value = serde_json::from_str(&shell(node, "onlay-ostree status").await?)?;
    let deployments = status["deployments"].as_array().map(Vec::as_slice).unwrap_or_default();
    let booted = deployments.iter().find(|deployment| deployment["booted"] == true);
    Ok(booted.and_then(|deployment| deployment["digest"].as_str()).unwrap_or_default().to_owned())
}

async fn shell(node: &Node, command: &str) -> Result<String, Box<dyn std::error::Error>> {
    Ok(node.exec(&["sh", "-c", command]).await?.trim_end().to_owned())
}

/// The commands to try next.
pub fn next(lab: &Lab) -> Result<String, Box<dyn std::error::Error>> {
    let kubectl = lab.kubectl()?;
    Ok(format!(
        "The lab stays up. Try:\n  \
         export KUBECONFIG={} PATH={}:$PATH\n  \
         kubectl get mcp,machineosbuild,machineconfignode,nodes\n  \
         kubectl edit machineosconfig worker-automount    # another package: it builds and rolls out again\n  \
         cargo xtask lab shell worker-0                   # look at a node\n  \
         cargo xtask lab down                             # take it away\n",
        lab.layout().kubeconfig(),
        kubectl.program().parent().map_or("", |directory| directory.as_str()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{SignedDuration, Timestamp};

    #[test]
    fn a_node_proves_the_image_and_its_unit() {
        let is_proven = |booted, unit| is_proven("worker-0", "sha256:a", booted, unit);
        assert_eq!(is_proven("sha256:a", "active"), Ok(()));
        assert!(is_proven("sha256:b", "active").unwrap_err().contains("worker-0 runs sha256:b, not"));
        for unit in ["failed", "inactive", "activating", ""] {
            let error = is_proven("sha256:a", unit).unwrap_err();
            assert!(error.contains(&format!("autofs.service is {unit}, not active")), "{error}");
        }
    }

    #[test]
    fn the_table_counts_from_the_first_milestone() {
        let at = |milestone, seconds| Moment {
            at: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds),
            node: "worker-0".into(),
            milestone,
        };
        let moments = [at(Milestone::Staged, 10), at(Milestone::Cordoned, 11), at(Milestone::Uncordoned, 18)];
        let table = table(&["worker-0".into()], &moments);
        let words: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words.join(" "), "worker-0 0.0 s 1.0 s - - - 8.0 s 7.0 s");
    }
}
