"""The error a user can mend.

Everything a person may get wrong (a path, a chain name, a number, a key) ends in one
:class:`UserError` whose text is a single line: what is wrong, where, and the mend. The command
line prints that line and leaves with exit code 2; any other exception is a fault of ours, exit
code 1.
"""

import difflib
from collections.abc import Iterable

__all__ = ["UserError", "nearest"]


class UserError(ValueError):
    """A mistake in the input, told in one line.

    Parameters
    ----------
    message : str
        What is wrong, where, and the mend. Line breaks are folded into spaces.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def nearest(word: str, known: Iterable[str]) -> str:
    """End an error message with the known name that looks most like a mistyped one.

    Parameters
    ----------
    word : str
        What the user typed.
    known : iterable of str
        The names that would have been right.

    Returns
    -------
    str
        ``"did you mean 'x'?"``, or the list of names where none is close.

    Examples
    --------
    >>> nearest("lenght", ["length", "domains"])
    "did you mean 'length'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names)}"
