"""The `tls` extension of ASGI: what Python's ssl module knows of a connection.

Knows ssl objects and certificates as ssl gives them; nothing of requests.
"""

import ssl
from typing import Any, Dict, List, Optional

#: the numbers of the TLS specifications
_VERSIONS = {"SSLv3": 0x0300, "TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303,
             "TLSv1.3": 0x0304}
#: the short names of RFC 4514 section 3
_NAMES = {"commonName": "CN", "localityName": "L", "stateOrProvinceName": "ST",
          "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C",
          "streetAddress": "STREET", "domainComponent": "DC", "userId": "UID"}
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def first_certificate(path: str) -> Optional[str]:
    """The first certificate of a PEM file: the one that a server shows of its own. None without
    a path. Raises OSError when it cannot be read."""
    if not path:
        return None
    with open(path, encoding="latin-1") as file:
        text = file.read()
    begin = text.find(_BEGIN)
    end = text.find(_END, begin)
    return text[begin:end + len(_END)] + "\n" if begin >= 0 and end >= 0 else None


def tls_extension(ssl_object: Any, server_cert: Optional[str]) -> Dict[str, Any]:
    """The value of `scope["extensions"]["tls"]`; `server_cert` is PEM. What ssl does not give
    is None. A client certificate that did not verify never gets this far."""
    chain = _client_chain(ssl_object)
    name = None
    if chain:
        name = distinguished_name((ssl_object.getpeercert() or {}).get("subject", ()))
    cipher = ssl_object.cipher()
    return {
        "server_cert": server_cert,
        "client_cert_chain": chain,
        "client_cert_name": name,
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(ssl_object.version() or ""),
        "cipher_suite": _cipher_number(ssl_object.context, cipher[0]) if cipher else None,
    }


def _client_chain(ssl_object: Any) -> List[str]:
    """The client's certificates in PEM, its own first; only that one before Python 3.13."""
    own = ssl_object.getpeercert(True)
    if not own:
        return []
    chain = [own]
    if hasattr(ssl_object, "get_unverified_chain"):
        chain = ssl_object.get_unverified_chain() or chain
    return [ssl.DER_cert_to_PEM_cert(certificate) for certificate in chain]


def _cipher_number(context: ssl.SSLContext, name: str) -> Optional[int]:
    for cipher in context.get_ciphers():
        if cipher["name"] == name:
            return int(cipher["id"]) & 0xFFFF  # OpenSSL puts the protocol above it
    return None


def distinguished_name(subject: Any) -> str:
    """A subject of `getpeercert()` as RFC 4514 writes it: the last part first."""
    parts = []
    for relative in reversed(subject):
        parts.append("+".join(f"{_NAMES.get(kind, kind)}={_escaped(value)}"
                              for kind, value in relative))
    return ",".join(parts)


def _escaped(value: str) -> str:
    """RFC 4514 section 2.4."""
    text = "".join("\\" + c if c in '"+,;<>\\' else "\\00" if c == "\0" else c for c in value)
    if text[:1] in ("#", " "):
        text = "\\" + text
    if text.endswith(" ") and len(value) > 1:
        text = text[:-1] + "\\ "
    return text
