"""Every column of a whole row once more: plain loops over gemmi, scipy, biotite and pydssp.

`Truth` has one method a column; the first test holds it to the schema, so that a new column cannot
come without one. Structures: natives, natives under noise, crushed, broken, of two domains, of two
chains, of CA alone.
"""

import math
from functools import cached_property
from itertools import pairwise

import gemmi
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from proteinweaver.evaluation.baselines import add_noise
from proteinweaver.evaluation.linkers import linker_span
from proteinweaver.evaluation.measure import measure_backbone
from proteinweaver.evaluation.natives import NATIVE_COLUMNS, native_table, outside_natives
from proteinweaver.evaluation.schema import GEOMETRY_COLUMNS
from proteinweaver.evaluation.surface import with_beads
from proteinweaver.io.read import read_structure
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.dssp import dssp

#: Words of the side file, held to it in test_run.py (test_a_run_folder_tells_domains_and_drift).
SIDE_FILE = {"domain_sources", "domain_lengths", "linker_lengths"}
#: Shares of two programs' letters, which agree on 93% (test_columns_of_one.py).
LOOSE = {"dssp_helix": 0.08, "dssp_strand": 0.08, "interface_area": 30.0, "chain_area": 30.0}


def turned(x: np.ndarray, seed: int) -> np.ndarray:
    return (x @ Rotation.random(random_state=seed).as_matrix().T + 9.0).astype(np.float32)


def mean(values: list) -> float:
    return float(np.mean(values)) if len(values) else math.nan


