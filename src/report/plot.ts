/** A plot of lines with points as SVG: measured growth, to look at. Light and plain, so that it can be put in a mail or on a page. */

import type { Axis, Plot, Series } from '../lab/measurement.js';

const WIDTH = 720;
const HEIGHT = 440;
const LEFT = 84;
const RIGHT = 24;
const TOP = 48;
const LINE_HEIGHT = 20;
const BOTTOM = 56;
const COLOURS = ['#1f5fa8', '#c2410c', '#3f7d20', '#7c3aed', '#0f766e', '#9f1239'] as const;
/** One after the other, so that of two lines on top of each other both are seen. */
const DASHES = ['', '7 7', '2 5', '12 5 2 5'] as const;
const TICKS = 5;

/** Where a value lies on an axis, and what is written along it. */
interface Scale {
  readonly ticks: readonly number[];
  /** 0 at the beginning of the axis, 1 at its end. */
  at(value: number): number;
}

/** 1, 2 or 5 times a power of ten, so that there are about TICKS of them. */
function stepOf(range: number): number {
  const rough = range / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
}

function linearScale(values: readonly number[]): Scale {
  const top = Math.max(...values, 0) || 1;
  const step = stepOf(top);
  const count = Math.ceil(top / step);
  return { ticks: Array.from({ length: count + 1 }, (_, i) => i * step), at: (value) => value / (count * step) };
}

function logScale(values: readonly number[], base: 2 | 10): Scale {
  const log = base === 2 ? Math.log2 : Math.log10;
  const positive = values.filter((value) => value > 0);
  const from = Math.floor(log(Math.min(...positive, Number.MAX_VALUE)));
  const zeros = positive.length < values.length;
  const lowest = Number.isFinite(from) && positive.length > 0 ? from : 0;
  const low = zeros ? lowest - 1 : lowest;
  const high = Math.max(low + 1, positive.length > 0 ? Math.ceil(log(Math.max(...positive))) : 1);
  const every = Math.max(1, Math.ceil((high - lowest) / TICKS));
  const ticks: number[] = zeros ? [0] : [];
  for (let power = lowest; power <= high; power += every) ticks.push(base ** power);
  return { ticks, at: (value) => (value <= 0 ? 0 : (log(value) - low) / (high - low)) };
}

const scaleOf = (axis: Axis, values: readonly number[]): Scale =>
  axis.scale === 'log10' ? logScale(values, 10) : axis.scale === 'log2' ? logScale(values, 2) : linearScale(values);

const escapeText = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** 65536 is 64 Ki, as bytes and pages are counted; 100000 is 100 k along powers of ten. */
function numberText(value: number, axis: Axis): string {
  if (axis.scale === 'log2') return inUnits(value, ' Ki', ' Mi', ' Gi', 1024);
  return axis.scale === 'log10' ? inUnits(value, ' k', ' M', ' G', 1000) : value.toLocaleString('en');
}

function inUnits(value: number, kilo: string, mega: string, giga: string, base: number): string {
  const units = [
    [base ** 3, giga],
    [base ** 2, mega],
    [base, kilo],
  ] as const;
  const [size, name] = units.find(([least]) => value >= least) ?? [1, ''];
  return `${value / size}${name}`;
}

const place = (value: number): string => value.toFixed(1);

/** Draw it. Return: the text of an SVG file. */
export function svgPlot(plot: Plot): string {
  const bottom = HEIGHT + LINE_HEIGHT * plot.series.length;
  const x = scaleOf(
    plot.x,
    plot.series.flatMap((s) => s.points.map((p) => p[0])),
  );
  const y = scaleOf(
    plot.y,
    plot.series.flatMap((s) => s.points.map((p) => p[1])),
  );
  const atX = (value: number): number => LEFT + x.at(value) * (WIDTH - LEFT - RIGHT);
  const atY = (value: number): number => HEIGHT - BOTTOM - y.at(value) * (HEIGHT - BOTTOM - TOP);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom}" width="${WIDTH}" height="${bottom}" role="img" font-family="sans-serif" font-size="12">`,
    `<title>${escapeText(plot.title)}</title>`,
    `<rect width="${WIDTH}" height="${bottom}" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="24" font-size="15" fill="#111111">${escapeText(plot.title)}</text>`,
    ...x.ticks.map((tick) => xTick(atX(tick), numberText(tick, plot.x))),
    ...y.ticks.map((tick) => yTick(atY(tick), numberText(tick, plot.y))),
    `<path d="M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}" fill="none" stroke="#333333"/>`,
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - BOTTOM + 40}" text-anchor="middle" fill="#333333">${escapeText(plot.x.label)}</text>`,
    `<text transform="translate(18 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle" fill="#333333">${escapeText(plot.y.label)}</text>`,
    ...drawingOrder(plot.series.length).map((nr) => lineOf(plot.series[nr] as Series, nr, atX, atY)),
    ...plot.series.map((series, nr) => legendOf(series, nr)),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

/** Solid lines first: what has gaps is seen above them. */
const drawingOrder = (count: number): number[] =>
  Array.from({ length: count }, (_, nr) => nr).sort((a, b) => (a % DASHES.length) - (b % DASHES.length));

const xTick = (at: number, text: string): string =>
  `<path d="M${place(at)} ${TOP}V${HEIGHT - BOTTOM}" stroke="#e5e5e5"/><text x="${place(at)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#333333">${text}</text>`;
const yTick = (at: number, text: string): string =>
  `<path d="M${LEFT} ${place(at)}H${WIDTH - RIGHT}" stroke="#e5e5e5"/><text x="${LEFT - 8}" y="${place(at + 4)}" text-anchor="end" fill="#333333">${text}</text>`;

const styleOf = (nr: number): string =>
  `stroke="${COLOURS[nr % COLOURS.length]}" stroke-width="2" stroke-dasharray="${DASHES[nr % DASHES.length]}"`;

function lineOf(series: Series, nr: number, atX: (value: number) => number, atY: (value: number) => number): string {
  const points = series.points.map(([x, y]) => `${place(atX(x))},${place(atY(y))}`);
  const marks = series.points.map(
    ([x, y]) =>
      `<circle cx="${place(atX(x))}" cy="${place(atY(y))}" r="3" fill="${COLOURS[nr % COLOURS.length]}"><title>${escapeText(series.name)}: ${x}, ${y}</title></circle>`,
  );
  return `<polyline points="${points.join(' ')}" fill="none" ${styleOf(nr)}/>${marks.join('')}`;
}

function legendOf(series: Series, nr: number): string {
  const at = HEIGHT + LINE_HEIGHT * nr;
  return `<path d="M${LEFT} ${at}h28" ${styleOf(nr)}/><text x="${LEFT + 36}" y="${at + 4}" fill="#111111">${escapeText(series.name)}</text>`;
}
