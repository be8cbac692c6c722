"""Sets of the model-vs-human suite that were shown to people in sessions (Geirhos et al., NeurIPS 2021)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from unseen.data.catalog import left_out_sentence
from unseen.data.sources.image_folder import class_entries
from unseen.image_sets.class_folders import Labelled, check_names, inner_folder, labelled_in, tree_of
from unseen.image_sets.decisions import sixteen
from unseen.image_sets.image_set import Group, ImageSet
from unseen.image_sets.pictures import SIDE
from unseen.wording import printable

_SESSION = re.compile(r"session-\d+")
_CLASS_WORD = 4


@dataclass(frozen=True)
class SessionFolder:
    """Images in `session-#/A_B_C_CONDITION_CLASS_NAME.png`, or in folders of the 16 entry-level classes.

    Attributes:
        root: A folder or zip archive; None: missing.
        group: Which mean over benchmarks it belongs to.
    """

    root: str | None = None
    group: Group | None = None

    def open(self, name: str, size: int = SIDE) -> list[ImageSet]:
        """Return the one set."""
        setting = f"benchmark.{name}.root"
        tree, place = tree_of(self.root, setting)
        decision = sixteen()
        sessions = [f"session-{number}" for number in range(1, 100)]
        where = inner_folder(tree, None, [*decision.names, *sessions], place)
        if not all(_SESSION.fullmatch(folder) for folder in tree.folders(where)):
            found = labelled_in(tree, place, where, setting, mapped=decision)
        else:
            entries, left_out = class_entries(tree, where, "whole", setting)
            if not entries:
                raise ValueError(f"{setting}={place} has no images in folders session-1, session-2, ...")
            labelled = sorted((_label(entry.reference, decision.names), entry.reference) for entry in entries)
            labels = np.array([label for label, _ in labelled], dtype=np.int64)
            sentence = left_out_sentence(left_out)
            notices = () if sentence is None else (sentence,)
            found = Labelled(place, tuple(path for _, path in labelled), labels, decision, notices)
        accepted = found.labels[:, None]
        pictures = found.pictures(size)
        return [ImageSet(name, name, self.group, pictures, accepted, decision, notices=found.notices)]


def _label(path: str, names: tuple[str, ...]) -> int:
    words = PurePosixPath(path).stem.split("_")
    if len(words) <= _CLASS_WORD:
        raise ValueError(
            f"{printable(path)} is not called A_B_C_CONDITION_CLASS_NAME, such as 1_a_dnn_0_cat_x.png"
        )
    check_names([words[_CLASS_WORD]], names, f"fifth word of {printable(path)}")
    return names.index(words[_CLASS_WORD])
