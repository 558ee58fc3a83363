# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated GPU host: machine files, the state of the libraries, what a driver makes."""
