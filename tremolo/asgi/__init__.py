"""ASGI 3.0 applications on the connection core: an adapter beside the native one.

Knows `net` and `protocol`; nothing of the native framework, processes or telemetry.
"""
