# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program: what a container needs to use this machine's NVIDIA GPUs.

Ansible modules import this package where it lies; hosts get the same folder as the programs
nvidia-docker and nvidia-docker-plugin. Who may import whom (docs/architecture.md):

    plugins/modules, plugins/action, cli/, plugin/     fronts: parse input, wire, translate errors
    host/ (reads and prepares the machine)  render/ (writes values down)     edges
    model selection requirement injection driver_files daemon_json errors    centre: pure
"""

__version__ = "1.0.0"
