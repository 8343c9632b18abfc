import "axios@1"

const started = new Map()
let runs = 0

export default defineComponent({
  async run({ steps }) {
    started.set(steps.trigger.event.id, ++runs)
    return [...started]
  },
})
