"""One picture's decision, at hand to be asked again."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from sciexplain.records import Answer, Case
from sciexplain.records.tensor_case import case_of

if TYPE_CHECKING:
    from sciexplain.domains.images.explain import ImageExplanation


def picture_case(e: ImageExplanation, i: int) -> Case:
    """The case of picture i of an explanation."""
    picture = e.pictures[i]
    rows, columns = picture.size
    described = {"picture": f"{columns} × {rows} pixels"}
    if e.preprocess is not None:
        described["preprocessing"] = str(e.preprocess)
    name = picture.name

    def drawn(answer: Answer) -> bytes:
        from matplotlib import pyplot as plt

        from sciexplain.domains.images.figures import figure

        made = figure(e, indices=[i])
        buffer = io.BytesIO()
        made.savefig(buffer, format="png", dpi=200)
        plt.close(made)
        return buffer.getvalue()

    return case_of(e.explanation, i, name=name, described=described, kind="image", picture=drawn)
