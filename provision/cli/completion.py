"""`provision completion`: complete commands, options, devices and paths in a shell."""

from __future__ import annotations

from collections.abc import Mapping

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

_VARIABLE = "_PROVISION_COMPLETE"  # as click calls it


class _Bash(BashComplete):
    """As click's, but for `@group`, `--limit=` and `DEVICE:PATH`: bash parts words before the
    first, behind the second and at the colon, and replaces the last part alone. It puts there what
    it is told to: the path of a manifest, which may be somebody else's, is to be one word and no
    command, and so has a backslash wherever the shell would take it for more. Where nothing of
    ours fits there are files."""

    source_template = """\
%(complete_func)s() {
    local IFS=$' \\t\\n' line=${COMP_LINE:0:COMP_POINT} type value
    local words word typed part before breaks=${COMP_WORDBREAKS//[^:=@]/}
    read -a words <<< "$line"
    [[ $line == *[!\\\\][[:space:]] ]] && words+=("")
    word=$((${#words[@]} - 1))
    typed=${words[word]}
    [[ $typed == -*=* ]] && typed=${typed#*=}
    part=${typed##*["$breaks"]}
    [[ $typed == *@"$part" ]] && part=@$part
    before=${typed%%"$part"}
    while IFS=, read -r type value; do
        [[ $type == plain && $value == *[:/] ]] && compopt -o nospace
        [[ $type == dir ]] && compopt -o dirnames
        value=${value#"$before"}
        [[ $value == *[!][:alnum:]@_.,:/+=-]* ]] && printf -v value %%q "$value"
        [[ $type == plain ]] && COMPREPLY+=("$value")
    done < <(env COMP_WORDS="$line" COMP_CWORD=$word %(complete_var)s=bash_complete "$1")
    return 0
}
complete -o nosort -o default -F %(complete_func)s %(prog_name)s
"""


class _Zsh(ZshComplete):
    """As click's, but for `--limit=` and for words with colons, which it takes for descriptions; a
    device or a folder is no whole word. Where nothing of ours fits there are files."""

    source_template = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local type value help folders
    local -a whole begun described
    local line="${(j: :)words[1,CURRENT-1]} $PREFIX"
    [[ $PREFIX == -*=* ]] && compset -P '*='
    while IFS=$'\\t' read -r type value help; do
        case $type in
            plain)
                if [[ -n $help ]]; then
                    described+=("${value//:/\\\\:}:$help")
                elif [[ $value == *[:/] ]]; then
                    begun+=("$value")
                else
                    whole+=("$value")
                fi ;;
            dir) folders=yes ;;
        esac
    done < <(env COMP_WORDS="$line" COMP_CWORD=$((CURRENT - 1)) \\
             %(complete_var)s=zsh_complete %(prog_name)s)
    (( $#described )) && _describe -V unsorted described
    (( $#begun )) && compadd -V unsorted -S '' -- $begun
    (( $#whole )) && compadd -V unsorted -- $whole
    if [[ -n $folders ]]; then
        _path_files -/
    elif (( ! $#described && ! $#begun && ! $#whole )); then
        _files
    fi
}
compdef %(complete_func)s %(prog_name)s
"""

    def format_completion(self, item: CompletionItem) -> str:
        return _in_columns(item)


class _Fish(FishComplete):
    """As click's, but for `--limit=`, whose value alone is not the word that fish completes. Where
    nothing of ours fits there are files."""

    source_template = """\
function %(complete_func)s
    set -l typed (commandline -ct)
    set -l option (string match -r -- '^-[^=]*=' $typed)
    set -l found no
    for line in (env COMP_WORDS=(commandline -cp) COMP_CWORD=$typed \\
            %(complete_var)s=fish_complete %(prog_name)s)
        set -l item (string split -m 1 \\t -- $line)
        switch $item[1]
            case plain
                set found yes
                echo "$option"$item[2]
            case dir
                set found yes
                __fish_complete_directories $typed
        end
    end
    test $found = yes; or __fish_complete_path $typed
end
complete --no-files --command %(prog_name)s --arguments '(%(complete_func)s)'
"""

    def format_completion(self, item: CompletionItem) -> str:
        return _in_columns(item)


def _in_columns(item: CompletionItem) -> str:
    """Type, value and description behind tabs, on one line."""
    return "\t".join((item.type, str(item.value), " ".join((item.help or "").split())))


_SHELLS: Mapping[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


def speak_as_scripts_expect() -> None:
    """Have click answer in the form that the scripts above read, and not in that of its own."""
    for name, complete in _SHELLS.items():
        add_completion_class(complete, name)


@click.command(name="completion")
@click.argument("shell", type=click.Choice([*_SHELLS]))
def command(*, shell: str) -> int:
    """Print a script that has SHELL complete `provision`, to be read when the shell starts.

    \b
    bash, in ~/.bashrc:  eval "$(provision completion bash)"
    zsh, in ~/.zshrc:    eval "$(provision completion zsh)"
    fish, in ~/.config/fish/config.fish:
                         provision completion fish | source
    """
    root = click.get_current_context().find_root().command
    complete = _SHELLS[shell](root, {}, "provision", _VARIABLE)
    # Not its own `source`, which runs the shell to ask for its version.
    click.echo(ShellComplete.source(complete), nl=False)
    return 0
