
# Completes the program behind `credimg exec MANIFEST --` as if nothing stood before it. The
# status is 2 where the word belongs to no such program.
_credimg_program() {
    local place=${words[(i)--]}
    ((place < CURRENT && ${words[(i)exec]} < place)) || return 2
    shift $place words
    ((CURRENT -= place))
    _normal
}
