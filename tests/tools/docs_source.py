# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs_source.py TARGET: puts the pages of the documentation site together, for Sphinx to read.

They are ``docs/``, the pages that lie in the root of the checkout, and the reference that
antsibull-docs has written to TARGET/reference. Links that lead out of them go to the repository.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Pages beside README.md, each if it is there.
ROOT_PAGES = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.rst", "CHANGELOG.md")
# Lines of pages that stand for something else.
SECTION = re.compile(r"^<!-- from README\.md: (.+) -->$", re.MULTILINE)
OTHER_PAGES = "<!-- all other pages -->"
LINK = re.compile(r"(?<=\]\()([^()\s#]+)(#[^()\s]*)?(?=\))")
# What antsibull's programs write for other themes: a table of contents, which furo has at the side,
# and the whole name with the description as the title.
CONTENTS = re.compile(r"^\.\. contents::.*\n(?: +\S.*\n)*", re.MULTILINE)
TITLE = re.compile(r"^gpufleet\.nvidia\.(\w+) (module|role) -- (.*)\n\++\n", re.MULTILINE)
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def repository() -> str:
    """The address of the repository's files, as galaxy.yml names it."""
    (url,) = re.findall(r"^repository: (\S+)$", (ROOT / "galaxy.yml").read_text(), re.MULTILINE)
    return f"{url}/blob/main"


def section(text: str, title: str) -> str:
    """What stands below a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit(f"README.md has no section {title!r}")
    return found[1].strip()


def relink(text: str, origin: Path, page: Path) -> str:
    """Return a page's text with the links that it needs at its new place.

    ``origin``: the file in the checkout that the text is from; ``page``: relative to the site.
    """

    def moved(link: re.Match[str]) -> str:
        address, anchor = link[1], link[2] or ""
        if ":" in address:
            return link[0]
        file = Path(os.path.normpath(origin.parent / address))
        if not file.exists():
            return link[0]  # Sphinx says so
        name = file.relative_to(ROOT)
        if name.parts[0] == "docs" and file.is_file():
            return os.path.relpath(Path(*name.parts[1:]), page.parent) + anchor
        if str(name) in ROOT_PAGES:
            return os.path.relpath(name.name, page.parent) + anchor
        return f"{repository()}/{name}{anchor}"

    return LINK.sub(moved, text)


def listed(index: str) -> set[str]:
    """The pages that toctrees of index.md name."""
    lines = [line.strip() for block in TOCTREE.findall(index) for line in block.splitlines()]
    return {re.sub(r"^.*<(.*)>$", r"\1", line) for line in lines if line and line[0] != ":"}


def stage(target: Path) -> None:
    docs = ROOT / "docs"
    pages = {path.relative_to(docs): path for path in sorted(docs.rglob("*.md"))}
    pages |= {Path(name): ROOT / name for name in ROOT_PAGES if (ROOT / name).exists()}
    texts = {
        page: CONTENTS.sub("", relink(path.read_text(), path, page)) for page, path in pages.items()
    }

    readme = ROOT / "README.md"

    for page, text in texts.items():
        texts[page] = SECTION.sub(
            lambda found, page=page: relink(section(readme.read_text(), found[1]), readme, page),
            text,
        )
    index = Path("index.md")
    others = sorted({str(page.with_suffix("")) for page in pages} - listed(texts[index]))
    texts[index] = texts[index].replace(OTHER_PAGES, "\n".join(o for o in others if o != "index"))
    texts[Path("reference.md")] = reference(target / "reference")

    for page, text in texts.items():
        (target / page).parent.mkdir(parents=True, exist_ok=True)
        (target / page).write_text(text)
    for path in docs.rglob("*"):
        if path.is_file() and path.suffix not in (".md", ".py"):
            copy = target / path.relative_to(docs)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)


def reference(folder: Path) -> str:
    """Fit what antsibull-docs has written into the site; return the table of contents of it."""
    text = "# Reference\n\nMade from what `ansible-doc` shows.\n"
    for kind, title in (("module", "Modules"), ("role", "Roles")):
        paths = sorted(folder.glob(f"*_{kind}.rst"), key=lambda path: path.stem.removesuffix(kind))
        if not paths:
            raise SystemExit(f"antsibull-docs has written no {kind}")
        text += f"\n## {title}\n\n| {kind} | what it does |\n| --- | --- |\n"
        contents = ""
        for path in paths:
            page = CONTENTS.sub("", path.read_text())
            heading = TITLE.search(page)
            if heading is None:
                raise SystemExit(f"{path} has no title as antsibull-docs wrote it so far")
            name, _dummy, description = heading.groups()
            path.write_text(TITLE.sub(_title, page))
            text += f"| [`{name}`](reference/{path.name}) | {description.replace(chr(92), '')} |\n"
            contents += f"{kind} {name} <reference/{path.stem}>\n"
        text += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{contents}```\n"
    return text


def _title(found: re.Match[str]) -> str:
    name, kind, description = found.groups()
    heading = f"{kind.capitalize()} {name}"
    return f"{heading}\n{'+' * len(heading)}\n\n{description}\n"


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
