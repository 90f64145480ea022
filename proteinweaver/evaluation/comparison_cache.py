"""Results of comparisons, kept by what was compared.

Pairs are kept one by one (`proteinweaver.evaluation.pairs`), but choosing which pairs to align
takes minutes for thousands of designs. So the outcome is kept too: the nearest reference of a
design by the design, the reference and the search; the clusters of a set by all of its members.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from proteinweaver.io.run_folder import write_atomic

__all__ = ["ComparisonCache", "question"]

_FORMAT = "proteinweaver-compared-1"


def question(*parts: object, members: Iterable[str] = ()) -> str:
    """Hash what was asked: settings, and the digests of the chains in their order."""
    text = "\n".join([repr(parts), *members])
    return hashlib.sha256(text.encode()).hexdigest()


class ComparisonCache:
    """Answers by question, in one JSON file; only what an evaluation asked for is written again.

    Parameters
    ----------
    path : Path
        An absent or damaged file holds nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] == _FORMAT:
                self._known = dict(content["answers"])

    def get(self, key: str) -> Any:
        """Answer to a question; None if it was never asked."""
        answer = self._known.get(key)
        if answer is not None:
            self._asked[key] = answer
        return answer

    def put(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep an answer, in JSON values."""
        self._known[key] = self._asked[key] = dict(answer)

    def answer(self, key: str, find: Callable[[], Mapping[str, Any]]) -> Any:
        """Answer to a question, found and kept where it was never asked."""
        if self.get(key) is None:
            self.put(key, find())
        return self.get(key)

    def save(self) -> None:
        """Write what was asked since the file was read.

        Raises
        ------
        UserError
            If the disk refuses.
        """
        answers = {"format": _FORMAT, "answers": self._asked}
        write_atomic(self.path, json.dumps(answers))
