"""All studies by name: those of the samplers, and the one of a protein model."""

from proteinweaver.study.model import ModelStudy
from samplers.studies import STUDIES, Study

__all__ = ["CATALOGUE", "Study"]

CATALOGUE: dict[str, type[Study]] = {**STUDIES, ModelStudy.name: ModelStudy}
