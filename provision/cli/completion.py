"""`provision completion`: complete commands, options and device names in a shell."""

from __future__ import annotations

from collections.abc import Mapping

import click
from click.shell_completion import BashComplete, ShellComplete

_VARIABLE = "_PROVISION_COMPLETE"


class _Bash(BashComplete):
    """As click's, but for `@group` and `--limit=`: bash parts words before the one and behind the
    other, and replaces the last part alone. Where nothing of ours fits there are files."""

    source_template = """\
%(complete_func)s() {
    local IFS=$' \\t\\n' line=${COMP_LINE:0:COMP_POINT} type value
    local words word typed part before
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=$((${#words[@]} - 1))
    typed=${words[word]}
    [[ $typed == -*=* ]] && typed=${typed#*=}
    part=${typed##*["$COMP_WORDBREAKS"]}
    [[ $typed == *@"$part" ]] && part=@$part
    before=${typed%%"$part"}
    while IFS=, read -r type value; do
        [[ $type == plain ]] && COMPREPLY+=("${value#"$before"}")
        [[ $type == dir ]] && compopt -o dirnames
    done < <(env COMP_WORDS="$line" COMP_CWORD=$word %(complete_var)s=bash_complete "$1")
    return 0
}
complete -o nosort -o default -F %(complete_func)s %(prog_name)s
"""


_SHELLS: Mapping[str, type[ShellComplete]] = {"bash": _Bash}


@click.command(name="completion")
@click.argument("shell", type=click.Choice([*_SHELLS]))
def command(*, shell: str) -> int:
    """Print a script that has SHELL complete `provision`, to be read when the shell starts.

    For bash, put this into ~/.bashrc: eval "$(provision completion bash)"
    """
    root = click.get_current_context().find_root().command
    complete = _SHELLS[shell](root, {}, "provision", _VARIABLE)
    # Not its own `source`, which runs the shell to ask for its version.
    click.echo(ShellComplete.source(complete))
    return 0
