#!/bin/sh
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# gpu_image.sh [NAME [CUDA_VERSION]]: runs on a test host and makes, from the host's own files and with
# no registry, a small image with glibc that asks for GPUs as images made for nvidia-docker 1.0 do.
#
#   docker exec -i HOST sh -s gpufleet/cuda:8.0 8.0 <tests/hosts/gpu_image.sh
set -eu
name=${1:-gpufleet/cuda:8.0}
cuda=${2:-8.0}
programs="/bin/sh /bin/cat /bin/ls /bin/sleep /usr/bin/stat /bin/true /usr/bin/env /usr/bin/id"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/etc" "$root/tmp" "$root/usr/bin"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
for program in $programs; do
  install -D -m 755 "$(readlink -f "$program")" "$root$program"
done
# Every library that they, or a driver's programs and libraries, load.
# shellcheck disable=SC2086  # one word per program
for library in $(ldd $programs | grep -o '/[^ ]*\.so[^ ]*' | sort -u) \
  /lib/*-linux-gnu/libdl.so.2 /lib/*-linux-gnu/libpthread.so.0 /lib/*-linux-gnu/librt.so.1 \
  /lib/*-linux-gnu/libm.so.6; do
  [ -e "$root$library" ] || install -D -m 755 "$(readlink -f "$library")" "$root$library"
done

tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$root.tar" .
trap 'rm -rf "$root" "$root.tar"' EXIT
content=$(sha256sum <"$root.tar" | cut -c1-12)-$cuda
label='{{index .Config.Labels "io.gpufleet.nvidia.content"}}'
if [ "$(docker image inspect --format "$label" "$name" 2>/dev/null)" = "$content" ]; then
  echo "$name is up to date"
  exit 0
fi
docker import \
  -c 'ENV PATH=/usr/local/nvidia/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  -c 'ENV LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64' \
  -c 'LABEL com.nvidia.volumes.needed=nvidia_driver' -c "LABEL com.nvidia.cuda.version=$cuda" \
  -c 'LABEL io.gpufleet.nvidia.test=1' -c "LABEL io.gpufleet.nvidia.content=$content" \
  "$root.tar" "$name" >/dev/null
echo "$name is made"
