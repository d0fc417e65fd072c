"""Processes: starting them, sharing sockets among them, replacing their code, ending them.

Never runs the user's code and never imports `app`, `asgi` or `net`; what it knows of serving
arrives in messages.
"""
