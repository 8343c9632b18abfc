// The example of a deployment: the runner in a process of its own, and what its images are made of.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { it } from 'node:test'

import { loadAll } from 'js-yaml'

import { copyPackage, folderFor, ROOT } from '../support/copy.mjs'

const DEPLOY = 'examples/deploy'
const read = (name) => readFileSync(join(ROOT, DEPLOY, name), 'utf8')

/** A receiver that holds its response until `release()`. */
async function startReceiver(t) {
  const waiting = []
  let onArrival
  const arrived = new Promise((resolve) => (onArrival = resolve))
  const server = createServer((request, response) => {
    waiting.push(response)
    onArrival()
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const release = () => waiting.splice(0).forEach((response) => response.end('thanks'))
  return { url: `http://127.0.0.1:${server.address().port}/hook`, arrived, release }
}

/** Starts the runner as the image does; resolves when it listens. */
async function startRunner(t, env) {
  const folder = folderFor(t)
  for (const name of ['server.mjs', 'step.mjs', 'package.json']) {
    cpSync(join(ROOT, DEPLOY, name), join(folder, name))
  }
  copyPackage(join(folder, 'node_modules', 'dollar-send'))
  const [program, ...args] = JSON.parse(/^CMD (\[.*\])$/m.exec(read('Dockerfile'))[1])
  assert.equal(program, 'node')
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: {
      ...process.env,
      PORT: '0',
      API_PORT: '0',
      DOLLAR_SEND_DATA_DIR: join(folder, 'data'),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const lines = []
  const ended = new Promise((resolve) => child.once('close', (code) => resolve({ code, lines })))
  const port = await new Promise((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      lines.push(line)
      const [, found] = /^Listening on port (\d+)$/.exec(line) ?? []
      if (found) resolve(found)
    })
    child.once('close', (code) => reject(new Error(`the runner ended with ${code}`)))
  })
  return { child, ended, lines, folder, url: `http://127.0.0.1:${port}/run` }
}

it('the runner delivers, and SIGTERM waits for what is under way', async (t) => {
  const receiver = await startReceiver(t)
  const runner = await startRunner(t, { REPORT_URL: receiver.url, EGRESS_ALLOW: '127.0.0.0/8' })
  const options = { method: 'POST', body: '{ "name": "Luke" }' }
  const response = await fetch(runner.url, options)
  assert.equal(response.status, 202)
  assert.match((await response.json()).executionId, /^[\w-]+$/)
  await receiver.arrived
  const draining = new Promise((resolve) => {
    runner.child.stdout.on('data', (chunk) => String(chunk).includes('draining') && resolve())
  })
  runner.child.kill('SIGTERM')
  await draining
  receiver.release()
  const { code, lines } = await runner.ended
  assert.equal(code, 0)
  assert.equal(lines.at(-1), 'Closed: 1 delivered, 0 failed, 0 pending')
})

it('the runner without REPORT_URL answers 500 and stays', async (t) => {
  const runner = await startRunner(t, { REPORT_URL: undefined })
  const [bad, wrong] = await Promise.all([
    fetch(runner.url, { method: 'POST', body: 'no JSON' }),
    fetch(runner.url),
  ])
  assert.deepEqual([bad.status, wrong.status], [500, 404])
  runner.child.kill('SIGTERM')
  assert.equal((await runner.ended).code, 0)
})

for (const file of ['Dockerfile', 'Dockerfile.alpine']) {
  const text = read(file).replaceAll(/\\\n\s*/g, '')
  const instructions = text.split('\n').filter((line) => /^[A-Z]+ /.test(line))
  const of = (word) => instructions.filter((line) => line.startsWith(`${word} `))

  it(`${file}: what it copies and runs exists`, () => {
    const stages = of('FROM').map((line) => /^FROM \S+(?: AS (\w+))?$/.exec(line)?.[1])
    assert.equal(stages.length, 3)
    for (const line of of('COPY')) {
      const [, from, sources] = /^COPY (?:--from=(\S+) )?(.*) \S+$/.exec(line)
      if (from) assert.ok(stages.includes(from) || from.startsWith('node:'), line)
      else for (const source of sources.split(' ')) assert.ok(existsSync(join(ROOT, source)), line)
    }
    const scripts = text.matchAll(/npm run ([\w:]+)|node (scripts\/\S+)/g)
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    for (const [, script, path] of scripts) {
      assert.ok(script ? script in manifest.scripts : existsSync(join(ROOT, path)), script ?? path)
    }
    const ignored = read(`${file}.dockerignore`).split('\n')
    for (const name of ['node_modules', 'target', '*.node', '.git'])
      assert.ok(ignored.includes(name))
  })

  it(`${file}: runs as another user than root, keeps its data in a volume, and is asked for its health`, () => {
    assert.deepEqual(of('USER'), ['USER node'])
    assert.deepEqual(of('VOLUME'), ['VOLUME /data'])
    assert.match(of('ENV')[0], /DOLLAR_SEND_DATA_DIR=\/data/)
    assert.deepEqual(of('CMD'), ['CMD ["node", "server.mjs"]'])
    assert.match(of('HEALTHCHECK')[0], /http:\/\/127\.0\.0\.1:8787\/readyz/)
    assert.match(text, /ca-certificates/)
  })
}

it('compose.yaml builds those images and gives the engine less time than the container', () => {
  const text = read('compose.yaml')
  const files = [...text.matchAll(/examples\/deploy\/[\w.]+/g)].map(([path]) => path)
  for (const path of files) assert.ok(existsSync(join(ROOT, path)), path)
  assert.match(text, /^ {6}- data:\/data$/m)
  const grace = Number(/stop_grace_period: (\d+)s/.exec(text)[1]) * 1000
  assert.ok(grace > Number(/DRAIN_MS: '(\d+)'/.exec(text)[1]))
  const server = read('server.mjs')
  const names = [...text.matchAll(/^ {6}([A-Z_]+): /gm)].map(([, name]) => name)
  const used = server + read('step.mjs')
  for (const name of names) assert.ok(used.includes(`env.${name}`), name)
})

/** The objects of the manifest, by kind. */
const objects = Object.fromEntries(loadAll(read('kubernetes.yaml')).map((one) => [one.kind, one]))

it('kubernetes.yaml: probes the routes of the server, on ports that the container has', () => {
  const { spec } = objects.StatefulSet.spec.template
  const [container] = spec.containers
  const ports = Object.fromEntries(container.ports.map((port) => [port.name, port.containerPort]))
  assert.deepEqual(ports, { run: 3000, inspector: 8787 })
  for (const [probe, path] of [
    ['startupProbe', '/readyz'],
    ['livenessProbe', '/healthz'],
    ['readinessProbe', '/readyz'],
  ]) {
    assert.deepEqual(container[probe].httpGet, { path, port: 'inspector' })
  }
  for (const { port, name } of objects.Service.spec.ports) assert.equal(ports[name], port)
  assert.deepEqual(objects.Service.spec.selector, objects.StatefulSet.spec.selector.matchLabels)
})

it('kubernetes.yaml: one pod has the volume, tokens open the port, and draining has time', () => {
  const { template, volumeClaimTemplates } = objects.StatefulSet.spec
  const [{ env, volumeMounts }] = template.spec.containers
  const values = Object.fromEntries(env.map(({ name, value }) => [name, value]))
  for (const name of Object.keys(values))
    assert.ok((read('server.mjs') + read('step.mjs')).includes(`env.${name}`), name)
  assert.ok('DOLLAR_SEND_TOKENS' in values)
  assert.ok(template.spec.terminationGracePeriodSeconds * 1000 > Number(values.DRAIN_MS))
  const [{ metadata, spec }] = volumeClaimTemplates
  assert.deepEqual(spec.accessModes, ['ReadWriteOncePod'])
  const mount = volumeMounts.find(({ name }) => name === metadata.name)
  assert.equal(mount.mountPath, values.DOLLAR_SEND_DATA_DIR)
})

it('kubernetes.yaml: the policy opens the ports of the pod, and no private address', () => {
  const { podSelector, policyTypes, ingress, egress } = objects.NetworkPolicy.spec
  const { template, selector } = objects.StatefulSet.spec
  assert.deepEqual(podSelector.matchLabels, selector.matchLabels)
  assert.deepEqual(policyTypes, ['Ingress', 'Egress'])
  const open = ingress.flatMap(({ ports, from }) => ports.map(({ port }) => [port, from.length]))
  const ports = template.spec.containers[0].ports.map(({ containerPort }) => [containerPort, 1])
  assert.deepEqual(open, ports)
  const blocks = egress.flatMap(({ to }) => to.flatMap(({ ipBlock }) => ipBlock ?? []))
  assert.equal(blocks.length, 1)
  // The address of the metadata of clouds is in one of them.
  for (const range of ['10.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'])
    assert.ok(blocks[0].except.includes(range), range)
})

it('runner.service: starts the runner with its variables, and gives it time to drain', () => {
  const text = read('runner.service')
  const of = (name) =>
    [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value)
  assert.deepEqual(of('ExecStart'), ['/usr/bin/node server.mjs'])
  const values = Object.fromEntries(of('Environment').map((line) => line.split('=')))
  for (const name of Object.keys(values).filter((name) => name !== 'NODE_ENV'))
    assert.ok((read('server.mjs') + read('step.mjs')).includes(`env.${name}`), name)
  assert.equal(values.DOLLAR_SEND_DATA_DIR, `/var/lib/${of('StateDirectory')[0]}`)
  assert.ok(Number(of('TimeoutStopSec')[0]) * 1000 > Number(values.DRAIN_MS))
})

it('the runner with tokens serves health to everybody, and the log to those with a token', async (t) => {
  const token = 'a'.repeat(16)
  const runner = await startRunner(t, { DOLLAR_SEND_TOKENS: token })
  // Its second line is the address of the server.
  const [, address] = readFileSync(join(runner.folder, 'data', 'lock'), 'utf8').split('\n')
  const { port } = new URL(address)
  const status = async (path, headers) =>
    (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).status
  assert.deepEqual(
    await Promise.all(['/healthz', '/readyz'].map((path) => status(path))),
    [200, 200],
  )
  assert.equal(await status('/v1/deliveries'), 401)
  assert.equal(await status('/v1/deliveries', { authorization: `Bearer ${token}` }), 200)
})

it('Dockerfile.registry: copies the files of the example, and ends like the others', () => {
  const text = read('Dockerfile.registry')
  const copied = [...text.matchAll(/^COPY (.*) \.\/$/gm)].flatMap(([, files]) => files.split(' '))
  assert.deepEqual(copied, ['package.json', 'package-lock.json', 'server.mjs', 'step.mjs'])
  for (const name of ['server.mjs', 'step.mjs']) assert.ok(existsSync(join(ROOT, DEPLOY, name)))
  const end = (dockerfile) => dockerfile.slice(dockerfile.indexOf('ENV NODE_ENV'))
  assert.equal(end(text).replace('EXPOSE 3000 8787', 'EXPOSE 3000'), end(read('Dockerfile')))
})
