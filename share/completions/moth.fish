# fish completion for moth
complete -c moth -f
complete -c moth -n __fish_use_subcommand -a predict -d 'what digits pictures show'
complete -c moth -n __fish_use_subcommand -a info -d 'what model files hold'
complete -c moth -n __fish_use_subcommand -a '(__fish_complete_suffix .lua)'
complete -c moth -n __fish_use_subcommand -s e -x -d 'run code'
complete -c moth -n __fish_use_subcommand -s l -x -d 'require a module'
complete -c moth -n __fish_use_subcommand -s i -d 'the prompt after the script'
complete -c moth -n __fish_use_subcommand -s v -l version -d 'print the version'
complete -c moth -s h -l help -d 'print how to use it'
complete -c moth -n '__fish_seen_subcommand_from predict' -l model -r -a '(__fish_complete_suffix .safetensors)' -d 'the model'
complete -c moth -n '__fish_seen_subcommand_from predict' -l explain -r -F -d 'write the steps as a picture'
complete -c moth -n '__fish_seen_subcommand_from predict info' -l json -d 'a line of JSON each'
complete -c moth -n '__fish_seen_subcommand_from predict' -F
complete -c moth -n '__fish_seen_subcommand_from info' -l tensors -d 'list every tensor'
complete -c moth -n '__fish_seen_subcommand_from info' -a '(__fish_complete_suffix .safetensors)'
complete -c moth -n 'not __fish_use_subcommand; and not __fish_seen_subcommand_from predict info' -F
