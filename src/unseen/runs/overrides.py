"""Settings as they are typed: read into key and value, and written so that Hydra reads the same value back."""

from __future__ import annotations

import re

from hydra.core.override_parser.overrides_parser import OverridesParser


def override(key: str, value: str) -> str:
    r"""Return `key=value` for any text, whatever quotes, commas or braces it holds.

    >>> override("ckpt_path", "it's/last.ckpt")
    "ckpt_path='it\\'s/last.ckpt'"
    """
    # a value with ${ would be looked up by OmegaConf; backslashes before it escape each other
    text = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", value)
    # inside Hydra's quotes a backslash means itself, except before a quote
    text = re.sub(r"(\\*)'", lambda found: 2 * found[1] + r"\'", text)
    text = re.sub(r"(\\+)\Z", lambda found: 2 * found[1], text)
    return f"{key}='{text}'"


def key_of(typed: str) -> str:
    """Return the setting that an override is about, without the signs before it.

    >>> key_of("++model.optimizer.lr=0.1"), key_of("~logger"), key_of("model@other=vit")
    ('model.optimizer.lr', 'logger', 'model')
    """
    key = OverridesParser.create().parse_override(typed).key_or_group
    return str(key)
