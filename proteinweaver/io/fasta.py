"""Reading FASTA: names and sequences.

A record is a line ``>NAME anything`` and the lines of its sequence. Names become names of files,
so they are held to what a file name may be, and to be told apart without regard to case.
"""

import re
from pathlib import Path

from proteinweaver.errors import UserError

__all__ = ["read_fasta"]

_NAME = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]*")


def read_fasta(path: str | Path) -> dict[str, str]:
    """Read a FASTA file.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    dict of str to str
        First words of the head lines -> sequences in capitals, in the order of the file.

    Raises
    ------
    UserError
        If it cannot be read, is no FASTA, or a name repeats or cannot name a file.
    """
    file = Path(path)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not a text file"
        raise UserError(f"{file}: cannot be read ({why}); give a FASTA file") from None
    found: dict[str, list[str]] = {}
    known: set[str] = set()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith(">"):
            name = (text[1:].split() or [""])[0]
            if not _NAME.fullmatch(name):
                raise UserError(f"{file}:{number}: '{name}' cannot name a file; rename the record")
            if name.lower() in known:
                raise UserError(f"{file}:{number}: a second record '{name}'; rename one")
            known.add(name.lower())
            parts = found[name] = []
        elif text and not found:
            raise UserError(
                f"{file}:{number}: no FASTA (no '>' line before it); give a FASTA file"
            )
        elif text:
            parts.append("".join(text.split()).upper())
    empty = [name for name, parts in found.items() if not parts]
    if not found or empty:
        what = f"record '{empty[0]}' has no sequence" if empty else "no record in it"
        raise UserError(f"{file}: {what}; give a FASTA file")
    return {name: "".join(parts) for name, parts in found.items()}
