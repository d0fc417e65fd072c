"""Which peers may speak for others: the addresses and networks of `trusted_proxies`.

A leaf. Knows addresses; nothing of header fields.
"""

from typing import TYPE_CHECKING, Iterable, List, Optional, Tuple, Union

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

EXPECTED = ("It must be an IP address, a network such as 10.0.0.0/8, * for every peer, or unix "
            "for those on Unix sockets")


def split_entries(values: Iterable[str]) -> Tuple[str, ...]:
    """The entries of values that may each hold several, with commas between them. Raises
    ValueError, naming the first that is no entry."""
    entries = tuple(entry.strip() for value in values for entry in value.split(",")
                    if entry.strip())
    TrustedProxies(entries)
    return entries


class TrustedProxies:
    """The peers whose `Forwarded` and `X-Forwarded-*` fields are believed.

    Made from addresses and networks; `*` is every peer, `unix` (or `unix:`) one on a Unix
    socket. Raises ValueError naming an entry that is none of these.
    """

    __slots__ = ("_networks", "_unix", "everyone")

    def __init__(self, entries: Iterable[str]) -> None:
        self.everyone = False
        self._unix = False
        self._networks: List[Union[IPv4Network, IPv6Network]] = []
        for entry in entries:
            if entry == "*":
                self.everyone = True
            elif entry in ("unix", "unix:"):
                self._unix = True
            else:
                import ipaddress  # deferred, as below: most servers trust no proxy

                try:
                    self._networks.append(ipaddress.ip_network(entry, strict=False))
                except ValueError:
                    raise ValueError(f'"{entry}". {EXPECTED}') from None

    def __bool__(self) -> bool:
        return bool(self.everyone or self._unix or self._networks)

    def trusts(self, address: Optional[str]) -> bool:
        """Whether who has this IP address (None: a peer on a Unix socket) may speak for
        others."""
        if self.everyone:
            return True
        if address is None:
            return self._unix
        import ipaddress

        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        # An IPv4 peer of a dual-stack socket is ::ffff:192.0.2.1.
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any(parsed in network or (mapped is not None and mapped in network)
                   for network in self._networks)

    def trusts_peer(self, peer: object) -> bool:
        """`trusts` for the name of a socket: a tuple, or a path or nothing on Unix sockets."""
        return bool(self) and self.trusts(
            str(peer[0]) if isinstance(peer, tuple) and peer else None)
