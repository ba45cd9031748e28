"""Words that may not occur, as a finite automaton that never completes one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.genomics.alphabet import DNA, Alphabet
from sciexplain.domains.genomics.encode import reverse_complement_of
from sciexplain.errors import InputError

_MOST_STATES = 20_000


def both_strands(motifs: Sequence[str], alphabet: Alphabet = DNA) -> tuple[str, ...]:
    """Motifs and their reverse complements, upper case, each once; as they are where there are no strands.

    Examples
    --------
    >>> both_strands(["GAATTC", "ggtctc"])
    ('GAATTC', 'GGTCTC', 'GAGACC')
    """
    upper = [motif.upper() for motif in motifs]
    turned = [[m, reverse_complement_of(m, alphabet)] if alphabet.complement else [m] for m in upper]
    return tuple(dict.fromkeys(m for pair in turned for m in pair))


def automaton(motifs: Sequence[str], alphabet: Alphabet = DNA) -> NDArray[np.int64]:
    """The states that letters lead to, as long as no motif is completed.

    A state is the set of beginnings of motifs that the letters so far end in, found by Shift-And (Baeza-Yates and
    Gonnet, *A new approach to text searching*, CACM 35, 74, 1992) and made deterministic; so IUPAC letters, which stand
    for several, need no list of all words.

    Parameters
    ----------
    motifs
        Letters of the alphabet, or ambiguous ones. Other strands are not added: see :func:`both_strands`.

    Returns
    -------
    (states, letters + 1): from a state and a letter to the next; -1 where that completes a motif. The last column is
    that of a letter that is unknown, which is in no motif. State 0 is the beginning.

    Raises
    ------
    InputError
        A motif is empty, has a letter that the alphabet has not, or there are more than 20 000 states.

    Examples
    --------
    >>> automaton(["AA"])
    array([[ 1,  0,  0,  0,  0],
           [-1,  0,  0,  0,  0]])
    """
    after = [0] * len(alphabet)
    begins = ends = place = 0
    for motif in motifs:
        begins |= 1 << place
        for letter in _checked(motif, alphabet):
            for option in letter:
                after[option] |= 1 << place
            place += 1
        ends |= 1 << (place - 1)
    known, rows = {0: 0}, []
    for state in (queue := [0]):
        reached = [((state << 1) | begins) & fits for fits in after] + [0]
        row = []
        for found in reached:
            if not found & ends and found not in known:
                known[found] = len(known)
                queue.append(found)
            row.append(-1 if found & ends else known[found])
        rows.append(row)
        if len(known) > _MOST_STATES:
            raise InputError(
                f"forbidden={list(motifs)}: more than {_MOST_STATES} states are needed to follow them; give fewer or "
                "shorter motifs, or such with fewer ambiguous letters."
            )
    return np.array(rows, dtype=np.int64)


def _checked(motif: str, alphabet: Alphabet) -> list[list[int]]:
    """For each letter of a motif, the letters that it stands for."""
    options = {letter: letter for letter in alphabet.letters} | dict(alphabet.ambiguous)
    options |= {letter: same for letter, same in alphabet.synonyms.items()}
    if not motif or any(not options.get(letter) for letter in motif):
        raise InputError(
            f"forbidden motif {motif!r}; expected letters of {alphabet.letters}, or ambiguous ones such as "
            f"{alphabet.unknown}."
        )
    return [[alphabet.letters.index(option) for option in options[letter]] for letter in motif]
