"""WSGI applications (PEP 3333) on the connection core: a third adapter, on a thread pool.

Knows `net` and `protocol`; nothing of the other adapters, processes or telemetry.
"""
