"""The worker process: loads the application, serves it, and reports what it sees.

The only processes with the user's code in them. A worker gets everything over one
socketpair and its end means that the supervisor is gone.
"""
