"""The lab: a page to change a declaration, train it and watch.

    page ─ declaration ─→ checked ─ train ─→ session's process ─ snapshots ─→ page

The networks are trained by `training.train`, as by the command line, with a callback that sends
snapshots. Each open page has a process of its own, which ends with the page.
"""
