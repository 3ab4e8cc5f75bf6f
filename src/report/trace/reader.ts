/**
 * What the page of a timeline does for its reader: zoom, drag, search, go to a step. Runs in browsers, after `drawing.ts` in the same script.
 */
import type { Drawing, View } from './drawing.js';

/** The little of the browser that is used. */
interface Element {
  innerHTML: string;
  value: string;
  textContent: string | null;
  checked: boolean;
  clientWidth: number;
  readonly dataset: Readonly<Record<string, string | undefined>>;
  readonly classList: { toggle(name: string, on: boolean): void };
  addEventListener(type: string, act: (event: Input) => void, options?: { passive: boolean }): void;
  getBoundingClientRect(): { left: number; width: number };
  querySelectorAll(selector: string): Iterable<Element>;
  closest(selector: string): Element | null;
  scrollIntoView(options: { block: string }): void;
}
interface Input {
  readonly target: Element;
  readonly key: string;
  readonly clientX: number;
  readonly deltaY: number;
  readonly buttons: number;
  readonly ctrlKey: boolean;
  readonly shiftKey: boolean;
  preventDefault(): void;
}
interface Browser {
  readonly document: { getElementById(id: string): Element | null };
  addEventListener(type: string, act: (event: Input) => void): void;
}

const LABEL_WIDTH = 190;
const CLOSE_UP = 12;
const WIDTH_MIN = 4;
const PRINT_WIDTH = 1160;

/** @draw: of drawing.ts. */
export function start(browser: Browser, draw: (drawing: Drawing, view: View) => string): void {
  const element = (id: string): Element => browser.document.getElementById(id) as Element;
  const drawing = JSON.parse(element('drawing').textContent ?? '') as Drawing;
  const [picture, search, table] = [element('timeline'), element('search'), element('steps')];
  let printing = false;
  let [from, to] = [drawing.from, drawing.to];
  const lost = drawing.marks.find((mark) => mark.lost)?.at ?? null;

  const show = (): void => {
    const width = printing ? PRINT_WIDTH : Math.max(600, picture.clientWidth);
    const view = {
      from,
      to,
      width,
      everything: element('everything').checked,
      search: search.value.trim().toLowerCase(),
    };
    picture.innerHTML = draw(drawing, view);
    element('range').textContent =
      `steps ${Math.max(0, Math.ceil(from))} to ${Math.min(drawing.steps, Math.floor(to))}`;
  };
  const go = (a: number, b: number): void => {
    const length = Math.min(Math.max(b - a, WIDTH_MIN), drawing.to - drawing.from);
    from = Math.min(Math.max(a, drawing.from), drawing.to - length);
    to = from + length;
    show();
  };
  const zoom = (factor: number, around = (from + to) / 2): void =>
    go(around - (around - from) * factor, around + (to - around) * factor);
  const goTo = (step: number): void => go(step - CLOSE_UP, step + CLOSE_UP);
  const shift = (part: number): void => go(from + (to - from) * part, to + (to - from) * part);
  const stepAt = (event: Input): number => {
    const { left, width } = picture.getBoundingClientRect();
    return from + ((event.clientX - left - LABEL_WIDTH) / (width - LABEL_WIDTH)) * (to - from);
  };
  const acts: Readonly<Record<string, () => void>> = {
    whole: () => go(drawing.from, drawing.to),
    lost: () => goTo(lost ?? 0),
    in: () => zoom(0.5, lost !== null && lost >= from && lost <= to ? lost : undefined),
    out: () => zoom(2),
    left: () => shift(-0.5),
    right: () => shift(0.5),
  };
  const keys: Readonly<Record<string, string>> = {
    '+': 'in',
    '-': 'out',
    ArrowLeft: 'left',
    ArrowRight: 'right',
    '0': 'whole',
  };

  /** Rows of the table that have the text, and the first of them in sight. */
  const filter = (): void => {
    const wanted = search.value.trim().toLowerCase();
    let first: Element | null = null;
    let count = 0;
    for (const row of table.querySelectorAll('tbody tr')) {
      const found = wanted !== '' && (row.textContent ?? '').toLowerCase().includes(wanted);
      row.classList.toggle('found', found);
      if (found) count++;
      if (found && first === null) first = row;
    }
    element('matches').textContent = wanted === '' ? '' : `${count} steps`;
    first?.scrollIntoView({ block: 'nearest' });
    show();
  };

  let dragged: number | null = null;
  picture.addEventListener('mousedown', (event) => {
    dragged = stepAt(event);
  });
  browser.addEventListener('mousemove', (event) => {
    if (dragged === null) return;
    if (event.buttons === 0) dragged = null;
    else {
      const moved = dragged - stepAt(event);
      go(from + moved, to + moved);
    }
  });
  picture.addEventListener(
    'wheel',
    (event) => {
      if (!event.ctrlKey && !event.shiftKey) return;
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.25 : 0.8, stepAt(event));
    },
    { passive: false },
  );
  picture.addEventListener('dblclick', (event) => zoom(0.5, stepAt(event)));
  element('tools').addEventListener('click', (event) => acts[event.target.dataset.act ?? '']?.());
  element('everything').addEventListener('change', show);
  search.addEventListener('input', filter);
  const toStep = (event: Input): void => {
    const step = event.target.closest('[data-step]')?.dataset.step;
    if (step !== undefined) goTo(Number(step));
  };
  table.addEventListener('click', toStep);
  element('story').addEventListener('click', toStep);
  browser.addEventListener('keydown', (event) => {
    if (event.target !== search) acts[keys[event.key] ?? '']?.();
  });
  browser.addEventListener('resize', show);
  browser.addEventListener('beforeprint', () => {
    printing = true;
    acts.whole?.();
  });
  browser.addEventListener('afterprint', () => {
    printing = false;
    show();
  });
  show();
}
