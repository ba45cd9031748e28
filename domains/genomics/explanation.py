"""Relevance of the letters of sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import sciexplain as sx
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from sciexplain.records import Record


@dataclass(frozen=True, eq=False)
class SequenceExplanation:
    """Relevance of N sequences, in units of the explained output and in the direction in which they were given.

    Attributes
    ----------
    sequences
        What was explained, and where it lies.
    nucleotides
        (N, L): relevance of each position.
    contributions
        (N, letters, L): the same at the letter that is there, zero elsewhere. At positions without a letter, such as N,
        there is none to carry it.
    score
        (N,): the explained output; its mean over both strands for ``strand="both"``.
    target
        (N,): the class explained for each sequence; None for a callable or a start relevance.
    method, strand
        As asked.
    extra
        (N, channels, L): relevance of the channels after the letters; None without.
    explanations
        What :func:`sciexplain.explain` gave, ``ledger`` and ``unknown`` included: one for each strand, and for tokens
        one for each number of them.
    again
        The same question about other sequences (in the order of these), with the same targets.
    """

    sequences: Sequences
    nucleotides: Tensor
    contributions: Tensor
    score: Tensor
    target: Tensor | None = None
    method: str = "lrp"
    strand: str = "+"
    extra: Tensor | None = None
    explanations: tuple[sx.Explanation, ...] = ()
    again: Callable[[Sequences], SequenceExplanation] | None = None
    _hypothetical: Tensor | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        sequences: Sequences,
        *,
        nucleotides: Tensor | None = None,
        contributions: Tensor | None = None,
        hypothetical: Tensor | None = None,
        score: Tensor | None = None,
        **others: Any,
    ) -> SequenceExplanation:
        """From relevance that was computed elsewhere.

        Parameters
        ----------
        nucleotides, contributions, hypothetical
            One of them is enough; what is missing follows from it as far as it can.
        score
            (N,); default: the sum of relevance.
        **others
            Further attributes.

        Raises
        ------
        InputError
            Nothing is given, or shapes do not fit the sequences.
        """
        x = sequences.one_hot
        if contributions is None:
            if hypothetical is not None:
                contributions = x * hypothetical
            elif nucleotides is not None:
                contributions = x * nucleotides[:, None]
            else:
                raise InputError("Give nucleotides (N, L), contributions or hypothetical (N, letters, L).")
        nucleotides = contributions.sum(1) if nucleotides is None else nucleotides
        for name, value, shape in (
            ("nucleotides", nucleotides, (len(sequences), sequences.length)),
            ("contributions", contributions, tuple(x.shape)),
            ("hypothetical", hypothetical, tuple(x.shape)),
        ):
            if value is not None and tuple(value.shape) != shape:
                raise InputError(f"{name} has shape {tuple(value.shape)}; expected {shape} for these sequences.")
        score = nucleotides.sum(1) if score is None else score
        return cls(sequences, nucleotides, contributions, score, _hypothetical=hypothetical, **others)

    def record(self, row: int = 0, **options: Any) -> Record:
        """The record of one sequence's decision; options as for :func:`sciexplain.records.record`."""
        from sciexplain.domains.genomics.case import sequence_case
        from sciexplain.records import record

        return record(sequence_case(self, row), **{"expected": self.nucleotides[row], **options})

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, rows: int | slice | Sequence[int]) -> SequenceExplanation:
        """Some of the sequences, in that order."""
        places = list(range(len(self)))[rows] if isinstance(rows, slice) else [rows] if isinstance(rows, int) else rows
        chosen = list(places)

        def part(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[chosen]

        of_rows = getattr(self.again, "rows", None)
        return replace(
            self,
            sequences=self.sequences[chosen],
            nucleotides=self.nucleotides[chosen],
            contributions=self.contributions[chosen],
            score=self.score[chosen],
            target=part(self.target),
            extra=part(self.extra),
            explanations=(),
            again=self.again if of_rows is None else of_rows(chosen),
            _hypothetical=part(self._hypothetical),
        )

    @property
    def hypothetical(self) -> Tensor:
        """(N, letters, L): what each letter would get at each place, as TF-MoDISco needs it.

        Equal to ``contributions`` at the letters that are there.

        Raises
        ------
        InputError
            The method or its rules define none.
        """
        if self._hypothetical is None:
            raise InputError(
                f"method={self.method!r} as asked defines no hypothetical contributions: tokens, vargrad, methods "
                "without multipliers, and composites whose first rule yields relevance itself (z^B, w², flat) have "
                'none. Use composite="epsilon" or "epsilon_plus", "deepshap", "integrated_gradients" or "mutagenesis".'
            )
        return self._hypothetical

    @property
    def has_hypothetical(self) -> bool:
        """Whether :attr:`hypothetical` is defined."""
        return self._hypothetical is not None

    def centred(self) -> SequenceExplanation:
        """With hypothetical contributions less their mean over the letters of each position.

        What no letter could change is left out: on one-hot sequences a gradient across letters is arbitrary in it
        (Majdandzic et al. 2023, *Correcting gradient-based interpretations of deep neural networks for genomics*,
        Genome Biology 24). Relevance no longer adds up to the score.

        Raises
        ------
        InputError
            There are no hypothetical contributions.
        """
        hypothetical = self.hypothetical - self.hypothetical.mean(1, keepdim=True)
        contributions = self.sequences.one_hot.to(hypothetical) * hypothetical
        again = self.again
        return replace(
            self,
            nucleotides=contributions.sum(1),
            contributions=contributions,
            again=None if again is None else lambda sequences: again(sequences).centred(),
            _hypothetical=hypothetical,
        )

    @property
    def ledger(self) -> sx.Ledger | None:
        """Where the score went, for one strand; None unless asked for."""
        return self.explanations[0].ledger if len(self.explanations) == 1 else None

    def to_bigwig(
        self, path: str | PathLike[str], chrom_sizes: Mapping[str, int] | None = None, **options: Any
    ) -> None:
        """Relevance along the genome; see :func:`~sciexplain.domains.genomics.formats.bigwig.write_bigwig`.

        Parameters
        ----------
        chrom_sizes
            Length of every chromosome in bp, such as ``Genome.chroms``; None: to the last sequence's end.
        """
        from sciexplain.domains.genomics.formats.bigwig import write_bigwig

        write_bigwig(path, self, chrom_sizes, **options)

    def to_bedgraph(self, path: str | PathLike[str], **options: Any) -> None:
        """The same as text; see :func:`~sciexplain.domains.genomics.formats.bigwig.write_bedgraph`."""
        from sciexplain.domains.genomics.formats.bigwig import write_bedgraph

        write_bedgraph(path, self, **options)

    def to_parquet(self, path: str | PathLike[str]) -> None:
        """A row for each nucleotide; see :func:`~.formats.nucleotide_table.write_parquet`."""
        from sciexplain.domains.genomics.formats.nucleotide_table import write_parquet

        write_parquet(path, self)

    def __repr__(self) -> str:
        lines = [f"SequenceExplanation({self.method}, {len(self)} sequences of {self.sequences.length} letters)"]
        texts = self.sequences[: min(3, len(self))].texts
        for i, text in enumerate(texts):
            top = self.nucleotides[i].abs().topk(min(3, len(text))).indices.tolist()
            letters = ", ".join(f"{text[t]}{t} {self.nucleotides[i, t]:+.3g}" for t in sorted(top))
            lines.append(f"  {self.sequences.names[i]}: {float(self.score[i]):.4g}, of that {letters}, …")
        return "\n".join(lines)


def joined(parts: Sequence[SequenceExplanation]) -> SequenceExplanation:
    """Several explanations of the same question as one.

    Raises
    ------
    InputError
        There is none.
    """
    if not parts:
        raise InputError("There are no explanations to join.")
    first = parts[0]
    sequences = replace(
        first.sequences,
        inputs=torch.cat([p.sequences.inputs for p in parts]),
        names=tuple(n for p in parts for n in p.sequences.names),
        intervals=tuple(i for p in parts for i in p.sequences.intervals),
        mask=None,
    )
    tensors: dict[str, Any] = {
        name: None if getattr(first, name) is None else torch.cat([getattr(p, name) for p in parts])
        for name in ("nucleotides", "contributions", "score", "target", "extra", "_hypothetical")
    }
    of_all = getattr(first.again, "joined", None)
    return replace(
        first,
        sequences=sequences,
        explanations=tuple(e for p in parts for e in p.explanations),
        again=None if of_all is None else of_all([p.again for p in parts]),
        **tensors,
    )
