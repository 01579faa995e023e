"""Sphinx configuration: Markdown by MyST, one theme, nothing else."""

from __future__ import annotations

from importlib.metadata import version as _version

project = "genro-storage"
author = "genro-storage contributors"
copyright = author
release = version = _version("genro-storage")

# No intersphinx: a build needs no network.
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"genro-storage {release}"

autodoc_typehints = "description"
autodoc_member_order = "bysource"
