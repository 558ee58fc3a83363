# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sphinx' settings for the documentation site: ``make docs``."""

import re
from pathlib import Path

from docutils import nodes

HERE = Path(__file__).parent
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest"
# Labels of Ansible's own documentation that antsibull-docs refers to, which is not at hand offline.
PAGES = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "check_mode_dry": "playbook_guide/playbooks_checkmode.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
OTHERS = re.compile(r"ansible_collections\.(\w+)\.(\w+)\.(\w+?_[a-z]+)(?:__\w+.*)?$")

project = "gpufleet.nvidia"
copyright = "2026 the gpufleet.nvidia authors"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
exclude_patterns = ["site"]
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]
# Examples in documentation are YAML, most of them with templates.
highlight_language = "yaml+jinja"
default_role = "any"

html_theme = "furo"
html_title = "gpufleet.nvidia"
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_use_index = False
antsibull_ext_color_scheme = "none"
pygments_style = "default"
pygments_dark_style = "github-dark"


def refer_outside(app, env, node, inside):
    """Link what only Ansible's documentation on the web has."""
    target = node.get("reftarget", "").lower()
    page = PAGES.get(target)
    if found := OTHERS.match(target):
        page = "collections/{}/{}/{}.html".format(*found.groups())
    if page is None:
        return None
    return nodes.reference("", "", inside, internal=False, refuri=f"{ANSIBLE}/{page}")


def setup(app):
    app.connect("missing-reference", refer_outside)
