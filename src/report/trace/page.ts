/** The timeline as one HTML file: story, picture, every step. It needs nothing but itself; without scripts it shows the whole and the close-up. */
import { readFileSync } from 'node:fs';
import { stepText } from '../../explore/explain/columns.js';
import { where } from '../../explore/explain/names.js';
import { builtFile } from '../../lab/modules.js';
import { type Drawing, draw } from './drawing.js';
import type { Replayed } from './execution.js';
import { STYLE } from './style.js';
import { drawingOf, type Sentence, type StepRow, stepRows, storyOf } from './timeline.js';

const WIDTH = 1160;
const CLOSE_UP = 12;
/** Steps around the marked one that print shows. */
const NEAR = 15;
/** More steps than this are left out of the table, those around the marked one kept. */
const ROWS_MAX = 4000;

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] as string);

/** A built module as the page can carry it. */
const scriptOf = (name: string): string =>
  readFileSync(builtFile('src', 'report', 'trace', name), 'utf8')
    .replace(/^import .*$/gm, '')
    .replace(/^export /gm, '')
    .replace(/^\/\/# sourceMappingURL.*$/gm, '');

const inScript = (data: unknown): string => JSON.stringify(data).replaceAll('<', '\\u003c');

function sentenceHtml({ number, step, text, lost }: Sentence): string {
  const badge = number === 0 ? '<b></b>' : `<b>${number}</b>`;
  const target = step === null || step < 0 ? '' : ` data-step="${step}"`;
  const [, first = '', rest = ''] = /^(\S+)\s+(.*)$/s.exec(text) ?? [];
  return `<li class="${lost ? 'lost' : ''}"${target}>${badge}<span><em>${escaped(first)}</em> ${escaped(rest)}</span></li>`;
}

function rowHtml(execution: Replayed, row: StepRow, contexts: readonly string[], marked: number | null): string {
  const { names } = execution;
  const near = marked !== null && Math.abs(row.step - marked) <= NEAR ? ' near' : '';
  const cells = contexts.map((context) => {
    if (context !== row.context) return '<td></td>';
    const effects = row.effects.map((text) => `<i>${escaped(text)}</i>`).join('');
    return `<td>${escaped(stepText(names, row.event))} <em>${escaped(where(row.event.stack, 2))}</em>${effects}</td>`;
  });
  return `<tr class="${row.lost ? 'lost' : ''}${near}" data-step="${row.step}"><th>${row.step}</th>${cells.join('')}</tr>`;
}

function tableHtml(execution: Replayed): string {
  const all = stepRows(execution);
  const marked = execution.explanation.event?.step ?? null;
  const first = Math.max(0, Math.min(all.length - ROWS_MAX, (marked ?? 0) - ROWS_MAX / 2));
  const rows = all.slice(first, first + ROWS_MAX);
  const left = all.length - rows.length;
  const contexts = [...new Set(all.map((row) => row.context))].sort();
  const head = ['step', ...contexts].map((name) => `<th>${escaped(name)}</th>`).join('');
  const note = left === 0 ? '' : `<p>${left} steps further away are left out; "replay --verbose" shows them.</p>`;
  const body = rows.map((row) => rowHtml(execution, row, contexts, marked)).join('\n');
  return `${note}<table id="steps"><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table>`;
}

function closeUp(drawing: Drawing): string {
  const at = drawing.marks.find((mark) => mark.lost)?.at;
  if (at === undefined) return '';
  const [from, to] = [Math.max(drawing.from, at - CLOSE_UP), Math.min(drawing.to, at + CLOSE_UP)];
  const svg = draw(drawing, { from, to, width: WIDTH, everything: false, search: '' });
  return `<section class="closeup"><h2>The steps around it</h2><figure>${svg}</figure></section>`;
}

function headHtml(execution: Replayed): string {
  const { result } = execution;
  const { failure, title, core, kernel, cpus, patches, experiment, preemptions, steps, caseName } = result;
  const what = failure === null ? 'no failure' : `${failure.outcome}: ${failure.message}`;
  const machine = `${core}, Linux ${kernel}, ${cpus} CPU${cpus === 1 ? '' : 's'}; patches: ${patches.join(', ') || 'none'}`;
  const schedule = `${steps} steps, ${preemptions} preemption${preemptions === 1 ? '' : 's'}`;
  const name = caseName === null ? experiment : `${experiment} (${caseName})`;
  const { inShort } = execution.explanation;
  const short = inShort === '' ? '' : `<p class="short">${escaped(inShort)}</p>`;
  return `<header><h1>${escaped(what)}</h1>${short}<p><strong>${escaped(title)}</strong><br>${escaped(name)}: ${escaped(machine)}; ${schedule}</p></header>`;
}

const LEGEND = [
  ['c1', 'function, running'],
  ['off c1', 'function, waiting or another runs'],
  ['lock', 'lock held'],
  ['wait', 'waits'],
  ['clean', 'line clean'],
  ['dirty', 'line dirty: newer than memory'],
]
  .map(
    ([kind, text]) =>
      `<span><svg width="22" height="12" class="box ${kind}"><rect width="22" height="12"/></svg>${text}</span>`,
  )
  .join('');

const LOSING = '<button data-act="lost">losing step</button>';

const tools = (
  hasLost: boolean,
): string => `<div id="tools"><button data-act="whole">whole</button>${hasLost ? LOSING : ''}<button data-act="in">+</button><button data-act="out">−</button><button data-act="left">←</button><button data-act="right">→</button>
<label><input type="checkbox" id="everything"> all slots and lines</label><input id="search" type="search" placeholder="function, lock, page, address"><span id="matches"></span><span id="range"></span>
<small>drag to move, Ctrl or Shift and wheel to zoom</small></div>`;

export function toHtml(execution: Replayed): string {
  const drawing = drawingOf(execution);
  const whole = draw(drawing, { ...drawing, width: WIDTH, everything: false, search: '' });
  const story = storyOf(execution).map(sentenceHtml).join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(execution.result.experiment)}</title><style>${STYLE}</style></head><body>
${headHtml(execution)}
<ol id="story">${story}</ol>
<section>${tools(drawing.marks.some((m) => m.lost))}<figure id="timeline">${whole}</figure><p class="legend">${LEGEND}</p></section>
${closeUp(drawing)}
<section class="steps"><h2 id="everystep">Every step</h2>${tableHtml(execution)}</section>
<script type="application/json" id="drawing">${inScript(drawing)}</script>
<script type="module">
${scriptOf('drawing.js')}
${scriptOf('reader.js')}
start(globalThis, draw);
</script></body></html>
`;
}
