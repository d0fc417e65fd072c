"""What happens within a request, whoever's library does it, without a line added to the app.

Beside `worker`, above `net`. `context` names the request that runs here, `record` is what is
known of one, `sources/` has a file for each library that is looked into. Nothing is attached
before the application itself has imported that library and a viewer wants to see it, and all
of it is undone when none does.
"""
