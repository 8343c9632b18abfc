// Compiled, never run: steps as they are in the wild, and what runners write.

import { type BuiltinDeliveries, type Delivery, Engine, runStep, runWorkflow } from 'dollar-send'
import type { StepResult, StepStatus, WorkflowOutcome } from 'dollar-send'
import type { Pipedream } from '@pipedream/types'
import 'dollar-send/global'

/** Accepts `T` and nothing wider. */
function exactly<T>(_value: T): void {}

const slack = { type: 'app', app: 'slack' } as const

// An untouched step: no annotation anywhere.
export const step = defineComponent({
  props: {
    slack: { type: 'app', app: 'slack' },
    imported: slack,
    channel: { type: 'string', label: 'Channel', default: 'general' },
    count: { type: 'integer', optional: true },
    tags: { type: 'string[]' },
    sure: { type: 'boolean' },
    record: { type: 'object' },
    db: '$.service.db',
    data: { type: 'data_store' },
    request: { type: 'http_request' },
    http: { type: '$.interface.http', customResponse: true },
    base: { propDefinition: [slack, 'base'] },
  },
  methods: {
    greet(name: string) {
      return `${this.channel} ${name} ${this.shout()}`
    },
    shout() {
      return this.channel.toUpperCase()
    },
  },
  async run({ steps, $ }) {
    exactly<string>(this.channel)
    exactly<number>(this.count)
    exactly<string[]>(this.tags)
    exactly<boolean>(this.sure)
    exactly<string>(this.greet('Ada'))
    exactly<string>(this.shout())
    this.total = 3
    this.db.set('last', this.db.get('last') ?? 0)
    await this.data.set('a', { b: 1 }, { ttl: 60 })
    const { data } = await this.request.execute()
    await this.http.respond({ status: 200, body: data })
    const headers = { Authorization: `Bearer ${this.slack.$auth.oauth_access_token}` }
    $.send.http({ method: 'POST', url: steps.trigger.event.body.url, headers, data })
    $.export('$summary', `Sent to ${this.record.name} ${this.base.id}`)
    const { resume_url: link } = $.flow.suspend(1000, { a: 1 })
    if ($.context.run.runs > 3) return $.flow.exit('enough')
    await $.respond({ status: 201, headers: {}, body: { link }, immediate: true })
    const file = await $.files.open('a').toBuffer()
    return { file, id: steps.trigger.context.id, earlier: steps.fetch.$return_value }
  },
})

export const bare = defineComponent({
  async run({ steps, $ }) {
    for (const name of ['Luke', 'Leia']) $.send.emit({ name, event: steps.trigger.event })
  },
})

export const action = defineComponent({
  key: 'send-it',
  name: 'Send it',
  version: '0.0.1',
  type: 'action',
  props: { to: { type: 'string' } },
  async run({ $ }) {
    // @ts-expect-error a prop that is a text has no such function
    this.to.push('x')
    // @ts-expect-error the url is required
    $.send.http({ method: 'POST' })
    return this.to.length
  },
})

export async function older(event: any, steps: any): Promise<void> {
  $checkpoint = $checkpoint ?? { n: 0 }
  $send.http({ method: 'POST', url: $event.body.url, data: steps.trigger.event })
  await $respond({ status: 200, body: $attachments['a.csv'] })
  exactly<string>($context.workflow_id)
  if (event.stop) $end('enough')
}

/** What the types of Pipedream ask for is what `$.send` of this package is. */
export function accepted(engine: Engine): Pipedream['send'] {
  return engine.execution({ workflowId: 'p' }).step('s').$send
}

export async function running(engine: Engine): Promise<void> {
  const execution = engine.execution({ workflowId: 'p' })
  const result = await execution.run('notify', step, {
    event: { a: 1 },
    steps: {},
    props: { channel: 'x' },
    auths: {},
    context: { owner_id: 'o' },
    flow: { suspend: () => ({ resume_url: 'x', cancel_url: 'y' }) },
    services: { db: new Map(), checkpoint: new Map() },
    respond: (response) => response.status,
    attachments: { 'a.csv': '/tmp/a' },
    files: {},
    timeoutMs: 1000,
  })
  exactly<StepResult>(result)
  exactly<StepStatus>(result.status)
  exactly<number>(await engine.run({ workflowId: 'p' }, async () => 7))
  const outcome = await runWorkflow(
    engine,
    { id: 'p', steps: { older, step: { step, props: { channel: 'x' } } }, attempt: 2 },
    { a: 1 },
  )
  exactly<WorkflowOutcome>(outcome)
  exactly<StepResult | undefined>(outcome.steps.step)
  const one = await runStep(engine, older, { workflowId: 'p', stepName: 'older', timeoutMs: 5 })
  exactly<number>(one.receipt.recorded)

  // @ts-expect-error there is no such option
  await execution.run('notify', step, { evnt: {} })
  // @ts-expect-error there is no such option
  await runWorkflow(engine, { id: 'p', steps: {}, workflowId: 'p' })
  // @ts-expect-error a workflow has an id
  await runWorkflow(engine, { steps: {} })
  // @ts-expect-error a function is wanted
  await engine.run({ workflowId: 'p' }, 7)
  // @ts-expect-error there is no such status
  if (result.status === 'failed') return
}

interface Settings {
  channel: string
}

/** Values of interfaces are taken where data of a step is meant, and such data needs no annotation. */
export async function named(engine: Engine, settings: Settings): Promise<void> {
  const steps = { fetch: settings }
  const options = { props: settings, auths: settings, context: settings, flow: settings }
  const { exports, response, summary } = await runStep(engine, older, {
    ...options,
    ...{ workflowId: 'p', steps, attachments: settings },
    respond: (answer) => answer.body.text,
  })
  exactly<string>(exports.total.text)
  exactly<string>(response.body.text)
  exactly<string>(summary.text)
  const { rows } = await engine.sql('SELECT 1')
  exactly<string>(rows[0].name.text)
  engine.subscribe({ emitterId: 'p' }, ({ event }) => exactly<string>(event.body.text))
  engine.destination('slack', { deliver: ([{ argument }]) => exactly<string>(argument.text) })
}

export function narrowed(delivery: Delivery): void {
  switch (delivery.destination) {
    case 'http':
      exactly<string>(delivery.request.url)
      exactly<number | undefined>(delivery.response?.status)
      return
    case 'email':
      exactly<string>(delivery.request.subject)
      return
    case 's3':
      exactly<number | undefined>(delivery.response?.line)
      return
    case 'emit':
      exactly<string[] | undefined>(delivery.response?.webhooks)
      return
    default:
      exactly<Exclude<keyof BuiltinDeliveries, 'http' | 'email' | 's3' | 'emit'>>(
        delivery.destination,
      )
  }
}
