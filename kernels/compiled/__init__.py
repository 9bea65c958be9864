"""Compiled backend (under construction)."""
