# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# It takes what docker takes, so it is completed as docker is.

complete --command nvidia-docker --wraps docker
