"""The throttle within a worker: `table` holds the rules in force, `pacer` one connection's pace,
made of `bucket` and `shared_bucket`; `throttler` carries it out. The values are those of
`tremolo.throttle`."""
