/* global test, expect, Engine */

test('delivers', async () => {
  const engine = await Engine.open({})
  const heard = []
  engine.on('delivery', ({ status }) => heard.push(status))
  const execution = engine.execution({ workflowId: 'p' })
  execution.step('code').$send.emit({ a: 1 })
  await execution.complete()
  const deliveries = await execution.settled()
  expect(deliveries).toBeInstanceOf(Array)
  expect(deliveries[0].status).toBe('delivered')
  await engine.close()
})

test('refuses with errors of this realm', async () => {
  await expect(Engine.open({ nope: 1 })).rejects.toThrow(Error)
})
