// A workflow that moved: its steps as they stood in Pipedream's editor, a schedule of its own, the
// accounts from the environment. `node examples/moved/runner.mjs`

import { Engine, loadStep, runWorkflow } from 'dollar-send'

const { env } = process

const engine = await Engine.open({
  dataDir: env.DOLLAR_SEND_DATA_DIR ?? './.dollar-send',
  egress: { allow: env.EGRESS_ALLOW?.split(',') ?? [] },
})

const workflow = {
  id: 'p_abc123',
  steps: {
    fetch: await loadStep(new URL('./fetch.js', import.meta.url)),
    notify: {
      step: await loadStep(new URL('./notify.js', import.meta.url)),
      props: { channel: 'orders' },
      auths: { slack: { oauth_access_token: env.SLACK_TOKEN } },
    },
  },
}

const { status, stoppedAt, error } = await runWorkflow(engine, workflow, { url: env.HOOK_URL })
console.log(status === 'threw' ? `${stoppedAt} threw: ${error}` : `Workflow ${status}`)

console.log(await engine.close())
