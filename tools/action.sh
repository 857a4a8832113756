#!/usr/bin/env bash
# What action.yml runs, a step a call: install, validate, lock, rehearse, plan, comment. What is to
# be done stands in the environment, never in the text of a script: a manifest's name may be anybody's.
# It runs in the bash 3.2 of macOS too.
set -euo pipefail

report="${RUNNER_TEMP:?}/provision-report.md"
most_lines=150 # of each part of the comment, which GitHub limits to 65,536 characters
most_columns=200

manifests=()
while IFS= read -r line; do
    line="${line#"${line%%[![:space:]]*}"}"
    line="${line%"${line##*[![:space:]]}"}"
    if [ -n "$line" ]; then manifests+=("$line"); fi
done <<< "${MANIFESTS:-fleet.yaml}"

# A title, whether a checkout without secrets will do, and a command: what it prints goes to the log
# as it comes, where it can give no orders to the runner, and its end to the report. Its exit code.
tell() {
    local title=$1 code=0 halt said="$RUNNER_TEMP/provision-said.txt"
    shift
    halt="provision-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    echo "::group::$title"
    echo "::stop-commands::$halt"
    "$@" 2>&1 | tee "$said" || code=$?
    echo "::$halt::"
    echo "::endgroup::"
    {
        if [ "$code" = 0 ]; then echo "### $title: passed"; else echo "### $title: failed, exit code $code"; fi
        echo
        echo '~~~~~~~~text'
        # No line of it ends the block.
        tail -n "$most_lines" "$said" | cut -c "1-$most_columns" | sed 's/^[[:space:]]*~/\\~/'
        echo '~~~~~~~~'
        echo
    } > "$RUNNER_TEMP/provision-part.md"
    cat "$RUNNER_TEMP/provision-part.md" >> "$report"
    if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then cat "$RUNNER_TEMP/provision-part.md" >> "$GITHUB_STEP_SUMMARY"; fi
    rm -f "$said" "$RUNNER_TEMP/provision-part.md"
    return "$code"
}

# The secrets that were given, in a file of the runner's; or that there are none.
secrets=()
with_secrets() {
    if [ -n "${SECRETS:-}" ]; then
        (umask 077 && printf '%s\n' "$SECRETS" > "$RUNNER_TEMP/provision-secrets.yaml")
        trap 'rm -f "$RUNNER_TEMP/provision-secrets.yaml"' EXIT
        secrets=(--secrets "$RUNNER_TEMP/provision-secrets.yaml")
    elif [ "$1" = or-none ]; then
        secrets=(--no-secrets)
    fi
}

# A command with each manifest; the code of the last that failed.
each() {
    local title=$1 code=0 one
    shift
    for one in "${manifests[@]}"; do
        tell "$title $one" "$@" ${secrets[@]+"${secrets[@]}"} -- "$one" || code=$?
    done
    return "$code"
}

case "${1:?}" in
install)
    # -I: a pip.py or venv.py of the repository, the current folder, is not imported.
    python -I -m venv "$RUNNER_TEMP/provision"
    bin="$RUNNER_TEMP/provision/bin"
    if [ ! -d "$bin" ]; then bin="$RUNNER_TEMP/provision/Scripts"; fi # Windows
    "$bin/python" -I -m pip install --quiet --disable-pip-version-check \
        "${GITHUB_ACTION_PATH:?}[sim,compile,certificates]"
    echo "$bin" >> "${GITHUB_PATH:?}"
    rm -f "$report"
    ;;
validate)
    with_secrets or-none
    tell "provision validate" provision validate ${secrets[@]+"${secrets[@]}"} -- "${manifests[@]}"
    ;;
lock)
    with_secrets or-none
    tell "provision lock --check" \
        provision lock --check ${secrets[@]+"${secrets[@]}"} -- "${manifests[@]}"
    ;;
rehearse)
    with_secrets or-placeholders # which rehearse takes by itself
    read -r -a options <<< "${REHEARSE_OPTIONS:-}" || true
    each "provision rehearse" provision rehearse ${options[@]+"${options[@]}"}
    ;;
plan)
    with_secrets ""
    each "provision plan" provision plan
    ;;
comment)
    if [ ! -s "$report" ]; then exit 0; fi
    {
        echo "## provision"
        echo
        cat "$report"
        echo "[This run](${GITHUB_SERVER_URL:?}/${GITHUB_REPOSITORY:?}/actions/runs/${GITHUB_RUN_ID:?})"
    } > "$RUNNER_TEMP/provision-comment.md"
    # A pull request from a fork has no right to; what is in the summary is then all.
    gh pr comment "${PULL_REQUEST:?}" --repo "$GITHUB_REPOSITORY" --edit-last --create-if-none \
        --body-file "$RUNNER_TEMP/provision-comment.md" ||
        echo "::warning::the comment could not be written; give the job \`permissions: {pull-requests: write}\`"
    ;;
*)
    echo "no step is called $1" >&2
    exit 2
    ;;
esac
