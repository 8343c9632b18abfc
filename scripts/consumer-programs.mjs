// The programs of a consumer: each runs a step that delivers to a receiver of its own, and prints what
// arrived.

const BODY = `
const received = []
const receiver = createServer((request, response) => {
  request.on('data', (chunk) => received.push(chunk))
  request.on('end', () => response.end('thanks'))
})
receiver.listen(0, '127.0.0.1', async () => {
  const url = 'http://127.0.0.1:' + receiver.address().port + '/hook'
  const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] } })
  const step = (event) => {
    $send.http({ method: 'POST', url: event.url, data: { name: 'Luke' } })
  }
  const { execution } = await runStep(engine, step, { workflowId: 'p_consumer', event: { url } })
  const [{ status }] = await execution.settled()
  await engine.close()
  receiver.close()
  receiver.closeAllConnections?.()
  console.log(status + ' ' + Buffer.concat(received))
})
`

export const PROGRAMS = {
  'required.cjs': `
const { createServer } = require('node:http')
const { Engine, runStep } = require('dollar-send')
const { $send } = require('dollar-send/global')
${BODY}`,
  'imported.mjs': `
import { Buffer } from 'node:buffer'
import { createServer } from 'node:http'
import dollarSend, { Engine, runStep } from 'dollar-send'
import { $send } from 'dollar-send/global'
if (dollarSend.Engine !== Engine) throw new Error('the default export is another module')
${BODY}`,
}

/** The same in strict TypeScript. */
export const TYPESCRIPT = `
import { Buffer } from 'node:buffer'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Engine, runStep, type EngineOptions } from 'dollar-send'
import { $send } from 'dollar-send/global'

const received: Buffer[] = []
const receiver = createServer((request, response) => {
  request.on('data', (chunk: Buffer) => received.push(chunk))
  request.on('end', () => response.end('thanks'))
})
receiver.listen(0, '127.0.0.1', async () => {
  const url = \`http://127.0.0.1:\${(receiver.address() as AddressInfo).port}/hook\`
  const options: EngineOptions = { egress: { allow: ['127.0.0.0/8'] } }
  const engine = await Engine.open(options)
  const step = (event: { url: string }): void => {
    $send.http({ method: 'POST', url: event.url, data: { name: 'Luke' } })
  }
  const { execution } = await runStep(engine, step, { workflowId: 'p_consumer', event: { url } })
  const [delivery] = await execution.settled()
  await engine.close()
  receiver.close()
  receiver.closeAllConnections()
  console.log(\`\${delivery?.status} \${Buffer.concat(received)}\`)
})
`
