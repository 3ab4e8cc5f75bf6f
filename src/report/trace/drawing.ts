/**
 * The timeline as a picture: lanes of boxes over the steps of an execution, as SVG text.
 *
 * Runs in the page, which draws again when the reader zooms, and where the page is made, for print and for readers without scripts. It imports
 * nothing, so that the page can carry it as it is.
 */

/** Something in a lane that lasts from one step to another. */
export interface Box {
  readonly row: number;
  readonly from: number;
  readonly to: number;
  readonly text: string;
  readonly tip: string;
  /** Style class. */
  readonly kind: string;
}

export interface Lane {
  readonly title: string;
  readonly sub: string;
  readonly rows: number;
  readonly boxes: readonly Box[];
  /** Shown only when the reader asks for everything. */
  readonly folded: boolean;
  /** A heading over what follows. */
  readonly heading: string;
}

export interface Mark {
  readonly at: number;
  readonly number: number;
  readonly text: string;
  readonly lost: boolean;
  /** Index of the lane of the context that did it, or -1. */
  readonly lane: number;
}

export interface Drawing {
  readonly from: number;
  readonly to: number;
  /** Steps of the threads are 0 to steps - 1; what is before is setup, what is after is check. */
  readonly steps: number;
  readonly lanes: readonly Lane[];
  readonly marks: readonly Mark[];
  readonly markText: string;
}

export interface View {
  readonly from: number;
  readonly to: number;
  readonly width: number;
  readonly everything: boolean;
  /** What the reader looks for; boxes that have it are outlined. */
  readonly search: string;
}

const LABELS = 190;
const ROW = 17;
const AXIS = 22;
const BADGES = 42;
const HEADING = 20;
const GAP = 7;
const CHARACTER = 6.7;
const TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] as string);

const px = (value: number): string => value.toFixed(1);

