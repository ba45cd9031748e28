"""Explain every region of a BED file, then list the sites that were found, what they look like, and the genes nearby.

    python bed_file.py MODEL REGIONS GENOME RUN [--length 100 --genes genes.gff3 --motifs jaspar.meme --strand both]

MODEL is a folder that `sciexplain train genomics` made, or path/to/file.py:FUNCTION. REGIONS is BED or narrowPeak,
GENOME a FASTA of the same assembly (plain, gzip or bgzip). RUN is made, and holds motifs.html to open first, sites as
BED and GFF3, relevance.bw for a genome browser, and the regions that failed with the reason; the same call goes on
where it was stopped. Options that are not listed by --help go to `sciexplain explain genomics` as they are.
"""

import argparse
import sys

import sciexplain as sx
from sciexplain.cli import call

TABLES = {
    "sites": ["chrom", "start", "end", "strand", "score", "q", "sequence"],
    "matches": ["motif", "target", "q"],
    "genes": ["name", "chrom", "start", "end", "n_sites", "relevance", "relation", "distance", "q"],
}
"""Of the run, and their columns to print."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a trained folder, or path/to/file.py:FUNCTION")
    parser.add_argument("regions", help="BED or narrowPeak")
    parser.add_argument("genome", help="FASTA")
    parser.add_argument("run", help="folder for the result")
    parser.add_argument("--show", type=int, default=20, help="rows of each table to print")
    given, further = parser.parse_known_args()

    inputs = ("--model", given.model, "--data", given.regions, "--genome", given.genome, "--out", given.run)
    code = call("explain", "genomics", *inputs, *further)
    if code > 1:  # wrong usage; 1 means that some regions failed
        return code

    run = sx.open_run(given.run)
    rows = run.rows.to_table(columns=["id", "prediction", "score"]).to_pandas().sort_values("score", ascending=False)
    print(f"highest scores of {len(rows)} regions:")
    print(rows.head(given.show).to_string(index=False))
    for name, columns in TABLES.items():
        try:
            table = run.table(name).to_table(columns=columns).to_pandas()
        except sx.DataError:  # nothing was found, or it was not asked for
            continue
        print(f"\n{name}: {len(table)}")
        if len(table):
            print(table.head(given.show).to_string(index=False))
    for failure in run.errors.slice(0, 5).to_pylist():
        print(f"failed: {failure['reason']}")
    return code


if __name__ == "__main__":
    sys.exit(main())
