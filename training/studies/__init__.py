"""Studies: a declaration varied along axes, with a figure and a claim that is checked.

    YAML ─ study.read ─→ Study ─ variants.expand ─→ variants ─ executor.run ─→ records
                                                                              │
                       report.md, figure.svg, lecture.html ←─ report, page ←──┤
                                                 claim holds or not ←─ claims ┘

A variant is one declaration with one seed. `trained_model` trains it, `measures` measures it, and
its record stays in `runs/studies/members/`, so that no variant is trained twice. This happens in
local processes or, with `ray_engine`, on the machines of a cluster.
"""
