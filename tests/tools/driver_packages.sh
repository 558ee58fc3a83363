#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016  # mmdebstrap's hooks fill in these dollars, not this shell
#
# driver_packages.sh SUITE ARCH: a root with Debian's packages of the NVIDIA driver's user space, no
# kernel module and no X server. Prints its path; a root of the same recipe is made once.
# amd64 is really installed, with the 32-bit twins and by the packages' own scripts. arm64 is unpacked
# only, since its scripts can't run here; unpacked_root.py adds what they would have made.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
. "$(dirname "$0")/mirror.sh"
suite=${1:-} arch=${2:-}
[[ $suite =~ ^(bookworm|trixie)$ && $arch =~ ^(amd64|arm64)$ ]] ||
  die "usage: driver_packages.sh bookworm|trixie amd64|arm64"

# Of the driver itself, for both word sizes.
twins=libcuda1,libnvidia-ml1,libnvidia-nvvm4,libnvidia-ptxjitcompiler1
twins+=,libnvidia-encode1,libnvcuvid1,libnvidia-opticalflow1,libnvidia-fbc1,libnvidia-allocator1
twins+=,nvidia-vdpau-driver,nvidia-opencl-icd,nvidia-driver-libs,nvidia-vulkan-icd,nvidia-egl-icd
twins+=,libgl1-nvidia-glvnd-glx,libglx-nvidia0,libegl-nvidia0,libgles-nvidia1,libgles-nvidia2
twins+=,libnvidia-glcore,libnvidia-eglcore,libnvidia-glvkspirv
[ "$suite" = bookworm ] || twins+=,libnvidia-gpucomp
# Of other sources: GLVND, EGL's platforms, OpenCL's loader.
beside=libopengl0,libnvidia-egl-gbm1,libnvidia-egl-wayland1,ocl-icd-libopencl1
only64=nvidia-smi,nvidia-driver-bin,nvidia-cuda-mps,nvidia-persistenced,nvidia-modprobe
only64+=,libcudadebugger1,libnvidia-cfg1,libnvidia-rtcore,libnvoptix1,libnvidia-api1
[ "$arch" = arm64 ] || only64+=,libnvidia-ngx1,libnvidia-pkcs11-openssl3,firmware-nvidia-gsp
# Mesa's vendor libraries lie beside NVIDIA's, under names that only look alike.
only64+=,libegl-mesa0,libglx-mesa0

folder=$build/driver-packages
made=$folder/$suite-$arch
parts=("$0" "$root/tests/tools/mirror.sh")
[ "$arch" = amd64 ] || parts+=("$root/tests/tools/unpacked_root.py")
recipe=$(cat "${parts[@]}" | sha256sum | cut -c1-12)

# source_of ARCH[,ARCH] COMPONENT...: the line of sources.list for these architectures.
source_of() {
  local of=$1 line
  shift
  line=$(source_line "$suite" "$@") || return
  [ -n "$line" ] || die "roots of Debian's driver packages can be made on Debian only"
  echo "${line/\[/[arch=$of }"
}

bootstrap() {
  local options packages=$twins,$beside,$only64 first second="" model how=installed
  local components=(main contrib non-free non-free-firmware)
  if [ "$arch" = arm64 ]; then
    model=$("$0" "$suite" amd64) || return
    first=$(source_of arm64 "${components[@]}") || return
    options=(--variant=extract --architectures=arm64)
    options+=(--setup-hook='for name in bin sbin lib; do mkdir -p "$1/usr/$name"; ln -s "usr/$name" "$1"; done')
    options+=(--extract-hook="'$root/.venv/bin/python' '$root/tests/tools/unpacked_root.py' \"\$1\" '$model'")
    how="unpacked; alternatives, diversions and the loader's cache computed, not made by the packages"
  else
    options=(--variant=minbase "--architectures=amd64,i386")
    if [ "$suite" = bookworm ]; then
      first=$(source_of amd64,i386 "${components[@]}") || return
      packages+=,${twins//,/:i386,}:i386,${beside//,/:i386,}:i386
    else
      # Mirrors are met where the i386 indexes of Debian 13's main and contrib are not those that its
      # signed Release file names. The driver's own packages are all in non-free; what they need of
      # main has no part in what is looked at here, so they go in without it.
      first=$(source_of amd64 "${components[@]}") || return
      second=$(source_of i386 non-free) || return
      # Folders of libvdpau1:i386 and libgbm1:i386, without which the alternatives have no link there.
      options+=(--customize-hook='mkdir -p "$1/usr/lib/i386-linux-gnu/vdpau" "$1/usr/lib/i386-linux-gnu/gbm"')
      options+=(--customize-hook='chroot "$1" sh -ec "mkdir /twins && cd /twins && apt-get -q download '"${twins//,/:i386 }:i386"'"')
      options+=(--customize-hook='DEBIAN_FRONTEND=noninteractive chroot "$1" sh -c "dpkg --force-depends -i /twins/*.deb"')
      options+=(--customize-hook='rm -r "$1/twins"')
      # The file of libc6:i386 that tells ldconfig of their folder.
      options+=(--customize-hook='echo /lib/i386-linux-gnu >"$1/etc/ld.so.conf.d/i386-linux-gnu.conf"')
      how="installed, the 32-bit twins without what they need of other sources"
    fi
    options+=(--customize-hook='chroot "$1" ldconfig')
  fi
  mmdebstrap "${options[@]}" --format=directory --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt=force-unsafe-io \
    --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Check-Valid-Until "false"' \
    --aptopt='Acquire::Retries "3"' "$suite" "$made.new" "$first" ${second:+"$second"} || return
  echo "Debian packages ($suite $arch), $how" >"$made.new/.how"
}

up_to_date() { [ "$(cat "$made/.recipe" 2>/dev/null)" = "$recipe" ]; }

if ! up_to_date; then
  [ "$(id -u)" = 0 ] || die "only root can make a root with the driver's packages"
  mkdir -p "$folder"
  exec 9>"$made.lock"
  flock 9
fi
if ! up_to_date; then
  say "Making $made (once; 1 to 2 minutes)"
  "$root/tests/hosts/packages.sh" mmdebstrap debian-archive-keyring
  rm -rf "$made.new"
  quietly "mmdebstrap $suite $arch" bootstrap
  echo "$recipe" >"$made.new/.recipe"
  # Only now: a root that can't be made anew leaves the old one.
  rm -rf "$made"
  mv "$made.new" "$made"
fi
echo "$made"
