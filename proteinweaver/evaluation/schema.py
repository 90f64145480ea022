"""The columns of ``metrics.csv``: name, unit, meaning, and which way is better.

One row here is one column of the table, the page and the documentation; the tests hold
docs/evaluation.md to it. Columns are written in this order, those of other sources (a critic, a
folding model) behind them.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "COMPARISON_COLUMNS",
    "FILE_COLUMNS",
    "FOLDED_COLUMNS",
    "GEOMETRY_COLUMNS",
    "ColumnInfo",
    "as_markdown",
]

Better = Literal["", "high", "low", "native"]


@dataclass(frozen=True)
class ColumnInfo:
    """One column.

    Parameters
    ----------
    key : str
        Head of the column.
    unit : str
        ``A``, ``A2``, ``deg``, ``share`` (0 to 1), ``1/res``, ``count``, ``0/1``, ``text``, or
        empty for a plain number.
    meaning : str
        One sentence.
    better : {"", "high", "low", "native"}
        Which way designs improve: up, down, toward natives, or no judgement.
    """

    key: str
    unit: str
    meaning: str
    better: Better = ""


def _c(key: str, unit: str, meaning: str, better: Better = "") -> ColumnInfo:
    return ColumnInfo(key, unit, meaning, better)


FILE_COLUMNS = (
    _c("set", "text", "Which of the given paths the file was found under."),
    _c("name", "text", "Name of the design."),
    _c("file", "text", "The file, relative to the table."),
    _c("status", "text", "`ok`, or `error` for a file that could not be measured."),
    _c("error", "text", "Why it could not be measured."),
    _c("notes", "text", "What the reader decided: models, alternate locations, rebuilt atoms."),
)
"""What tells a row."""

GEOMETRY_COLUMNS = (
    _c("gate", "0/1", "1 where the geometry gate is met (no entry in `faults`).", "high"),
    _c("faults", "text", "Conditions of the gate that are not met, separated by `;`."),
    _c("length", "count", "Residues with a backbone."),
    _c("chains", "count", "Chains."),
    _c("gaps", "count", "Places with missing residues, told by the numbering or the side file."),
    _c("chain_breaks", "count", "Other places where C and N are more than 1.8 A apart.", "low"),
    _c("ca_ok", "share", "Consecutive CA-CA distances in 3.6-4.0 A.", "high"),
    _c("cn_ok", "share", "Peptide C-N distances within 0.1 A of 1.329 A.", "high"),
    _c("bond_dev", "A", "RMS deviation of N-CA, CA-C and C-O from ideal lengths.", "low"),
    _c("angle_dev", "deg", "RMS deviation of N-CA-C, CA-C-N and C-N-CA from ideal.", "low"),
    _c("angle_ok", "share", "Those angles within 10 degrees of ideal.", "high"),
    _c("omega_trans", "share", "Peptide bonds with abs(omega) of 150 degrees or more.", "high"),
    _c("omega_cis", "share", "Peptide bonds with abs(omega) of 30 degrees or less.", "native"),
    _c("omega_twisted", "share", "Peptide bonds between those.", "low"),
    _c("clash_30", "", "CA pairs, 2 or more apart, closer than 3.0 A, per 100 residues.", "low"),
    _c("clash_36", "", "The same below 3.6 A.", "low"),
    _c("min_ca", "A", "Closest such pair.", "native"),
    _c("rama_ok", "share", "Residues at density .02 or more in the Top8000 general grid.", "high"),
    _c("phi_negative", "share", "Residues with phi < 0.", "native"),
    _c("helix_right", "share", "Right-handed turns of four CA inside helices (P-SEA).", "high"),
    _c("crossovers", "count", "Parallel strand - helix - strand crossovers (DSSP)."),
    _c("crossover_right", "share", "Right-handed ones among them.", "high"),
    _c("helix", "share", "Helix by P-SEA.", "native"),
    _c("strand", "share", "Strand by P-SEA.", "native"),
    _c("coil", "share", "Coil by P-SEA.", "native"),
    _c("dssp_helix", "share", "Alpha helix by hydrogen bonds (DSSP).", "native"),
    _c("dssp_strand", "share", "Bridges and strands by hydrogen bonds (DSSP).", "native"),
    _c("rg_ratio", "", "Radius of gyration of CA over 2.2 L^0.38 A.", "native"),
    _c("hb", "1/res", "Residues whose NH donates a backbone hydrogen bond.", "native"),
    _c("hb_long", "1/res", "The same over more than 5 residues.", "native"),
    _c("contacts_long", "1/res", "CA pairs below 8 A, 12 or more apart (lrc).", "native"),
    _c("contact_order", "", "Mean separation of CA contacts over the chain length.", "native"),
    _c("neighbours", "", "Mean number of ideal CB within 10 A of a residue's.", "native"),
    _c("buried", "share", "Residues with 16 or more such neighbours.", "native"),
    _c("chain_contacts", "count", "CA pairs of different chains closer than 8 A."),
    _c("chain_area", "A2", "Area that chains bury against each other, half of the loss."),
    _c("domains", "count", "Domains by the side file."),
    _c("domain_sources", "text", "Where each domain came from: `generated` or a file."),
    _c("domain_lengths", "text", "Their lengths."),
    _c("linker_lengths", "text", "Lengths of the linkers."),
    _c("linkers", "count", "Linkers."),
    _c("linkers_closed", "count", "Linkers whose peptide bonds and CA steps are all sound."),
    _c("linkers_feasible", "count", "Linkers whose residues can span their two ends."),
    _c("linker_ok", "0/1", "1 if every linker is closed.", "high"),
    _c("linker_stretch", "", "Largest end-to-end distance of a linker over its reach.", "low"),
    _c("linker_rama_ok", "share", "`rama_ok` of linker residues alone.", "high"),
    _c("linker_clashes", "count", "CA pairs with a linker residue closer than 3.0 A.", "low"),
    _c("interface_contacts", "count", "CA pairs of different domains closer than 8 A.", "high"),
    _c("interface_residues", "count", "Residues with such a contact.", "high"),
    _c("interface_area", "A2", "Area that domains bury against each other.", "high"),
    _c("interdomain_clashes", "count", "CA pairs of different domains below 3.0 A.", "low"),
    _c("domains_touching", "count", "Pairs of domains with a contact.", "high"),
    _c("domain_rmsd_max", "A", "Largest CA-RMSD of a domain to its input (drift).", "low"),
    _c("domain_rmsd", "text", "Drift of every domain."),
    _c("domains_mirrored", "count", "Domains closer to the mirror image of their input.", "low"),
    _c("outside", "text", "Columns outside the central 98% of natives of about this length."),
    _c("outside_count", "count", "How many.", "low"),
)
"""What one structure alone tells."""

COMPARISON_COLUMNS = (
    _c("cluster_50", "text", "Representative of the cluster at TM-score 0.5."),
    _c("cluster_60", "text", "Representative of the cluster at TM-score 0.6."),
    _c("novelty_tm", "", "Highest TM-score to a reference, by the design's length.", "low"),
    _c("novelty_name", "text", "That reference."),
)
"""What a structure is among others."""


FOLDED_COLUMNS = (
    _c("sc_count", "count", "Predictions of sequences of this design that could be compared."),
    _c("sc_tm", "", "Highest TM-score of a prediction to the design (scTM).", "high"),
    _c("sc_rmsd", "A", "CA-RMSD of that prediction (scRMSD).", "low"),
    _c("sc_designable", "0/1", "1 where a prediction is within 2 A CA-RMSD.", "high"),
    _c("sc_plddt", "", "Its mean pLDDT, 0 to 100.", "high"),
    _c("sc_interface_tm", "", "TM of residues between domains, superposed on them.", "high"),
    _c("sc_interface_rmsd", "A", "CA-RMSD of the same residues.", "low"),
    _c("sc_contacts_kept", "share", "Contacts between domains that it keeps.", "high"),
    _c("sc_pose_tm", "", "TM of a domain after superposing the one before or after.", "high"),
    _c("sc_best", "text", "Name of its sequence."),
    _c("sc_problems", "text", "Predictions that could not be compared, and why."),
)
"""What predictions of the designed sequences say (``--folded``)."""


def as_markdown(columns: tuple[ColumnInfo, ...]) -> str:
    """Write columns as the table of the documentation.

    Parameters
    ----------
    columns : tuple of ColumnInfo
        What to list.

    Returns
    -------
    str
        Markdown lines.
    """
    words = {"": "", "high": "higher", "low": "lower", "native": "as natives"}
    lines = ["| column | unit | meaning | better |", "|---|---|---|---|"]
    lines += [f"| `{c.key}` | {c.unit} | {c.meaning} | {words[c.better]} |" for c in columns]
    return "\n".join(lines)
