"""For all tests: assertions of the modules that support them are rewritten as those of tests are,
so that they explain themselves, and hold under `python -O`."""

import pytest

pytest.register_assert_rewrite(
    "tests.support", "tests.app", "tests.frameworks", "tests.protocol", "tests.worker")
