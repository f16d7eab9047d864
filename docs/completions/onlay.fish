# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_onlay_global_optspecs
    string join \n h/help V/version
end

function __fish_onlay_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_onlay_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_onlay_using_subcommand
    set -l cmd (__fish_onlay_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c onlay -n "__fish_onlay_needs_command" -s h -l help -d 'Print help'
complete -c onlay -n "__fish_onlay_needs_command" -s V -l version -d 'Print version'
complete -c onlay -n "__fish_onlay_needs_command" -f -a "build" -d 'Build the image of a pool on this machine, as a Job of the cluster would'
complete -c onlay -n "__fish_onlay_needs_command" -f -a "butane" -d 'Translate a Butane file'
complete -c onlay -n "__fish_onlay_needs_command" -f -a "diff" -d 'Show what differs between two configurations, and what that costs a node'
complete -c onlay -n "__fish_onlay_needs_command" -f -a "plan" -d 'Foresee what files do to the pools of a cluster, and when which node goes'
complete -c onlay -n "__fish_onlay_needs_command" -f -a "render" -d 'Merge MachineConfigs into the configuration of a pool'
complete -c onlay -n "__fish_onlay_needs_command" -f -a "show" -d 'Show what a node gets at a path or as a kernel argument, and which MachineConfig says so'
complete -c onlay -n "__fish_onlay_needs_command" -f -a "validate" -d 'Check MachineConfigs and pools'
complete -c onlay -n "__fish_onlay_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c onlay -n "__fish_onlay_using_subcommand build" -l pool -d 'Pool to build for; may be left out if the files have one MachineOSConfig' -r
complete -c onlay -n "__fish_onlay_using_subcommand build" -l base -d 'Image to build on, instead of the one that the files name' -r
complete -c onlay -n "__fish_onlay_using_subcommand build" -l archive -d 'Write the image into a new file, as an archive of the OCI image layout' -r
complete -c onlay -n "__fish_onlay_using_subcommand build" -l authfile -d 'Credentials for registries [default: what podman and docker have kept]' -r
complete -c onlay -n "__fish_onlay_using_subcommand build" -l registry-ca -d 'More authorities for registries, in PEM' -r
complete -c onlay -n "__fish_onlay_using_subcommand build" -l cache-dir -d 'Where layers are kept for the next build [default: onlay in the cache of the user]' -r
complete -c onlay -n "__fish_onlay_using_subcommand build" -l inside -d 'The directory of a build that goes on in another user namespace' -r
complete -c onlay -n "__fish_onlay_using_subcommand build" -l push -d 'Push the image to where the MachineOSConfig says'
complete -c onlay -n "__fish_onlay_using_subcommand build" -s R -l recursive -d 'Look into directories below the given ones'
complete -c onlay -n "__fish_onlay_using_subcommand build" -s h -l help -d 'Print help'
complete -c onlay -n "__fish_onlay_using_subcommand build" -s V -l version -d 'Print version'
complete -c onlay -n "__fish_onlay_using_subcommand butane" -s d -l files-dir -d 'Directory of the local files and trees that the file names; links do not lead out of it' -r -F
complete -c onlay -n "__fish_onlay_using_subcommand butane" -s o -l output -d 'Write the result into this file' -r -F
complete -c onlay -n "__fish_onlay_using_subcommand butane" -l color -d 'When errors and warnings have colours: auto is on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c onlay -n "__fish_onlay_using_subcommand butane" -s c -l check -d 'Check the file and write no result'
complete -c onlay -n "__fish_onlay_using_subcommand butane" -s p -l pretty -d 'Write Ignition over several lines'
complete -c onlay -n "__fish_onlay_using_subcommand butane" -s r -l raw -d 'Write plain Ignition, never a MachineConfig'
complete -c onlay -n "__fish_onlay_using_subcommand butane" -s s -l strict -d 'Fail if there is any warning'
complete -c onlay -n "__fish_onlay_using_subcommand butane" -l raw-errors -d 'Write errors and warnings one a line, without the text around them'
complete -c onlay -n "__fish_onlay_using_subcommand butane" -s h -l help -d 'Print help'
complete -c onlay -n "__fish_onlay_using_subcommand butane" -s V -l version -d 'Print version'
complete -c onlay -n "__fish_onlay_using_subcommand diff" -l pool -d 'Pool to render files for; without it, that of pool/NAME, or the files have one rendered MachineConfig or one MachineConfig alone' -r
complete -c onlay -n "__fish_onlay_using_subcommand diff" -s o -l output -d 'How to write the result' -r -f -a "text\t'For people'
json\t'For programs; docs/schemas/diff.json is the schema'"
complete -c onlay -n "__fish_onlay_using_subcommand diff" -l context -d 'Context of kubectl\'s configuration; without it, the current one' -r
complete -c onlay -n "__fish_onlay_using_subcommand diff" -l kubeconfig -d 'kubectl\'s configuration; without it, the one that kubectl finds by itself' -r -F
complete -c onlay -n "__fish_onlay_using_subcommand diff" -s n -l namespace -d 'Namespace of onlay in the cluster' -r
complete -c onlay -n "__fish_onlay_using_subcommand diff" -s R -l recursive -d 'Look into directories below the given ones'
complete -c onlay -n "__fish_onlay_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c onlay -n "__fish_onlay_using_subcommand diff" -s V -l version -d 'Print version'
complete -c onlay -n "__fish_onlay_using_subcommand plan" -l against -d 'What is there: cluster, which asks the live one through kubectl, or a directory or file with its objects' -r
complete -c onlay -n "__fish_onlay_using_subcommand plan" -s o -l output -d 'How to write the result' -r -f -a "text\t'For people'
json\t'For programs; docs/schemas/plan.json is the schema'"
complete -c onlay -n "__fish_onlay_using_subcommand plan" -l context -d 'Context of kubectl\'s configuration; without it, the current one' -r
complete -c onlay -n "__fish_onlay_using_subcommand plan" -l kubeconfig -d 'kubectl\'s configuration; without it, the one that kubectl finds by itself' -r -F
complete -c onlay -n "__fish_onlay_using_subcommand plan" -s n -l namespace -d 'Namespace of onlay in the cluster' -r
complete -c onlay -n "__fish_onlay_using_subcommand plan" -s R -l recursive -d 'Look into directories below the given ones'
complete -c onlay -n "__fish_onlay_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c onlay -n "__fish_onlay_using_subcommand plan" -s V -l version -d 'Print version'
complete -c onlay -n "__fish_onlay_using_subcommand render" -l pool -d 'Pool to render for: one of the files, or one that selects the roles worker and NAME' -r
complete -c onlay -n "__fish_onlay_using_subcommand render" -s o -l output -d 'How to write the result' -r -f -a "yaml\t'A MachineConfig, as the cluster has it'
json\t'The same MachineConfig as JSON; findings if there is none, whose schema is docs/schemas/render.json'
tree\t'What a node gets, and which MachineConfig says so'"
complete -c onlay -n "__fish_onlay_using_subcommand render" -s R -l recursive -d 'Look into directories below the given ones'
complete -c onlay -n "__fish_onlay_using_subcommand render" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c onlay -n "__fish_onlay_using_subcommand render" -s V -l version -d 'Print version'
complete -c onlay -n "__fish_onlay_using_subcommand show" -l path -d 'Path on the node, of a file, directory, link, unit or drop-in' -r
complete -c onlay -n "__fish_onlay_using_subcommand show" -l argument -d 'Kernel argument instead of a path, such as audit=0, or all of one name, such as audit' -r
complete -c onlay -n "__fish_onlay_using_subcommand show" -l pool -d 'Pool to render for; without it, the files have one rendered MachineConfig' -r
complete -c onlay -n "__fish_onlay_using_subcommand show" -s o -l output -d 'How to write the result' -r -f -a "text\t'The contents as they are, and what else is known on standard error'
json\t'For programs; docs/schemas/show.json is the schema'"
complete -c onlay -n "__fish_onlay_using_subcommand show" -s R -l recursive -d 'Look into directories below the given ones'
complete -c onlay -n "__fish_onlay_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c onlay -n "__fish_onlay_using_subcommand show" -s V -l version -d 'Print version'
complete -c onlay -n "__fish_onlay_using_subcommand validate" -s f -l filename -d 'The same, as kubectl has it' -r -F
complete -c onlay -n "__fish_onlay_using_subcommand validate" -s o -l output -d 'How to write the result' -r -f -a "text\t'For people'
json\t'For programs; docs/schemas/validate.json is the schema'"
complete -c onlay -n "__fish_onlay_using_subcommand validate" -s R -l recursive -d 'Look into directories below the given ones'
complete -c onlay -n "__fish_onlay_using_subcommand validate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c onlay -n "__fish_onlay_using_subcommand validate" -s V -l version -d 'Print version'
complete -c onlay -n "__fish_onlay_using_subcommand help; and not __fish_seen_subcommand_from build butane diff plan render show validate help" -f -a "build" -d 'Build the image of a pool on this machine, as a Job of the cluster would'
complete -c onlay -n "__fish_onlay_using_subcommand help; and not __fish_seen_subcommand_from build butane diff plan render show validate help" -f -a "butane" -d 'Translate a Butane file'
complete -c onlay -n "__fish_onlay_using_subcommand help; and not __fish_seen_subcommand_from build butane diff plan render show validate help" -f -a "diff" -d 'Show what differs between two configurations, and what that costs a node'
complete -c onlay -n "__fish_onlay_using_subcommand help; and not __fish_seen_subcommand_from build butane diff plan render show validate help" -f -a "plan" -d 'Foresee what files do to the pools of a cluster, and when which node goes'
complete -c onlay -n "__fish_onlay_using_subcommand help; and not __fish_seen_subcommand_from build butane diff plan render show validate help" -f -a "render" -d 'Merge MachineConfigs into the configuration of a pool'
complete -c onlay -n "__fish_onlay_using_subcommand help; and not __fish_seen_subcommand_from build butane diff plan render show validate help" -f -a "show" -d 'Show what a node gets at a path or as a kernel argument, and which MachineConfig says so'
complete -c onlay -n "__fish_onlay_using_subcommand help; and not __fish_seen_subcommand_from build butane diff plan render show validate help" -f -a "validate" -d 'Check MachineConfigs and pools'
complete -c onlay -n "__fish_onlay_using_subcommand help; and not __fish_seen_subcommand_from build butane diff plan render show validate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
