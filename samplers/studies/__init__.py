"""Studies of samplers: what is run, what comes out as rows, tables and figures.

`proteinweaver.study` runs them, writes the files and adds the study of a protein model.
"""

from samplers.studies.base import Study
from samplers.studies.budget import BudgetStudy
from samplers.studies.certificate import CertificateStudy
from samplers.studies.dimension import DimensionStudy
from samplers.studies.order import OrderStudy
from samplers.studies.score_error import ScoreErrorStudy
from samplers.studies.se3 import SE3Study

__all__ = ["STUDIES", "Study"]

STUDIES: dict[str, type[Study]] = {
    study.name: study
    for study in (
        OrderStudy,
        BudgetStudy,
        DimensionStudy,
        ScoreErrorStudy,
        CertificateStudy,
        SE3Study,
    )
}
