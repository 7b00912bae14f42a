# SPDX-License-Identifier: Apache-2.0
"""How Sphinx builds the manual: `make docs`."""

import tomllib
from pathlib import Path

_PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"

project = "Windtunnel"
author = "The Windtunnel authors"
project_copyright = "The Windtunnel authors"
version = release = tomllib.loads(_PYPROJECT.read_text())["project"]["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
nitpicky = True
# Links to other projects' objects would need their inventories from the network.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!windtunnel\b).*"),
    (r"py:class", r"windtunnel\.engine\.build\.HostView"),  # no choice of users: for `exec` only
    # what our own faults, captures and debugger hold; no user has one in the hand
    (
        r"py:class",
        r"windtunnel\.engine\.(world\.Halt|machine\.Machine|guest\.Guest|fates\.PastState)",
    ),
    # what labs of files are run by, beside the program
    (r"py:class", r"windtunnel\.(engine\.timeline\.Wait|machines\.agent\.Reply)"),
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "Windtunnel"
