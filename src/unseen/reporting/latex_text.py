"""Text of any origin as LaTeX, and what a document needs to show it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# of OT1 and T1 fonts: < > | would be other characters in the first, -- and '' are joined in both
_ESCAPED = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textasciigrave{}",
    "±": r"$\pm$", "–": r"\textendash{}", "−": "$-$", "×": r"$\times$", "→": r"$\to$", "√": r"$\surd$",
    "≤": r"$\leq$", "≥": r"$\geq$", "α": r"$\alpha$", "ρ": r"$\rho$", "τ": r"$\tau$", "Σ": r"$\Sigma$",
}  # fmt: skip
_TABLE = str.maketrans(_ESCAPED)
_OF_T1 = {
    character
    for page in ("cp1252", "cp1250", "cp1254", "iso8859-15")
    for character in bytes(range(128, 256)).decode(page, "ignore")
}


def latex_text(text: str) -> str:
    r"""Return a text as LaTeX shows it, character by character.

    >>> latex_text("50 % of a_b, p ≤ .05 | --resolve")
    '50 \\% of a\\_b, p $\\leq$ .05 \\textbar{} -{}-resolve'
    """
    composed = unicodedata.normalize("NFC", text)  # names of folders on a Mac have accents apart
    return re.sub(r"([-',])(?=\1)", r"\1{}", composed.translate(_TABLE))


def latex_row(cells: Sequence[str]) -> str:
    r"""Return a row of a table.

    >>> latex_row(["[a]", "b&c"])
    '{}[a] & b\\&c \\\\'
    """
    row = " & ".join(map(latex_text, cells))
    # after the \\ or rule before, [ and * would begin an argument
    return ("{}" if row.startswith(("[", "*")) else "") + row + r" \\"


def latex_needs(text: str, *packages: str) -> str:
    r"""Return a comment that says what the document of a text needs.

    >>> latex_needs("café", "booktabs")
    '% needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}'
    >>> latex_needs("漢字", "booktabs")
    '% needs \\usepackage{booktabs} and xelatex or lualatex with a font that has 字漢'
    """
    needs = rf"% needs \usepackage{{{','.join(packages)}}}"
    letters = {character for character in unicodedata.normalize("NFC", text) if not character.isascii()}
    letters -= _ESCAPED.keys()
    if others := letters - _OF_T1:
        return f"{needs} and xelatex or lualatex with a font that has {''.join(sorted(others)[:20])}"
    return rf"{needs} and \usepackage[T1]{{fontenc}}" if letters else needs
