"""Domains that the network loses are laid as they were given; free ones are not."""

import numpy as np
import pytest

from proteinweaver.evaluation.superposition import rmsd
from proteinweaver.generation.assembly_stage import (
    Assembly,
    AssemblyRequest,
    Inside,
    assemble_domains,
)
from proteinweaver.generation.checks import DRIFT
from proteinweaver.generation.model import load_model
from proteinweaver.generation.sampling import Sampling
from proteinweaver.structure.ideal import ideal_element
from samplers.noise import NoiseKey

HELIX, STRAND = (ideal_element(kind, 24).numpy().astype(np.float32) for kind in ("H", "E"))


@pytest.fixture(scope="module")
def model(tiny_weights):
    """An assembler that never learned anything."""
    return load_model("assembler", weights=tiny_weights, device="cpu")


@pytest.mark.parametrize("close", [True, False])
def test_an_untrained_network_keeps_domains_that_adapt(model, close):
    def assembled(mode: str) -> Assembly:
        insides = (Inside(0, HELIX, "adapt"), Inside(34, STRAND, mode))
        request = AssemblyRequest(58, insides, NoiseKey(3, "x", 0, "assembly"))
        return assemble_domains(model, [request], Sampling(num_steps=4), close=close)[0]

    def core_drift(found: Assembly) -> list[float]:
        """Without the three residues beside a linker, which closing may move."""
        parts = ((HELIX[:-3], slice(0, 21)), (STRAND[3:], slice(37, 58)))
        return [float(rmsd(given[:, 1], found.coord[rows, 1])) for given, rows in parts]

    both = assembled("adapt")
    assert max(core_drift(both)) < 0.05
    if not close:
        assert max(both.drift) < 0.05
    kept, lost = core_drift(assembled("free"))
    assert kept < 0.05 and lost > DRIFT["adapt"]
