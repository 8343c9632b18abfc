// Compiled, never run: what TypeScript users may and may not write.

import { Engine, Execution } from 'dollar-send'
import type {
  AlertEvent,
  BatchEvent,
  CloseResult,
  CompletionReceipt,
  Delivery,
  EmailRequestLog,
  EmailResponseLog,
  EmitResponseLog,
  EmittedEvent,
  EngineOptions,
  EngineStats,
  ErrorCode,
  ExecutionSummary,
  HttpRequestLog,
  HttpResponseLog,
  ReplayResult,
  S3ResponseLog,
  SseResponseLog,
  Send,
  ServerAddress,
  Step,
  WarningEvent,
} from 'dollar-send'

/** Accepts `T` and nothing wider. */
function exactly<T>(_value: T): void {}

export async function opening(): Promise<void> {
  await Engine.open()
  await Engine.open({})
  await Engine.open({
    dataDir: '.dollar-send',
    durability: 'os',
    email: {
      smtp: 'smtp://127.0.0.1',
      from: 'a@example.com',
      to: 'b@example.com',
      recipients: { 'p_*': { to: 'c@example.com' } },
      limits: { perSender: { count: 1, perMs: 1000 } },
      retry: { attempts: 2 },
      auth: { type: 'xoauth2', user: 'me@example.com', token: 'token' },
      tls: { ca: 'PEM' },
      ehloName: 'mx.example.com',
      allowHeaders: ['X-*'],
      attachmentFolder: 'files',
    },
    s3: {
      region: 'auto',
      compression: 'zstd',
      batch: { intervalMs: 1, maxCount: 1 },
      assumeRole: { roleArn: 'arn:aws:iam::1:role/send' },
    },
    journal: { maxBytes: 1, key: new Uint8Array(32) },
    name: 'shared',
    strict: true,
    maxPayloadBytes: 1,
    maxPendingBytes: 1,
    egress: {
      allow: ['127.0.0.0/8'],
      deny: ['*.example.com'],
      ports: [443],
      schemes: ['https'],
      proxy: 'socks5://127.0.0.1:1080',
      localAddress: '192.0.2.1',
      addresses: ['192.0.2.1'],
    },
    http: {
      timeoutMs: 5000,
      maxRedirects: 0,
      maxResponseBytes: 1,
      logBodyBytes: 1,
      concurrency: 1,
      perHostConcurrency: 1,
      userAgent: 'x',
      retry: {
        scheduleMs: [1000, 5000],
        statuses: [503],
        errors: ['ERR_SEND_TIMEOUT'],
        breaker: { failures: 3, cooldownMs: 1000 },
        hosts: { '*.example.com': { attempts: 1 } },
      },
      onInterrupted: 'fail',
    },
    log: {
      maxExecutionsPerWorkflow: 1,
      maxAgeDays: 1,
      maxBytes: 1,
      redact: ['x-own'],
      search: false,
    },
  })
  const options: EngineOptions = { http: { timeoutMs: 5 } }
  await Engine.open(options)

  // @ts-expect-error unknown option
  await Engine.open({ htpp: {} })
  // @ts-expect-error unknown option of http
  await Engine.open({ http: { timeout: 5 } })
  // @ts-expect-error a number is wanted
  await Engine.open({ http: { timeoutMs: '5' } })
  // @ts-expect-error a list is wanted
  await Engine.open({ egress: { allow: '10.0.0.0/8' } })
  // @ts-expect-error there is no such durability
  await Engine.open({ dataDir: './x', durability: 'none' })
  // @ts-expect-error the unit is part of the name
  await Engine.open({ http: { retry: { schedule: [1] } } })
  // @ts-expect-error no options object
  await Engine.open(null)
  // @ts-expect-error engines are opened
  new Engine({})
}

export async function running(engine: Engine): Promise<void> {
  const execution = engine.execution({ workflowId: 'p_1', executionId: 'e_1', attempt: 2 })
  exactly<Execution>(execution)
  exactly<string>(execution.executionId)
  exactly<string>(execution.workflowId)
  const step = execution.step('notify')
  exactly<Step>(step)
  exactly<Send>(step.$.send)
  exactly<string>(step.name)
  exactly<CompletionReceipt>(await execution.complete())
  exactly<CompletionReceipt>(await execution.complete({ error: 'anything' }))
  exactly<CompletionReceipt>(await execution.flush())
  exactly<number>(execution.discard())
  exactly<Delivery[]>(await execution.settled())
  exactly<Delivery[]>(await execution.settled({ timeoutMs: 5 }))

  // @ts-expect-error the workflow is required
  engine.execution({})
  // @ts-expect-error the options are required
  engine.execution()
  // @ts-expect-error ids are text
  engine.execution({ workflowId: 5 })
  // @ts-expect-error a step has a name
  execution.step()
  // @ts-expect-error ids do not change
  execution.executionId = 'other'
  // @ts-expect-error nor does a step
  step.name = 'other'
  // @ts-expect-error a number is wanted
  await execution.settled({ timeoutMs: '5' })
  // @ts-expect-error parts that are not public
  execution._recorder('x')
  // @ts-expect-error executions are made by an engine
  new Execution('x')
}

