# shellcheck shell=bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016  # apt fills in these dollars, not this shell
#
# Sourced after steps.sh: where mmdebstrap gets a suite from, by this machine's own apt configuration.

distribution_of() {
  case $1 in
    bullseye | bookworm | trixie | forky | sid) echo debian ;;
    *) echo ubuntu ;;
  esac
}

# The base address that this machine takes its own suite from; on rolling releases, whose suite is not
# their codename, that of its first source.
mirror() {
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v release="$(. /etc/os-release && echo "$VERSION_CODENAME")" \
      '$3 == "main" {print ($2 == release ? 0 : 1), $1}' |
    sort -s -k1,1 | awk '{print $2; exit}'
}

# source_line SUITE COMPONENT...: one line of sources.list, or nothing: then mmdebstrap's own default for
# the suite is taken.
source_line() {
  local suite=$1 distribution uri
  shift
  distribution=$(distribution_of "$suite")
  [ "$(. /etc/os-release && echo "$ID")" = "$distribution" ] || return 0
  uri=$(mirror)
  if [ -z "$uri" ]; then
    quietly "apt-get update" apt-get -q update || true
    uri=$(mirror)
  fi
  [ -n "$uri" ] || die "no source of this machine's apt configuration offers a component main"
  echo "deb [signed-by=/usr/share/keyrings/$distribution-archive-keyring.gpg] $uri $suite $*"
}
