"""What tests of `wsgi` have in common: an application that is served, and one client."""

import pytest

from tests.support.serving import conversing, serving_wsgi


@pytest.fixture
def conversation(loop_name):
    """Serves an application while `talk(site, client)` runs."""
    return conversing(serving_wsgi, loop_name)
