"""A run as a folder of pages that open from disk: what came out, sample by sample, and all together."""

from sciexplain.report.content import Column, Content, Table

__all__ = ["Column", "Content", "Table"]
