"""Public test tools for authors of plug-in cores and policies. The only part of `engine` that imports pytest."""

import pytest

# pytest rewrites asserts, so that they show their values, in files named test_* only.
pytest.register_assert_rewrite("engine.testing.conformance")
