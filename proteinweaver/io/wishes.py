"""Wishes about an assembly, as a spec or a flag words them.

::

    contacts: [{a: "left:10-20", b: "right:5-9", max: 8}]     some CA pair within 8 A
    apart: [{a: left, b: right, min: 20}]                     no CA pair closer than 20 A

An end is a domain's name (or its number in the request, from 1), with residues behind a colon: in
the numbering of the domain's file, ``left:10-20`` or ``left:A10-20``, or counted from 1 in a
domain to generate. On the command line the three parts are separated by spaces: ``--contacts
"left:10-20 right:5-9 8"``.
"""

import re
from dataclasses import dataclass

from proteinweaver.errors import UserError

__all__ = ["ApartSpec", "ContactSpec", "PassBudget", "read_apart", "read_budget", "read_contact"]

#: Farther apart than any chain of this program's reach could be asked to keep two residues.
_LONGEST = 1000.0


@dataclass(frozen=True)
class ContactSpec:
    """Two sets of residues that are to come close.

    Parameters
    ----------
    a, b : str
        ``name`` or ``name:range``.
    max : float
        The closest CA pair between them is at most this far apart, angstrom.
    """

    a: str
    b: str
    max: float = 8.0

    def __post_init__(self) -> None:
        """Refuse what no pose can meet."""
        if not 4.0 <= self.max <= _LONGEST:
            raise UserError(
                f"contact {self.a} - {self.b}: max is {self.max:g} A; CA atoms of two domains come"
                " no closer than 4, give 4 or more"
            )

    def __str__(self) -> str:
        return f"contact {self.a} - {self.b} within {self.max:g} A"


@dataclass(frozen=True)
class ApartSpec:
    """Two sets of residues that are to stay away from one another.

    Parameters
    ----------
    a, b : str
        ``name`` or ``name:range``.
    min : float
        No CA pair between them is closer than this, angstrom.
    """

    a: str
    b: str
    min: float

    def __post_init__(self) -> None:
        """Refuse a distance that is none."""
        if not 0.0 < self.min <= _LONGEST:
            raise UserError(
                f"apart {self.a} - {self.b}: min is {self.min:g} A; give a distance above 0"
            )

    def __str__(self) -> str:
        return f"apart {self.a} - {self.b} by {self.min:g} A"


@dataclass(frozen=True)
class PassBudget:
    """When a job stops: after so many designs that pass, or so many that were tried.

    Parameters
    ----------
    passed, tried : int
    """

    passed: int
    tried: int

    def __post_init__(self) -> None:
        """Refuse a budget that cannot be met."""
        if not 1 <= self.passed <= self.tried:
            raise UserError(
                f"pass_budget {self.passed}/{self.tried}: want 1 design or more, and try at least"
                " as many; write passed/tried such as 10/200"
            )


def _three(text: str, what: str, example: str) -> tuple[str, str, float]:
    words = text.split()
    if len(words) != 3:
        raise UserError(f"{what} '{text}' has {len(words)} parts, not 3; write \"{example}\"")
    try:
        return words[0], words[1], float(words[2])
    except ValueError:
        raise UserError(
            f"{what} '{text}': '{words[2]}' is not a distance; write \"{example}\""
        ) from None


def read_contact(value: "ContactSpec | str") -> ContactSpec:
    """Read a contact, ``"a:10-20 b:5-9 8"`` where it is text.

    Raises
    ------
    UserError
        If the text has other than three parts, or the distance is none.
    """
    if isinstance(value, ContactSpec):
        return value
    return ContactSpec(*_three(value, "contact", "left:10-20 right:5-9 8"))


def read_apart(value: "ApartSpec | str") -> ApartSpec:
    """Read a distance to keep, ``"a b 20"`` where it is text.

    Raises
    ------
    UserError
        If the text has other than three parts, or the distance is none.
    """
    if isinstance(value, ApartSpec):
        return value
    return ApartSpec(*_three(value, "apart", "left right 20"))


def read_budget(value: "PassBudget | str | None") -> PassBudget | None:
    """Read ``"10/200"``: until 10 pass, or 200 are tried; None or an empty text for no budget.

    Raises
    ------
    UserError
        If the text is not two counts.
    """
    if not isinstance(value, str):
        return value
    if not value:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", value.strip())
    if not match:
        raise UserError(f"pass_budget '{value}' is not passed/tried, such as 10/200")
    return PassBudget(int(match[1]), int(match[2]))
