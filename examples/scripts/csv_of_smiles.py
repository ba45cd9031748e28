"""Explain every molecule of a table of SMILES, then list what raises and what lowers the prediction.

    python csv_of_smiles.py MODEL TABLE RUN [--smiles COLUMN --name COLUMN --unit "log mol/L"]

MODEL is a folder that `sciexplain train molecules` made, a chemprop checkpoint, a SchNetPack folder, or
path/to/file.py:FUNCTION. TABLE is CSV, TSV, Parquet, SMI or SDF. RUN is made, and holds molecules.sdf, tables of atoms,
bonds and fragments, and the rows that failed with the reason; the same call goes on where it was stopped. Options that
are not listed by --help go to `sciexplain explain molecules` as they are.

Printed are the molecules at both ends, and the mean relevance of every BRICS fragment that occurs often: what the model
has to say of a building block, over the whole table.
"""

import argparse
import sys

import sciexplain as sx
from sciexplain.cli import call


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a trained folder, a checkpoint, or path/to/file.py:FUNCTION")
    parser.add_argument("table", help="molecules: CSV, TSV, Parquet, SMI or SDF")
    parser.add_argument("run", help="folder for the result")
    parser.add_argument("--least", type=int, default=5, help="occurrences that a fragment needs to be listed")
    given, further = parser.parse_known_args()

    inputs = ("--model", given.model, "--data", given.table, "--out", given.run)
    code = call("explain", "molecules", *inputs, "--fragments", "brics", *further)
    if code > 1:  # wrong usage; 1 means that some molecules failed
        return code

    run = sx.open_run(given.run)
    rows = run.rows.to_table(columns=["id", "input", "score"]).to_pandas().sort_values("score", ascending=False)
    print(rows.iloc[[*range(min(5, len(rows))), *range(max(5, len(rows) - 5), len(rows))]].to_string(index=False))

    parts = run.table("fragments").to_table(columns=["smiles", "relevance", "unit"]).to_pandas()
    found = parts.groupby("smiles")["relevance"].agg(["count", "mean", "std"]).query("count >= @given.least")
    unit = parts["unit"].iloc[0] if len(parts) else ""
    print(f"\nBRICS fragments that occur {given.least} times or more, mean relevance{f' in {unit}' if unit else ''}:")
    print(found.sort_values("mean", ascending=False).to_string(float_format="{:+.3f}".format))
    for failure in run.errors.slice(0, 5).to_pylist():
        print(f"failed: {failure['reason']}")
    return code


if __name__ == "__main__":
    sys.exit(main())
