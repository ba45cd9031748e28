"""Logos, tracks and the page of motifs."""
