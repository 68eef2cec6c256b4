"""The routes of the AIOS kernel, as its clients call them; see docs/aios.md."""
