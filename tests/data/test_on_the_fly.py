"""Images decoded while they are used: the batches of images decoded ahead, bit for bit, by processes that leave."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from tests.cli.warm_python import Started, warm_python
from tests.data.conftest import datamodule

from unseen.data import datamodule as datamodule_file
from unseen.data.batches import BatchLoader, CanvasDataset, EvalSampler
from unseen.data.canvas_cache import CanvasCache
from unseen.data.canvases import Names, UnreadableImageError
from unseen.data.datamodule import SeenUnseenDataModule
from unseen.data.sources.image_folder import ImageFolder
from unseen.threads import cores

pytestmark = pytest.mark.filterwarnings(
    "ignore:This DataLoader will create"
)  # more than this machine has cores
CLASSES = {"ant": 17, "bee": 17, "cat": 8, "dog": 8}


@pytest.fixture
def photos(write_images) -> Path:
    return write_images(CLASSES, size=(20, 14))


def made(root: Path, source=ImageFolder, **settings) -> SeenUnseenDataModule:
    data = datamodule(
        source(root=str(root)), image_size=12, unseen=["cat", "dog"],
        **({"rotation": 10, "eval_deterministic": False, "batch_size": 4, "eval_batch_size": 3} | settings),
    )  # fmt: skip
    data.check()
    data.setup()
    return data


def everything(data: SeenUnseenDataModule) -> list[torch.Tensor]:
    """All that a network and the probes get to see."""
    loaders = (data.train_dataloader(), data.val_dataloader(), data.unseen_dataloader(noise_level=0.5))
    batches = [data.on_after_batch_transfer(batch, 0) for loader in loaders for batch in loader]
    pixels = [*data.raw_pixels("seen"), *data.raw_pixels("unseen")]
    return [tensor for batch in batches for tensor in batch] + pixels


def children() -> list[int]:
    return [process.pid for process in multiprocessing.active_children()]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("skip_bad", [False, True])
def test_equal_to_images_decoded_ahead_bit_for_bit(photos: Path, workers: int, skip_bad: bool) -> None:
    if skip_bad:
        (photos / "ant" / "000.png").write_bytes(b"")
        (photos / "cat" / "007.png").write_bytes(b"text")
    ahead = made(photos, decode="ahead", skip_bad=skip_bad)
    flying = made(photos, decode="on_the_fly", workers=workers, skip_bad=skip_bad)
    assert flying._store("train").canvases is None
    expected, found = everything(ahead), everything(flying)
    assert len(expected) == len(found)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    assert flying.counts() == ahead.counts()
    assert flying.bad_files == ahead.bad_files
    assert flying.references("train") == ahead.references("train")
    assert flying.train_dataloader().state_dict() == ahead.train_dataloader().state_dict()
    assert children() == []


def test_an_archive_read_by_several_processes(photos: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", photos))
    expected = everything(made(archive, decode="ahead"))
    found = everything(made(archive, decode="on_the_fly", workers=3))
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))


@dataclass(frozen=True)
class Counting(ImageFolder):
    """Leaves a file for each read."""

    def read(self, reference: str) -> Image.Image:
        name = f"{reference.replace('/', '-')}-{time.monotonic_ns()}"
        (Path(str(self.root)).parent / "reads" / name).touch()
        return super().read(reference)


def test_nothing_is_read_before_it_is_needed_and_nothing_twice(photos: Path) -> None:
    reads = photos.parent / "reads"
    reads.mkdir()
    data = made(photos, Counting, decode="on_the_fly", workers=2)
    iterator = iter(data.val_dataloader())
    assert list(reads.iterdir()) == []
    next(iterator)
    list(iterator)
    read = [path.name.rpartition("-")[0] for path in reads.iterdir()]
    assert sorted(read) == sorted(name.replace("/", "-") for name in data.references("seen"))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_labels_and_indices_that_are_kept_keep_no_file_open(photos: Path) -> None:
    """An evaluation keeps them all, and a process may open 1,024 files."""
    loader = made(photos, decode="on_the_fly", workers=2, eval_batch_size=1).unseen_dataloader()
    list(loader)
    before = open_files()
    kept = [(batch.labels, batch.indices) for batch in loader]
    assert len(kept) == 16
    # those of worker processes that have just ended may still be there
    assert open_files() - before < len(kept)


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_decode_their_shares_only(photos: Path, world_size: int) -> None:
    store = made(photos, decode="on_the_fly")._store("unseen")
    shares = [
        [
            int(index)
            for batch in BatchLoader(
                CanvasDataset(store), EvalSampler(len(store), 3, rank=rank, world_size=world_size), workers=2
            )
            for index in batch.indices
        ]
        for rank in range(world_size)
    ]
    assert sorted(index for share in shares for index in share) == list(range(16))


# ------------------------------------------------------------------ ahead or on the fly
def test_auto_decodes_ahead_what_fits(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_of_all = 50 * 3 * 16 * 16
    cache = CanvasCache(tmp_path / "cache", 1e6)
    monkeypatch.setattr(datamodule_file, "free_memory", lambda: 2.0 * bytes_of_all)
    assert made(photos).decode_notice is None
    monkeypatch.setattr(datamodule_file, "free_memory", lambda: 2.0 * bytes_of_all - 1)
    assert made(photos, cache=cache)._store("train").canvases is not None  # on disk
    data = made(photos)
    assert data._store("train").canvases is None
    assert data.decode_notice == (
        "images are decoded on the fly (data.decode=auto): 50 images at image_size=12 take 3.58e-05 GB, more than "
        "data.cache_gb=0 and half of the 0.0 GB of free memory"
    )
    assert made(photos, decode="ahead").decode_notice is None
    assert made(photos, decode="on_the_fly").decode_notice is None  # as it was asked for


def test_workers_share_the_cores_of_the_processes(photos: Path) -> None:
    data = made(photos, decode="on_the_fly", batch_size=1)
    assert data.train_dataloader().num_workers == min(16, cores())
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    place = SimpleNamespace(
        global_rank=0, world_size=4, num_devices=2, limit_train_batches=1.0, strategy=strategy
    )
    data.trainer = place  # type: ignore[assignment]
    assert data.train_dataloader().num_workers == max(1, cores() // 2)
    data.workers = 5
    assert data.train_dataloader().num_workers == 5
    assert data.unseen_dataloader().num_workers == 2  # as many as there are batches for this rank
    assert made(photos, decode="ahead").train_dataloader().num_workers == 0


# ------------------------------------------------------------------ what goes wrong
@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_file_is_named_in_one_sentence(photos: Path, workers: int) -> None:
    (photos / "dog" / "003.png").write_bytes(b"404 not found")
    data = made(photos, decode="on_the_fly", workers=workers)
    list(data.train_dataloader())
    with pytest.raises(UnreadableImageError) as error:
        list(data.unseen_dataloader())
    assert str(error.value) == (
        "dog/003.png cannot be used (not an image, or its header is damaged); mend or remove it, or have all files "
        "read before the start, and such files left out, with data.skip_bad=true"
    )
    assert children() == []


@dataclass(frozen=True)
class Slow(ImageFolder):
    """Leaves its process's number, and takes a quarter of a second an image."""

    def read(self, reference: str) -> Image.Image:
        (Path(str(self.root)).parent / f"{os.getpid()}.pid").touch()
        time.sleep(0.25)
        return super().read(reference)


