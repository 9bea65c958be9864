"""How the site is built: offline, from the installed package; warnings are errors.

``make -C docs html`` does it.
"""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from typing import Any

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("FASTMLP_NUM_THREADS", "1")  # the gallery's fits are small

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

import fastmlp  # noqa: E402
from sphinx_gallery.sorting import FileNameSortKey  # noqa: E402

project = "fastmlp"
author = "The fastmlp developers"
copyright = author
version = release = fastmlp.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "formulas",
    "stored_results",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "_templates", "gallery", "api/results"]
templates_path = ["_templates"]
suppress_warnings = ["config.cache"]  # of functions in the settings of the gallery
default_role = "code"
nitpicky = False

# Pages in MyST markdown

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
html_math_renderer = "formulas"

# The reference

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say what is taken
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
#: Checks of docstrings, with the reasons of what is left out.
VALIDATION = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["tool"][
    "numpydoc_validation"
]
numpydoc_validation_checks = set(VALIDATION["checks"])
numpydoc_validation_exclude = set(VALIDATION["exclude"])

# The gallery

sphinx_gallery_conf: dict[str, Any] = {
    "examples_dirs": ["gallery"],
    "gallery_dirs": ["auto_gallery"],
    "within_subsection_order": FileNameSortKey,
    "doc_module": ("fastmlp",),
    "backreferences_dir": "api/examples",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,
    "reset_modules": ("matplotlib", "gallery_style.reset"),
    "remove_config_comments": True,
    "capture_repr": (),  # what is printed, not the last line's value
    "image_srcset": ["2x"],
}

# The site

html_theme = "pydata_sphinx_theme"
html_title = "fastmlp"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {"index": [], "start": [], "changelog": [], "platforms": []}
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "logo": {"text": "fastmlp"},
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
