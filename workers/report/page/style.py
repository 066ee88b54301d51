"""The look of the HTML page, in light and dark."""

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --paper: #ffffff; --line: #d5dae0; --shade: #f5f7f9;
  --good: #17753a; --bad: #b3261e; --warm: #e5383b; --link: #0a5bd3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #9aa5b1; --paper: #14171b; --line: #363d45;
  --shade: #1c2126; --good: #5ecb85; --bad: #ff8a80; --warm: #e5383b; --link: #7fb2ff; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
body { margin: 0; color: var(--ink); background: var(--paper); font: 15px/1.55 system-ui, sans-serif;
  display: grid; grid-template-columns: 16rem minmax(0, 1fr); }
nav { position: sticky; top: 0; max-height: 100vh; overflow-y: auto; padding: 1.6rem 1rem; font-size: .84rem;
  background: var(--shade); border-right: 1px solid var(--line); align-self: stretch; }
nav ol { list-style: none; margin: 0; padding: 0; }
nav ol ol { padding-left: .8rem; margin-bottom: .6rem; }
nav li { margin: .22rem 0; }
nav > ol > li > a { font-weight: 600; }
nav a { color: inherit; text-decoration: none; }
nav a:hover, nav a:focus { color: var(--link); text-decoration: underline; }
main { padding: 1.2rem 2.4rem 4rem; max-width: 76rem; }
h1 { font-size: 1.9rem; margin: .4rem 0 1rem; }
h2 { font-size: 1.45rem; margin: 2.6rem 0 .6rem; padding-bottom: .3rem; border-bottom: 2px solid var(--line); }
h3 { font-size: 1.12rem; margin: 2.2rem 0 .4rem; }
p, ul { max-width: 62rem; }
ul { padding-left: 1.2rem; }
.alarm { font-size: 1.5rem; font-weight: 700; color: var(--bad); border-left: .4rem solid var(--bad); padding-left: .8rem; }
figure { margin: 1rem 0; }
figure svg { display: block; max-width: 100%; height: auto; color: var(--ink); }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  background: color-mix(in srgb, var(--warm) var(--heat, 0%), transparent); }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--line); color: var(--soft); font-weight: 600; }
tbody th { font-weight: 500; white-space: nowrap; }
.prose { min-width: 46rem; }
.prose tbody th { white-space: normal; width: 34%; }
.prose td:nth-child(2), .prose td:nth-child(3) { white-space: nowrap; }
.matrix thead .n { vertical-align: bottom; padding: .3rem .45rem; }
.matrix thead .n span { writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap; }
.matrix td { padding: .3rem .45rem; }
tbody tr:hover { background: var(--shade); }
.n { text-align: right; }
td.n { white-space: nowrap; }
td:not(.n) { min-width: 6rem; }
small { display: block; color: var(--soft); font-size: .78rem; }
.learned { font-weight: 700; }
.baseline { text-decoration: underline; text-underline-offset: .2em; }
.muted { color: var(--soft); }
.held { color: var(--good); font-weight: 700; }
.failed { color: var(--bad); font-weight: 700; }
.not-tested { color: var(--soft); font-weight: 700; white-space: nowrap; }
@media (max-width: 60rem) { body { display: block; } main { padding: 1rem; }
  nav { position: static; max-height: none; border: 0; border-bottom: 1px solid var(--line); } }
@media print { nav { display: none; } body { display: block; } section { break-inside: avoid-page; } }
"""
