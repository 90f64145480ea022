"""Homology groups, with MMseqs2 and without."""

import os
import stat
from itertools import pairwise

import numpy as np
import pytest

from proteinweaver.data.clusters import cluster_sequences, is_informative
from proteinweaver.errors import UserError

LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def random_sequence(rng, n: int) -> str:
    return "".join(rng.choice(LETTERS, n))


def mutated(rng, sequence: str, identity: float) -> str:
    letters = np.array(list(sequence))
    where = rng.random(len(letters)) > identity
    letters[where] = rng.choice(LETTERS, int(where.sum()))
    return "".join(letters)


def test_words_join_relatives_and_nobody_else():
    rng = np.random.default_rng(0)
    parents = [random_sequence(rng, int(n)) for n in rng.integers(60, 400, 150)]
    sequences = [s for parent in parents for s in (parent, mutated(rng, parent, 0.7))]
    found = cluster_sequences(sequences, tool="kmer")
    assert found.component.tolist() == np.repeat(np.arange(150), 2).tolist()
    assert (found.cluster == found.component).all()
    assert "kmer" in found.method


def test_a_domain_inside_a_longer_chain_is_a_relative():
    rng = np.random.default_rng(1)
    domain = random_sequence(rng, 90)
    chain = random_sequence(rng, 200) + mutated(rng, domain, 0.8) + random_sequence(rng, 150)
    found = cluster_sequences([domain, random_sequence(rng, 90), chain], tool="kmer")
    assert found.component.tolist() == [0, 1, 0]


def test_order_does_not_matter():
    rng = np.random.default_rng(2)
    sequences = [random_sequence(rng, 80) for _ in range(10)]
    sequences += [mutated(rng, s, 0.6) for s in sequences]
    order = rng.permutation(20)
    straight = cluster_sequences(sequences, tool="kmer").component
    mixed = cluster_sequences([sequences[i] for i in order], tool="kmer").component
    same = straight[:, None] == straight[None]
    assert (same[np.ix_(order, order)] == (mixed[:, None] == mixed[None])).all()


def test_what_says_nothing_stays_alone():
    for sequence in ("G" * 100, "X" * 50, "GS" * 40, "GGGGS" * 20, "", "MKV"):
        assert not is_informative(sequence) or len(sequence) == 4
    assert is_informative("MKTAYIAKQRQISFVKSHFSRQLEERLG")
    found = cluster_sequences(["G" * 100, "G" * 100, ""], tool="kmer")
    assert found.component.tolist() == [0, 1, 2]
    assert len(cluster_sequences([], tool="kmer").component) == 0


@pytest.fixture
def mmseqs(tmp_path, monkeypatch):
    """A stand-in for the program that answers with the hits it is given."""

    def install(hits: str, code: int = 0):
        program = tmp_path / "bin" / "mmseqs"
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            "#!/bin/sh\n"
            'if [ "$1" = version ]; then echo 99; exit 0; fi\n'
            f'cp "$2" "{tmp_path}/seen.fasta"\n'
            f"cat > \"$4\" <<'END'\n{hits}END\n"
            f"[ {code} -eq 0 ] || echo 'out of memory' >&2\nexit {code}\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        return tmp_path / "seen.fasta"

    return install


def test_hits_of_mmseqs_become_groups(mmseqs):
    """Components: half of the shorter aligned. Clusters: 40 % identity, mutual coverage."""
    rng = np.random.default_rng(3)
    sequences = [random_sequence(rng, n) for n in (100, 90, 200, 80, 70)] + ["G" * 50]
    fasta = mmseqs(
        "0\t0\t1.0\t1.0\t1.0\n"
        "0\t1\t0.50\t0.85\t0.95\n"  # same cluster
        "1\t2\t0.30\t0.90\t0.40\n"  # related only
        "3\t4\t0.90\t0.45\t0.49\n"  # aligned part too short
    )
    found = cluster_sequences(sequences)
    assert found.component.tolist() == [0, 0, 0, 1, 2, 3]
    assert found.cluster.tolist() == [0, 0, 1, 2, 3, 4]
    assert found.method == "mmseqs (version 99)"
    assert fasta.read_text().count(">") == 5  # poly-glycine is not sent


def test_a_failing_program_is_no_silent_fallback(mmseqs):
    mmseqs("", code=1)
    with pytest.raises(UserError, match="mmseqs failed \\(out of memory\\)"):
        cluster_sequences(["MKTAYIAKQRQISFVK"])


def test_tools(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="not on the search path"):
        cluster_sequences(["MKV"], tool="mmseqs")
    with pytest.raises(UserError, match="unknown"):
        cluster_sequences(["MKV"], tool="cdhit")
    assert "kmer" in cluster_sequences(["MKV"]).method


@pytest.mark.realdata
def test_against_mmseqs_on_the_release(data_dir):
    """The figures of the module docstring: recall of 40 % clusters, links between strangers."""
    arrays = np.load(data_dir / "domains.npz")
    names, aatype, offsets = (arrays[key] for key in ("aatype_names", "aatype", "offsets"))
    sequences = ["".join(names[aatype[a:b]]) for a, b in pairwise(offsets)]
    ours = cluster_sequences(sequences, tool="kmer").component
    theirs = arrays["cluster40"]
    pairs = together = 0
    for cluster in np.unique(theirs):
        members = ours[theirs == cluster]
        pairs += len(members) * (len(members) - 1)
        counts = np.unique(members, return_counts=True)[1]
        together += int((counts * (counts - 1)).sum())
    assert together / pairs > 0.97
    assert np.bincount(ours).max() < 0.1 * len(ours)
