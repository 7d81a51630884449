"""The lecture as one self-contained HTML page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from wardrobe.training.studies.report import Report, command

_TEMPLATE = Path(__file__).with_name("page.html")

# Colours of `figures.style`, whose import would load matplotlib, and what replaces them on the
# page: each is lighter in dark mode.
_COLOURS = {
    "#1b1b1f": "currentColor",
    "#0072b2": "var(--blue)",
    "#d55e00": "var(--orange)",
    "#009e73": "var(--green)",
}

_QUICK = (
    "This page was built with <code>--quick</code>: fewer seeds, examples and epochs than the "
    "studies declare."
)
_FULL = "This page was built from the full studies."
_MIXED = (
    "This page was built from the full studies, except those whose command says "
    "<code>--quick</code>: these use fewer seeds, examples and epochs."
)


def write(reports: Sequence[Report], page: Path) -> Path:
    """Writes the page of the reports, in their order; returns its path."""
    sizes = {report.study.is_quick for report in reports}
    extent = _MIXED if len(sizes) > 1 else _QUICK if True in sizes else _FULL
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        extent=extent,
        command=f"wardrobe study --all{'' if False in sizes else ' --quick'}",
        studies=len(reports),
        holding=sum(report.holds for report in reports),
        contents="\n".join(map(_entry, reports)),
        sections="\n".join(map(_section, reports)),
    )
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    return page


def _entry(report: Report) -> str:
    study = report.study
    return f'<li><a href="#{study.name}">{_rows(report)} · {escape(study.title)}</a></li>'


def _section(report: Report) -> str:
    study = report.study
    verdict = "holds" if report.holds else "fails"
    holding = sum(one.holds for one in report.verdicts)
    words = f"{holding} of {len(report.verdicts)} claims hold."
    if len(report.verdicts) == 1 or report.holds:
        words = "The claim holds." if report.holds else "The claim does not hold."
    claims = "\n".join(
        f"<li><code>{escape(one.claim)}</code>: {escape(one.computed)}, "
        f'<span class="{"holds" if one.holds else "fails"}">'
        f"{'holds' if one.holds else 'does not hold'}</span></li>"
        for one in report.verdicts
    )
    otherwise = study.frame.otherwise if not report.holds else ""
    return f"""<section id="{study.name}">
<p class="rows">{_rows(report)} · <code>{command(study)}</code></p>
<h2>{escape(study.title)}</h2>
<p>{escape(study.frame.about.strip())}</p>
{_figures(report)}
<p class="verdict {verdict}">{words}</p>
<ul>
{claims}
</ul>
<p>{escape(otherwise.strip())}</p>
<details><summary>Numbers (medians of {report.variants} variants)</summary>
<div class="wide"><table>
{_table(report.table)}
</table></div></details>
</section>"""


def _rows(report: Report) -> str:
    rows = report.study.frame.rows
    return f"Row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows))}"


def _figures(report: Report) -> str:
    return "\n".join(_figure(file, report.study.title) for file in report.figures)


def _figure(file: Path, title: str) -> str:
    """The SVG itself, in the colours and the font of the page."""
    svg = file.read_text(encoding="utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, on_page in _COLOURS.items():
        svg = svg.replace(colour, on_page)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body]
    return "\n".join(f"<tr>{line}</tr>" for line in lines)
