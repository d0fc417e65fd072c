"""Pure engines: bytes in, events out; events in, bytes out.

Nothing in here knows a socket, an event loop, a clock or a logger, and nothing imports from
the packages above; limits are passed in, and every input is either parsed or refused.
"""
