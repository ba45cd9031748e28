"""What variants of a genome do to a prediction, and to its relevance."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.genomics.explain import Strand, explain
from sciexplain.domains.genomics.formats.vcf import Variant, read_vcf
from sciexplain.domains.genomics.genome import Genome
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.lengths import length_of
from sciexplain.domains.genomics.models import Layout, Model, layout_of
from sciexplain.domains.genomics.sequences import Record, Sequences
from sciexplain.errors import DataError, SciExplainError


@dataclass(frozen=True)
class VariantEffect:
    """What one variant does.

    Attributes
    ----------
    variant
        Its place and alleles.
    interval
        What the model was shown of the chromosome, with the reference allele.
    reference, alternative
        Prediction with each allele.
    relevance_reference, relevance_alternative
        Relevance of the allele's own letters, in the explanation of the sequence with it.
    """

    variant: Variant
    interval: Interval
    reference: float
    alternative: float
    relevance_reference: float
    relevance_alternative: float

    @property
    def effect(self) -> float:
        """Prediction with the alternative − with the reference."""
        return self.alternative - self.reference

    @property
    def relevance_effect(self) -> float:
        """Relevance of the alternative allele − of the reference allele."""
        return self.relevance_alternative - self.relevance_reference


_COLUMNS = ("chrom", "position", "id", "ref", "alt", "reference", "alternative", "effect",
            "relevance_reference", "relevance_alternative", "relevance_effect")  # fmt: skip


@dataclass(frozen=True)
class VariantEffects(Sequence[VariantEffect]):
    """Effects in the order of the file, and the variants that have none.

    Attributes
    ----------
    effects
        One for each variant that could be shown to the model.
    failures
        (variant, reason) of the others.
    """

    effects: tuple[VariantEffect, ...]
    failures: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.effects)

    def __getitem__(self, i: Any) -> Any:
        return self.effects[i]

    def rows(self) -> Iterator[dict[str, Any]]:
        """One dict each, ``position`` 1-based as in VCF."""
        for e in self.effects:
            v = e.variant
            values = (v.chrom, v.position + 1, v.id, v.ref, v.alt, e.reference, e.alternative, e.effect,
                      e.relevance_reference, e.relevance_alternative, e.relevance_effect)  # fmt: skip
            yield dict(zip(_COLUMNS, values, strict=True))

    def to_pandas(self) -> Any:
        """A data frame, ``position`` 1-based as in VCF."""
        return require("pandas", extra="genomics").DataFrame(list(self.rows()), columns=list(_COLUMNS))

    def to_parquet(self, path: str | PathLike[str]) -> None:
        """The same as a parquet file."""
        self.to_pandas().to_parquet(path, index=False)


def variant_effects(
    model: Model,
    variants: str | PathLike[str] | Iterable[Variant],
    genome: Any,
    target: Any = None,
    *,
    length: int | None = None,
    method: str = "lrp",
    strand: Strand = "+",
    layout: Layout | None = None,
    batch_size: int = 64,
    **options: Any,
) -> VariantEffects:
    """What variants do, by the difference of predictions and by the difference of relevance.

    Parameters
    ----------
    model
        As for :func:`explain`.
    variants
        A VCF file, or :class:`Variant`.
    genome
        A :class:`Genome`, or the file of one.
    target
        As for :func:`explain`; None: the class predicted with the reference allele.
    length
        Of the window around the variant's first base, in bp; None: what the model takes.
    method, strand, **options
        As for :func:`explain`.
    batch_size
        Variants at a time.

    Returns
    -------
    :class:`VariantEffects`; variants that cannot be shown to the model are in ``failures``, with a warning: symbolic
    alleles, chromosomes that are not there, reference alleles that the genome has not.

    Notes
    -----
    Both alleles begin at the same letter of the window, L // 2. An insertion pushes letters out on the right, a
    deletion lets more of the chromosome in. Beyond the ends of a chromosome there is N.

    Raises
    ------
    DataError
        A file cannot be read.
    """
    opened = not isinstance(genome, Genome)
    source = Genome(genome) if opened else genome
    failures: list[tuple[str, str]] = []

    def fail(name: str, error: SciExplainError) -> None:
        failures.append((name, str(error)))

    listed = read_vcf(Path(variants), on_error=fail) if isinstance(variants, str | PathLike) else variants
    length = length or length_of(model, layout=layout)
    effects: list[VariantEffect] = []
    batch: list[tuple[Variant, Interval, str, str]] = []
    try:
        for variant in listed:
            try:
                batch.append((variant, *_windows(variant, source, length)))
            except SciExplainError as error:
                fail(str(variant), error)
                continue
            if len(batch) == batch_size:
                effects += _effects(model, batch, target, method, strand, layout, options)
                batch = []
        if batch:
            effects += _effects(model, batch, target, method, strand, layout, options)
    finally:
        if opened:
            source.close()
    if failures:
        warnings.warn(
            f"{len(failures)} of {len(failures) + len(effects)} variants have no effect computed (see .failures); the "
            f"first is {failures[0][0]}: {failures[0][1]}",
            stacklevel=2,
        )
    return VariantEffects(tuple(effects), tuple(failures))


def _windows(variant: Variant, genome: Genome, length: int) -> tuple[Interval, str, str]:
    """What is shown of the chromosome, and both alleles' sequences."""
    size = genome.length_of(variant.chrom)
    begin, behind = variant.position - length // 2, variant.interval.end
    if behind > size:
        raise DataError(f"{variant} lies beyond the end of {variant.chrom}, which has {size} bp")
    there = genome.fetch(variant.interval)
    if there.upper() != variant.ref.upper():
        swapped = genome.window(variant.chrom, variant.position, variant.position + len(variant.alt))
        hint = "; it has the alternative allele: are they swapped?" if swapped.upper() == variant.alt.upper() else ""
        raise DataError(f"{variant}: the genome has {there.upper()} there, not {variant.ref}{hint}")
    left = genome.window(variant.chrom, begin, variant.position)
    right = genome.window(variant.chrom, behind, behind + length)
    shown = [(left + allele + right)[:length] for allele in (there, variant.alt)]
    return Interval(variant.chrom, max(0, begin), min(size, begin + length)), shown[0], shown[1]


def _effects(
    model: Model,
    batch: list[Any],
    target: Any,
    method: str,
    strand: Strand,
    layout: Layout | None,
    options: dict[str, Any],
) -> list[VariantEffect]:
    def asked(place: int, target: Any) -> Any:
        records = [Record(str(item[0]), item[place]) for item in batch]
        sequences = Sequences.of(records)
        found = layout or layout_of(model, sequences)
        return explain(model, sequences, target, method, strand, layout=found, **options)

    reference = asked(2, target)
    alternative = asked(3, target if reference.target is None else reference.target)
    effects = []
    for i, (variant, interval, shown, _) in enumerate(batch):
        middle = len(shown) // 2
        a = reference.nucleotides[i, middle : middle + len(variant.ref)].sum()
        b = alternative.nucleotides[i, middle : middle + len(variant.alt)].sum()
        numbers = (reference.score[i], alternative.score[i], a, b)
        effects.append(VariantEffect(variant, interval, *(float(n) for n in numbers)))
    return effects
