"""Explain every picture of a folder, then list the decisions that deserve a second look.

    python folder_of_pictures.py MODEL FOLDER RUN [--mean 0.5 --std 0.5 --resize 224 --composite epsilon_plus_flat]

MODEL is a folder that `sciexplain train images` made, or path/to/file.py:FUNCTION, a function that returns a network;
its weights go to --weights. RUN is made, and holds a row per picture, pictures that failed with the reason, and
drawings; the same call goes on where it was stopped. Options that are not listed by --help go to
`sciexplain explain images` as they are.

The table puts first what is least certain, and says how much of the relevance lies on the rim: a network that looks at
the frame of a picture may have learnt a stamp, a scale bar or a scanner's edge.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np

import sciexplain as sx
from sciexplain.cli import call


def rim_share(relevance: Sequence[float], shape: Sequence[int], width: float = 0.1) -> float:
    """The share of absolute relevance in a frame of this part of the sides; NaN where there is none."""
    heat = np.abs(np.reshape(relevance, shape)).sum(0)
    rows, columns = (max(1, round(width * side)) for side in heat.shape)
    inside = heat[rows:-rows, columns:-columns].sum()
    return float(1 - inside / heat.sum()) if heat.sum() else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a trained folder, or path/to/file.py:FUNCTION")
    parser.add_argument("folder", help="pictures: PNG, JPEG, TIFF, NPY")
    parser.add_argument("run", help="folder for the result")
    parser.add_argument("--show", type=int, default=20, help="rows to print")
    given, further = parser.parse_known_args()

    code = call("explain", "images", "--model", given.model, "--data", given.folder, "--out", given.run, *further)
    if code > 1:  # wrong usage; 1 means that some pictures failed
        return code

    run = sx.open_run(given.run)
    columns = ["id", "prediction", "runner_up", "probability", "score", "relevance", "shape"]
    table = run.rows.to_table(columns=columns).to_pandas()
    area = rim_share(np.ones(np.prod(table["shape"][0])), table["shape"][0]) if len(table) else float("nan")
    table["on the rim"] = [rim_share(r, s) for r, s in zip(table.pop("relevance"), table.pop("shape"), strict=True)]
    print(table.sort_values("probability").head(given.show).to_string(index=False, float_format="{:.3f}".format))
    print(f"\non the rim, all pictures: {table['on the rim'].mean():.1%} of the relevance, {area:.1%} of the area")
    for failure in run.errors.slice(0, 5).to_pylist():
        print(f"failed: {failure['reason']}")
    return code


if __name__ == "__main__":
    sys.exit(main())
