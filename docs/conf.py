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

# "--json" is two hyphens, and quoted keys are typed as they stand.
smartquotes = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_title = f"genro-storage {release}"

autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
autodoc_member_order = "bysource"
