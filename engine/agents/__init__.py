"""Agents: the programs that carry tasks out, and the catalogue of them."""
