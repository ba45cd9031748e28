"""Which named data sets there are, and how each is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Literal, overload

from sciexplain.datasets.expression import LabelledExpression
from sciexplain.datasets.labelled import LabelledImages
from sciexplain.datasets.molecules import LabelledMolecules
from sciexplain.datasets.sequences import LabelledSequences
from sciexplain.errors import DataError

Labelled = LabelledImages | LabelledMolecules | LabelledSequences | LabelledExpression


@dataclass(frozen=True)
class Entry:
    """A named data set: what it is, and which function of which module here loads it, called with what.

    The module, and the libraries it needs, are imported when it is asked for.
    """

    description: str
    module: str
    function: str
    arguments: tuple[str, ...] = ()


REGISTRY: Mapping[str, Entry] = MappingProxyType(
    {
        "digits": Entry(
            "1 797 handwritten digits, 8 × 8, built in (Alpaydin and Kaynak 1998)", "digits", "load_digits"
        ),
        "mnist": Entry("70 000 handwritten digits, 28 × 28, fetched (LeCun et al. 1998)", "mnist", "load_mnist"),
        "drugs": Entry("525 drugs and reagents, built in: Crippen logP with each atom's part", "drugs", "load_drugs"),
        "drugs-xtb": Entry(
            "the same in 3-D, computed in a minute: GFN2-xTB energy with each atom's part, HOMO-LUMO gap",
            "drugs",
            "load_drugs_xtb",
        ),
        "esol": Entry(
            "1 128 solubilities in water, fetched (Delaney 2004)", "moleculenet", "load_moleculenet", ("ESOL",)
        ),
        "freesolv": Entry(
            "642 hydration free energies, fetched (Mobley and Guthrie 2014)",
            "moleculenet",
            "load_moleculenet",
            ("FreeSolv",),
        ),
        "lipophilicity": Entry(
            "4 200 octanol-water logD, fetched (ChEMBL)", "moleculenet", "load_moleculenet", ("Lipophilicity",)
        ),
        "bbbp": Entry(
            "2 050 molecules: do they cross the blood-brain barrier? fetched (Martins et al. 2012)",
            "moleculenet",
            "load_moleculenet",
            ("BBBP",),
        ),
        "tox21": Entry(
            "7 831 molecules in 12 toxicity assays, fetched (Tox21 challenge 2014)",
            "moleculenet",
            "load_moleculenet",
            ("Tox21",),
        ),
        "qm7": Entry(
            "7 101 heats of formation with geometries, fetched (Rupp et al. 2012)", "quantum_machine", "load_qm7"
        ),
        "qm9": Entry(
            "133 885 geometries with 19 properties, fetched (Ramakrishnan et al. 2014)",
            "quantum_machine",
            "load_qm9",
        ),
        "mutag": Entry("188 nitroaromatic mutagens, fetched (Debnath et al. 1991)", "tudataset", "load_mutag"),
        "mutagenicity": Entry(
            "4 337 mutagens with marked NO2 and NH2 bonds, fetched (Kazius et al. 2005)",
            "tudataset",
            "load_mutagenicity",
        ),
        "benzene": Entry(
            "12 000 molecules: is there a benzene ring, and where? fetched (Sanchez-Lengeling et al. 2020)",
            "graph_attribution",
            "load_benzene",
        ),
        "crippen": Entry(
            "1 127 Crippen logP with each atom's part, fetched (Sanchez-Lengeling et al. 2020)",
            "graph_attribution",
            "load_crippen",
        ),
        "n_minus_o": Entry(
            "9 862 counts of nitrogens minus oxygens, fetched (Matveieva and Polishchuk 2021)",
            "ibenchmark",
            "load_ibenchmark",
            ("N_minus_O",),
        ),
        "amide": Entry(
            "10 001 counts of amides, fetched (Matveieva and Polishchuk 2021)",
            "ibenchmark",
            "load_ibenchmark",
            ("amide",),
        ),
        "simulated-motif": Entry(
            "10 000 sequences of 200 bp, made on the spot: is CTCF's motif in it, and where?",
            "simulate",
            "load_simulated",
            ("motif",),
        ),
        "simulated-pair": Entry(
            "the same for two motifs at a spacing, with negatives that have one, or both at another spacing",
            "simulate",
            "load_simulated",
            ("pair",),
        ),
        "ctcf-pu1": Entry(
            "67 849 ChIP-seq peaks of CTCF and PU.1, 100 bp, fetched (C. Ahlmann-Eltze)", "chipseq", "load_chipseq"
        ),
        "promoters": Entry(
            "53 promoters of E. coli and 53 other sequences, 57 bp, fetched (Harley and Reynolds 1987)",
            "promoters",
            "load_promoters",
        ),
        "leukemia": Entry(
            "9 020 genes in 48 patients with ALL or AML, and the Hallmark gene sets, fetched (Armstrong et al. 2002)",
            "leukemia",
            "load_leukemia",
        ),
    }
)


def names() -> tuple[str, ...]:
    """Names that :func:`load` knows."""
    return tuple(REGISTRY)


def describe(name: str) -> str:
    """One line on what a data set is; raises as :func:`load` does."""
    return _entry(name).description


@overload
def load(name: Literal["digits", "mnist"]) -> LabelledImages: ...
@overload
def load(name: Literal["simulated-motif", "simulated-pair", "ctcf-pu1", "promoters"]) -> LabelledSequences: ...
@overload
def load(name: Literal["leukemia"]) -> LabelledExpression: ...
@overload
def load(name: str) -> Labelled: ...
def load(name: str) -> Labelled:
    """Load a data set by name.

    Parameters
    ----------
    name
        One of :func:`names`.

    Raises
    ------
    DataError
        No data set has this name, or its files cannot be fetched or fail their check.

    Examples
    --------
    >>> digits = load("digits")
    >>> digits.images.shape, digits.names[:3]
    ((1797, 8, 8), ('0', '1', '2'))
    """
    entry = _entry(name)
    module = import_module(f"sciexplain.datasets.{entry.module}")
    data: Labelled = getattr(module, entry.function)(*entry.arguments)
    return data


def _entry(name: str) -> Entry:
    if name not in REGISTRY:
        raise DataError(f"no data set is named {name[:80]!r}; there are: {', '.join(REGISTRY)}")
    return REGISTRY[name]
