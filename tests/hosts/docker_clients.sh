#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# docker_clients.sh: the docker clients of Debian 12 and 13, unpacked into .build/docker-clients/SUITE/docker,
# beside the one that this machine may have. Prints their paths; each is fetched once.
set -euo pipefail
. "$(dirname "$0")/../tools/steps.sh"
. "$(dirname "$0")/../tools/mirror.sh"
folder=$build/docker-clients
# Debian 13 ships the client apart from the engine.
declare -A package=([bookworm]=docker.io [trixie]=docker-cli)

# An apt of its own: this machine's sources and lists stay as they are.
apt_of() {
  local state=$1 line
  line=$(source_line "$suite" main) || return
  [ -n "$line" ] || die "Debian's docker clients can be fetched on Debian only"
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  echo "$line" >"$state/sources.list"
  local options=(-q -o "Dir::Etc::SourceList=$state/sources.list" -o Dir::Etc::SourceParts=-
    -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache" -o Acquire::Languages=none
    -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$state" && apt-get "${options[@]}" download "${package[$suite]}")
}

fetch() {
  local state
  state=$(mktemp -d "$folder/$suite.XXXXXX")
  apt_of "$state" && dpkg-deb --fsys-tarfile "$state/${package[$suite]}"_*.deb |
    tar -x -C "$state" ./usr/bin/docker && mkdir -p "$folder/$suite" &&
    mv "$state/usr/bin/docker" "$folder/$suite/docker" || return
  rm -rf "$state"
}

mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
for suite in bookworm trixie; do
  [ -x "$folder/$suite/docker" ] || quietly "docker client of $suite" fetch
  echo "$folder/$suite/docker"
done
