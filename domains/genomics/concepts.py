"""What a network looks for in sequences: its top channels as logos of what they saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.concepts import Concepts
from sciexplain.concepts import top as top_of
from sciexplain.domains.genomics.alphabet import DNA, Alphabet
from sciexplain.domains.genomics.drawing.logo import draw_logo
from sciexplain.domains.genomics.models import Layout, Model, arranged, layout_of
from sciexplain.domains.genomics.motif import Motif, Seqlet
from sciexplain.domains.genomics.prototypes import as_inputs
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROUNDS = 10
_ROW, _GAP, _MARGIN, _LABEL = 1.0, 0.55, 0.3, 1.45
_LOGO, _TRACK = 2.9, 6.0


@dataclass(frozen=True, eq=False)
class SequenceConcepts:
    """The top channels of a layer, each with the sequences in which it is most relevant.

    Attributes
    ----------
    concepts
        What :func:`sciexplain.concepts.top` found.
    sequences
        All that were looked at.
    relevance
        (k, m, letters, L): relevance that passes each channel, in each of its sequences.
    focus
        (k, m, letters, L): that of the one position where the channel has most.
    """

    concepts: Concepts
    sequences: Sequences
    relevance: NDArray[np.float64]
    focus: NDArray[np.float64]

    def motifs(self, width: int | None = None) -> tuple[Motif, ...]:
        """What each channel saw, laid over each other; sequences in which it has no positive relevance are left out.

        Parameters
        ----------
        width
            In letters; None: as far as a channel's most relevant position reaches, in most of its sequences.

        Raises
        ------
        InputError
            The letters are not those of DNA or RNA, or a width that is none.
        """
        if len(self.sequences.alphabet) != 4:
            raise InputError(f"Motifs are of nucleotides; these are sequences of {self.sequences.alphabet.name}.")
        if width is not None and not 1 <= width <= self.sequences.length:
            raise InputError(f"width={width}: expected 1 to {self.sequences.length}.")
        return tuple(self._motif(row, width) for row in range(len(self.concepts)))

    def _motif(self, row: int, width: int | None) -> Motif:
        """Of one channel."""
        kept = np.flatnonzero(self.concepts.scores[row].numpy() > 0)
        channel = self.concepts.channels[row]
        if not len(kept):
            raise InputError(f"Channel {channel} has positive relevance in none of its sequences.")
        indices = self.concepts.indices[row].tolist()
        letters = self.sequences.one_hot[[indices[i] for i in kept]].double().cpu().numpy()
        focus = self.focus[row][kept]
        starts, wide = aligned(letters * focus.sum(1, keepdims=True), width)
        ppm, contributions = np.zeros((wide, 4)), np.zeros((wide, 4))
        for x, r, start in zip(letters, self.relevance[row][kept], starts, strict=True):
            inside = slice(max(start, 0), min(start + wide, x.shape[1]))
            there = slice(inside.start - start, inside.stop - start)
            ppm[there] += x[:, inside].T
            contributions[there] += (x[:, inside] * r[:, inside].sum(0)).T
        seen = ppm.sum(1, keepdims=True)
        return Motif(
            f"channel {channel}",
            np.divide(ppm, seen, out=np.full_like(ppm, 0.25), where=seen > 0),
            contributions / len(kept),
            seqlets=tuple(
                Seqlet(indices[i], int(start), int(start) + wide) for i, start in zip(kept, starts, strict=True)
            ),
            count=len(kept),
        )

    def figure(self, width: int | None = None) -> Figure:
        """For each channel the logo of what it saw, what the letters contributed, and the sequence with most of it."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        found = self.motifs(width)
        wide = _LABEL + 2 * (_LOGO + 0.65) + _TRACK + 2 * _MARGIN
        tall = len(found) * (_ROW + _GAP) + 2 * _MARGIN
        figure = Figure(figsize=(wide, tall), facecolor="white")
        FigureCanvasAgg(figure)
        alphabet = self.sequences.alphabet
        for row, motif in enumerate(found):
            top = _MARGIN + row * (_ROW + _GAP) + 0.25

            def axes(left: float, width: float, top: float = top) -> Any:
                return figure.add_axes((left / wide, 1 - (top + _ROW) / tall, width / wide, _ROW / tall))

            share = f"{motif.name}\n{100 * float(self.concepts.share[row]):.0f} % of what\nspeaks for it"
            figure.text(_MARGIN / wide, 1 - (top + _ROW / 2) / tall, share, size=8, va="center")
            left = _MARGIN + _LABEL
            seqlet = motif.seqlets[0]
            logo, mean, track = (axes(left + i * (_LOGO + 0.65), _TRACK if i == 2 else _LOGO) for i in range(3))
            draw_logo(motif.ppm, ax=logo, alphabet=alphabet, kind="information", count=motif.count)
            draw_logo(np.asarray(motif.contributions), ax=mean, alphabet=alphabet)
            window = (max(seqlet.start, 0), min(seqlet.end, self.sequences.length))
            draw_logo(self._track(row, 0), ax=track, alphabet=alphabet, highlight=[window])
            logo.set_title(f"{motif.count} sequences", size=8, loc="left", pad=2)
            mean.set_title("their mean relevance", size=8, loc="left", pad=2)
            most = f"{self.sequences.names[seqlet.row]}: {float(self.concepts.scores[row, 0]):.3g}"
            track.set_title(most, size=8, loc="left", pad=2)
            for ax in (logo, mean, track):
                ax.tick_params(labelsize=7)
                ax.yaxis.label.set_size(7)
        return figure

    def _track(self, row: int, column: int) -> NDArray[np.float64]:
        """(L, letters): relevance that passes a channel, at the letters that are there."""
        index = int(self.concepts.indices[row, column])
        letters = self.sequences.one_hot[index].double().cpu().numpy()
        return (letters * self.relevance[row, column].sum(0)).T


