"""What every test shares: the folder of the data release, and one thread."""

import os
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    # Before any test module imports torch: two busy threads are slower than one on a busy machine.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MKL_NUM_THREADS", "1")


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
