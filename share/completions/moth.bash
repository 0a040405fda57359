# bash completion for moth
_moth() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} first=${COMP_WORDS[1]}
    local words files file
    case $first in
    predict) words='--model --json --explain --help' files='\.(png|jpe?g|bmp)$' ;;
    info) words='--json --tensors --help' files='\.safetensors$' ;;
    -*) words='-e -l -i - --version --help' files='\.lua$' ;;
    *.lua) words='' files='.' ;; # arguments of a script: anything
    *) words='predict info -e -l -i - --version --help' files='\.lua$' ;;
    esac
    case $prev in
    -e | -l) return ;;
    --model) words='' files='\.safetensors$' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    while IFS= read -r file; do
        if [ -d "$file" ] || [[ ${file,,} =~ $files ]]; then COMPREPLY+=("$file"); fi
    done < <(compgen -f -- "$cur")
    compopt -o filenames 2> /dev/null
}
complete -F _moth moth
