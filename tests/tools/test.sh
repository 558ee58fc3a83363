#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# test.sh [PART...]: runs these parts of the tests, all but example, driver_packages and cores by default; a wrong name lists
# them. The last line is "N passed, N failed"; what was recorded counts one by one, any other part that is no pytest
# as one. integration is three parts: integration-bookworm and integration-trixie on a demo each, integration-toolkit on
# two hosts with stand-ins for NVIDIA's toolkit. RECORDINGS: the folder that conformance replays. GPUFLEET_FUZZ: so many
# hostile requests, 5000 by default.
# GPUFLEET_ARGUMENTS: so many command lines for each docker client, 100 by default.
# GPUFLEET_MATRIX=full: each case of nvidia_container with each kind of injection on each host.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
parts="unit docker_clients conformance faults fuzz report docs artifact lint sanity molecule integration"
# shellcheck disable=SC2086  # one word per part
[ $# -gt 0 ] || set -- $parts
passed=0 failed=0
times=$(mktemp "$build/times.XXXXXX")
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
  local name=$1 report status=0 counts
  shift
  report=$(mktemp "$build/report.XXXXXX")
  timed "$name tests" watched "pytest" \
    pytest -q --durations=10 --junit-xml="$report" "$@" "$root/tests/$name" || status=$?
  counts=$(python -c '
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()[0]
bad = int(suite.get("failures")) + int(suite.get("errors"))
print(int(suite.get("tests")) - int(suite.get("skipped")) - bad, bad)' "$report" 2>/dev/null || echo "0 0")
  rm -f "$report"
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

# demo SUITE: on one of the hosts with the collection as users get it: built, and installed into an empty folder.
demo() {
  local collections=$build/demo-collections
  export DEMO_SUITE=$1
  if [ "$1" = bookworm ]; then
    rm -rf "$collections"
    "$root/tests/tools/install.sh" "$collections" >/dev/null || return
    export DEMO_COLLECTIONS=$collections
  fi
  "$root/tests/demo/demo.sh"
}

# integration SUITE: a demo on a host of this Debian release, and what is tested on it; toolkit: what makes its own
# hosts. A host that was up before stays up.
integration() {
  local mine=yes
  if [ "$1" = toolkit ]; then
    images
    suite integration --suite toolkit
    return
  fi
  export GPUFLEET_DEMO=$demo_host-$1
  ! docker container inspect "$GPUFLEET_DEMO" >/dev/null 2>&1 || mine=
  part "demo on $1" demo "$1"
  suite integration --suite "$1"
  [ -z "$mine" ] || "$root/tests/hosts/host.sh" down "$GPUFLEET_DEMO"
}

# The oldest and the newest ansible-core. Where there is no Python for one it counts nowhere.
cores() {
  local name status
  for name in oldest newest; do
    status=0
    timed "the $name ansible-core" "$root/tests/tools/cores.sh" "$name" || status=$?
    case $status in
      0) passed=$((passed + 1)) ;;
      77) ;;
      *) failed=$((failed + 1)) ;;
    esac
  done
  "$root/tests/hosts/host.sh" down "$demo_host-cores"
}

images() {
  for suite in bookworm trixie; do "$root/tests/hosts/image.sh" "$suite"; done
}

# What runs on hosts waits more than it computes: each such part is a run of this script of its own, beside
# the others. Its output comes at its end.
lanes=()
aside() {
  local name
  for name in "$@"; do
    set -m # a group of its own, so that it can be ended with all that it has started
    "$0" "$name" >"$build/logs/lane-$name" 2>&1 &
    set +m
    lanes+=("$name:$!")
    say "  beside the others: $name"
  done
  trap end_lanes EXIT
  trap 'exit 130' INT TERM
}

end_lanes() {
  local lane
  for lane in "${lanes[@]}"; do kill -- "-${lane#*:}" 2>/dev/null || true; done
}

join_lanes() {
  local lane name log status
  for lane in "${lanes[@]}"; do
    name=${lane%:*} log=$build/logs/lane-${lane%:*} status=0
    accompanied "$name" wait "${lane#*:}" || status=$?
    heading "$name, which ran beside the others"
    sed '/^slowest parts$/,$d' "$log"
    sed -n '/^slowest parts$/,/^total: /p' "$log" | sed '1d;$d' | grep -v ' environment$' >>"$times" || true
    if [[ $(tail -n 1 "$log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
      passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
    fi
    [ "$status" -eq 0 ] || [ "${BASH_REMATCH[2]:-0}" -gt 0 ] || failed=$((failed + 1))
  done
  lanes=()
}

timed "environment" "$root/tests/tools/prepare.sh" dev
# The simulated driver is compiled for the unit tests too.
"$root/tests/hosts/packages.sh" gcc libc6-dev
here=() hosts=() cores=
for name in "$@"; do
  case $name in
    unit | docker_clients | conformance | faults | fuzz | report | docs | artifact | lint | sanity | driver_packages)
      here+=("$name")
      ;;
    integration) hosts+=(integration-bookworm integration-trixie integration-toolkit) ;;
    molecule | example | integration-bookworm | integration-trixie | integration-toolkit) hosts+=("$name") ;;
    cores) cores=yes ;;
    *) die "usage: test.sh [PART...], of: $parts example driver_packages cores" ;;
  esac
done
case " $* " in *" fuzz "*) "$root/tests/hosts/nginx.sh" ;; esac
if [ $((${#here[@]} + ${#hosts[@]})) -gt 1 ] && [ ${#hosts[@]} -gt 0 ]; then
  "$root/tests/hosts/engine.sh" start
  aside "${hosts[@]}"
else
  here+=("${hosts[@]}")
fi
for name in "${here[@]}"; do
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
    report | docs)
      "$root/tests/hosts/packages.sh" chromium chromium-driver fonts-dejavu-core
      suite "$name"
      ;;
    artifact) suite artifact ;;
    lint) part "lint" "$root/tests/tools/lint.sh" ;;
    sanity) part "ansible-test sanity" quietly "ansible-test sanity" "$root/tests/tools/sanity.sh" ;;
    molecule)
      timed "images of the test hosts" images >/dev/null
      part "molecule" "$root/tests/tools/molecule.sh"
      ;;
    example) part "example of a user's project" "$root/tests/tools/example.sh" ;;
    integration-*) integration "${name#*-}" ;;
    driver_packages) suite driver_packages -rs ;;
  esac
done
join_lanes
[ -z "$cores" ] || cores # after the others, with whom it would share the demo's files

# On one stream, so that the count is the last line.
printf '\nslowest parts\n'
sort -rn "$times"
rm -f "$times"
echo "total: $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
