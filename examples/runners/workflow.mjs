// The workflow of the runners in this folder: two steps, as in Pipedream's editor.

const greet = async (event) => `Hello ${event.name ?? 'stranger'}`

const notify = {
  async run({ steps, $ }) {
    const { url, id } = steps.trigger.event
    $.send.http({ method: 'POST', url, data: { id, text: steps.greet.$return_value } })
    if (steps.trigger.event.fail) throw new Error('This event fails')
    await $.respond({ status: 201, body: { text: steps.greet.$return_value } })
  },
}

export default { id: 'p_greetings', steps: { greet, notify } }
