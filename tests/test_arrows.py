"""The import arrows of ARCHITECTURE.md, read off the syntax trees: lazy imports count too."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]

#: A room may import rooms of a lower floor, and itself; neighbours do not know each other.
FLOOR = {
    "structure": 0,
    "io": 1,
    "nets": 1,
    "diffusion": 2,
    "data": 2,
    "domains": 2,
    "evaluation": 3,
    "preference": 4,
    "generation": 5,
    "training": 5,
    "report": 5,
    "study": 6,
    "cli": 7,
}
#: Rooms of pure tensors: no files.
NO_IO = {"nets", "diffusion"}
#: The only rooms that run a sampler or corrupt with its noise laws.
USES_SAMPLERS = {"generation", "diffusion", "study"}

#: Third-party packages that may appear in certain places only.
HOMES = {
    "biotite": ("proteinweaver/structure/biotite_adapter.py",),
    "hydra": ("proteinweaver/cli/config.py",),
    "omegaconf": ("proteinweaver/cli/config.py",),
    "pytorch_lightning": ("proteinweaver/training/", "proteinweaver/data/datamodule.py"),
    "lightning": (),  # the same code under another name: two class identities
    "typer": ("proteinweaver/cli/",),
    "rich": ("proteinweaver/cli/",),
    "transformers": ("proteinweaver/evaluation/folding_models.py",),
}
#: Oracles of the tests and tools under other licences: never needed at run time.
NEVER = {"gemmi", "roma", "mpmath", "tmtools", "pandas", "matplotlib"}


def modules() -> list[Path]:
    files = [*REPO.glob("proteinweaver/**/*.py"), *REPO.glob("samplers/**/*.py")]
    return sorted(file.relative_to(REPO) for file in files)


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse((REPO / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def room_of(name: str) -> str | None:
    """Room of a dotted name of ours; None for the package's own errors and version."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOOR else None


@pytest.mark.parametrize("file", modules(), ids=str)
def test_import_arrows(file: Path) -> None:
    """No module reaches up, sideways or past its own wall."""
    package = file.parts[0]
    room = file.parts[1] if file.parts[1] in FLOOR else None
    for name in imports(file):
        top = name.split(".")[0]
        assert top not in NEVER, f"{file} imports {top}"
        if package == "samplers":
            allowed = top in {"samplers", "torch", "numpy", "scipy"}
            assert allowed or top in sys.stdlib_module_names, f"{file} imports {name}"
        elif top == "samplers":
            assert room in USES_SAMPLERS, f"{file} imports {name}"
        elif top == "proteinweaver" and room and (other := room_of(name)):
            lower = FLOOR[other] < FLOOR[room] or other == room
            assert lower, f"{file}: {room} may not import {other}"
            assert not (room in NO_IO and other == "io"), f"{file}: {room} may not import io"
        if top in HOMES:
            homes = HOMES[top]
            assert any(str(file).startswith(home) for home in homes), f"{file} imports {top}"


def test_pure_rooms_stay_pure() -> None:
    """Networks and diffusion run where only torch, numpy and scipy are installed."""
    pure = {"torch", "numpy", "scipy", "safetensors", "e3nn", "proteinweaver", "samplers"}
    for file in modules():
        if file.parts[0] == "proteinweaver" and file.parts[1] in {"nets", "diffusion"}:
            for name in imports(file):
                top = name.split(".")[0]
                assert top in pure or top in sys.stdlib_module_names, f"{file} imports {name}"


def test_e3nn_has_one_home() -> None:
    homes = [file for file in modules() if any(n.split(".")[0] == "e3nn" for n in imports(file))]
    assert len(homes) <= 1, homes
    assert all(file.parts[1] == "nets" for file in homes)


def test_no_drawers() -> None:
    """A module is named after what it is about."""
    drawers = {"utils", "util", "helpers", "helper", "misc", "common", "tools"}
    for file in modules():
        assert not drawers & {part.removesuffix(".py") for part in file.parts}, file
        assert len((REPO / file).read_text(encoding="utf-8").splitlines()) <= 500, (
            f"{file} is long"
        )


def test_library_does_not_print() -> None:
    """Only `cli` writes to the terminal; the library has callbacks and loggers."""
    for file in modules():
        if file.parts[:2] == ("proteinweaver", "cli"):
            continue
        for node in ast.walk(ast.parse((REPO / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{file}:{node.lineno} prints"


def test_the_checker_sees_a_wrong_arrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule itself can fail: an import from below to above is found, also inside a function."""
    wrong = tmp_path / "proteinweaver" / "nets"
    wrong.mkdir(parents=True)
    (wrong / "bad.py").write_text("def f():\n    from proteinweaver.cli import main\n")
    monkeypatch.setitem(globals(), "REPO", tmp_path)
    with pytest.raises(AssertionError, match="nets may not import cli"):
        test_import_arrows(Path("proteinweaver/nets/bad.py"))
