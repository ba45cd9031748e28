"""Molecules: why a model says what it says, by atoms, bonds, walks and fragments."""
