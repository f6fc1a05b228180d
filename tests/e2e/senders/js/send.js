// Sends a rich set of spans with the official JavaScript SDK, each to two OTLP endpoints: the agent under test and,
// for comparison, straight to the Collector. Prints one JSON line per span that the agent's endpoint has acknowledged.
'use strict';

const { parseArgs } = require('node:util');
const { context, trace, ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags } = require('@opentelemetry/api');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BatchSpanProcessor, NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');
const { OTLPTraceExporter: JsonExporter } = require('@opentelemetry/exporter-trace-otlp-http');
const { OTLPTraceExporter: ProtobufExporter } = require('@opentelemetry/exporter-trace-otlp-proto');

const { values: options } = parseArgs({
  options: {
    agent: { type: 'string' },
    direct: { type: 'string' },
    protocol: { type: 'string', default: 'protobuf' },
    compression: { type: 'string', default: 'none' },
    traces: { type: 'string', default: '50' },
  },
});
let failures = 0;

// One attribute for each kind of value and each awkward value that the SDK can hold. It takes every whole number for
// an integer, Number.MAX_VALUE too, which no receiver can read; so doubles have fractions here.
function everyType() {
  return {
    'string': 'plain',
    'string.empty': '',
    'string.unicode': 'Grüße, 世界 🚀 \u0000 \u2028 " \\ \n end',
    'string.long': 'long '.repeat(200),
    'bool.true': true,
    'bool.false': false,
    'int.zero': 0,
    'int.negative': -42,
    'int.beyond_2_32': 2 ** 32 + 1,
    'int.safe': Number.MAX_SAFE_INTEGER,
    'int.beyond_2_53': 2 ** 53 + 2,
    'int.negative_beyond_2_53': -(2 ** 53 + 2),
    'double.fraction': 0.1,
    'double.negative': -2.5e-300,
    'double.large': 2 ** 51 + 0.5,
    'double.tiny': Number.MIN_VALUE,
    'strings': ['a', '', 'ü'],
    'strings.empty': [],
    'strings.with_nothing': ['a', null, undefined, 'b'],
    'bools': [true, false, true],
    'ints': [1, -1, Number.MAX_SAFE_INTEGER],
    'doubles': [0.5, -1.25, 1e-100],
    'ключ': 'a key that is not ASCII',
  };
}

function some(attributes, count) {
  return Object.fromEntries(Object.entries(attributes).slice(0, count));
}

