"""Puts sections on paper: one self-contained HTML page, and Markdown that links to the figures."""

from collections.abc import Sequence

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from workers.report.page.content import Cell, Section, Table
from workers.report.page.drawing import Picture
from workers.report.page.style import STYLE

TITLE = "Experiments"
MARKDOWN_MARKS = {"learned": "**{}**", "baseline": "*{}*", "held": "**{}**", "failed": "**{}**"}

TEMPLATE = """\
{% macro cell(c, tag, numeric) -%}
<{{ tag }}{% if tag == "th" %} scope="row"{% endif %} class="{{ 'n ' if numeric }}{{ c.mark }}"
{%- if c.heat is not none %} style="--heat:{{ '%.0f' % (60 * c.heat) }}%"{% endif %}>
{{- c.text }}{% if c.detail %}<small>{{ c.detail }}</small>{% endif %}</{{ tag }}>
{%- endmacro %}
{% macro table(t) %}
<div class="scroll"><table class="{{ t.kind }}">
<caption>{{ t.caption }}</caption>
<thead><tr>{% for head in t.columns -%}
<th scope="col"{% if loop.index0 >= t.words %} class="n"{% endif %}><span>{{ head }}</span></th>
{%- endfor %}</tr></thead>
<tbody>
{% for row in t.rows %}<tr>{% for c in row %}{{ cell(c, "th" if loop.first else "td", loop.index0 >= t.words) }}{% endfor %}</tr>
{% endfor %}</tbody>
</table></div>
{% endmacro %}
{% macro section(s, level) %}
<section id="{{ s.slug }}">
<h{{ level }}>{{ s.title }}</h{{ level }}>
{% if s.alarm %}<p class="alarm" role="alert">{{ s.alarm }}</p>{% endif %}
{% if s.sentences %}<p>{{ s.sentences | join(" ") }}</p>{% endif %}
{% if s.points %}<ul>{% for point in s.points %}<li>{{ point }}</li>{% endfor %}</ul>{% endif %}
{% for figure in s.figures %}<figure role="img" aria-label="{{ figure.alt }}">{{ inline(figure) }}</figure>
{% endfor %}
{% for t in s.tables %}{{ table(t) }}{% endfor %}
{% for part in s.parts %}{{ section(part, level + 1) }}{% endfor %}
</section>
{% endmacro %}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<nav aria-label="Contents"><ol>
{% for s in sections %}<li><a href="#{{ s.slug }}">{{ s.title }}</a>
{%- if s.parts %}<ol>{% for part in s.parts -%}
<li><a href="#{{ part.slug }}">{{ part.title }}</a></li>
{%- endfor %}</ol>{% endif %}</li>
{% endfor %}</ol></nav>
<main>
<h1>{{ title }}</h1>
{% for s in sections %}{{ section(s, 2) }}{% endfor %}
</main>
</body>
</html>
"""


def html_page(sections: Sequence[Section]) -> str:
    """The whole report in one file: figures and style inline, a table of contents, no script."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # The SVG and the style are our own; everything that comes from a run folder is escaped.
    return environment.from_string(TEMPLATE).render(
        title=TITLE, style=Markup(STYLE), sections=sections, inline=lambda figure: Markup(figure.svg)
    )


def markdown_page(sections: Sequence[Section]) -> str:
    """The same sections as Markdown, figures linked as figures/NAME.svg."""
    return f"# {TITLE}\n\n" + "\n".join(_section(section, 2) for section in sections)


def pictures_of(sections: Sequence[Section]) -> list[Picture]:
    """Every figure of the sections and their parts."""
    return [picture for each in sections for picture in (*each.figures, *pictures_of(each.parts))]


def _section(section: Section, level: int) -> str:
    lines = [f"{'#' * level} {section.title}", ""]
    if section.alarm:
        lines += [f"**{section.alarm}**", ""]
    if section.sentences:
        lines += [" ".join(section.sentences), ""]
    if section.points:
        lines += [*(f"- {point}" for point in section.points), ""]
    for picture in section.figures:
        lines += [f"![{picture.alt}](figures/{picture.name}.svg)", ""]
    for table in section.tables:
        lines += [_table(table), ""]
    return "\n".join([*lines, *(_section(part, level + 1) for part in section.parts)])


def _table(table: Table) -> str:
    rule = ["---" if n < table.words else "---:" for n in range(len(table.columns))]
    rows = [[_escaped(name) for name in table.columns], rule, *([_cell(cell) for cell in row] for row in table.rows)]
    return "\n".join([table.caption, "", *(f"| {' | '.join(row)} |" for row in rows)])


def _cell(cell: Cell) -> str:
    text = MARKDOWN_MARKS.get(cell.mark, "{}").format(cell.text) + (f" ({cell.detail})" if cell.detail else "")
    return _escaped(text)


def _escaped(text: str) -> str:
    """Without an end of a cell in it: classes may be called anything."""
    return text.replace("|", "\\|")
