"""The code in docs/samplers.md runs and does what is said."""

import math
import re
from pathlib import Path

from samplers.targets import benchmark
from samplers.targets.reference import score_flow

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "samplers.md").read_text()


def test_examples_run():
    space = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.S):
        exec(compile(block, "docs/samplers.md", "exec"), space)
        if "x" in space and "truth" not in space:
            law = space["law"]
            ends = [(law.alpha(t), law.sigma(t)) for t in (1.0, law.t_from_rho(0.01))]
            target = benchmark.mixture(2)
            space["truth"] = score_flow(target.score, space["start"], *ends, tolerance=1e-9)
            error = (space["x"] - space["truth"]).square().mean(-1).sqrt().median()
            assert float(error) < 5e-3
    assert len(space["times"]) == 11
    assert math.isclose(space["times"][-1], space["LAWS"]["linear"].t_min)