// The BatchSpanProcessor calls export(); this passes the batch on and prints the ids of those that were taken.
function acknowledged(exporter, print) {
  const pending = new Set();
  return {
    // The flush of a provider does not wait for a batch that its timer has sent off.
    idle: async () => { while (pending.size > 0) await Promise.all(pending); },
    export(spans, done) {
      let ended;
      const end = new Promise((resolve) => { ended = resolve; });
      pending.add(end);
      exporter.export(spans, (result) => {
        if (result.code !== 0) {
          failures += 1;
          process.stderr.write(`export failed: ${result.error}\n`);
        } else if (print) {
          for (const span of spans) {
            const { traceId, spanId } = span.spanContext();
            process.stdout.write(JSON.stringify({ traceId, spanId }) + '\n');
          }
        }
        done(result);
        pending.delete(end);
        ended();
      });
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}

function newExporter(url) {
  const Exporter = options.protocol === 'json' ? JsonExporter : ProtobufExporter;
  return new Exporter({ url: `${url}/v1/traces`, compression: options.compression, timeoutMillis: 60000 });
}

function newProvider(resource, exporters) {
  const batch = { maxExportBatchSize: 50, maxQueueSize: 100000, scheduledDelayMillis: 100, exportTimeoutMillis: 60000 };
  return new NodeTracerProvider({
    resource,
    spanLimits: {
      attributeCountLimit: 40, eventCountLimit: 5, linkCountLimit: 4,
      attributePerEventCountLimit: 30, attributePerLinkCountLimit: 30,
    },
    spanProcessors: exporters.map((exporter) => new BatchSpanProcessor(exporter, batch)),
  });
}

const base = Date.now() - 60000;
// A time as [seconds, nanoseconds], so that nanoseconds matter.
function at(n) {
  const milliseconds = base + Math.floor(n / 1000);
  return [Math.floor(milliseconds / 1000), (milliseconds % 1000) * 1e6 + (n % 1000) * 1000 + (n % 997)];
}

function stateOf(text) {
  const { createTraceState } = require('@opentelemetry/api');
  return createTraceState(text);
}

// One trace of six spans, over two scopes, with each kind and each status.
function sendTrace(n, first, second) {
  let parent = ROOT_CONTEXT;
  if (n % 3 === 0) { // every third trace was begun by somebody else, who is named with trace state
    parent = trace.setSpanContext(parent, {
      traceId: '0a0b' + n.toString(16).padStart(28, '0'), spanId: 'cc' + n.toString(16).padStart(14, '0'),
      traceFlags: TraceFlags.SAMPLED, isRemote: true, traceState: stateOf(`vendor=v${n},other=1`),
    });
  }
  const root = first.startSpan(`GET /orders/${n}`,
    { kind: SpanKind.SERVER, startTime: at(n * 100), attributes: everyType() }, parent);
  root.addEvent('received', everyType(), at(n * 100 + 1));
  root.addEvent('', {}, at(n * 100 + 2));
  const inRoot = trace.setSpan(parent, root);

  const internal = second.startSpan('rechne 計算', { startTime: at(n * 100 + 3) }, inRoot);
  for (let i = 0; i < 60; i += 1) internal.setAttribute(`key.${i}`, i); // beyond the limits: dropped counts
  for (let i = 0; i < 8; i += 1) internal.addEvent('tick', { n: i }, at(n * 100 + 4 + i));
  internal.setStatus({ code: SpanStatusCode.OK });
  internal.end(at(n * 100 + 20));

  const client = second.startSpan('SELECT orders', { kind: SpanKind.CLIENT, startTime: at(n * 100 + 21) }, inRoot);
  client.recordException(new Error('connection reset: größer'), at(n * 100 + 22));
  client.setStatus({ code: SpanStatusCode.ERROR, message: 'the database went away: Grüße\n' });
  client.end(at(n * 100 + 23));

  const producer = first.startSpan('orders publish', { kind: SpanKind.PRODUCER, startTime: at(n * 100 + 24) },
    trace.setSpan(inRoot, client));
  producer.end(at(n * 100 + 24)); // no duration at all

  const links = [
    { context: producer.spanContext(), attributes: some(everyType(), 10) },
    { context: { traceId: 'aa' + '0'.repeat(29) + '1', spanId: 'bb00000000000002', traceFlags: TraceFlags.NONE,
      isRemote: true, traceState: stateOf('link=yes') }, attributes: { far: true } },
    { context: client.spanContext() },
  ];
  for (let i = 0; i < n % 4; i += 1) links.push({ context: root.spanContext() }); // sometimes beyond the limit
  const consumer = first.startSpan('orders process', { kind: SpanKind.CONSUMER, startTime: at(n * 100 + 25), links }, inRoot);
  consumer.end(at(n * 100 + 26));
  root.end(at(n * 100 + 30));

  second.startSpan('', { startTime: at(n * 100 + 31) }, ROOT_CONTEXT).end(at(n * 100 + 32));
}

async function main() {
  const exporters = [acknowledged(newExporter(options.agent), true)];
  if (options.direct) exporters.push(acknowledged(newExporter(options.direct), false));
  const resources = [
    resourceFromAttributes({ ...everyType(), 'service.name': 'checkout' },
      { schemaUrl: 'https://opentelemetry.io/schemas/1.26.0' }),
    resourceFromAttributes({ 'service.name': 'käufe' }),
  ];
  for (const resource of resources) {
    const provider = newProvider(resource, exporters);
    const first = provider.getTracer('shop/checkout', '1.2.3', { schemaUrl: 'https://opentelemetry.io/schemas/1.21.0' });
    const second = provider.getTracer('db');
    for (let n = 0; n < Number(options.traces); n += 1) sendTrace(n, first, second);
    // Shutdown closes the exporters, which the next provider still needs: only flush.
    await provider.forceFlush();
    for (const exporter of exporters) await exporter.idle();
  }
  if (failures > 0) throw new Error(`${failures} exports failed`);
}

context.disable();
main().then(() => process.exit(0), (error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
