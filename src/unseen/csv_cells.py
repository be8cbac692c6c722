"""Text in CSV files that people open in a spreadsheet."""

from __future__ import annotations

_OPENS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def plain_cell(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula.

    A text that begins with one of = + - @ (also in full width), a tab or a line break, after spaces or not, gets an
    apostrophe in front, which spreadsheets read as "this is text". Numbers are left as they are.

    >>> plain_cell("=1+1"), plain_cell("-m"), plain_cell("vit"), plain_cell(-0.5)
    ("'=1+1", "'-m", 'vit', -0.5)
    """
    if isinstance(cell, str) and cell.lstrip(" ").startswith(_OPENS_A_FORMULA):
        return f"'{cell}"
    return cell
