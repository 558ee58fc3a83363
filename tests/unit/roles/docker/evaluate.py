# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""evaluate.py ROLE: for each line of input, variables and an expression as a JSON list, prints
the value that Ansible gives the expression with the role's variables.

A process of its own, as Ansible's loader changes how a process imports collections.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

try:
    from ansible.template import trust_as_template
except ImportError:  # before ansible-core 2.19 every text is a template
    trust_as_template = None

role = Path(sys.argv[1])
trusted = {"trusted_as_template": True} if trust_as_template else {}
init_plugin_loader()
for line in sys.stdin:
    given, expression = json.loads(line)
    variables = {"ansible_search_path": [str(role)]}
    for part in ("defaults", "vars"):
        path = str(role / part / "main.yml")
        variables.update(DataLoader().load_from_file(path, **trusted))
    templar = Templar(loader=DataLoader(), variables={**variables, **given})
    text = f"{{{{ {expression} }}}}"
    print(json.dumps(templar.template((trust_as_template or str)(text))), flush=True)
