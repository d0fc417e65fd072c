"""`--https` and `tremolo trust` as a browser and curl see them: nothing is switched off there."""

import contextlib
import shutil
import subprocess

import pytest

pytest.importorskip("trustme")

from tests.support.chromium import PATH, Chromium
from tests.support.processes import Server, project

needs_chromium = pytest.mark.skipif(
    PATH is None or shutil.which("certutil") is None,
    reason="THE CERTIFICATES ARE NOT TESTED IN A REAL BROWSER: that takes chromium, and certutil "
           "of libnss3-tools")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One that serves over TLS, for a user of its own."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "shop"
    folder.mkdir()
    project(folder, "over TLS")
    with Server(folder, "dev", "shop:app", "--port", "0", "--https", HOME=str(home),
                XDG_STATE_HOME=str(home / "state")) as server:
        server.wait_for("hello")
        server.home = home
        yield server


@needs_chromium
def test_a_browser_accepts_the_certificate_once_trust_was_given(server):
    name = f"https://localhost:{server.port}/"
    with contextlib.closing(Chromium(server.home)) as browser, browser.page() as page:
        page.call("Page.navigate", url=name)
        page.until("document.body && document.body.innerText.includes("
                   "'ERR_CERT_AUTHORITY_INVALID')")
    said = server.control("trust")
    assert "failed" not in said
    with contextlib.closing(Chromium(server.home)) as browser, browser.page() as page:
        for host in ("localhost", "shop.localhost", "127.0.0.1"):
            page.go(f"https://{host}:{server.port}/")
            assert page.value("document.body.innerText") == "over TLS"
            assert page.value("window.isSecureContext") is True
        page.call("Page.navigate", url=f"http://localhost:{server.port}/again")
        page.until(f"location.href === '{name}again'")


@needs_curl
def test_curl_accepts_it_with_the_authority_and_not_without(server):
    authority = server.home / "state" / "tremolo" / "ca.pem"

    def curl(*arguments):
        return subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "--max-time", "10", *arguments,
             f"https://localhost:{server.port}/"], capture_output=True, text=True)

    assert curl("--cacert", str(authority)).stdout == "over TLS"
    refused = curl()
    assert refused.returncode == 60, refused.stderr  # the certificate cannot be authenticated
