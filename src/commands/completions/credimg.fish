
# What the lines above cannot: values of a command's own arguments, and the program behind
# `credimg exec MANIFEST --`.
function __fish_credimg_program
    set -l words (commandline -opc)
    while test "$words[1]" != --
        set -e words[1]
    end
    set -e words[1]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end

complete -c credimg -n "__fish_credimg_using_subcommand exec; and contains -- -- (commandline -opc)" -f -a "(__fish_credimg_program)"
complete -c credimg -n "__fish_credimg_using_subcommand completions" -f -a "bash elvish fish powershell zsh"
complete -c credimg -n "__fish_credimg_using_subcommand man" -f -a "(__fish_complete_directories (commandline -ct))"
