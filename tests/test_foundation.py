"""What a newcomer meets first: constraints, make, CI, and documents that tell the truth."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from proteinweaver import __version__
from proteinweaver.cli.main import app


def project(repo: Path) -> dict:
    return tomllib.loads((repo / "pyproject.toml").read_text())["project"]


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=;! ]", requirement)[0].lower().replace("_", "-")


def pins(repo: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (repo / "constraints.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, version = line.split(";")[0].split("==")
            found.setdefault(name_of(name), []).append(version.strip())
    return found


def test_every_dependency_is_pinned(repo: Path) -> None:
    """Core and dev dependencies; typing stubs decide nothing."""
    wanted = project(repo)["dependencies"] + project(repo)["optional-dependencies"]["dev"]
    missing = {name_of(item) for item in wanted} - pins(repo).keys()
    assert missing <= {"types-pyyaml"}


def test_torch_is_pinned_without_a_local_tag(repo: Path) -> None:
    assert pins(repo)["torch"] == ["2.13.0"]


def test_biotite_is_pinned_for_both_pythons(repo: Path) -> None:
    assert pins(repo)["biotite"] == ["1.6.0", "2.0.0"]


def test_versions_agree(repo: Path) -> None:
    assert project(repo)["version"] == __version__


def test_ci_calls_make_test(repo: Path) -> None:
    script = repo / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_find_python_finds_one_or_says_what_is_missing(repo: Path, tmp_path: Path) -> None:
    script = ["sh", str(repo / "scripts/find_python.sh")]
    env = {key: value for key, value in os.environ.items() if key != "PYTHON"}
    found = subprocess.run(script, capture_output=True, text=True, check=True, env=env)
    assert Path(found.stdout.strip()).exists()
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    wrong = subprocess.run(
        script, capture_output=True, text=True, check=False, env=env | {"PYTHON": str(old)}
    )
    assert wrong.returncode == 1
    assert "not a Python 3.11 or later" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1


def test_make_knows_its_targets(repo: Path) -> None:
    for target in ("demo", "test", "lint", "bench", "venv"):
        shown = subprocess.run(
            ["make", "-n", target], cwd=repo, capture_output=True, text=True, check=False
        )
        assert shown.returncode == 0, shown.stderr


def test_the_readme_names_real_commands(repo: Path) -> None:
    """Every `proteinweaver WORD` of a code block is a command of the program."""
    blocks = re.findall(r"```\w*\n(.*?)```", (repo / "README.md").read_text(), re.S)
    named = set(re.findall(r"^proteinweaver +(\w+)", "\n".join(blocks), re.M))
    known = {command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    assert named
    assert named <= known


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md"]
)
def test_links_of_documents_lead_somewhere(repo: Path, document: str) -> None:
    text = (repo / document).read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (repo / target).exists(), f"{document} links to {target}"