def first_batch_of(photos: Path) -> Started:
    """Starts a process that waits for a batch of two workers."""
    script = photos.parent / "first_batch.py"
    script.write_text(f"""
from pathlib import Path
from tests.data.test_on_the_fly import Slow, made
loader = made(Path({str(photos)!r}), Slow, decode="on_the_fly", workers=2).train_dataloader()
list(loader)
""")
    return warm_python().start(
        script, [], cwd=photos.parent, env=_environment(), folder=photos.parent / "said"
    )


def workers_of(photos: Path) -> list[int]:
    """Waits until both workers read."""
    end = time.monotonic() + 60
    while len(found := list(photos.parent.glob("*.pid"))) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(found) == 2
    time.sleep(0.2)  # until the main process waits for them
    return [int(path.stem) for path in found]


@pytest.mark.slow
def test_a_killed_worker_ends_the_run_at_once(photos: Path) -> None:
    process = first_batch_of(photos)
    first, second = workers_of(photos)
    os.kill(first, signal.SIGKILL)
    assert process.wait(timeout=60) == 1
    said = process.err
    assert said.splitlines()[-1].startswith(f"RuntimeError: DataLoader worker (pid(s) {first})")
    assert "killed by signal: Killed" in said
    assert _gone(second)


def _environment() -> dict[str, str]:
    root = Path(__file__).parents[2]
    return os.environ | {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}


def _gone(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_run(photos: Path, how: signal.Signals) -> None:
    """SIGINT goes to all processes at once, as a terminal sends it; the others to the main process only."""
    process = first_batch_of(photos)
    workers = workers_of(photos)
    if how is signal.SIGINT:
        os.killpg(process.pid, how)
    else:
        os.kill(process.pid, how)
    process.wait(timeout=60)
    if how is signal.SIGINT:
        said = process.err
        assert said.splitlines()[-1] == "KeyboardInterrupt"  # and no failure of a worker
    end = time.monotonic() + 10
    while not all(map(_gone, workers)) and time.monotonic() < end:
        time.sleep(0.02)
    assert all(map(_gone, workers))


# ------------------------------------------------------------------ parts
def test_what_a_worker_gets_can_be_sent_to_it(photos: Path) -> None:
    """Where processes are not forked, as on macOS."""
    loader = made(photos, decode="on_the_fly").unseen_dataloader(noise_level=0.5)
    share = next(iter(loader.sampler))
    dataset, share = pickle.loads(pickle.dumps((loader.dataset, share)))
    assert torch.equal(dataset[share].images, next(iter(loader)).images)


def test_names_in_one_block() -> None:
    names = ["", "ä/b.jpg", "caf\udce9.png", "x" * 5000]
    block = Names(names)
    assert list(block) == names
    assert [block[i] for i in range(4)] == names
    assert len(block) == 4
    assert list(Names([])) == []