class Truth:
    """The row of one structure by other means."""

    def __init__(self, backbone: Backbone, gap: np.ndarray, inputs: np.ndarray | None, grid):
        self.xyz = np.asarray(backbone.coord, dtype=np.float64)
        self.n, self.ca, self.c, self.o = np.moveaxis(self.xyz, 1, 0)
        self.bare = bool(np.isnan(self.n).all())
        self.chain, self.domain = backbone.chain, backbone.domain
        self.gap, self.inputs, self.grid = gap, inputs, grid
        self.size = len(self.xyz)
        self.bonded = [i for i in range(self.size - 1) if not gap[i]]
        self.parts = sorted(set(self.domain[self.domain > 0].tolist()))

    @cached_property
    def away(self) -> np.ndarray:
        return cdist(self.ca, self.ca)

    def pairs(self, below: float, least: int, keep=lambda i, j: True) -> list[tuple[int, int]]:
        return [
            (i, j)
            for i in range(self.size)
            for j in range(i + least, self.size)
            if self.away[i, j] < below and keep(i, j)
        ]

    def angle(self, *points: np.ndarray) -> float:
        if np.isnan(points).any():
            return math.nan
        return math.degrees(gemmi.calculate_angle(*(gemmi.Position(*p) for p in points)))

    def torsion(self, *points: np.ndarray) -> float:
        if np.isnan(points).any():
            return math.nan
        return math.degrees(gemmi.calculate_dihedral(*(gemmi.Position(*p) for p in points)))

    # links
    def length(self):
        return self.size

    def chains(self):
        return len(set(self.chain.tolist()))

    def gaps(self):
        return sum(bool(g) for g in self.gap[:-1]) - (self.chains() - 1)

    def chain_breaks(self):
        if self.bare:
            return sum(self.away[i, i + 1] > 4.5 for i in self.bonded)
        return sum(np.linalg.norm(self.n[i + 1] - self.c[i]) > 1.8 for i in self.bonded)

    def ca_ok(self):
        return mean([3.6 <= self.away[i, i + 1] <= 4.0 for i in self.bonded])

    def cn_ok(self):
        d = [np.linalg.norm(self.n[i + 1] - self.c[i]) for i in self.bonded]
        return math.nan if self.bare else mean([abs(x - 1.329) <= 0.1 for x in d])

    # bonds, angles, torsions
    def bond_dev(self):
        ideal = ((self.n, self.ca, 1.459), (self.ca, self.c, 1.525), (self.c, self.o, 1.229))
        gaps = [math.dist(p, q) - x for a, b, x in ideal for p, q in zip(a, b, strict=True)]
        return math.nan if self.bare else math.sqrt(mean(np.square(gaps)))

    @cached_property
    def angles(self) -> list[float]:
        out = [self.angle(*p) - 111.0 for p in zip(self.n, self.ca, self.c, strict=True)]
        for i in self.bonded:
            out.append(self.angle(self.ca[i], self.c[i], self.n[i + 1]) - 117.2)
            out.append(self.angle(self.c[i], self.n[i + 1], self.ca[i + 1]) - 121.7)
        return [x for x in out if not math.isnan(x)]

    def angle_dev(self):
        return math.sqrt(mean(np.square(self.angles)))

    def angle_ok(self):
        return mean([abs(x) <= 10 for x in self.angles])

    @cached_property
    def omega(self) -> list[float]:
        quads = [(self.ca[i], self.c[i], self.n[i + 1], self.ca[i + 1]) for i in self.bonded]
        return [abs(x) for q in quads if not math.isnan(x := self.torsion(*q))]

    def omega_trans(self):
        return mean([x >= 150 for x in self.omega])

    def omega_cis(self):
        return mean([x <= 30 for x in self.omega])

    def omega_twisted(self):
        return mean([30 < x < 150 for x in self.omega])

    @cached_property
    def phi_psi(self) -> list[tuple[float, float]]:
        out = []
        for i in range(self.size):
            phi = psi = math.nan
            if i and not self.gap[i - 1]:
                phi = self.torsion(self.c[i - 1], self.n[i], self.ca[i], self.c[i])
            if i + 1 < self.size and not self.gap[i]:
                psi = self.torsion(self.n[i], self.ca[i], self.c[i], self.n[i + 1])
            out.append((phi, psi))
        return out

    def allowed(self, rows) -> float:
        """From the published text: centres of cells of two degrees, zero where none is listed."""
        known = [self.phi_psi[i] for i in rows if not np.isnan(self.phi_psi[i]).any()]
        cell = [tuple(2 * math.floor(((x + 180) % 360) / 2) - 179 for x in pair) for pair in known]
        return mean([self.grid.get(key, 0.0) >= 0.02 for key in cell])

    def rama_ok(self):
        return self.allowed(range(self.size))

    def phi_negative(self):
        return mean([phi < 0 for phi, _ in self.phi_psi if not math.isnan(phi)])

    # clashes, contacts, shape
    def clash_30(self):
        return 100 * len(self.pairs(3.0, 2)) / self.size

    def clash_36(self):
        return 100 * len(self.pairs(3.6, 2)) / self.size

    def min_ca(self):
        far = [self.away[i, j] for i in range(self.size) for j in range(i + 2, self.size)]
        return min(far, default=math.nan)

    def contacts_long(self):
        return len(self.pairs(8.0, 12)) / self.size

    def contact_order(self):
        near = self.pairs(8.0, 3, lambda i, j: self.chain[i] == self.chain[j])
        return mean([j - i for i, j in near]) / (self.size / self.chains())

    def rg_ratio(self):
        mean_square = (self.away**2).sum() / (2 * self.size**2)
        return math.sqrt(mean_square) / (2.2 * self.size**0.38)

    @cached_property
    def burial(self) -> np.ndarray:
        b, a = self.ca - self.n, self.c - self.ca
        cb = -0.58273431 * np.cross(b, a) + 0.56802827 * b - 0.54067466 * a + self.ca
        return (cdist(cb, cb) < 10).sum(axis=1) - 1

    def neighbours(self):
        return math.nan if self.bare else float(self.burial.mean())

    def buried(self):
        return math.nan if self.bare else float((self.burial >= 16).mean())

    # secondary structure, hydrogen bonds
    @cached_property
    def psea(self) -> np.ndarray:
        structure = pytest.importorskip("biotite.structure")
        ends = [0, *(i + 1 for i in range(self.size - 1) if self.gap[i]), self.size]
        letters = []
        for a, b in pairwise(ends):
            array = structure.AtomArray(b - a)
            array.coord = self.ca[a:b].astype(np.float32)
            array.atom_name[:], array.res_name[:] = "CA", "ALA"
            array.res_id[:], array.chain_id[:] = np.arange(b - a), "A"
            letters.append(structure.annotate_sse(array) if b - a > 4 else np.full(b - a, "c"))
        return np.concatenate(letters)

    def helix(self):
        return mean(self.psea == "a")

    def strand(self):
        return mean(self.psea == "b")

    def coil(self):
        return 1 - self.helix() - self.strand()

    def helix_right(self):
        inside = [i for i in range(self.size - 3) if (self.psea[i : i + 4] == "a").all()]
        return mean([self.torsion(*self.ca[i : i + 4]) > 0 for i in inside])

    @cached_property
    def pydssp(self) -> np.ndarray:
        program = pytest.importorskip("pydssp")
        return program.assign(self.xyz.astype(np.float32), out_type="index")

    def dssp_helix(self):
        return mean(self.pydssp == 1)

    def dssp_strand(self):
        return mean(self.pydssp == 2)

    @cached_property
    def donors(self) -> list[tuple[int, int]]:
        out = []
        for i in range(1, self.size):
            if self.bare or self.gap[i - 1]:
                continue
            up = self.c[i - 1] - self.o[i - 1]
            h = self.n[i] + up / np.linalg.norm(up)
            best, partner = -0.5, -1
            for j in range(self.size):
                on, oh = math.dist(self.o[j], self.n[i]), math.dist(self.o[j], h)
                cn, ch = math.dist(self.c[j], self.n[i]), math.dist(self.c[j], h)
                if abs(i - j) < 2 or not (2.4 < on < 3.8 and 1.4 < oh < 2.9 and cn > 2.9):
                    continue
                energy = 332 * 0.084 * (1 / on + 1 / ch - 1 / oh - 1 / cn)
                if energy < best:
                    best, partner = energy, j
            if partner >= 0:
                out.append((i, partner))
        return out

    def hb(self):
        return math.nan if self.bare else len(self.donors) / self.size

    def hb_long(self):
        return math.nan if self.bare else mean([0] * (self.size - len(self.far)) + self.far)

    @property
    def far(self) -> list[int]:
        return [1 for i, j in self.donors if abs(i - j) > 5]

    # crossovers: the same segments, their sense by a screw instead of a triple product
    @cached_property
    def senses(self) -> list[bool]:
        letters = self.psea if self.bare else dssp(self.xyz, self.gap)
        ends = [
            i + 1
            for i in range(self.size - 1)
            if letters[i] != letters[i + 1] or self.chain[i] != self.chain[i + 1]
        ]
        runs = [(a, b, letters[a]) for a, b in pairwise([0, *ends, self.size])]
        strands = [(a, b) for a, b, s in runs if s == "b" and b - a > 2]
        out = []
        for (a, b), (c, d) in pairwise(strands):
            held = [
                k for p, q, s in runs if s == "a" and q - p > 4 and b <= p < c for k in range(p, q)
            ]
            if not held or self.chain[a] != self.chain[c]:
                continue
            u, v = self.ca[b - 1] - self.ca[a], self.ca[d - 1] - self.ca[c]
            u, v = u / math.hypot(*u), v / math.hypot(*v)
            one, two = self.ca[a:b].mean(0), self.ca[c:d].mean(0)
            if u @ v < 0.5 or math.dist(one, two) > 18:
                continue
            # look along the strands: from the first over the helix to the second, clockwise?
            onto, _ = Rotation.align_vectors([[0, 0, 1]], [u + v])
            flat = onto.apply([one, self.ca[held].mean(0), two])[:, :2]
            side = flat[1] - (flat[0] + flat[2]) / 2
            step = flat[2] - flat[0]
            area = side[0] * step[1] - side[1] * step[0]
            if abs(area) >= 0.3 * math.hypot(*step) * math.dist(
                self.ca[held].mean(0), (one + two) / 2
            ):
                out.append(area > 0)
        return out

    def crossovers(self):
        return len(self.senses)

    def crossover_right(self):
        return mean(self.senses)

    # between chains, between domains
    def area(self, label: np.ndarray) -> float:
        """What the parts bury against each other, by biotite with 300 points."""
        structure = pytest.importorskip("biotite.structure")
        atoms, radius = with_beads(self.xyz)

        def exposed(rows: np.ndarray) -> float:
            array = structure.AtomArray(5 * int(rows.sum()))
            array.coord = atoms[rows].reshape(-1, 3).astype(np.float32)
            array.element[:] = "C"
            return float(
                structure.sasa(
                    array, vdw_radii=radius[rows].ravel(), point_number=300, ignore_ions=False
                ).sum()
            )

        alone = sum(exposed(label == k) for k in np.unique(label[label > 0]))
        return (alone - exposed(label > 0)) / 2

    def chain_contacts(self):
        return len(self.pairs(8.0, 1, lambda i, j: self.chain[i] != self.chain[j]))

    def chain_area(self):
        _, label = np.unique(self.chain, return_inverse=True)
        return self.area(label + 1)

    def other(self, i: int, j: int) -> bool:
        return bool(self.domain[i] and self.domain[j] and self.domain[i] != self.domain[j])

    def domains(self):
        return len(self.parts)

    @property
    def junctions(self) -> list[tuple[int, int]]:
        """Last residue of a domain, first of the next."""
        inside = [i for i in range(self.size) if self.domain[i]]
        return [(i, j) for i, j in pairwise(inside) if self.domain[i] != self.domain[j]]

    def linkers(self):
        return len(self.junctions)

    def linkers_closed(self):
        closed = 0
        for i, j in self.junctions:
            steps = [self.away[k, k + 1] for k in range(i, j)]
            bonds = [math.dist(self.c[k], self.n[k + 1]) for k in range(i, j)]
            sound = all(3.6 <= s <= 4.0 or 2.7 <= s <= 3.2 for s in steps)
            closed += sound and all(abs(b - 1.329) <= 0.15 for b in bonds)
        return closed

    def linkers_feasible(self):
        spans = [(self.away[i, j], linker_span(j - i - 1)) for i, j in self.junctions]
        return sum(low <= d <= high for d, (low, high) in spans)

    def linker_ok(self):
        return int(self.linkers_closed() == self.linkers())

    def linker_stretch(self):
        return max(
            self.away[i, j] / (0.3 + 3.5 * (j - i)) if j - i > 1 else self.away[i, j] / 4.0
            for i, j in self.junctions
        )

    def linker_rama_ok(self):
        return self.allowed([k for i, j in self.junctions for k in range(i + 1, j)])

    def linker_clashes(self):
        return len(self.pairs(3.0, 2, lambda i, j: not (self.domain[i] and self.domain[j])))

    def interface_contacts(self):
        return len(self.pairs(8.0, 1, self.other))

    def interface_residues(self):
        return len({k for pair in self.pairs(8.0, 1, self.other) for k in pair})

    def interface_area(self):
        return self.area(self.domain)

    def interdomain_clashes(self):
        return len(self.pairs(3.0, 1, self.other))

    def domains_touching(self):
        return len(
            {frozenset(self.domain[[i, j]].tolist()) for i, j in self.pairs(8.0, 1, self.other)}
        )

    def drifts(self, flip: float) -> list[float]:
        out = []
        for part in self.parts:
            a, b = self.ca[self.domain == part], self.inputs[self.domain == part, 1]
            a, b = a - a.mean(0), (b - b.mean(0)) * [1, 1, flip]
            out.append(Rotation.align_vectors(a, b)[1] / math.sqrt(len(a)))
        return out

    def domain_rmsd_max(self):
        return max(self.drifts(1))

    def domain_rmsd(self):
        return ";".join(f"{x:.3f}" for x in self.drifts(1))

    def domains_mirrored(self):
        return sum(m < x for m, x in zip(self.drifts(-1), self.drifts(1), strict=True))

    # judgement
    def faults(self):
        limits = {
            "chain_breaks": self.chain_breaks() > 0,
            "cn_ok": self.cn_ok() < 0.90,
            "ca_ok": self.ca_ok() < 0.95,
            "min_ca": self.min_ca() < 3.0,
            "clash_36": self.clash_36() > 2.0,
            "rama_ok": self.rama_ok() < 0.78,
            "rg_ratio": not 0.8 <= self.rg_ratio() <= 2.0,
        }
        return ";".join(key for key, wrong in limits.items() if wrong)

    def gate(self):
        return int(not self.faults())

    def outside(self):
        """As a set; the order is how far outside."""
        table = native_table()
        log = [abs(math.log(x / self.size)) for x in table.column("length")]
        rows = [k for k, x in enumerate(log) if x <= 0.12]
        rows = rows if len(rows) >= 60 else np.argsort(log, kind="stable")[:60]
        found = set()
        for key in NATIVE_COLUMNS[1:]:
            column = table.column(key)[rows]
            low, high = np.percentile(column[~np.isnan(column)], [1, 99])
            value = getattr(self, key)() if key not in LOOSE else math.nan
            good_high = key in ("ca_ok", "cn_ok", "rama_ok", "helix_right")
            good_low = key in ("bond_dev", "angle_dev", "clash_36")
            if (value < low and not good_low) or (value > high and not good_high):
                found.add(key)
        return found

    def outside_count(self):
        return len(self.outside())


