/**
 * Statements of a race that forget what they read: `k.shared.counter++;`. What such a statement has read goes into the variable that it stores to and
 * nowhere else, since nobody uses its value, so the thread that has executed it knows no more than before (shared/knowledge.ts). Which statements are
 * of that kind is read from the module's text: by the place from which a variable was used.
 *
 * Source: acorn, for the text as a tree.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type AnyNode, type Expression, type MemberExpression, type Node, type Program, parse } from 'acorn';
import type { KernelBase } from '../shared/kernel-base.js';
import type { Mark, VariableUses } from '../shared/knowledge.js';

/** A statement of one assignment to a variable; the first that it reads lies between `from` and `to`, if it reads any. */
interface Assignment {
  readonly start: number;
  readonly end: number;
  readonly from: number;
  readonly to: number;
}

/** Statements of a module, by where their lines begin in its text. */
class ModuleText {
  readonly #lines: number[] = [0];
  readonly #assignments: readonly Assignment[];

  constructor(text: string) {
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#lines.push(at + 1);
    this.#assignments = assignmentsOf(text);
  }

  /** @line, @column: from 1, as a stack has them. */
  offsetOf(line: number, column: number): number {
    return (this.#lines[line - 1] ?? 0) + column - 1;
  }

  at(offset: number): Assignment | null {
    return this.#assignments.find((a) => a.start <= offset && offset < a.end) ?? null;
  }
}

/** Text that does not parse as a module has no statement that is known. */
function assignmentsOf(text: string): Assignment[] {
  let program: Program;
  try {
    program = parse(text, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true });
  } catch {
    return [];
  }
  const found: Assignment[] = [];
  visit(program, (node) => {
    const first = node.type === 'ExpressionStatement' ? firstRead(node.expression, text) : null;
    if (first !== null) found.push({ start: node.start, end: node.end, from: first.start, to: first.end });
  });
  return found;
}

const isNode = (value: unknown): value is AnyNode =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

function visit(node: AnyNode, look: (node: AnyNode) => void): void {
  look(node);
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) for (const each of value) isNode(each) && visit(each, look);
    else if (isNode(value)) visit(value, look);
  }
}

/**
 * What a statement reads first, if it stores to one property in the end, whatever happens, and does nothing else: its parts are operators, names, numbers
 * and properties, in the order in which they stand. Whether these are variables of the race shows when they are used: if the first one is, so is the
 * one that is stored to, since it is of the same object. Null for any other statement.
 */
function firstRead(statement: Expression, text: string): Node | null {
  if (statement.type === 'UpdateExpression') return isPlace(statement.argument) ? statement : null;
  if (statement.type !== 'AssignmentExpression' || /^(&&|\|\||\?\?)=$/.test(statement.operator)) return null;
  const { left, right, operator } = statement;
  if (!isPlace(left)) return null;
  const read = placesOf(right);
  if (read === null) return null;
  if (operator !== '=') return left;
  const [first] = read;
  if (first === undefined) return null;
  const object = text.slice(first.object.start, first.object.end);
  const place = text.slice(left.start, left.end);
  return place.startsWith(object) && /^[.[]/.test(place.slice(object.length)) ? first : null;
}

/** `k.shared.fork[i]`: no part of it reads a variable, or calls anything. */
function isPlace(node: AnyNode): boolean {
  let inner = node;
  for (; inner.type === 'MemberExpression'; inner = inner.object as AnyNode) {
    const { property, computed } = inner;
    if (computed && property.type !== 'Identifier' && property.type !== 'Literal') return false;
  }
  return node.type === 'MemberExpression' && (inner.type === 'Identifier' || inner.type === 'ThisExpression');
}

/** The properties in an expression, in order; null when there is more to it than operators, names, literals and properties. */
function placesOf(node: AnyNode): MemberExpression[] | null {
  if (node.type === 'Literal' || node.type === 'Identifier' || node.type === 'ThisExpression') return [];
  if (node.type === 'MemberExpression') return isPlace(node) ? [node] : null;
  if (node.type === 'UnaryExpression') return node.operator === 'delete' ? null : placesOf(node.argument);
  if (node.type !== 'BinaryExpression') return null;
  const left = placesOf(node.left as AnyNode);
  const right = placesOf(node.right);
  return left === null || right === null ? null : [...left, ...right];
}

/** The frame that called @fn. */
function siteOf(fn: (...given: never[]) => unknown): NodeJS.CallSite | undefined {
  const { prepareStackTrace, stackTraceLimit } = Error;
  Error.stackTraceLimit = 1;
  Error.prepareStackTrace = (_, sites) => sites;
  const holder: { stack?: unknown } = {};
  Error.captureStackTrace(holder, fn);
  const sites = holder.stack as NodeJS.CallSite[];
  if (prepareStackTrace === undefined) Reflect.deleteProperty(Error, 'prepareStackTrace');
  else Error.prepareStackTrace = prepareStackTrace;
  Error.stackTraceLimit = stackTraceLimit;
  return sites[0];
}

/** What one thread does in such statements. */
export class Statements implements VariableUses {
  readonly #k: KernelBase;
  /** What the thread runs now: a handler that interrupts it is another. */
  readonly #context: () => number;
  readonly #texts = new Map<string, ModuleText | null>();
  #open: Assignment | null = null;
  #mark: Mark | null = null;
  #openIn = 0;

  constructor(k: KernelBase, context: () => number) {
    this.#k = k;
    this.#context = context;
  }

  /** The statement that is being executed has read something already, or reads first what @getter reads. */
  reads(getter: () => number): void {
    const mark = this.#k.mark();
    if (mark === null) return;
    const [at, statement] = this.#statement(getter);
    if (statement === null || at < statement.from || at >= statement.to) return;
    this.#open = statement;
    this.#mark = mark;
    this.#openIn = this.#context();
  }

  stored(setter: (value: number) => void): void {
    if (this.#open === null) return;
    const [, statement] = this.#statement(setter);
    if (statement !== this.#open || this.#openIn !== this.#context()) return;
    this.#k.forget(this.#mark);
    this.#open = null;
  }

  #statement(fn: (...given: never[]) => unknown): [at: number, statement: Assignment | null] {
    const site = siteOf(fn);
    const text = this.#textOf(site?.getFileName() ?? '');
    if (site === undefined || text === null) return [-1, null];
    const at = text.offsetOf(site.getLineNumber() ?? 1, site.getColumnNumber() ?? 1);
    return [at, text.at(at)];
  }

  #textOf(file: string): ModuleText | null {
    let text = this.#texts.get(file);
    if (text === undefined) {
      text = file.startsWith('file:') || file.startsWith('/') ? moduleText(file) : null;
      this.#texts.set(file, text);
    }
    return text;
  }
}

function moduleText(file: string): ModuleText | null {
  try {
    return new ModuleText(readFileSync(file.startsWith('file:') ? fileURLToPath(file) : file, 'utf8'));
  } catch {
    return null;
  }
}