export async function asking(engine: Engine): Promise<void> {
  exactly<Delivery[]>(await engine.deliveries())
  await engine.deliveries({
    workflowId: 'p',
    executionId: 'e',
    step: 's',
    destination: 'http',
    status: 'in-flight',
    limit: 5,
    before: 'id',
  })
  exactly<ExecutionSummary[]>(await engine.executions({ workflowId: 'p', limit: 5, before: 'e' }))
  exactly<void>(await engine.flush({ timeoutMs: 5 }))
  exactly<ReplayResult>(await engine.replay({ ids: ['id'] }))
  await engine.replay({ workflowId: 'p', status: 'failed', limit: 5 })
  exactly<CloseResult>(await engine.close({ timeoutMs: 5 }))
  exactly<EngineStats>(engine.stats())
  exactly<string[]>(engine.egressAddresses())
  await using closing = engine
  exactly<Engine>(closing)

  await engine.deliveries({ destination: 'slack' })
  // @ts-expect-error a destination has a name
  await engine.deliveries({ destination: 5 })
  // @ts-expect-error there is no such status
  await engine.deliveries({ status: 'done' })
  // @ts-expect-error only failed deliveries are made again
  await engine.replay({ status: 'delivered' })
  // @ts-expect-error there is no such filter
  await engine.deliveries({ workflow: 'p' })
  // @ts-expect-error a number is wanted
  await engine.executions({ limit: '5' })
  // @ts-expect-error a part that is not public
  engine._takeEvents()
}

export function listening(engine: Engine): void {
  engine
    .on('delivery', (delivery) => exactly<Delivery>(delivery))
    .on('execution', (execution) => exactly<ExecutionSummary>(execution))
    .on('batch', (batch) => exactly<BatchEvent>(batch))
    .on('alert', (alert) => exactly<AlertEvent>(alert))
    .on('warning', (warning) => exactly<WarningEvent>(warning))
    .off('warning', () => {})

  // @ts-expect-error there is no such event
  engine.on('deliveries', () => {})
  // @ts-expect-error a function is wanted
  engine.on('delivery')
  // @ts-expect-error a delivery is no text
  engine.on('delivery', (delivery: string) => delivery)
}

export function serving(engine: Engine): void {
  exactly<ServerAddress | null>(engine.address())
  exactly<string>(engine.streamUrl('p', { expiresInMs: 5 }))
  const end = engine.subscribe({ emitterId: 'p_*', eventName: '*' }, (event) => {
    exactly<EmittedEvent>(event)
    exactly<string>(event.emitterId)
  })
  exactly<() => void>(end)
  engine.execution({ workflowId: 'p', traceparent: '00-…', tracestate: 'a=b', emitDepth: 1 })

  // @ts-expect-error a listener is wanted
  engine.subscribe({ emitterId: 'p' })
  // @ts-expect-error there is no such member
  engine.subscribe({ emitter: 'p' }, () => {})
}

export function writing(engine: Engine): void {
  engine.destination<{ text: string }>('slack', {
    batch: { maxCount: 10 },
    retry: { attempts: 2 },
    async deliver(items, { batchId }) {
      exactly<string>(batchId)
      return items.map(({ argument }) =>
        argument.text ? 'delivered' : { status: 'retry', afterMs: 5, error: new Error('x') },
      )
    },
  })
  engine.destination('quiet', { retry: false, deliver() {} })

  // @ts-expect-error a function is wanted
  engine.destination('slack', {})
  // @ts-expect-error there is no such outcome
  engine.destination('slack', { deliver: () => ['lost'] })
  // @ts-expect-error such a destination has no statuses
  engine.destination('slack', { deliver() {}, retry: { statuses: [500] } })
}

export function reading(delivery: Delivery): void {
  exactly<string>(delivery.id)
  exactly<number>(delivery.index)
  exactly<HttpRequestLog | EmailRequestLog | Record<string, unknown>>(delivery.request)
  exactly<
    | HttpResponseLog
    | EmailResponseLog
    | S3ResponseLog
    | SseResponseLog
    | EmitResponseLog
    | undefined
  >(delivery.response)
  exactly<ErrorCode | undefined>(delivery.error?.code)
  exactly<string[]>(delivery.warnings)
  exactly<string | undefined>(delivery.deliveredAt)
  exactly<string | undefined>(delivery.replayOf)
  if (delivery.response && 'timings' in delivery.response) {
    exactly<number>(delivery.response.timings.firstByteMs)
  }
  if (delivery.error?.code === 'ERR_SEND_TIMEOUT') return

  // @ts-expect-error there is no such status
  if (delivery.status === 'done') return
  // @ts-expect-error there is no such code
  if (delivery.error?.code === 'ERR_SEND_NOTHING') return
  // @ts-expect-error it may be absent
  exactly<string>(delivery.deliveredAt)
}
