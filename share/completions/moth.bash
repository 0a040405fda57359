# bash completion for moth
_moth() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} first=${COMP_WORDS[1]} i
    local words='predict info -e -l -i - --version --help' files='\.lua$' file
    case $first in
    predict) words='--model --json --explain --help' files='\.(png|jpe?g|bmp)$' ;;
    info) words='--json --tensors --help' files='\.safetensors$' ;;
    *)
        [ "$COMP_CWORD" -eq 1 ] || words='-e -l -i -'
        # What comes after the script is the script's: any file.
        for ((i = 1; i < COMP_CWORD; i++)); do
            case ${COMP_WORDS[i]} in
            -e | -l) ((i++)) ;;
            -?*) ;;
            *) words='' files='.' ;;
            esac
        done
        case $prev in
        -e | -l) return ;;
        esac
        ;;
    esac
    case $first$prev in
    predict--model) words='' files='\.safetensors$' ;;
    predict--explain) words='' files='\.png$' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    while IFS= read -r file; do
        if [ -d "$file" ] || [[ ${file,,} =~ $files ]]; then COMPREPLY+=("$file"); fi
    done < <(compgen -f -- "$cur")
    compopt -o filenames 2> /dev/null
}
complete -F _moth moth
