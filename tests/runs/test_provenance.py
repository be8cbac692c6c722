"""What a checkpoint says of its settings, and what the machine that goes on with it says."""

from pathlib import Path
from typing import Any

import pytest

from unseen.data.splits import ClassSplit
from unseen.runs.provenance import check_resumable, make_provenance, scored_as_trained

SPLIT = ClassSplit(("ant", "bee", "cat", "dog"), (0, 1), (2, 3))


def plain(**data: Any) -> dict[str, Any]:
    model = {"name": "vit", "pooling": "auto", "backbone": {"pretrained": True}}
    settings = {"name": "image_folder", "image_size": 32, "rotation": 10, "cache_gb": 20} | data
    return {"model": model, "data": settings, "size": "demo", "seed": 0, "callbacks": {}}


def stored(**data: Any) -> dict[str, Any]:
    return make_provenance(plain(**data), SPLIT, 2)


def test_a_checkpoint_does_not_hold_the_size_of_a_cache() -> None:
    assert stored(cache_gb=0) == stored(cache_gb=20)


def test_a_run_goes_on_with_another_cache_and_without() -> None:
    check_resumable(stored(cache_gb=0), stored(), Path("last.ckpt"))
    with pytest.raises(ValueError, match=r"data\.rotation=10 \(now 5\)"):
        check_resumable(stored(rotation=5), stored(), Path("last.ckpt"))


@pytest.mark.parametrize("typed", [set(), {"data.cache_gb"}, {"ckpt_path", "data.cache_gb"}])
def test_a_checkpoint_is_scored_on_its_own_data_with_the_cache_of_here(typed: set[str]) -> None:
    found = scored_as_trained(plain(name="digits", cache_gb=1), stored(), typed)
    assert (found["data"]["name"], found["data"]["cache_gb"]) == ("image_folder", 1)


def test_other_data_are_still_other_data() -> None:
    found = scored_as_trained(plain(name="digits"), stored(), {"data", "data.cache_gb"})
    assert found["data"]["name"] == "digits"
