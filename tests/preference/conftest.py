"""What tests of preferences share: runs of one request, a reward, candidates out of nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from proteinweaver.generation.commands import assemble
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.settings import SamplerConfig
from proteinweaver.io.pdb import pdb_text
from proteinweaver.preference.candidates import Candidate
from proteinweaver.preference.rewards import Score
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element


@pytest.fixture(scope="module")
def runs(tiny_weights, tmp_path_factory) -> Path:
    """Two run folders of one request with other seeds, and a reward that tells designs apart."""
    place = tmp_path_factory.mktemp("prefs")
    for k, (kind, length) in enumerate((("H", 14), ("E", 12))):
        backbone = Backbone.from_coord(ideal_element(kind, length).numpy(), name=f"d{k}")
        (place / f"d{k}.pdb").write_text(pdb_text(backbone))
    for seed in (0, 1):
        assemble(
            AssembleConfig(
                domain=(str(place / "d0.pdb"), str(place / "d1.pdb")), linker=("5",), n=3,
                out=str(place / f"run{seed}"), name="pair", seed=seed, device="cpu", close=False,
                weights=str(tiny_weights), assembler_sampler=SamplerConfig(num_steps=2),
            )
        )  # fmt: skip
    (place / "mine.py").write_text(
        "import numpy as np\ndef spread(b): return float(1 / (1 + np.ptp(b.ca[:, 0]) / 30))\n"
    )
    return place


@pytest.fixture(scope="module")
def reward(runs) -> str:
    """The reward of `runs`, as a command names it."""
    return f"python:call={runs / 'mine.py'}:spread"


@pytest.fixture(scope="session")
def candidate() -> Callable[..., Candidate]:
    """Maker of designs that lie in no folder."""
    rng = np.random.default_rng(0)

    def make(name: str, score: float, votes=(), plan="p", passed=True, ca=None) -> Candidate:
        return Candidate(
            name=name, job="j", index=0, seed=0, run="r", file=f"designs/{name}.pdb", sha256=name,
            model="m" * 64, plan=plan, passed=passed,
            score=Score(score, {"a": score}, tuple(votes)),
            ca=10 * rng.standard_normal((40, 3)) if ca is None else ca,
        )  # fmt: skip

    return make
