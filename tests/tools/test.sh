#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# test.sh [unit] [docker_clients] [conformance] [faults] [fuzz] [lint] [sanity] [molecule] [integration]
# [driver_packages]: runs these parts of the tests, all but the last by default. The last line is "N passed,
# N failed"; what was recorded counts one by one, any other part that is no pytest as one. RECORDINGS: the
# folder that conformance replays. GPUFLEET_FUZZ: so many hostile requests, 5000 by default.
# GPUFLEET_ARGUMENTS: so many command lines for each docker client, 100 by default.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
parts="unit docker_clients conformance faults fuzz lint sanity molecule integration"
# shellcheck disable=SC2086  # one word per part
[ $# -gt 0 ] || set -- $parts
passed=0 failed=0
times=$build/times
: >"$times"
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

# suite FOLDER [ARGUMENT...]: a pytest, whose tests are counted one by one.
suite() {
  local name=$1 report=$build/$1.xml status=0 counts
  shift
  rm -f "$report"
  timed "$name tests" watched "pytest" \
    pytest -q --durations=10 --junit-xml="$report" "$@" "$root/tests/$name" || status=$?
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

# Recordings of v1 against the plugin and the command.
conformance() {
  local counts=$build/conformance.counts status=0 passed_here failed_here
  rm -f "$counts"
  "$root/tests/hosts/packages.sh" util-linux mount
  timed "conformance" watched "replay" python "$root/tests/conformance/replay.py" \
    --counts "$counts" ${RECORDINGS:+"$RECORDINGS"} || status=$?
  read -r passed_here failed_here <<<"$(cat "$counts" 2>/dev/null || echo "0 1")"
  passed=$((passed + passed_here))
  failed=$((failed + failed_here))
  [ "$status" -eq 0 ] || [ "$failed_here" -gt 0 ] || failed=$((failed + 1))
}

# The demo's host, and what is tested on it. A host that was up before stays up.
integration() {
  local mine=yes
  ! docker container inspect "$demo_host" >/dev/null 2>&1 || mine=
  part "demo" "$root/tests/demo/demo.sh"
  suite integration
  [ -z "$mine" ] || "$root/tests/hosts/host.sh" down "$demo_host"
}

images() {
  for suite in bookworm trixie; do "$root/tests/hosts/image.sh" "$suite"; done
}

timed "environment" "$root/tests/tools/prepare.sh" dev
# The simulated driver is compiled for the unit tests too.
"$root/tests/hosts/packages.sh" gcc libc6-dev
case " $* " in *" fuzz "*) "$root/tests/hosts/nginx.sh" ;; esac
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
    unit) suite unit -n 2 ;;
    docker_clients)
      "$root/tests/hosts/docker_clients.sh" >/dev/null || say "  (going on with the docker clients that are here)"
      suite docker_clients -n 2
      ;;
    conformance) conformance ;;
    faults)
      "$root/tests/hosts/packages.sh" btrfs-progs xfsprogs
      suite faults -n 2 -rs
      ;;
    fuzz) suite fuzz -rs ;;
    lint) part "lint" "$root/tests/tools/lint.sh" ;;
    sanity) part "ansible-test sanity" quietly "ansible-test sanity" "$root/tests/tools/sanity.sh" ;;
    molecule)
      timed "images of the test hosts" accompanied "images" wait "$lane" || cat "$build/logs/images" >&2
      part "molecule" "$root/tests/tools/molecule.sh"
      ;;
    integration) integration ;;
    driver_packages) suite driver_packages -rs ;;
    *) die "usage: test.sh [PART...], of: $parts driver_packages" ;;
  esac
done

# On one stream, so that the count is the last line.
printf '\nslowest parts\n'
sort -rn "$times"
echo "total: $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
