"""What every test shares: the folder of the data release, one thread, two small chains."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

REPO = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    # Before any test module imports torch: two busy threads are slower than one on a busy machine.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MKL_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_collection_finish(session: pytest.Session) -> None:
    import sys

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the checkout."""
    return REPO


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the structure release: PROTEINWEAVER_DATA, else ../shared/data."""
    named = os.environ.get("PROTEINWEAVER_DATA")
    folder = Path(named) if named else REPO.parent / "shared" / "data"
    if not (folder / "domains.npz").is_file():
        pytest.skip(f"no structure release at {folder}; set PROTEINWEAVER_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with random weights of every stage, for everything but the quality of designs."""
    from dataclasses import asdict

    import torch

    from proteinweaver.diffusion.process import ProcessConfig
    from proteinweaver.io.weights import save_weights
    from proteinweaver.nets.denoiser import Denoiser, DenoiserConfig

    folder = tmp_path_factory.mktemp("weights")
    config = DenoiserConfig(width=16, edge_width=8, heads=2, blocks=1)
    for seed, stage in enumerate(("domain", "assembler", "layout")):
        torch.manual_seed(seed)
        settings = {"denoiser": asdict(config), "process": asdict(ProcessConfig())}
        save_weights(folder, stage, Denoiser(config).state_dict(), settings, {"stage": stage})
    return folder


@pytest.fixture(scope="session")
def tiny_critic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a critic that knows nothing, for everything but the quality of its judgement."""
    from dataclasses import asdict

    import torch

    from proteinweaver.io.weights import save_weights
    from proteinweaver.nets.critic import Critic, CriticConfig

    folder = tmp_path_factory.mktemp("critic")
    config = CriticConfig(
        width=16,
        neighbours=8,
        judge_neighbours=8,
        trunk_layers=1,
        sequence_layers=2,
        branches=2,
        branch_width=8,
    )
    torch.manual_seed(0)
    settings = {"critic": asdict(config), "calibration": {"slope": 1.0, "threshold": 0.4}}
    save_weights(folder, "critic", Critic(config).state_dict(), settings, {"stage": "critic"})
    return folder / "critic.safetensors"


@pytest.fixture(scope="session")
def helix() -> np.ndarray:
    """An ideal right-handed helix of 40 residues."""
    from proteinweaver.structure.ideal import ideal_element

    return ideal_element("H", 40).numpy()


@pytest.fixture(scope="session")
def coil() -> np.ndarray:
    """A random but plausible chain of 60 residues, helix, turns and strands mixed."""
    import torch

    from proteinweaver.structure.ideal import build_backbone

    rng = np.random.default_rng(7)
    phi = np.where(rng.random(60) < 0.6, -1.1, -2.1) + 0.15 * rng.standard_normal(60)
    psi = np.where(phi > -1.6, -0.75, 2.3) + 0.15 * rng.standard_normal(60)
    omega = math.pi + 0.05 * rng.standard_normal(60)
    return build_backbone(*(torch.from_numpy(x) for x in (phi, psi, omega))).numpy()
