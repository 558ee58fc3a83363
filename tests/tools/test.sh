#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# test.sh [unit] [lint] [sanity] [molecule]: runs these parts of the tests, all of them by default. The
# last line is "N passed, N failed"; a part other than the unit tests counts as one.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
[ $# -gt 0 ] || set -- unit lint sanity molecule
passed=0 failed=0
times=$(mktemp)
trap 'rm -f "$times"' EXIT
PATH=$root/.venv/bin:$PATH

timed() {
  local name=$1 started=$SECONDS status=0
  shift
  heading "$name"
  "$@" || status=$?
  printf '%5d s  %s\n' $((SECONDS - started)) "$name" >>"$times"
  return "$status"
}

part() {
  if timed "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

unit() {
  local report=$build/unit.xml status=0
  rm -f "$report"
  # shellcheck disable=SC2310  # a failure is counted below
  timed "unit tests" watched "pytest" pytest -q -n 2 --durations=10 --junit-xml="$report" "$root/tests/unit" || status=$?
  local counts
  counts=$(python -c '
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()[0]
bad = int(suite.get("failures")) + int(suite.get("errors"))
print(int(suite.get("tests")) - int(suite.get("skipped")) - bad, bad)' "$report" 2>/dev/null || echo "0 0")
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
  # A run that ended without a failed test but with a status, such as one that found no test.
  [ "$status" -eq 0 ] || [ "${counts#* }" -gt 0 ] || failed=$((failed + 1))
}

images() {
  for suite in bookworm trixie; do "$root/tests/hosts/image.sh" "$suite"; done
}

timed "environment" "$root/tests/tools/prepare.sh" dev
lane=
case " $* " in
  *" molecule "*)
    # The engine and the images of the hosts are made beside the other parts.
    "$root/tests/hosts/engine.sh" start
    images >"$build/logs/images" 2>&1 &
    lane=$!
    ;;
esac
for name in "$@"; do
  case $name in
    unit) unit ;;
    lint) part "lint" "$root/tests/tools/lint.sh" ;;
    sanity) part "ansible-test sanity" quietly "ansible-test sanity" "$root/tests/tools/sanity.sh" ;;
    molecule)
      timed "images of the test hosts" accompany "$lane" "images" || cat "$build/logs/images" >&2
      part "molecule" "$root/tests/tools/molecule.sh"
      ;;
    *) die "usage: test.sh [unit] [lint] [sanity] [molecule]" ;;
  esac
done

heading "slowest parts"
sort -rn "$times" >&2
say "total: $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