def top_concepts(
    model: Model,
    sequences: Any,
    target: Any = None,
    layer: str = "",
    k: int = 5,
    *,
    examples: int = 100,
    alphabet: str | Alphabet = DNA,
    layout: Layout | None = None,
    **options: Any,
) -> SequenceConcepts:
    """The channels of a layer that matter most for an output, in the sequences in which they matter most.

    Parameters
    ----------
    model, sequences, alphabet, layout
        As in :func:`sciexplain.domains.genomics.explain`.
    target, layer, k, examples, **options
        As in :func:`sciexplain.concepts.top`; logos want more examples than pictures do.

    Raises
    ------
    InputError, DataError, TargetError, ModelError, RuleError
    """
    batch = Sequences.of(sequences, alphabet)
    layout = layout_of(model, batch, layout)
    found = top_of(model, as_inputs(model, batch, layout), target, layer, k, examples=examples, **options)
    letters = len(batch.alphabet)

    def by_letter(values: Any) -> NDArray[np.float64]:
        return np.asarray(arranged(values, layout)[..., :letters, :].double().cpu().numpy())

    return SequenceConcepts(found, batch, by_letter(found.heatmaps), by_letter(found.focus))


def aligned(seen: NDArray[np.float64], width: int | None = None) -> tuple[NDArray[np.int64], int]:
    """Where windows begin, so that what was seen lies over each other, and how wide they are.

    Windows begin where the relevance does, where that is as wide in most; else around its centre, and are then shifted,
    each to where it is most like the mean of all, until none moves.

    Parameters
    ----------
    seen
        (m, letters, L): relevance of what one position saw, at the letters that are there.
    width
        None: the commonest.
    """
    size = np.abs(seen).sum(1)
    first, last = (size > 0).argmax(1), size.shape[1] - (size[:, ::-1] > 0).argmax(1)
    widths, counts = np.unique(last - first, return_counts=True)
    commonest = int(widths[counts.argmax()])
    if width is None or width == commonest:
        width = commonest
        if counts.max() >= 0.9 * len(seen):
            return first, width
    centre = (size * np.arange(size.shape[1])).sum(1) / np.maximum(size.sum(1), 1e-300)
    starts = np.rint(centre - (width - 1) / 2).astype(np.int64)
    padded = np.pad(seen, ((0, 0), (0, 0), (width, width)))
    reach = np.arange(-(width // 4), width // 4 + 1)
    starts = np.clip(starts, -width // 2, size.shape[1] - width // 2)

    def window(i: int, start: int) -> NDArray[np.float64]:
        begin = int(np.clip(start + width, 0, padded.shape[2] - width))
        return np.asarray(padded[i, :, begin : begin + width])

    for _ in range(_ROUNDS):
        mean = np.mean([window(i, s) for i, s in enumerate(starts)], axis=0)
        scores = np.array([[(window(i, s + d) * mean).sum() for d in reach] for i, s in enumerate(starts)])
        # of equals, the least shift
        moves = reach[np.argmax(scores - 1e-12 * np.abs(reach) * np.abs(scores).max(), axis=1)]
        if not moves.any():
            break
        starts = starts + moves
    return starts, width
