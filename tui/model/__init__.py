"""What the dashboard knows, apart from how it draws it.

Nothing here imports Textual: the whole model runs, and is tested, without an app. It is fed
with decoded messages of `tremolo.telemetry.messages` and asked by the panes at their own pace.
"""
