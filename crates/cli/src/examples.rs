//! Examples of each verb: in `--help`, in the man pages, in docs/user/cli.md, and each one a test.
//!
//! They run in examples/offline.

/// What the exit codes say.
pub const EXIT_CODES: &str = "\
Exit codes: 0 all is well and nothing has to be done, 2 something changes (`onlay diff` and `onlay plan`), 1 something is \
wrong with the input or the arguments. `kubectl diff` ends with 1 where something changes. `onlay butane` ends with 2 if \
its arguments are wrong, as the real tool does.";

/// The examples of a verb.
#[derive(Debug)]
pub struct Verb {
    /// Name of the verb.
    pub name: &'static str,
    /// What there is to know beyond its arguments.
    pub about: &'static str,
    /// Its examples.
    pub examples: &'static [Example],
}

/// A command line.
#[derive(Debug)]
pub struct Example {
    /// What it is for.
    pub purpose: &'static str,
    /// What to type, in a shell.
    pub line: &'static str,
    /// How it ends.
    pub code: u8,
}

/// All examples, in the order of the verbs.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "build",
        about: "\
The files say what they say to the cluster: the MachineConfigs of the pool, its MachineOSConfig, and, if there are some, its \
LayeringPolicy with the ConfigMaps and Secrets that it names. buildah has to be installed. Nothing is pushed without --push: the image \
is built and checked, and its layers are kept for the next time. A base image that is named by tag is looked up, as the cluster does. \
Credentials are those of --authfile, else of REGISTRY_AUTH_FILE, podman or docker.",
        examples: &[],
    },
    Verb {
        name: "butane",
        about: "\
`variant: openshift` becomes a MachineConfig, `variant: fcos` an Ignition configuration. Unlike the real tool, a symbolic \
link that leads out of the files directory is an error.",
        examples: &[
            Example { purpose: "A MachineConfig", line: "onlay butane motd.bu", code: 0 },
            Example {
                purpose: "Ignition alone, for people to read",
                line: "onlay butane --raw --pretty motd.bu",
                code: 0,
            },
            Example {
                purpose: "With files that lie beside it",
                line: "onlay butane --files-dir files motd-local.bu",
                code: 0,
            },
            Example {
                purpose: "Check a file and refuse warnings",
                line: "onlay butane --check --strict broken.bu",
                code: 1,
            },
        ],
    },
    Verb {
        name: "diff",
        about: "\
Both sides are rendered as the cluster does it: with --pool, what the pool gets of the files; without it, the one \
rendered MachineConfig of the files, or their one MachineConfig by itself. pool/NAME is what the pool of the live cluster \
is told to run, machineconfig/NAME one of its MachineConfigs; kubectl is called for them, with its own configuration. \
./pool/NAME is a file. Costs follow the node disruption policy of MachineConfiguration `cluster` in B, else in A, else \
the defaults. What lies beside the MachineConfigs counts: a MachineOSConfig of the pool tells whether its image is built \
anew (a side that has the pool itself and no MachineOSConfig builds nothing, MachineConfigs alone leave that open), a Node \
which container runtime is reloaded. What cannot change on nodes that run is an error.",
        examples: &[
            Example {
                purpose: "What a change does to the workers",
                line: "onlay diff machineconfigs wanted --pool worker",
                code: 2,
            },
            Example {
                purpose: "One MachineConfig by itself; without a policy, a reboot",
                line: "onlay diff machineconfigs/50-worker-motd.yaml wanted/50-worker-motd.yaml",
                code: 2,
            },
            Example {
                purpose: "For programs; nothing differs",
                line: "onlay diff machineconfigs now --pool worker -o json",
                code: 0,
            },
        ],
    },
    Verb {
        name: "plan",
        about: "\
The files are laid over what is there: of the same kind and name, theirs count; everything else stays. What is there comes \
from the live cluster through kubectl, with its own configuration, or from a directory of its objects (./cluster, if it is called cluster), such as the output \
of `kubectl get -o yaml` of machineconfigs, machineconfigpools, machineosconfigs, machineosbuilds, machineconfignodes, \
machineconfigurations and nodes. Each node goes from what it runs. A base image that \
nothing named before counts as another one. The order is that of the rollout: by name, at most \
maxUnavailable at once, nodes that are NotReady or cordoned keep their slot, the controller's own node last. Costs follow \
the node disruption policy. Times are medians of what the objects tell of the past, else assumptions, and the plan says \
which. What cannot change on nodes that run is an error.",
        examples: &[
            Example { purpose: "What a change does to a cluster", line: "onlay plan wanted --against now", code: 2 },
            Example {
                purpose: "A change that the image is built for",
                line: "onlay plan image.yaml --against now",
                code: 2,
            },
            Example {
                purpose: "A change that no node can take",
                line: "onlay plan refused.yaml --against now",
                code: 1,
            },
            Example { purpose: "For programs", line: "onlay plan wanted --against now -o json", code: 2 },
        ],
    },
    Verb {
        name: "render",
        about: "\
The MachineConfigs that the pool selects are merged as the cluster does it, and the result has the name that the cluster \
gives it. A pool that is not in the files selects the roles worker and NAME (master: master alone). Warnings go to \
standard error.",
        examples: &[
            Example { purpose: "What workers get", line: "onlay render machineconfigs --pool worker", code: 0 },
            Example {
                purpose: "What a custom pool gets, and who says so",
                line: "onlay render machineconfigs --pool automount -o tree",
                code: 0,
            },
            Example {
                purpose: "From a Butane file, as JSON",
                line: "onlay butane motd.bu | onlay render - --pool worker -o json",
                code: 0,
            },
            Example {
                purpose: "From a kustomization, which kubectl builds",
                line: "onlay render kustomize --pool worker -o tree",
                code: 0,
            },
        ],
    },
    Verb {
        name: "show",
        about: "\
The contents go to standard output, unpacked; mode, owner and origin to standard error. With --pool the files are rendered \
first. Without it they have one rendered MachineConfig, as in the output of `kubectl get machineconfigs -o yaml`, which \
itself says who wrote what; if it does not, everything that it was merged from must be in the files as well.",
        examples: &[
            Example {
                purpose: "A file, and who wrote it over whom",
                line: "onlay show machineconfigs --pool automount --path /etc/motd",
                code: 0,
            },
            Example {
                purpose: "A unit of a rendered MachineConfig",
                line: "onlay render machineconfigs --pool worker | onlay show - machineconfigs --path \
                       /etc/systemd/system/hello.service",
                code: 0,
            },
            Example {
                purpose: "A unit of the image, and who enables it",
                line: "onlay show machineconfigs --pool automount --path /etc/systemd/system/autofs.service",
                code: 0,
            },
            Example {
                purpose: "A kernel argument, and who puts it there",
                line: "onlay show machineconfigs --pool automount --argument audit",
                code: 0,
            },
            Example {
                purpose: "For programs",
                line: "onlay show machineconfigs --pool automount --path /etc/auto.master.d/home.autofs -o json",
                code: 0,
            },
        ],
    },
    Verb {
        name: "validate",
        about: "\
Each MachineConfig is checked by itself, then what each pool gets: the pools of the files, and those that roles of \
MachineConfigs name. Values, labels and names are checked as an API server checks those of a new object, rules in CEL included. \
Not checked is what only a cluster knows: its admission policies, rules that compare with the object before, and whether \
what an object names exists. Objects of other APIs are only counted.",
        examples: &[
            Example { purpose: "All files of a directory", line: "onlay validate machineconfigs", code: 0 },
            Example { purpose: "A mistake, and where it is", line: "onlay validate broken.yaml", code: 1 },
            Example { purpose: "For programs", line: "onlay validate -o json broken.yaml", code: 1 },
        ],
    },
];

/// What stands below the help of a verb.
pub fn help(verb: &Verb) -> String {
    if verb.examples.is_empty() {
        return format!("{}\n\n{EXIT_CODES}", verb.about);
    }
    let examples = verb.examples.iter().map(|each| format!("  # {}\n  {}", each.purpose, each.line));
    format!("{}\n\nExamples:\n{}\n\n{EXIT_CODES}", verb.about, examples.collect::<Vec<_>>().join("\n\n"))
}
