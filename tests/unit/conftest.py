# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the checkout importable under its collection name."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[2]

# .dev holds a link ansible_collections/gpufleet/nvidia to the checkout.
sys.path.insert(0, str(ROOT / ".dev"))

# How long an example takes is the machine's matter: nothing here fails because another job runs.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