@pytest.fixture(scope="module")
def grid(data_dir):
    table = np.loadtxt(data_dir / "rama8000_general.data")
    return {(round(phi), round(psi)): value for phi, psi, value in table}


@pytest.fixture(scope="module")
def structures(data_dir, helix, coil):
    """Name to (backbone, gap, inputs)."""
    raw = {
        name: read_structure(data_dir / "raw" / f"{name}.pdb").backbone
        for name in ("1ubq", "1div", "1shg", "3chy")
    }

    def simple(coord: np.ndarray, **columns) -> tuple:
        backbone = Backbone.from_coord(np.asarray(coord, np.float32)).replace(**columns)
        return backbone, np.zeros(len(backbone), bool), None

    rng = np.random.default_rng(0)
    ubq, div, shg = (np.array(raw[name].coord) for name in ("1ubq", "1div", "1shg"))
    label = np.zeros(len(div), np.int16)
    label[:50], label[56:] = 1, 2
    given = turned(div, 2)
    given[56:] = turned(add_noise(div[56:], 0.5, rng) * np.float32([1, 1, -1]), 3)
    pair = np.concatenate((shg, shg @ np.diag([-1, -1, 1]).astype(np.float32)))
    pair[len(shg) :] += np.float32(pair[: len(shg)].mean((0, 1)) - pair[len(shg) :].mean((0, 1)))
    pair[len(shg) :, :, 0] += 17
    two = np.repeat(["A", "B"], len(shg))
    last = np.zeros(len(pair), bool)
    last[len(shg) - 1] = True
    crushed = np.array(ubq - 0.5 * (ubq - ubq.mean((0, 1))))
    torn = np.concatenate((coil[:30], coil[30:] + 14))
    excused = np.zeros(60, bool)
    excused[29] = True
    bare = np.full_like(ubq, np.nan)
    bare[:, 1] = ubq[:, 1]
    return {
        "native": simple(ubq),
        "mirror": simple(np.array(raw["3chy"].coord) * np.float32([1, 1, -1])),
        "crossing": simple(raw["3chy"].coord),
        "noisy": simple(add_noise(ubq, 0.6, rng)),
        "crushed": simple(crushed),
        "broken": simple(torn),
        "gapped": (simple(torn)[0], excused, None),
        "rod": simple(helix),
        "bare": simple(bare),
        "assembly": (simple(div, domain=label)[0], np.zeros(len(div), bool), given),
        "dimer": (simple(pair, chain=two, break_after=last)[0], last, None),
    }


