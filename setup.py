"""The wheel carries configs/ as unseen/configs; everything else about the package is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Copies the configurations beside the modules; an editable install reads them where they are."""

    def run(self) -> None:  # noqa: D102
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "unseen", "configs")
            shutil.rmtree(target, ignore_errors=True)  # of an earlier build
            shutil.copytree("configs", target)


setup(cmdclass={"build_py": BuildWithConfigs})
