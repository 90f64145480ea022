"""Which structures are trained on, cut into which tasks: the named mixtures.

A stage is a mixture, not a network: both stages train the same denoiser.
"""

from dataclasses import replace
from typing import Any

from proteinweaver.data.batches import Mixture
from proteinweaver.data.pieces import Insides
from proteinweaver.errors import UserError, nearest
from proteinweaver.nets.denoiser import DenoiserConfig

__all__ = ["ABLATIONS", "NETWORKS", "RECIPES", "held_out", "mixtures"]

#: Mixtures by name.
RECIPES: dict[str, tuple[Mixture, ...]] = {
    # A start for both stages.
    "base": (
        Mixture(
            "domains",
            {"none": 0.15, "elements": 0.55, "segments": 0.3},
            share=0.75,
            max_length=144,
        ),
        Mixture(
            "chains",
            {"domains": 0.6, "segments": 0.2, "elements": 0.2},
            share=0.25,
            min_length=100,
            max_length=320,
        ),
    ),
    # Stage 1: single domains from blueprints, sometimes from nothing.
    "domain": (
        Mixture(
            "domains",
            {"none": 0.15, "elements": 0.35, "frayed": 0.5},
            max_length=200,
            trim=0.15,
        ),
    ),
    # Before stage 1: where the elements of a blueprint lie.
    "layout": (
        Mixture(
            "domains",
            {"elements": 0.5, "frayed": 0.5},
            max_length=300,
            trim=0.15,
            coarse=True,
        ),
    ),
    # Stage 2: known domains and segments, poses hidden.
    "assembler": (
        Mixture(
            "chains",
            {"domains": 0.85, "segments": 0.15},
            share=0.7,
            min_length=100,
            max_length=400,
            interface=200,
        ),
        Mixture(
            "domains",
            {"segments": 0.8, "elements": 0.2},
            share=0.3,
            min_length=80,
            max_length=256,
        ),
    ),
    # The assembler again, from the best of its own designs (scripts/build_design_set.py).
    "expert": (
        Mixture("designs", {"domains": 1.0}, share=0.8, max_length=420),
        Mixture("chains", {"domains": 1.0}, share=0.2, min_length=100, max_length=400),
    ),
    # One chain, nothing known: can the network hold a fold at all?
    "none": (Mixture("domains", {"none": 1.0}),),
}


def _ablations() -> dict[str, tuple[Mixture, ...]]:
    """Take one ingredient of the assembler's recipe away, or add one."""
    chains, domains = RECIPES["assembler"]
    long = (
        replace(chains, tasks={"domains": 0.6, "segments": 0.1, "gaps": 0.3}),
        replace(domains, tasks={"segments": 0.4, "gaps": 0.45, "elements": 0.15}),
    )

    def told(**how: Any) -> tuple[Mixture, ...]:
        return tuple(replace(m, insides=Insides(**how)) for m in (chains, domains))

    whole = replace(chains, tasks={"domains": 1.0})  # no segments as pseudo-domains
    return {
        "assembler, chains alone": (whole,),
        "assembler, annotated alone": (replace(chains, annotated=True), domains),
        "assembler, exact insides": told(deformed=0.0),
        "assembler, even linkers": told(ragged=False),
        "assembler, whole chains": (replace(chains, interface=0), domains),
        "assembler, long linkers": long,
    }


#: What each ingredient of the assembler's recipe is worth (``scripts/ablate_assembly.py``).
ABLATIONS = _ablations()
RECIPES |= ABLATIONS

#: Networks by stage, where one differs from the default: marks are few, and far apart.
NETWORKS = {"layout": DenoiserConfig(offsets=(1, 2, 3, 4, 6))}


def mixtures(name: str) -> tuple[Mixture, ...]:
    """Look a recipe up.

    Parameters
    ----------
    name : str
        Key of `RECIPES`.

    Returns
    -------
    tuple of Mixture

    Raises
    ------
    UserError
        If there is no such recipe.
    """
    if name not in RECIPES:
        raise UserError(f"no recipe '{name}' for data.recipe; {nearest(name, RECIPES)}")
    return RECIPES[name]


def held_out(chosen: tuple[Mixture, ...]) -> tuple[Mixture, ...]:
    """Give the mixtures that the held-out loss is measured on: whole natives, told in full.

    Parameters
    ----------
    chosen : tuple of Mixture
        What is trained on.

    Returns
    -------
    tuple of Mixture
        Without what only multiplies the training data, so that losses of runs can be compared.
    """
    plain = []
    for mixture in chosen:
        tasks: dict[str, float] = {}
        for name, odds in mixture.tasks.items():
            told = "elements" if name == "frayed" else name
            tasks[told] = tasks.get(told, 0.0) + odds
        sizes = (mixture.share, mixture.min_length, mixture.max_length)
        plain.append(Mixture(mixture.file, tasks, *sizes, coarse=mixture.coarse))
    return tuple(plain)
