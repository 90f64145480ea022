"""Contigs: a whole chain on one line.

A contig lists domains and linkers from the N- to the C-terminus, separated by slashes::

    A10-120/15/B5-90          two given domains, a linker of 15 residues between them
    A10-120/10-20/90/0/B5-90  a range for the linker, then a domain of 90 residues to generate,
    joined directly

A term with a letter is a given domain (chain and residues by author number, see
`proteinweaver.io.select`). A bare number is the length of a linker after a domain, and of a domain
to generate after a linker or at the start. Two given domains next to each other are joined
directly.
"""

import re
from dataclasses import dataclass

from proteinweaver.errors import UserError
from proteinweaver.io.parts import parse_range

__all__ = ["Contig", "ContigDomain", "parse_contig"]

_GIVEN = re.compile(r"[A-Za-z]\w*(:?-?\d+[A-Za-z]?(-+\d+[A-Za-z]?)?)?")


@dataclass(frozen=True)
class ContigDomain:
    """One domain: ``selection`` of a given one, else the bounds of its ``length`` in residues."""

    selection: str = ""
    length: tuple[int, int] = (0, 0)

    @property
    def is_given(self) -> bool:
        """True for a domain out of a file."""
        return bool(self.selection)


@dataclass(frozen=True)
class Contig:
    """Domains and the bounds of the linkers between them, N- to C-terminal."""

    domains: tuple[ContigDomain, ...]
    linkers: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        terms = [domain.selection or _range_text(domain.length) for domain in self.domains]
        text = terms[0]
        for linker, term in zip(self.linkers, terms[1:], strict=True):
            text += f"/{_range_text(linker)}/{term}"
        return text


def parse_contig(text: str) -> Contig:
    """Read a contig.

    Parameters
    ----------
    text : str
        See the module.

    Returns
    -------
    Contig

    Raises
    ------
    UserError
        If a term cannot be read, a linker lies at an end, or a chain break is asked for.

    Examples
    --------
    >>> parse_contig("A10-120/15/B5-90").linkers
    ((15, 15),)
    """
    if re.search(r"/0\s+\S", text):
        raise UserError(
            f"contig {text!r}: '/0 ' breaks the chain; designs are one chain, write '/0/'"
        )
    domains: list[ContigDomain] = []
    linkers: list[tuple[int, int]] = []
    for term in (part.strip() for part in text.split("/")):
        after_domain = len(domains) > len(linkers)
        if _GIVEN.fullmatch(term):
            if after_domain:
                linkers.append((0, 0))
            domains.append(ContigDomain(term))
        elif not re.fullmatch(r"\d+(\s*-\s*\d+)?", term):
            what = f"{term!r} is no term" if term else "there is an empty term"
            raise UserError(
                f"contig {text!r}: {what}; write A10-120 (domain), 15 or 10-20 (residues)"
            )
        elif after_domain:
            linkers.append(parse_range(term, f"contig {text!r}: linker"))
        else:
            length = parse_range(term, f"contig {text!r}: domain")
            if length[0] < 1:
                raise UserError(f"contig {text!r}: a domain of {term} residues; give at least 1")
            domains.append(ContigDomain(length=length))
    if len(domains) == len(linkers):
        raise UserError(f"contig {text!r} ends with a linker; end with a domain")
    return Contig(tuple(domains), tuple(linkers))


def _range_text(bounds: tuple[int, int]) -> str:
    return str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]}-{bounds[1]}"
