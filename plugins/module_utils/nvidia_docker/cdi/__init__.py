# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program nvidia-docker-cdi, and what it and module nvidia_cdi do alike."""
