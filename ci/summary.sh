#!/usr/bin/env bash
# Adds the digest of a run to a GitHub job summary: what `ci/run.sh` gave as outputs comes in here.
#
#   BENCH_FOLDER         the run folder; empty where there is none
#   BENCH_EXIT_CODE, BENCH_TRIES, BENCH_LOG
#   BENCH_ARTIFACT_URL   where the run folder can be fetched; empty where it was not kept
set -euo pipefail
{
  if [ -n "${BENCH_FOLDER:-}" ] && [ -f "$BENCH_FOLDER/summary.md" ]; then
    cat "$BENCH_FOLDER/summary.md"
  else
    echo "## 🚫 NO RUN: the bench ended with exit code ${BENCH_EXIT_CODE:-unknown}"
    if [ -f "${BENCH_LOG:-}" ]; then
      echo
      # As an indented block, in which nothing is markup; a lone return would end its line.
      tail -n 20 "$BENCH_LOG" | tr '\r' '\n' |
        LC_ALL=C.UTF-8 sed -E 's/^(.{400}).+/\1…/; s/^/    /'
    fi
  fi
  if [ "${BENCH_TRIES:-1}" -gt 1 ]; then
    printf '\nThis was try %s: the one before was void (exit code 3).\n' "$BENCH_TRIES"
  fi
  if [ -n "${BENCH_ARTIFACT_URL:-}" ]; then
    printf '\n[Fetch the run folder, with the report](%s)\n' "$BENCH_ARTIFACT_URL"
  fi
} >> "$GITHUB_STEP_SUMMARY"
