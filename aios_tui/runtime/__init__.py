"""The composition root: builds kernel, store, cores and exporters."""
