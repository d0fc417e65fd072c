"""The asyncio shell around the pure engines: transports, time, flow control.

Knows nothing of telemetry, processes, routing or ASGI: it counts, and calls an `Adapter`.
"""
