#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016  # mmdebstrap fills in these dollars, not this shell
#
# image.sh SUITE: the image of a test host, a Debian or Ubuntu with systemd, made from the mirrors of
# this machine's own apt configuration. Prints its name; an image of the same recipe is made once.
set -euo pipefail
. "$(dirname "$0")/../tools/steps.sh"
. "$(dirname "$0")/../tools/mirror.sh"
suite=${1:?usage: image.sh SUITE}
. /etc/os-release

[[ $suite =~ ^[a-z]+$ ]] || die "'$suite' is no name of a suite, such as bookworm or noble"
[ "$(distribution_of "$suite")" = debian ] || [ "$ID" = ubuntu ] ||
  die "'$suite' is no Debian suite known here (bullseye, bookworm, trixie, forky, sid), and Ubuntu's can be made on Ubuntu only"

# gcc: the simulated driver is compiled on the host. No Docker: role `docker` installs it.
packages=systemd,systemd-sysv,dbus,python3,python3-apt,ca-certificates,iproute2,procps,kmod,iptables
packages+=,sudo,gcc,libc6-dev,busybox-static,curl

components=(main)
[ "$(distribution_of "$suite")" = debian ] || components+=(universe)

recipe=$(cat "$0" "$root/tests/tools/mirror.sh" "$(dirname "$0")/init" | sha256sum | cut -c1-12)
image=gpufleet/host:$suite-$recipe
tarball=$build/host-$suite.tar

bootstrap() {
  local line
  line=$(source_line "$suite" "${components[@]}") || return
  rm -f "$tarball"
  # Emptied apt lists keep the date 1970: else `apt: cache_valid_time` takes them for fresh ones.
  mmdebstrap --variant=minbase --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt=force-unsafe-io \
    --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Check-Valid-Until "false"' \
    --skip=cleanup/apt/lists \
    --customize-hook="upload $root/tests/hosts/init /sbin/gpufleet-init" \
    --customize-hook='chmod 755 "$1/sbin/gpufleet-init"; rm -f "$1/etc/machine-id"; : >"$1/etc/machine-id"' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/*; touch -d @0 "$1/var/lib/apt/lists"' \
    "$suite" "$tarball" ${line:+"$line"}
}

have() { docker image inspect "$image" >/dev/null 2>&1; }

if ! have; then
  exec 9>"$build/image-$suite.lock"
  flock 9
fi
if ! have; then
  say "Making the image $image (once; a minute or so)"
  keyring=$(distribution_of "$suite")-archive-keyring
  [ "$keyring" != ubuntu-archive-keyring ] || keyring=ubuntu-keyring
  "$root/tests/hosts/packages.sh" mmdebstrap "$keyring"
  quietly "mmdebstrap $suite" bootstrap
  quietly "docker import" docker import -c 'CMD ["/sbin/gpufleet-init"]' -c 'ENV container=docker' \
    -c 'LABEL io.gpufleet.nvidia.test=1' "$tarball" "$image"
  rm -f "$tarball"
  # Images of older recipes go, except those that a container still has.
  docker image ls --filter "reference=gpufleet/host:$suite-*" --format '{{.Repository}}:{{.Tag}}' |
    grep -vx "$image" | xargs -r docker image rm >/dev/null 2>&1 || true
fi
echo "$image"
