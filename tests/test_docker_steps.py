"""The Dockerfile's steps, run in a clean folder where no container engine is.

They install the package as a wheel into a new environment, so this is the test of that as well.

FROM becomes a fresh virtual environment of the running Python, WORKDIR and COPY act below a folder
that stands for the image's root, RUN runs with that environment first on the path.
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def instructions(text: str) -> list[tuple[str, str]]:
    """Keyword and argument of every instruction, continued lines joined."""
    joined = re.sub(r"\\\n", " ", text)
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1].strip()) for line in lines]


def substituted(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda match: values.get(match[1], match[0]), text)


class Image:
    """What the steps act on."""

    def __init__(self, context: Path, root: Path, build_args: dict[str, str]) -> None:
        self.context, self.root = context, root
        self.args = dict(build_args)
        self.env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
        self.folder = root
        self.entry: list[str] = []
        self.command: list[str] = []
        lines = (context / ".dockerignore").read_text().splitlines()
        self.ignored = [line for line in lines if line.strip()]

    def step(self, keyword: str, text: str) -> None:
        if keyword == "ARG":
            name, _, default = text.partition("=")
            self.args.setdefault(name, default)
        elif keyword == "FROM":
            assert re.fullmatch(r"python:3\.1[1-9]-slim", substituted(text, self.args))
            subprocess.run([sys.executable, "-m", "venv", self.root / "venv"], check=True)
            self.env["PATH"] = f"{self.root}/venv/bin:{self.env['PATH']}"
        elif keyword == "ENV":
            self.env.update(pair.split("=", 1) for pair in shlex.split(text))
        elif keyword == "WORKDIR":
            self.folder = self.root / text.lstrip("/")
            self.folder.mkdir(parents=True, exist_ok=True)
        elif keyword == "COPY":
            *sources, target = text.split()
            for source in sources:
                self.copy(source, self.folder / target)
        elif keyword == "RUN":
            env = self.env | self.args
            subprocess.run(["sh", "-euc", text], cwd=self.folder, env=env, check=True)
        elif keyword == "ENTRYPOINT":
            self.entry = json.loads(text)
        elif keyword == "CMD":
            self.command = json.loads(text)
        else:
            raise AssertionError(f"the test does not know {keyword}")

    def copy(self, source: str, target: Path) -> None:
        def skipped(folder: str, names: list[str]) -> set[str]:
            inside = Path(folder).relative_to(self.context)
            patterns = [line.removeprefix("**/") for line in self.ignored]
            return {
                name
                for name in names
                if any(
                    fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(str(inside / name), pattern)
                    for pattern in patterns
                )
            }

        origin = self.context / source
        assert origin.exists(), f"COPY {source}: not in the checkout"
        if origin.is_dir():
            shutil.copytree(origin, target, ignore=skipped, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(origin, target)


def test_steps_of_the_dockerfile_give_a_working_program(repo: Path, tmp_path: Path) -> None:
    """Build as the file says, then design and train outside the checkout."""
    # PyPI instead of the CPU index: whatever index the machine knows will do.
    image = Image(repo, tmp_path, {"TORCH_INDEX": "https://pypi.org/simple"})
    for keyword, text in instructions((repo / "Dockerfile").read_text()):
        image.step(keyword, text)
    run = {"cwd": image.folder, "env": image.env, "capture_output": True, "text": True}
    shown = subprocess.run([*image.entry, *image.command], check=True, **run).stdout
    assert "proteinweaver" in shown
    assert "torch" in shown
    words = ["design", "--length", "100", "--domains", "2", "-n", "1", "-o", "a"]
    subprocess.run([*image.entry, *words], check=True, **run)
    assert len(list((image.folder / "a/designs").glob("*.pdb"))) == 1
    words = ["train", "experiment=debug", "-o", "ckpt"]
    subprocess.run([*image.entry, *words], check=True, **run)
    assert (image.folder / "ckpt/last.ckpt").is_file()
