"""`--https` and `tremolo trust`: a certificate authority of the user's own, and its certificates.

The authority is made once and kept in the user's state folder, where only the user can read its
key. Everything of X.509 is done by the package trustme.
"""

import datetime
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
from typing import Any, List, Tuple

from ..addresses import host_names, lan_addresses, project_host
from ..exceptions import ConfigurationError

DAYS = 365  # browsers accept no certificate for much more than a year
RENEW = 30  # days before its end
SYSTEM_STORES = (
    ("/usr/local/share/ca-certificates", "tremolo.crt", "update-ca-certificates"),
    ("/etc/pki/ca-trust/source/anchors", "tremolo.pem", "update-ca-trust"),
    ("/etc/ca-certificates/trust-source/anchors", "tremolo.crt", "trust extract-compat"))


def state_folder() -> str:
    """The folder for what lasts, made if need be, readable by the user alone."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.local/state")
    path = os.path.join(base, "tremolo")
    try:
        os.makedirs(path, 0o700, exist_ok=True)
        os.chmod(path, 0o700)
    except OSError as exc:
        raise ConfigurationError(f"cannot make the folder {path}: {exc.strerror}") from None
    return path


def authority_paths() -> Tuple[str, str]:
    """The files of the authority: its certificate, and its key."""
    folder = state_folder()
    return os.path.join(folder, "ca.pem"), os.path.join(folder, "ca-key.pem")


def certificate(folder: str) -> str:
    """The file (PEM) with a key and a certificate for all names of this machine, and that of the
    project in `folder`. Raises ConfigurationError."""
    names = ["localhost", "*.localhost", project_host(folder), "127.0.0.1", "::1",
             *host_names(), *lan_addresses()]
    authority, fresh = _authority()
    key = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    path = os.path.join(state_folder(), f"cert-{key}.pem")
    if not fresh and _is_valid(path):
        return path
    now = datetime.datetime.now(datetime.timezone.utc)
    leaf = authority.issue_cert(
        *names, common_name="localhost", not_before=now - datetime.timedelta(days=1),
        not_after=now + datetime.timedelta(days=DAYS))
    data = leaf.private_key_pem.bytes() + b"".join(
        part.bytes() for part in leaf.cert_chain_pems)
    _write(path, data)
    return path


def _is_valid(path: str) -> bool:
    """Whether a certificate was made, and not so long ago that it ends soon."""
    try:
        made = os.stat(path).st_mtime
    except OSError:
        return False
    age = datetime.datetime.now().timestamp() - made
    return 0 <= age < (DAYS - RENEW) * 86400


def _authority() -> "Tuple[Any, bool]":
    """The user's authority, and whether it was made just now."""
    try:
        trustme = importlib.import_module("trustme")
    except ImportError:
        raise ConfigurationError(
            "--https takes the package trustme: pip install 'tremolo[https]'") from None
    certificate_path, key_path = authority_paths()
    try:
        with open(certificate_path, "rb") as one, open(key_path, "rb") as other:
            return trustme.CA.from_pem(one.read(), other.read()), False
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{certificate_path} cannot be used: {exc}. Remove it, and a "
                                 "new one is made") from None
    authority = trustme.CA(organization_name="Tremolo development",
                           organization_unit_name=f"{_user()}@{os.uname().nodename}")
    _write(key_path, authority.private_key_pem.bytes())
    _write(certificate_path, authority.cert_pem.bytes())
    return authority, True


def _user() -> str:
    return os.environ.get("USER") or str(os.getuid())


def _write(path: str, data: bytes) -> None:
    """Have a whole file, for the user alone from its first byte on."""
    part = f"{path}.{os.getpid()}"
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(part, path)
    except OSError as exc:
        raise ConfigurationError(f"cannot write {path}: {exc.strerror}") from None


# -- trusting it -------------------------------------------------------------------------


def trust(arguments: List[str]) -> int:
    """`tremolo trust`: what has no need of root is done, the rest is printed."""
    from .arguments import Parser

    parser = Parser(prog="tremolo trust", allow_abbrev=False, description=(
        "Have browsers and programs of this user accept the certificates of --https. What takes "
        "root is printed, to be run or not."))
    parser.add_argument("--print", action="store_true", dest="only", help="do nothing, print all")
    only = parser.parse_args(arguments).only
    _authority()
    path = authority_paths()[0]
    print(f"The certificate of your own authority: {path}")
    left = []
    for command in _commands(path):
        if only or command[0] == "sudo" or not shutil.which(command[0]):
            left.append(command)
            continue
        done = subprocess.run(command, capture_output=True, text=True)
        outcome = "done" if done.returncode == 0 else f"failed: {done.stderr.strip()[:200]}"
        print(f"{' '.join(command)}  ({outcome})")
    if left:
        print("To be run by you:")
        for command in left:
            print("  " + " ".join(command))
    print(f"curl: --cacert {path}, Python: SSL_CERT_FILE, Node.js: NODE_EXTRA_CA_CERTS; Firefox: "
          "Settings, Certificates, Authorities, Import.")
    return 0


def _commands(path: str) -> List[List[str]]:
    """The commands that have the stores of the system and of browsers trust a certificate."""
    if sys.platform == "darwin":
        keychain = os.path.expanduser("~/Library/Keychains/login.keychain-db")
        return [["security", "add-trusted-cert", "-r", "trustRoot", "-k", keychain, path]]
    commands = []
    for folder, name, update in SYSTEM_STORES:
        if os.path.isdir(folder):
            commands.append(["sudo", "cp", path, os.path.join(folder, name)])
            commands.append(["sudo", *update.split()])
            break
    commands += _nss_commands(path)
    return commands


def _nss_commands(path: str) -> List[List[str]]:
    """Those for the store of Chromium, which has one for each user, made by the first that comes
    first."""
    store = os.path.expanduser("~/.pki/nssdb")
    exists = os.path.isfile(os.path.join(store, "cert9.db"))
    if not exists and not shutil.which("certutil"):
        return []
    first = [] if exists else [["mkdir", "-p", "-m", "700", store],
                               ["certutil", "-d", f"sql:{store}", "-N", "--empty-password"]]
    return [*first, ["certutil", "-d", f"sql:{store}", "-A", "-t", "C,,", "-n", "tremolo",
                     "-i", path]]
