"""The recipe runs where only torch, Lightning and safetensors are: no Hydra, no biotite."""

import ast
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
ABSENT = {"hydra", "omegaconf", "biotite", "typer", "rich", "yaml", "gemmi"}


def imported(node):
    """Names that a syntax tree imports when it runs, wherever in it."""
    if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def file_of(name):
    """Source of a module of ours, or None."""
    path = REPO.joinpath(*name.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if name.split(".")[0] in {"proteinweaver", "samplers"} and file.is_file():
            return file
    return None


def closure(start):
    seen, queue, foreign = set(), [start], {}
    while queue:
        file = queue.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in imported(ast.parse(file.read_text(encoding="utf-8"))):
            target = file_of(name)
            if target is not None:
                queue.append(target)
            else:
                foreign.setdefault(name.split(".")[0], file)
    return seen, foreign


def test_the_recipe_needs_neither_hydra_nor_biotite():
    files, foreign = closure(REPO / "scripts" / "train_default.py")
    assert REPO / "proteinweaver" / "nets" / "denoiser.py" in files, "the walk must arrive"
    assert not {name: str(where) for name, where in foreign.items() if name in ABSENT}


def test_the_walk_finds_what_it_looks_for():
    _, foreign = closure(REPO / "proteinweaver" / "cli" / "config.py")
    assert "hydra" in foreign
