"""A process and a few clean frames."""

import pytest

from proteinweaver.diffusion.process import FrameProcess, ProcessConfig


@pytest.fixture(scope="session")
def process() -> FrameProcess:
    return FrameProcess(ProcessConfig())
