/** `murphy/traces`: executions as ftrace text, Chrome and Perfetto traces, pages. Apart from the API of races, which every worker loads. */

export { type ChromeEvent, type ChromeTrace, toChromeTrace } from './report/trace/chrome.js';
export { type Execution, executionOf, executionOfRun, type Replayed } from './report/trace/execution.js';
export { toFtrace } from './report/trace/ftrace.js';
export { type LatencyTracer, toLatency } from './report/trace/latency.js';
export { toHtml } from './report/trace/page.js';
export { toPerfetto } from './report/trace/perfetto.js';
