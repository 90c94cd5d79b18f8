#!/usr/bin/env bash
# Runs a scenario, again where the runner was unfit, and tells the pipeline how it went.
#
# Everything that a pipeline is given comes in by the environment and stays a word: nothing of it is
# ever a part of a command line that a shell reads.
#
#   BENCH                the program (bench)
#   BENCH_SCENARIO       a scenario, its file or name; the one thing that must be given
#   BENCH_TARGET, BENCH_DIALECT, BENCH_SESSIONS, BENCH_DURATION, BENCH_BASELINE, BENCH_GATE_PROFILE
#                        as the options of `bench run`; empty: not given
#   BENCH_GATES          more gates, one a line
#   BENCH_ARGS           more arguments of `bench run`, one a line, as in --max-minutes=30
#   BENCH_RETRIES        how often to run again after exit code 3 (1)
#   BENCH_INCONCLUSIVE   what exit code 4 comes to: fail or warn (fail)
#   BENCH_OUT            where run folders go (bench-run, or the runner's temporary folder)
#
# Exit codes are those of `bench run`; with BENCH_INCONCLUSIVE=warn a 4 becomes a 0.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
retries="${BENCH_RETRIES:-1}"
inconclusive="${BENCH_INCONCLUSIVE:-fail}"

if [ -n "${BENCH_OUT:-}" ]; then
  out="$BENCH_OUT"
elif [ -n "${RUNNER_TEMP:-}" ]; then
  out="$(mktemp -d "$RUNNER_TEMP/bench-run.XXXXXX")"
else
  out="bench-run"
fi
mkdir -p "$out"

# Where a runner keeps its workspace there may be older runs: none of them is taken for this one.
number=0
next_folder() {
  number=$((number + 1))
  while [ -e "$out/run-$number" ]; do number=$((number + 1)); done
  folder="$out/run-$number"
  log="$out/log-$number.txt"
}

# Annotations or plain lines, and what later steps are given.
finish() {
  "${BENCH_PYTHON:-python3}" "$here/tell.py" "$code" "$folder" "$log" "$inconclusive"
  if [ -n "${GITHUB_OUTPUT:-}" ]; then
    case "$code" in
      0) verdict=pass ;;
      1) verdict=fail ;;
      3) verdict=invalid ;;
      4) verdict=inconclusive ;;
      130) verdict=interrupted ;;
      *) verdict=refused ;;
    esac
    {
      echo "verdict=$verdict"
      echo "exit-code=$code"
      echo "tries=$try"
      echo "out=$out"
      echo "log=$log"
      if [ -f "$folder/verdict.json" ]; then echo "folder=$folder"; fi
    } >> "$GITHUB_OUTPUT"
  fi
}

try=1
next_folder
refuse() {
  echo "bench: $1" > "$log"
  code=2
  finish >&2
  exit 2
}
[ -n "${BENCH_SCENARIO:-}" ] || refuse "no scenario was given: set scenario (BENCH_SCENARIO)"
[[ "$retries" =~ ^[0-9]$ ]] || refuse "retries '$retries': give a number from 0 to 9"
program="${BENCH:-bench}"
command -v "$program" > /dev/null ||
  refuse "no program '$program' here: install it into the job's environment, or set BENCH"
case "$inconclusive" in
  fail | warn) ;;
  *) refuse "inconclusive '$inconclusive': give fail or warn" ;;
esac

arguments=()
option() { if [ -n "$2" ]; then arguments+=("$1=$2"); fi; }
option --target "${BENCH_TARGET:-}"
option --dialect "${BENCH_DIALECT:-}"
option --sessions "${BENCH_SESSIONS:-}"
option --duration "${BENCH_DURATION:-}"
option --baseline "${BENCH_BASELINE:-}"
option --gates "${BENCH_GATE_PROFILE:-}"
while read -r line; do option --gate "$line"; done <<< "${BENCH_GATES:-}"
while read -r line; do
  if [ -n "$line" ]; then arguments+=("$line"); fi
done <<< "${BENCH_ARGS:-}"

# What a program prints may quote a server: on GitHub no line of it may be a workflow command.
github="${GITHUB_ACTIONS:-}"
token="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
play() {
  if [ "$github" = true ]; then echo "::stop-commands::$token"; fi
  code=0
  "$program" run "${arguments[@]}" "--out=$folder" -- "$BENCH_SCENARIO" 2>&1 |
    tee "$log" || code="${PIPESTATUS[0]}"
  if [ "$github" = true ]; then echo "::$token::"; fi
}

while :; do
  play
  if [ "$code" -ne 3 ] || [ "$try" -gt "$retries" ]; then break; fi
  try=$((try + 1))
  next_folder
  echo "The run is void (exit code 3, see why above): try $try of $((retries + 1))"
done

finish
if [ "$code" -eq 4 ] && [ "$inconclusive" = warn ]; then exit 0; fi
exit "$code"
