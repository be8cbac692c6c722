"""Free memory of the machine, of a container or a cluster's job, shared by the processes of a run."""

import math

import pytest
from tests.data.conftest import datamodule

from unseen.data import memory
from unseen.data.memory import check_memory, free_memory
from unseen.data.sources.digits import Digits
from unseen.data.transforms import View

GB = 2**30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Writes the system's files; 8 GB are free on the machine."""
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_GROUPS_OF_PROCESS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    (tmp_path / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {8 * 2**20} kB\n")

    def write(groups, **files):
        (tmp_path / "cgroup").write_text(groups)
        for path, facts in files.items():
            folder = tmp_path / "groups" / path.replace("__", "/")
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in facts.items():
                (folder / name).write_text(f"{text}\n")

    return write


def version_2(limit, used, files=0):
    return {"memory.max": limit, "memory.current": used, "memory.stat": f"anon 5\ninactive_file {files}"}


def test_the_machine_alone(machine, tmp_path):
    assert free_memory() == 8 * GB
    machine("0::/\n")
    assert free_memory() == 8 * GB
    (tmp_path / "meminfo").unlink()
    assert free_memory() == math.inf


def test_the_limit_of_a_container(machine):
    machine("0::/\n", **{".": version_2(3 * GB, 2 * GB, files=GB)})
    assert free_memory() == 2 * GB  # 3 - (2 - 1)


def test_the_narrowest_of_the_groups_around_counts(machine):
    machine("0::/slurm/job/step\n", slurm=version_2(16 * GB, 0), slurm__job=version_2(5 * GB, GB),
            slurm__job__step=version_2("max", GB))  # fmt: skip
    assert free_memory() == 4 * GB
    machine("0::/slurm/job/step\n", slurm__job=version_2(GB, 2 * GB))
    assert free_memory() == 0


def test_version_1_of_control_groups(machine):
    facts = {
        "memory.limit_in_bytes": 3 * GB,
        "memory.usage_in_bytes": GB,
        "memory.stat": "total_inactive_file 0",
    }
    machine("4:memory,hugetlb:/job\n3:cpu:/other\n0::/\n", memory__job=facts)
    assert free_memory() == 2 * GB


def test_more_than_fits_into_memory_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 2.0 * GB)
    frame = View(224, rotation=10).frame  # 264 * 264 * 3 = 209,088 bytes each
    check_memory(10_000, frame)  # 1.95 GB
    with pytest.raises(
        ValueError, match=r"14,100 images at image_size=224 need 2\.7 GB of memory and 2\.0 GB are"
    ):
        check_memory(14_100, frame)
    with pytest.raises(
        ValueError, match=r"need 1\.9 GB of memory in each of 2 processes and 2\.0 GB are free"
    ):
        check_memory(10_000, frame, processes=2)


def test_a_run_of_many_processes_needs_the_images_many_times(monkeypatch):
    size = 1797 * 3 * 16 * 16
    monkeypatch.setattr(memory, "free_memory", lambda: 3.5 * size)
    settings = {"image_size": 16}
    datamodule(Digits(), processes=3, decode="ahead", **settings).check()
    with pytest.raises(ValueError, match="in each of 4 processes"):
        datamodule(Digits(), processes=4, decode="ahead", **settings).check()