NAMES = (
    "native", "mirror", "crossing", "noisy", "crushed", "broken", "gapped", "rod", "bare",
    "assembly", "dimer",
)  # fmt: skip


def test_no_column_without_its_truth():
    for column in GEOMETRY_COLUMNS:
        assert column.key in SIDE_FILE or callable(getattr(Truth, column.key, None)), column.key


@pytest.mark.realdata
@pytest.mark.parametrize("name", NAMES)
def test_the_row_by_other_means(name, structures, grid):
    backbone, gap, inputs = structures[name]
    row = dict(measure_backbone(backbone, gap, inputs).values)
    truth = Truth(backbone, gap, inputs, grid)
    for key, value in row.items():
        if key in LOOSE and name in ("crushed", "noisy", "gapped"):
            continue  # the programs that LOOSE compares with know no gap and no noise
        want = getattr(truth, key)()
        if isinstance(value, str):
            assert value == want, key
        else:
            close = pytest.approx(want, rel=1e-4, abs=LOOSE.get(key, 1e-4), nan_ok=True)
            assert float(value) == close, key
    outside = set(outside_natives(row)) - set(LOOSE)
    assert outside == truth.outside()


@pytest.mark.realdata
def test_every_column_was_measured(structures):
    """The structures above leave no column without a number."""
    seen = set()
    for backbone, gap, inputs in structures.values():
        row = measure_backbone(backbone, gap, inputs).values
        seen |= {k for k, v in row.items() if isinstance(v, str) or math.isfinite(float(v))}
    missing = {column.key for column in GEOMETRY_COLUMNS} - SIDE_FILE - seen
    assert missing == {"outside", "outside_count"}  # these belong to the table
