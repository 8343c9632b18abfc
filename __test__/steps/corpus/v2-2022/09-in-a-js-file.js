import { createHmac } from "crypto"

export default defineComponent({
  async run({ steps, $ }) {
    return createHmac('sha256', 'key').update(steps.trigger.event.text).digest('hex').slice(0, 8)
  },
})
