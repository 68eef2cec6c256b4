"""The composition root: the one place that builds kernel, store, cores and exporters, and connects them."""