function fitted(text: string, width: number): string {
  const most = Math.floor((width - 7) / CHARACTER);
  if (most < 3) return '';
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function axis(drawing: Drawing, view: View, x: (step: number) => number, height: number): string {
  const perTick = ((view.to - view.from) * 60) / (view.width - LABELS);
  const tick = TICKS.find((t) => t >= perTick) ?? 10_000;
  const out: string[] = [`<text class="sub" x="4" y="14">step</text>`];
  const band = (from: number, to: number, name: string): void => {
    const [a, b] = [Math.max(from, view.from), Math.min(to, view.to)];
    if (b <= a) return;
    const w = x(b) - x(a);
    out.push(`<rect class="outside" x="${px(x(a))}" y="0" width="${px(w)}" height="${height}"/>`);
    out.push(`<text class="sub" x="${px(x(a) + 3)}" y="14">${fitted(name, w + 12)}</text>`);
  };
  band(drawing.from, 0, 'setup');
  band(drawing.steps, drawing.to, 'check');
  for (
    let step = Math.max(0, Math.ceil(view.from / tick) * tick);
    step <= Math.min(view.to, drawing.steps - 1);
    step += tick
  ) {
    out.push(`<line class="tick" x1="${px(x(step))}" x2="${px(x(step))}" y1="17" y2="${height}"/>`);
    out.push(`<text class="sub" x="${px(x(step) + 2)}" y="14">${step}</text>`);
  }
  return out.join('');
}

function boxSvg(box: Box, x: (step: number) => number, view: View, top: number): string {
  const [a, b] = [Math.max(box.from, view.from), Math.min(box.to, view.to)];
  if (b <= a) return '';
  const left = x(a);
  const width = Math.max(1, x(b) - left);
  const y = top + box.row * ROW;
  const found = view.search !== '' && `${box.text} ${box.tip}`.toLowerCase().includes(view.search);
  const text = fitted(box.text, width);
  const label = text === '' ? '' : `<text x="${px(left + 4)}" y="${y + 12}">${escaped(text)}</text>`;
  const tip = escaped(box.tip === '' ? box.text : box.tip);
  return `<g class="box ${box.kind}${found ? ' found' : ''}"><title>${tip}</title><rect x="${px(left)}" y="${y}" width="${px(width)}" height="${ROW - 2}"/>${label}</g>`;
}

function laneSvg(lane: Lane, x: (step: number) => number, view: View, top: number): string {
  const height = lane.rows * ROW;
  const boxes = lane.boxes.map((box) => boxSvg(box, x, view, top)).join('');
  const sub =
    lane.sub === '' ? '' : `<text class="sub" x="4" y="${top + 24}">${escaped(fitted(lane.sub, LABELS))}</text>`;
  const ground = `<rect class="ground" x="${LABELS}" y="${top}" width="${view.width - LABELS}" height="${height}"/>`;
  return `${ground}<text class="title" x="4" y="${top + 12}">${escaped(fitted(lane.title, LABELS))}</text>${sub}${boxes}`;
}

/** Numbered badges, moved apart where they would lie on each other; lines down through the lanes. */
function marksSvg(
  drawing: Drawing,
  view: View,
  x: (step: number) => number,
  height: number,
  laneTops: number[],
): string {
  const out: string[] = [];
  let free = LABELS;
  for (const mark of drawing.marks.toSorted((a, b) => a.at - b.at)) {
    if (mark.at < view.from || mark.at > view.to) continue;
    const at = x(mark.at);
    const step = Math.max(3, x(mark.at + 0.5) - x(mark.at - 0.5));
    const badge = Math.min(Math.max(at, free + 9), view.width - 9);
    free = badge + 9;
    const lost = mark.lost ? ' lost' : '';
    out.push(`<g class="mark${lost}"><title>${escaped(mark.text)}</title>`);
    out.push(`<line x1="${px(at)}" x2="${px(at)}" y1="${AXIS + BADGES - 6}" y2="${height}"/>`);
    const top = mark.lane < 0 ? undefined : laneTops[mark.lane];
    if (top !== undefined) {
      const tall = (drawing.lanes[mark.lane]?.rows ?? 1) * ROW;
      out.push(`<rect class="here" x="${px(at - step / 2)}" y="${top - 2}" width="${px(step)}" height="${tall + 2}"/>`);
    }
    out.push(`<line x1="${px(at)}" x2="${px(badge)}" y1="${AXIS + BADGES - 6}" y2="${AXIS + 17}"/>`);
    out.push(`<circle cx="${px(badge)}" cy="${AXIS + 8}" r="8.5"/>`);
    out.push(`<text class="badge" x="${px(badge)}" y="${AXIS + 12}">${mark.number}</text>`);
    if (mark.lost) {
      const half = (drawing.markText.length * 8.2) / 2;
      const middle = Math.min(Math.max(badge, LABELS + half), view.width - half);
      out.push(`<text class="losttext" x="${px(middle)}" y="${AXIS + 30}">${escaped(drawing.markText)}</text>`);
    }
    out.push('</g>');
  }
  return out.join('');
}

/** SVG of the part of the drawing that @view shows. */
export function draw(drawing: Drawing, view: View): string {
  const scale = (view.width - LABELS) / (view.to - view.from);
  const x = (step: number): number => LABELS + (step - view.from) * scale;
  const parts: string[] = [];
  const tops: number[] = [];
  let y = AXIS + BADGES;
  for (const lane of drawing.lanes) {
    if (lane.heading !== '' && (view.everything || !lane.folded)) {
      parts.push(`<text class="heading" x="4" y="${y + 13}">${escaped(lane.heading)}</text>`);
      y += HEADING;
    }
    tops.push(y);
    if (lane.folded && !view.everything) continue;
    parts.push(laneSvg(lane, x, view, y));
    y += Math.max(lane.rows * ROW, lane.sub === '' ? ROW : 2 * ROW - 6) + GAP;
  }
  const marks = marksSvg(drawing, view, x, y, tops);
  const size = `viewBox="0 0 ${view.width} ${y}" width="${view.width}" height="${y}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img">${axis(drawing, view, x, y)}${parts.join('')}${marks}</svg>`;
}
