"""Settings as they are typed: read into key and value, and written so that Hydra reads the same value back."""

from __future__ import annotations

import re
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser


def override(key: str, value: str) -> str:
    r"""Return `key=value` for any text, whatever quotes, commas or braces it holds.

    >>> override("ckpt_path", "it's/last.ckpt")
    "ckpt_path='it\\'s/last.ckpt'"
    """
    text = taken_literally(value)
    # inside Hydra's quotes a backslash means itself, except before a quote
    text = re.sub(r"(\\*)'", lambda found: 2 * found[1] + r"\'", text)
    text = re.sub(r"(\\+)\Z", lambda found: 2 * found[1], text)
    return f"{key}='{text}'"


def taken_literally(value: Any) -> Any:
    r"""Return a resolved value, its texts, lists and dictionaries, so that OmegaConf looks nothing up in it again.

    >>> taken_literally({"root": "a/${b}", "unseen": ["c", 1]})
    {'root': 'a/\\${b}', 'unseen': ['c', 1]}
    """
    if isinstance(value, dict):
        return {key: taken_literally(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [taken_literally(inner) for inner in value]
    if not isinstance(value, str):
        return value
    # backslashes before ${ escape each other
    return re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", value)


def key_of(typed: str) -> str:
    """Return the setting that an override is about, without the signs before it.

    >>> key_of("++model.optimizer.lr=0.1"), key_of("~logger"), key_of("model@other=vit")
    ('model.optimizer.lr', 'logger', 'model')
    """
    key = OverridesParser.create().parse_override(typed).key_or_group
    return str(key)
