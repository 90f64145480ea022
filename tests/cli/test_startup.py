"""What a design imports before its first step: torch, and nothing slow besides."""

import ast
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
SLOW = {"scipy", "biotite", "e3nn", "pytorch_lightning", "matplotlib", "sklearn", "pandas"}


def at_import(node):
    """Names imported when a module is: not those within functions."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from at_import(child)


def files_of(name):
    """Sources that run when a module of ours is imported: its packages, and itself."""
    parts = name.split(".")
    for k in range(1, len(parts) + 1):
        path = REPO.joinpath(*parts[:k])
        yield from (f for f in (path / "__init__.py", path.with_suffix(".py")) if f.is_file())


def imported(start):
    """Foreign packages by the file of ours that imports them."""
    queue, seen, foreign = list(files_of(start)), set(), {}
    while queue:
        file = queue.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in at_import(ast.parse(file.read_text(encoding="utf-8"))):
            if name.split(".")[0] in {"proteinweaver", "samplers"}:
                queue += files_of(name)
            else:
                foreign.setdefault(name.split(".")[0], file.relative_to(REPO))
    return seen, foreign


@pytest.mark.parametrize(
    "start", ["proteinweaver.cli.launch", "proteinweaver.generation.run", "proteinweaver.cli.main"]
)
def test_nothing_slow_is_imported_at_start(start):
    seen, foreign = imported(start)
    assert not {name: str(file) for name, file in foreign.items() if name in SLOW}
    assert len(seen) > 2


def test_help_and_refusals_need_no_torch():
    _, foreign = imported("proteinweaver.cli.main")
    assert "torch" not in foreign


def test_the_walk_finds_what_it_looks_for():
    assert "scipy" in imported("proteinweaver.generation.graft")[1]
    assert "torch" in imported("proteinweaver.generation.run")[1]
