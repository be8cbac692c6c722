"""A setting that Hydra cannot read, as it would be typed with its texts in quotes."""

from __future__ import annotations

import re
import shlex

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

_BARE = re.compile(r"[\w./:-]*", re.ASCII)  # Hydra's letters are those of English
_OF_ITS_OWN = ("'", '"', "\\", "{", "$")  # whoever types these knows of quotes, or means something else


def quoted_line(typed: str) -> str | None:
    r"""Return `key=value` for a shell, each text of the value in quotes that needs them; None: that is no help either.

    >>> print(quoted_line("data.unseen=[cat,Bär]"), quoted_line("data.root=Zoë/my photos"), quoted_line("a=it's"))
    'data.unseen=[cat,"Bär"]' 'data.root="Zoë/my photos"' None
    >>> print(quoted_line("épaisseur=1"))
    None
    """
    key, equals, value = typed.partition("=")
    is_list = value.startswith("[") and value.endswith("]")
    if not key or not equals or any(mark in value for mark in _OF_ITS_OWN) or ("," in value and not is_list):
        return None
    texts = [text.strip() for text in value[1:-1].split(",")] if is_list else [value]
    texts = [text if _BARE.fullmatch(text) else f'"{text}"' for text in texts]
    line = f"{key}=[{','.join(texts)}]" if is_list else f"{key}={texts[0]}"
    try:
        OverridesParser.create().parse_override(line)
    except HydraException:  # of a key with letters that Hydra has not, another kind
        return None
    return shlex.quote(line)
