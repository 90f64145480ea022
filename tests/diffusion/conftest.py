"""A process and a few clean frames."""

import pytest
import torch

from proteinweaver.diffusion.process import FrameProcess, ProcessConfig


@pytest.fixture(scope="session")
def process() -> FrameProcess:
    return FrameProcess(ProcessConfig())
