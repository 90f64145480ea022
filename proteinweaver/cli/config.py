"""Compose a command's config: dataclass defaults, the ``configs/`` tree, overrides, flags.

The only module of the command line that knows Hydra. The dataclass of a command is its schema and
holds every default; ``configs/<command>.yaml`` and its groups add recipes on top; trailing
``key=value`` overrides and flags come last. An unknown key is an error that names the nearest one.
"""

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

import proteinweaver
from proteinweaver.errors import UserError, nearest
from proteinweaver.io.typed import build, defaults

__all__ = ["compose", "config_dir", "sweep"]

T = TypeVar("T")


def config_dir() -> Path:
    """Find the Hydra tree: beside the package in a checkout, inside it when installed.

    Raises
    ------
    FileNotFoundError
        If it is in neither place.
    """
    package = Path(proteinweaver.__file__).resolve().parent
    checkout = package.parent / "configs"
    if (package.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    if (package / "configs").is_dir():
        return package / "configs"
    raise FileNotFoundError(f"no configs at {checkout} or {package / 'configs'}")


def compose(
    command: str,
    schema: type[T],
    overrides: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> T:
    """Make the typed config of a command.

    Parameters
    ----------
    command : str
        Name of the root file in the tree, such as ``"design"``.
    schema : type
        The frozen dataclass of the command; its fields are the known keys.
    overrides : sequence of str
        Hydra overrides (``key=value``).
    flags : mapping, optional
        Values by dotted key; None means "not given". An override of the same key wins, being the
        more deliberate of the two.

    Returns
    -------
    object
        An instance of `schema`.

    Raises
    ------
    UserError
        For an unknown key or group, or a value that does not fit.
    """
    parsed = _parse(overrides)
    if any(override.get_key_element().startswith("hydra") for override in parsed):
        raise UserError("hydra.* keys have no effect here; choose the output folder with -o")
    known = defaults(schema)
    try:
        tree = _compose_tree(command, known, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise _explain(error, parsed, known) from None
    named = {override.get_key_element().lstrip("+~").split("@")[0] for override in parsed}
    for key, value in (flags or {}).items():
        if value is not None and key not in named:
            _set(tree, key, list(value) if isinstance(value, (list, tuple)) else value)
    return build(schema, tree)


def sweep(overrides: Sequence[str]) -> list[list[str]]:
    """Expand sweeps (``key=a,b``, ``key=range(1,4)``) into all combinations.

    Parameters
    ----------
    overrides : sequence of str
        Hydra overrides.

    Returns
    -------
    list of list of str
        Overrides of every run; one run where nothing is swept.

    Raises
    ------
    UserError
        For an override that cannot be read.
    """
    choices = []
    for override, text in zip(_parse(overrides), overrides, strict=True):
        if override.is_sweep_override():
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([text])
    return [list(chosen) for chosen in itertools.product(*choices)]


def _parse(overrides: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise UserError(f"cannot read override: {str(error).splitlines()[0]}") from None


def _compose_tree(
    command: str, schema: Mapping[str, Any], overrides: Sequence[str]
) -> dict[str, Any]:
    ConfigStore.instance().store(name=f"{command}_schema", node=dict(schema))
    GlobalHydra.instance().clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with initialize_config_dir(version_base="1.3", config_dir=str(config_dir())):
            node = hydra_compose(config_name=command, overrides=list(overrides))
        tree = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _explain(error: Exception, parsed: Sequence[Override], schema: Mapping[str, Any]) -> UserError:
    """Turn Hydra's refusal into one line with the nearest key."""
    groups = [path.name for path in config_dir().iterdir() if path.is_dir()]
    known = [*_dotted(schema), *groups]
    for override in parsed:
        key = override.get_key_element().lstrip("+~").split("@")[0]
        if key not in known and "/" not in key:
            return UserError(f"unknown key '{key}'; {nearest(key, known)}")
    for override in parsed:
        group = override.get_key_element().lstrip("+~").split("@")[0]
        folder = config_dir() / group
        choice = override.value()
        if folder.is_dir() and isinstance(choice, str):
            names = [file.stem for file in folder.glob("*.yaml")]
            if choice not in names:
                return UserError(
                    f"no '{choice}' among the {group} configs; {nearest(choice, names)}"
                )
    return UserError(str(error))


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        tree = tree[part]
    tree[last] = value
