"""One browser for all tests of this folder; they are skipped, and say so, where there is none."""

import pytest

from tests.support import chromium


@pytest.fixture(scope="session")
def browser():
    if chromium.PATH is None:
        pytest.skip("NOT TESTED IN A REAL BROWSER: chromium is not installed")
    browser = chromium.Chromium()
    yield browser
    browser.close()


def pytest_terminal_summary(terminalreporter):
    if chromium.PATH is None:
        terminalreporter.write_line(
            "tests/browser: NOT TESTED IN A REAL BROWSER, for chromium is not installed",
            yellow=True, bold=True)
