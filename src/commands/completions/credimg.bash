
# What the function above cannot: words that bash splits at `=`, file names where no option is
# begun, and the program behind `credimg exec MANIFEST --`.
_credimg_words() {
    local cur=$2 prev=$3 joined='' place word
    for ((place = 2; place < COMP_CWORD; place++)); do
        if [[ ${COMP_WORDS[place]} == -- && " ${COMP_WORDS[*]:0:place} " == *' exec '* ]]; then
            _credimg_program $((place + 1))
            return
        fi
    done
    if [[ ${COMP_WORDS[COMP_CWORD]} == = ]]; then # --option=, and nothing yet
        cur=
    elif [[ $prev == = ]]; then # --option=value
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ $cur == --*=* ]]; then # the same, where COMP_WORDBREAKS has no `=`
        prev=${cur%%=*} joined=${cur%%=*}= cur=${cur#*=}
    fi
    if [[ $cur != -* && ${COMP_WORDS[COMP_CWORD - 1]} == man ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
    fi
    _credimg "$1" "$cur" "$prev"
    # Without a word readline completes file names, which options would be in the way of.
    local replies=("${COMPREPLY[@]}")
    COMPREPLY=()
    for word in "${replies[@]}"; do
        if [[ $cur == -* || $word != -* ]]; then
            COMPREPLY+=("$joined$word")
        fi
    done
}

# Completes the program that begins at the word $1, as if nothing stood before it.
_credimg_program() {
    if declare -F _comp_command_offset >/dev/null; then # bash-completion from 2.12 on
        _comp_command_offset "$1"
    elif declare -F _command_offset >/dev/null; then # older ones
        _command_offset "$1"
    elif (($1 == COMP_CWORD)); then
        mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
    fi
}

if [[ ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 || ${BASH_VERSINFO[0]} -gt 4 ]]; then
    complete -F _credimg_words -o nosort -o bashdefault -o default credimg
else
    complete -F _credimg_words -o bashdefault -o default credimg
fi
