"""Studies: a declaration varied along axes, with a figure and a claim that is checked.

    YAML ─ study.read ─→ Study ─ members.expand ─→ members ─ running.run ─→ records
                                                                              │
                       report.md, figure.svg, lecture.html ←─ report, page ←──┤
                                                 claim holds or not ←─ claims ┘

A member is one declaration with one seed. `engine` trains it, `measures` looks at it, and its
record stays in `runs/studies/members/`, so that no member is ever run twice.
"""
