"""Numba backend (under construction)."""
