"""One HTML file that holds everything it shows and loads nothing: style, script, Vega, and the figures as JSON."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from unseen.reporting.tables import forms_of, sort_value
from unseen.reporting.vega_lite import Spec

_ASSETS = Path(__file__).parent / "assets"


def render(template: str, specs: dict[str, Spec], **content: Any) -> str:
    """Return a page as HTML.

    Args:
        template: Name of a file in assets.
        specs: The figures by the names that the template draws.
        content: What else the template shows.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ASSETS), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(template).render(
        css=Markup((_ASSETS / "page.css").read_text(encoding="utf-8")),
        js=Markup((_ASSETS / "page.js").read_text(encoding="utf-8")),
        vega=Markup(_vega()),
        specs=Markup(_json(specs)),
        forms_of=forms_of,
        sort_value=sort_value,
        **content,
    )


@lru_cache(maxsize=1)
def _vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that sets `vegaEmbed`."""
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _json(content: object) -> str:
    """Return JSON that cannot end the script element that contains it."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
