"""What a report's page adds to the style sheet of `reports.forms.html_page`."""

REPORT_STYLE = """
.skip { position: absolute; left: -100vw; padding: .5rem 1rem; background: #fff; }
.skip:focus { left: .5rem; top: .5rem; z-index: 3; }
main:focus, h2:focus { outline: none; }
html { scroll-padding-top: 6rem; }
h2 { font-size: 1.6rem; margin-top: 1.2rem; }
h3 { margin: 2rem 0 .4rem; font-size: 1.15rem; line-height: 1.3; }
nav { position: sticky; top: 0; z-index: 2; background: #fff; }
nav li { margin: 0; }
nav a { text-decoration: none; padding: .2rem 0; border-bottom: 3px solid transparent; }
nav a:hover { text-decoration: underline; }
nav a[aria-current] { color: var(--ink); font-weight: 600; border-color: var(--blue); }
.page { padding-bottom: 1rem; }
.paged .page { display: none; }
.paged .page.is-open { display: block; }
html:not(.paged) .page { border-top: 1px solid var(--line); }
.page, .part, figure, .alone { scroll-margin-top: 1rem; }
.takeaways { margin: 1rem 0; padding: .3rem 1.2rem; background: var(--wash);
  border-left: .3rem solid var(--blue); }
.takeaways li { font-size: 1.05rem; }
.takeaways small { white-space: nowrap; }
.needs { padding: .8rem 1rem; border: 1px dashed var(--soft); color: var(--soft); }
figure { margin: 1.4rem 0 2rem; }
figcaption { margin-bottom: .5rem; max-width: 46rem; }
.finding { margin: 1.2rem 0 .5rem; max-width: 46rem; }
.finding span { color: var(--soft); font-size: .88rem; }
.finding strong, .finding span { display: block; }
.page th[scope=row] { min-width: 11rem; }
.page :is(th[scope=row], td.words) { overflow-wrap: break-word; max-width: 20rem; }
.page caption { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
figcaption strong, .finding strong { font-size: 1.05rem; line-height: 1.35; }
figure img { max-width: 100%; height: auto; display: block; }
.live { display: none; }
.live svg { overflow: visible; }
.live .chart-wrapper { display: block; width: 100%; }
.is-live > .live { display: block; }
.is-live > .still { display: none; }
.live details { display: none; }
.scroll { background:
  linear-gradient(to right, #fff 40%, transparent) 0 0 / 2rem 100% no-repeat local,
  linear-gradient(to left, #fff 40%, transparent) 100% 0 / 2rem 100% no-repeat local,
  linear-gradient(to right, rgb(0 0 0 / 18%), transparent) 0 0 / .7rem 100% no-repeat scroll,
  linear-gradient(to left, rgb(0 0 0 / 18%), transparent) 100% 0 / .7rem 100% no-repeat scroll; }
thead a { color: inherit; text-decoration-style: dotted; text-underline-offset: .2em; }
#told { position: fixed; z-index: 4; max-width: min(22rem, 90vw); padding: .5rem .7rem;
  background: #fff; border: 1px solid var(--soft); border-radius: .3rem; font-size: .88rem;
  box-shadow: 0 2px 8px rgb(0 0 0 / 20%); pointer-events: none; overflow-wrap: anywhere; }
#told span { color: var(--soft); }
:is(a, summary, .scroll, .live):focus-visible { outline: 3px solid var(--blue);
  outline-offset: 2px; }
@media (max-width: 40rem) {
  nav { position: static; }
  html { scroll-padding-top: 0; }
  .page :is(th[scope=row], td.words) { min-width: 9rem; max-width: 12rem; }
  nav ul { gap: .1rem .9rem; }
  nav a { display: inline-block; padding: .35rem 0; }
}
@page { size: A4; margin: 15mm; }
@media print {
  html { font-size: 10pt; }
  body { padding: 0; }
  .scroll { background: none; }
  table { font-size: 7.5pt; }
  thead th { font-size: 7pt; overflow-wrap: normal !important; }
  .page th, .page td { padding: .15rem .35rem .15rem 0; min-width: 0; white-space: normal;
    font-size: inherit; }
  .page td:not(.words) { white-space: nowrap; }
  .page :is(th[scope=row], td.words) { overflow-wrap: anywhere; max-width: none; }
  .page th[scope=row] { min-width: 11em; }
  .page td.words { min-width: 8em; }
  .skip, #told, .takeaways small, figure details { display: none !important; }
  .alone summary, .same { display: none; }
  .takeaways, .needs, dl > div { break-inside: avoid; }
  .takeaways { margin: .6rem 0; }
  .takeaways li { margin: .15rem 0; font-size: .95rem; }
  .lead { font-size: 1.05rem; }
  h3 { margin-top: 1.2rem; }
  figure { margin: .8rem 0 1rem; }
  .part { orphans: 1; widows: 1; }
  p, li { orphans: 3; widows: 3; }
  .paged .page, .page { display: block !important; break-before: page; }
  header + nav + main .page:first-child { break-before: auto; }
  .is-live > .still { display: block; }
  .is-live > .live { display: none; }
  figure svg, figure img { max-height: 200mm; }
  h3, figcaption, .lead, .finding, .alone > .note { break-after: avoid; }
  .top { break-after: avoid; }
  figure, .whole, .short, #definitions .part { display: inline-block; width: 100%;
    vertical-align: top; }
  a { color: inherit; text-decoration: none; }
}
"""

SHEET_STYLE = """
header { padding-top: 1rem; }
header h1 { font-size: 1.3rem; }
.page { border: 0 !important; }
.signed { display: flex; gap: .4rem 1.5rem; flex-wrap: wrap; color: var(--ink); }
.signed span { display: inline-block; width: 8rem; border-bottom: 1px solid; }
.alone > .note:last-child { display: none; }
@page { size: A4; margin: 12mm; }
@media print {
  body { font-size: 9pt; line-height: 1.35; }
  header { padding: 0; }
  header h1, header .note { display: inline; margin-right: .6rem; }
  .banner { margin: 0 0 .4rem; padding: .3rem .6rem; }
  .lead { font-size: 1rem; }
  .page p { max-width: none; margin: .2rem 0; }
  .page p:not(.lead) { font-size: 8.4pt; }
  .finding strong, .finding span { display: inline; }
  .finding strong::after { content: ". "; }
  .takeaways { padding: 0 .8rem; margin: .4rem 0; }
  .takeaways li { font-size: .95rem; }
  .scroll { margin: .3rem 0; }
  .needs { padding: .3rem .6rem; }
  h2 { margin: 0; }
  h3 { margin: .6rem 0 .2rem; }
  .page { break-before: auto !important; padding: 0; }
  .page th[scope=row], .page td.words { min-width: 0; }
  .page th[scope=row] { white-space: nowrap; }
  .whole, .short { display: block; }
  table { font-size: 6.8pt; }
  thead th { font-size: 6.5pt; }
  .page th, .page td { padding: .1rem .25rem .1rem 0; line-height: 1.2; }
}
"""
